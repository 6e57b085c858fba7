"""Augmentation: labels stay with their words, entities stay whole."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.backend import Generator
from minillm.data.augmentation import (
    Augmenter,
    random_deletion,
    random_masking,
    random_swap,
    synonym_replacement,
    word_dropout,
)
from minillm.metrics import entities

TABLE = {"w1": ["x", "y z"], "w3": ["a b c"], "w5": ["w5"]}


@st.composite
def sentences(draw, scheme="BIO"):
    """Words that are all different, with labels of entities, or of other kinds, or none."""
    spans = draw(st.lists(st.tuples(st.sampled_from(["O", "PER", "LOC"]), st.integers(1, 3)), max_size=6))
    labels = []
    for type_, length in spans:
        if type_ == "O":
            labels += ["O"] * length
        elif scheme == "BIO":
            labels += [f"B-{type_}", *[f"I-{type_}"] * (length - 1)]
        else:
            labels += [f"S-{type_}"] if length == 1 else [f"B-{type_}", *[f"I-{type_}"] * (length - 2), f"E-{type_}"]
    tokens = [f"w{n}" for n in range(len(labels))]
    return tokens, labels


def spans_of(tokens, labels):
    """For each entity its type and words."""
    return [(e.type, tuple(tokens[e.start : e.end])) for e in entities(labels)]


SEEDS = st.integers(0, 1000)


@pytest.mark.parametrize("scheme", ["BIO", "IOBES"])
@settings(max_examples=60)
@given(data=st.data(), seed=SEEDS, p=st.sampled_from([0.0, 0.3, 1.0]))
def test_deletion(scheme, data, seed, p):
    tokens, labels = data.draw(sentences(scheme))
    new = random_deletion(tokens, labels, p=p, generator=Generator(seed))
    kept = set(new.tokens)
    assert new.tokens == [token for token in tokens if token in kept]
    assert len(new.labels) == len(new.tokens)
    assert bool(new.tokens) == bool(tokens)
    # Each entity is what is left of it, and none has become one with its neighbour.
    expected = [(t, tuple(w for w in words if w in kept)) for t, words in spans_of(tokens, labels)]
    assert spans_of(*new) == [(t, words) for t, words in expected if words]
    if p == 0:
        assert new == (tokens, labels)
    if any(label != "O" for label in new.labels):
        marked = scheme == "IOBES" and any(label[0] in "ES" for label in labels)
        assert len(entities(new.labels, "IOBES" if marked else "BIO")) == len(spans_of(*new))


@settings(max_examples=60)
@given(data=st.data(), seed=SEEDS, count=st.integers(0, 3))
def test_swapping(data, seed, count):
    tokens, labels = data.draw(sentences())
    new = random_swap(tokens, labels, count=count, generator=Generator(seed))
    assert Counter(new.tokens) == Counter(tokens)
    assert new.labels == labels  # words of entities stay, the others are all O
    assert spans_of(*new) == spans_of(tokens, labels)
    kinds = [f"k{n}" for n in range(len(tokens))]
    moved = random_swap(tokens, kinds, count=count, generator=Generator(seed))
    assert [token[1:] for token in moved.tokens] == [kind[1:] for kind in moved.labels]
    if count == 0:
        assert moved.tokens == tokens


def test_swapping_swaps():
    assert random_swap(["a", "b"]).tokens == ["b", "a"]
    assert random_swap(["a"]).tokens == ["a"]
    assert random_swap([]).tokens == []
    assert random_swap(["a", "b"], ["B-X", "O"]).tokens == ["a", "b"]


@pytest.mark.parametrize("scheme", ["BIO", "IOBES"])
@settings(max_examples=60)
@given(data=st.data(), seed=SEEDS, p=st.sampled_from([0.0, 0.5, 1.0]))
def test_synonyms(scheme, data, seed, p):
    tokens, labels = data.draw(sentences(scheme))
    new = synonym_replacement(tokens, TABLE, labels, p=p, generator=Generator(seed))
    assert len(new.labels) == len(new.tokens)
    assert [t for t, _ in spans_of(*new)] == [t for t, _ in spans_of(tokens, labels)]
    text = " ".join(new.tokens)
    for token in tokens:
        if token not in TABLE or p == 0:
            assert token in new.tokens
        elif p == 1:
            assert any(choice in text for choice in TABLE[token])
    assert len(new.tokens) >= len(tokens)


def test_synonyms_of_words_with_capitals():
    table = {"big": ["large"], "Paris": ["the capital"]}
    assert synonym_replacement(["Big", "Paris", "big"], table, p=1.0).tokens == [
        *("Large", "The", "capital", "large"),
    ]
    with pytest.raises(TypeError, match="the synonyms of 'big' must be a list, got the string 'large'"):
        synonym_replacement(["big"], {"big": "large"}, p=1.0)


@given(data=st.data(), seed=SEEDS)
def test_dropout(data, seed):
    tokens, labels = data.draw(sentences())
    new = word_dropout(tokens, labels, p=0.5, replacement="?", generator=Generator(seed))
    assert new.labels == labels
    assert all(a in (b, "?") for a, b in zip(new.tokens, tokens, strict=True))
    assert word_dropout(tokens, p=0.0) == (tokens, None)


def test_as_often_as_asked_for():
    tokens = ["a"] * 20_000
    assert Counter(word_dropout(tokens, p=0.25, generator=Generator(0)).tokens)["[UNK]"] / 20_000 == pytest.approx(
        0.25, abs=0.01
    )
    assert len(random_deletion(tokens, p=0.25, generator=Generator(0)).tokens) / 20_000 == pytest.approx(
        0.75, abs=0.01
    )


def test_the_same_seed_gives_the_same():
    tokens = [f"w{n}" for n in range(30)]
    for step in (word_dropout, random_deletion, random_swap):
        options = {} if step is random_swap else {"p": 0.5}
        first, second, other = (step(tokens, generator=Generator(seed), **options) for seed in (1, 1, 2))
        assert first == second != other


# Masking


def test_masking_is_that_of_bert():
    ids = np.random.default_rng(0).integers(5, 1000, (50, 1000))
    ids[:, :3] = 2
    shown, labels = random_masking(ids, mask_id=4, vocab_size=1000, special_ids=[2], generator=Generator(0))
    chosen = labels != -100
    assert not chosen[:, :3].any()
    assert chosen[:, 3:].mean() == pytest.approx(0.15, abs=0.005)
    np.testing.assert_array_equal(labels[chosen], ids[chosen])
    np.testing.assert_array_equal(shown[~chosen], ids[~chosen])
    assert (shown[chosen] == 4).mean() == pytest.approx(0.8, abs=0.02)
    assert (shown[chosen] == ids[chosen]).mean() == pytest.approx(0.1, abs=0.02)
    assert shown.dtype == labels.dtype == np.int64
    assert 0 <= shown.min() <= shown.max() < 1000


def test_masking_edges():
    shown, labels = random_masking([1, 2, 3], 0, 4, p=0.0)
    assert (shown.tolist(), labels.tolist()) == ([1, 2, 3], [-100] * 3)
    shown, labels = random_masking([1, 2], 0, 4, p=1.0, mask_share=0.0, random_share=0.0, ignore_index=-1)
    assert (shown.tolist(), labels.tolist()) == ([1, 2], [1, 2])
    assert random_masking(np.zeros((0, 4), int), 0, 4)[0].shape == (0, 4)


# Several


def test_more_examples_of_each():
    more = Augmenter([random_deletion, random_swap], copies=3)
    made = more(["a", "b", "c"], ["O", "B-X", "O"], generator=Generator(0))
    assert len(made) == 4
    assert made[0] == (["a", "b", "c"], ["O", "B-X", "O"])
    assert all(len(tokens) == len(labels) for tokens, labels in made)
    assert len(Augmenter([word_dropout], copies=2, keep_original=False)(["a"])) == 2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: word_dropout("abc"), TypeError, "needs the words of a sentence, got the string 'abc'"),
        (lambda: word_dropout(["a"], ["O", "O"]), ValueError, "1 words with 2 labels"),
        (lambda: random_deletion(["a"], p=1.5), ValueError, "p must be from 0 to 1, got 1.5"),
        (lambda: random_swap(["a"], count=-1), ValueError, "count must not be negative, got -1"),
        (lambda: Augmenter([]), ValueError, "needs at least one step"),
        (lambda: Augmenter([word_dropout], copies=-1), ValueError, "copies must not be negative"),
        (lambda: random_masking([1], 0, 4, p=2), ValueError, "p must be from 0 to 1"),
        (lambda: random_masking([1], 0, 4, mask_share=0.9, random_share=0.2), ValueError, "at most 1 together"),
        (lambda: random_masking([4], 0, 4), ValueError, "ids must be from 0 to 3, there are 4 to 4"),
    ],
)
def test_what_cannot_be(call, error, message):
    with pytest.raises(error, match=message):
        call()
