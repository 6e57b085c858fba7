r"""Word vectors of one's own: skip-gram with negative sampling, the way of word2vec.

Words that stand in the same company mean similar things. So each word's vector v is made to tell, by a
dot product, the words u that stand near it from words n drawn at random:

    loss = -log σ(v·u) - Σ_k E_{n ~ P} log σ(-v·n),     P(n) ~ count(n)^(3/4)

(Mikolov et al.: Distributed representations of words and phrases, NIPS 2013, equation 4; the text of
each epoch is thinned out by their equation 5, and windows have random widths.) Two changes make it
quick in NumPy: a batch shares its random words, so that all is matrix products, and steps are Adagrad's
(Duchi et al. 2011), one size a word, which frequent and rare words of a batch both stand.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minillm.backend import Generator, default_generator, scatter_add
from minillm.data.word_vectors import WordVectors

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

#: Words whose pairs are made and shuffled at a time; memory holds about 2 * window pairs for each.
_STRETCH = 100_000
#: Random words that a batch shares.
_NOISE_WORDS = 256


def train_word_vectors(
    sentences: Iterable[Sequence[str]],
    *,
    dim: int = 100,
    window: int = 5,
    negatives: int = 5,
    min_count: int = 5,
    subsample: float = 1e-3,
    epochs: int = 5,
    lr: float = 0.1,
    batch_size: int = 1024,
    generator: Generator | None = None,
    progress: bool | None = None,
) -> WordVectors:
    """Learn vectors of words from sentences.

    Args:
        sentences: The sentences, each a list of words; windows do not cross from one to the next.
        dim: The length of a vector.
        window: How far a word's company reaches, on both sides.
        negatives: How much the random words count against each true one.
        min_count: Leave out words that are rarer.
        subsample: Words more frequent than this share of the text are thinned out; 0 keeps all.
        epochs: How often the text is read.
        lr: The size of the first steps; it falls to a tenth.
        batch_size: Pairs of words a step.
        generator: Draws everything; default the global one.
        progress: Show a bar with loss and time left; None means on a terminal.

    Returns:
        The vectors, the most frequent word first.

    Raises:
        ValueError: No word is frequent enough, or a setting makes no sense.

    Example:
        >>> text = [["a", "cat", "sleeps"], ["a", "dog", "sleeps"], ["the", "car", "drives"]] * 20
        >>> vectors = train_word_vectors(text, dim=8, min_count=1, epochs=2, progress=False)
        >>> len(vectors), vectors.dim
        (7, 8)
    """
    for name, value, least in (
        ("dim", dim, 1),
        ("window", window, 1),
        ("negatives", negatives, 1),
        ("min_count", min_count, 1),
        ("epochs", epochs, 0),
        ("batch_size", batch_size, 1),
    ):
        if value < least:
            raise ValueError(f"train_word_vectors: {name} must be at least {least}, got {value}")
    if not (lr > 0 and math.isfinite(lr)) or subsample < 0:
        raise ValueError(
            f"train_word_vectors: lr must be positive and subsample not negative, got {lr} and {subsample}"
        )
    draws = (generator or default_generator()).at("skip gram")
    text = _Text(sentences, min_count, subsample)
    counts = text.counts.astype(np.float64)
    noise = np.cumsum(counts**0.75)
    table = _Table(len(text.words), dim, draws)
    for pairs, done in _steps(text, epochs, window, batch_size, draws, progress, table):
        numbers = draws.uniform(_NOISE_WORDS, 0, float(noise[-1]), np.float64, "cpu")
        noise_words: Ids = np.asarray(np.searchsorted(noise, numbers, side="right"), dtype=np.int64)
        table.learn(pairs, noise_words, negatives, lr * (1 - 0.9 * done))
    return WordVectors(text.words, table.vectors)


class _Text:
    """The sentences as one row of ids, and where each begins."""

    def __init__(self, sentences: Iterable[Sequence[str]], min_count: int, subsample: float) -> None:
        frequency: Counter[str] = Counter()
        read: list[Sequence[str]] = []
        for sentence in sentences:
            if isinstance(sentence, str):
                raise TypeError("train_word_vectors: needs lists of words, got the string " + repr(sentence[:40]))
            frequency.update(sentence)
            read.append(sentence)
        # Equally frequent words stay in the order in which they were first seen.
        self.words = [word for word, count in frequency.most_common() if count >= min_count]
        if len(self.words) < 2:
            raise ValueError(
                f"train_word_vectors: {len(self.words)} of {len(frequency)} words stand in the text min_count="
                f"{min_count} times; it takes at least two"
            )
        index = {word: i for i, word in enumerate(self.words)}
        rows = [[index[word] for word in sentence if word in index] for sentence in read]
        self.ids: Ids = np.array([i for row in rows for i in row], dtype=np.int64)
        self.sentence: Ids = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        self.counts: Ids = np.bincount(self.ids, minlength=len(self.words))
        share = self.counts / self.counts.sum()
        # Equation 5 as their program has it, which keeps a little more.
        self.kept = np.minimum(1, np.sqrt(subsample / share) + subsample / share) if subsample else None

    def stretches(self, draws: Generator) -> Iterator[tuple[Ids, Ids]]:
        """Yield the ids and sentence numbers of the thinned out text, some of it at a time."""
        for start in range(0, len(self.ids), _STRETCH):
            ids = self.ids[start : start + _STRETCH]
            sentence = self.sentence[start : start + _STRETCH]
            if self.kept is not None:
                stays = draws.uniform(len(ids), device="cpu") < self.kept[ids]
                ids, sentence = ids[stays], sentence[stays]
            yield ids, sentence


def _pairs(ids: Ids, sentence: Ids, window: int, draws: Generator) -> Ids:
    """All (word, word near it), shuffled, shape (pairs, 2)."""
    widths = draws.integers(1, window + 1, len(ids), device="cpu")
    found: list[Any] = []
    for distance in range(1, window + 1):
        left, right = slice(None, -distance), slice(distance, None)
        together = sentence[left] == sentence[right]
        for middle, other in ((left, right), (right, left)):
            chosen = together & (widths[middle] >= distance)
            found.append(np.stack([ids[middle][chosen], ids[other][chosen]], axis=1))
    pairs: Ids = np.concatenate(found)
    shuffled: Ids = pairs[draws.permutation(len(pairs), device="cpu")]
    return shuffled


def _steps(
    text: _Text,
    epochs: int,
    window: int,
    batch_size: int,
    draws: Generator,
    progress: bool | None,
    table: _Table,
) -> Iterator[tuple[Ids, float]]:
    """Yield batches of pairs, with the share of the work that is done before them."""
    from tqdm import tqdm

    disable = None if progress is None else not progress
    total = epochs * len(text.ids)
    done = 0
    with tqdm(total=total, desc="Learning vectors", unit=" words", disable=disable) as bar:
        for _ in range(epochs):
            for number, (ids, sentence) in enumerate(text.stretches(draws)):
                pairs = _pairs(ids, sentence, window, draws)
                length = min(_STRETCH, len(text.ids) - number * _STRETCH)
                for start in range(0, len(pairs), batch_size):
                    share = (done + length * start / len(pairs)) / total
                    yield pairs[start : start + batch_size], share
                done += length
                bar.set_postfix(loss=f"{table.loss:.3f}", refresh=False)
                bar.update(length)


class _Table:
    """The vectors of words and of their company, and what Adagrad remembers of each."""

    def __init__(self, num_words: int, dim: int, draws: Generator) -> None:
        self.vectors: Floats = draws.uniform((num_words, dim), -0.5 / dim, 0.5 / dim, np.float32, "cpu")
        self.company: Floats = np.zeros((num_words, dim), np.float32)
        self._sums = np.zeros((2, num_words), np.float32)
        self._num_steps = 0
        #: The loss of a step not long ago.
        self.loss = math.nan

    def learn(self, pairs: Ids, noise: Ids, negatives: int, lr: float) -> None:
        """Take one step on pairs (words, company), against random words."""
        words, near = pairs[:, 0], pairs[:, 1]
        v, u, n = self.vectors[words], self.company[near], self.company[noise]  # (B, D), (B, D), (N, D)
        true = np.einsum("bd,bd->b", v, u)
        false = v @ n.T  # (B, N)
        weight = negatives / len(noise)
        d_true = -_sigmoid(-true)[:, None]  # of -log σ(x): -σ(-x)
        d_false = weight * _sigmoid(false)  # of -log σ(-x): σ(x)
        # A random word that is the true one is no mistake.
        d_false[near[:, None] == noise[None, :]] = 0
        if self._num_steps % 64 == 0:  # computed each time, it would take most of the step
            self.loss = float(
                np.logaddexp(0, -true).mean() + weight * np.logaddexp(0, false).sum(axis=1).mean()
            )
        self._num_steps += 1
        self._step(self.vectors, self._sums[0], words, d_true * u + d_false @ n, lr)
        places = np.concatenate([near, noise])
        self._step(self.company, self._sums[1], places, np.concatenate([d_true * v, d_false.T @ v]), lr)

    def _step(self, table: Floats, sums: Floats, places: Ids, grads: Floats, lr: float) -> None:
        rows, inverse = np.unique(places, return_inverse=True)
        summed = np.zeros((len(rows), table.shape[1]), np.float32)
        scatter_add(summed, inverse.reshape(-1), grads.astype(np.float32, copy=False))
        sums[rows] += np.einsum("rd,rd->r", summed, summed) / table.shape[1]
        table[rows] -= lr * summed / np.sqrt(sums[rows] + 1e-10)[:, None]


def _sigmoid(x: Any) -> Any:
    return 0.5 * (1 + np.tanh(0.5 * x))
