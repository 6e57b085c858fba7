"""Skip-gram: the gradient is that of the loss, and words of one company come to lie together."""

from __future__ import annotations

import numpy as np
import pytest

from minillm.backend import Generator
from minillm.data import train_word_vectors
from minillm.data.skip_gram import _pairs, _Table, _Text


def two_topics(count=300):
    """Sentences about animals and about traffic; the words of a topic stand together at random."""
    rng = np.random.default_rng(0)
    topics = [["cat", "dog", "mouse", "horse", "cow"], ["car", "bus", "tram", "train", "bike"]]
    return [[*rng.choice(topics[n % 2], 4).tolist(), "the"] for n in range(count)]


def test_words_of_one_company_come_to_lie_together():
    text = two_topics()
    # So short a text must not be thinned out.
    options = {"dim": 8, "min_count": 1, "epochs": 8, "subsample": 0, "batch_size": 128}
    vectors = train_word_vectors(text, **options, generator=Generator(0), progress=False)
    assert len(vectors) == 11
    assert vectors.words[0] == "the"
    for topic in (["cat", "dog", "mouse", "horse", "cow"], ["car", "bus", "tram", "train", "bike"]):
        for word in topic:
            near = [other for other, _ in vectors.nearest(word, 4)]
            assert sorted(near) == sorted(set(topic) - {word})


def test_the_same_seed_gives_the_same_vectors():
    text = two_topics(40)
    options = {"dim": 4, "min_count": 1, "epochs": 1, "progress": False}
    first, second, other = (
        train_word_vectors(text, generator=Generator(seed), **options).vectors for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_pairs_are_those_of_the_windows():
    ids, sentence = np.arange(7), np.array([0, 0, 0, 0, 1, 1, 1])
    counted = {}
    for seed in range(200):
        for pair in map(tuple, _pairs(ids, sentence, 2, Generator(seed)).tolist()):
            counted[pair] = counted.get(pair, 0) + 1
    near = {(a, b) for a in range(7) for b in range(7) if a != b and abs(a - b) <= 2 and (a < 4) == (b < 4)}
    assert counted.keys() == near
    # The next word always counts, the one after it in half of the windows.
    for (a, b), count in counted.items():
        assert count == 200 if abs(a - b) == 1 else 60 < count < 140


def test_the_step_goes_down_the_loss():
    rng = np.random.default_rng(0)
    table = _Table(6, 3, Generator(0))
    table.vectors = rng.standard_normal((6, 3)).astype(np.float32)
    table.company = rng.standard_normal((6, 3)).astype(np.float32)
    before = table.vectors.astype(np.float64), table.company.astype(np.float64)
    pairs, noise, negatives = np.array([[0, 1], [0, 2], [3, 1]]), np.array([1, 4, 5, 4]), 2

    def loss(vectors, company):
        total = 0.0
        for word, near in pairs:
            total += np.logaddexp(0, -vectors[word] @ company[near])
            for other in noise:
                if other != near:
                    total += negatives / len(noise) * np.logaddexp(0, vectors[word] @ company[other])
        return total

    grads = []
    for which in (0, 1):
        grad = np.zeros((6, 3))
        for place in np.ndindex(6, 3):
            ends = []
            for sign in (1, -1):
                tables = [part.copy() for part in before]
                tables[which][place] += sign * 1e-5
                ends.append(loss(*tables))
            grad[place] = (ends[0] - ends[1]) / 2e-5
        grads.append(grad)
    table.learn(pairs, noise, negatives, lr=0.1)
    for after, start, grad in zip((table.vectors, table.company), before, grads, strict=True):
        # Adagrad's first step: the gradient over the root of its row's mean square.
        size = np.sqrt((grad**2).mean(axis=1, keepdims=True) + 1e-10)
        np.testing.assert_allclose(after, start - 0.1 * grad / size, atol=1e-4)
    assert table.loss == pytest.approx(
        np.mean([np.logaddexp(0, -before[0][w] @ before[1][n]) for w, n in pairs])
        + negatives / 4 * np.mean([sum(np.logaddexp(0, before[0][w] @ before[1][n]) for n in noise) for w, _ in pairs]),
        rel=1e-5,
    )


def test_frequent_words_are_thinned_out():
    text = [["a"] * 98 + ["b", "c"]] * 20
    thinned = _Text(text, 1, 1e-2)
    assert thinned.words == ["a", "b", "c"]
    expected = np.sqrt(0.01 / 0.98) + 0.01 / 0.98
    np.testing.assert_allclose(thinned.kept, [expected, 1, 1])
    kept = sum((ids == 0).sum() for ids, _ in thinned.stretches(Generator(0)))
    assert kept == pytest.approx(1960 * expected, rel=0.2)
    assert len(next(_Text(text, 1, 0).stretches(Generator(0)))[0]) == 2000


def test_rare_words_are_left_out():
    vectors = train_word_vectors([["a", "b", "c"], ["a", "b"]], min_count=2, dim=2, epochs=1, progress=False)
    assert vectors.words == ["a", "b"]


def test_the_vectors_go_into_an_embedding():
    import minillm
    from minillm import nn

    vectors = train_word_vectors([["a", "b"]] * 9, min_count=1, dim=4, epochs=1, progress=False)
    matrix, known = vectors.embedding_matrix(["<pad>", "b", "a"])
    assert known.tolist() == [False, True, True]
    embedding = nn.Embedding.from_pretrained(minillm.tensor(matrix), padding_idx=0)
    np.testing.assert_array_equal(embedding(minillm.tensor([1])).numpy()[0], vectors["b"])


def test_progress_is_shown(capsys):
    train_word_vectors([["a", "b"]] * 9, min_count=1, dim=2, epochs=2, progress=True)
    assert "Learning vectors: 100%" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dim": 0}, ValueError, "dim must be at least 1, got 0"),
        ({"epochs": -1}, ValueError, "epochs must be at least 0, got -1"),
        ({"lr": 0.0}, ValueError, "lr must be positive and subsample not negative, got 0.0"),
        ({"subsample": -1.0}, ValueError, "subsample not negative"),
        ({"min_count": 9}, ValueError, "0 of 2 words stand in the text min_count=9 times; it takes at least two"),
    ],
)
def test_what_cannot_be(options, error, message):
    with pytest.raises(error, match=message):
        train_word_vectors([["a", "b"]], **options)


def test_a_text_is_no_list_of_words():
    with pytest.raises(TypeError, match="needs lists of words, got the string 'the cat'"):
        train_word_vectors(["the cat"])
