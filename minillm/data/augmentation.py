r"""More training examples from those that there are: words dropped, left out, swapped, replaced, masked.

Small changes that a reader would forgive teach a model not to hang on single words (Wei, Zou: EDA, 2019;
Iyyer et al. 2015 for word dropout; Devlin et al. 2019 for masking). Every function takes the words of a
sentence, and if there are any the labels of its words, and returns both, the labels moved along with
their words.

Labels of entities (``B-PER``, ``I-PER`` ...) stay right too: an entity that lost its first word begins
with its second, one that got words is that much longer, and none is torn apart. They come out in BIO, or
in IOBES if they came in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from minillm.backend import Generator, default_generator
from minillm.metrics.spans import entities

_ENTITY = re.compile(r"[BIES]-.")


class Augmented(NamedTuple):
    """A sentence and the labels of its words, None if it has none."""

    tokens: list[str]
    labels: list[str] | None


def word_dropout(
    tokens: Sequence[str],
    labels: Sequence[str] | None = None,
    *,
    p: float = 0.1,
    replacement: str = "[UNK]",
    generator: Generator | None = None,
) -> Augmented:
    """Put a token in the place of each word with probability `p`; labels stay as they are.

    Args:
        tokens: The words.
        labels: A label for each, or None.
        p: How likely each word is replaced.
        replacement: What is put in its place.
        generator: Draws the numbers; default the global one.

    Example:
        >>> word_dropout(["a", "b"], p=1.0)
        Augmented(tokens=['[UNK]', '[UNK]'], labels=None)
    """
    draws = _draws(tokens, labels, p, generator)
    kept = [replacement if draw < p else token for token, draw in zip(tokens, draws, strict=True)]
    return Augmented(kept, None if labels is None else list(labels))


def random_deletion(
    tokens: Sequence[str],
    labels: Sequence[str] | None = None,
    *,
    p: float = 0.1,
    generator: Generator | None = None,
) -> Augmented:
    """Leave out each word with probability `p`, but never all.

    Example:
        >>> random_deletion(["New", "York"], ["B-LOC", "I-LOC"], p=0.5, generator=Generator(1)).labels
        ['B-LOC']
    """
    draws = _draws(tokens, labels, p, generator)
    places = [place for place, draw in enumerate(draws) if draw >= p]
    if not places and len(tokens):
        places = [int(np.argmax(draws))]
    return _follow(tokens, labels, places)


def random_swap(
    tokens: Sequence[str],
    labels: Sequence[str] | None = None,
    *,
    count: int = 1,
    generator: Generator | None = None,
) -> Augmented:
    """Swap two words, `count` times, their labels with them; words of entities stay where they are.

    Example:
        >>> sorted(random_swap(["a", "b", "c"]).tokens)
        ['a', 'b', 'c']
    """
    if count < 0:
        raise ValueError(f"random_swap: count must not be negative, got {count}")
    _check(tokens, labels)
    places = list(range(len(tokens)))
    # Labels of another kind, such as parts of speech, move along with their words.
    free = places if labels is None or not _are_entities(labels) else [p for p in places if labels[p] == "O"]
    draws = generator or default_generator()
    for _ in range(count if len(free) > 1 else 0):
        a, b = (free[i] for i in draws.permutation(len(free), device="cpu")[:2])
        places[a], places[b] = places[b], places[a]
    return _follow(tokens, labels, places)


def synonym_replacement(
    tokens: Sequence[str],
    synonyms: Mapping[str, Sequence[str]],
    labels: Sequence[str] | None = None,
    *,
    p: float = 0.1,
    generator: Generator | None = None,
) -> Augmented:
    """Replace each word that has synonyms by one of them, with probability `p`.

    A word is looked up as it is written, then in small letters; what replaces a word with a capital
    begins with one. A synonym may be several words, with spaces between.

    Args:
        tokens: The words.
        synonyms: For words the words that may stand in their place.
        labels: A label for each, or None.
        p: How likely each word that has synonyms is replaced.
        generator: Draws the numbers; default the global one.

    Example:
        >>> synonym_replacement(["Big", "cat"], {"big": ["very large"]}, p=1.0).tokens
        ['Very', 'large', 'cat']
    """
    generator = generator or default_generator()
    draws = _draws(tokens, labels, p, generator)
    new: list[str] = []
    places: list[int] = []
    for place, token in enumerate(tokens):
        choices = synonyms.get(token) or synonyms.get(token.lower())
        if isinstance(choices, str):
            raise TypeError(
                f"synonym_replacement: the synonyms of {token!r} must be a list, got the string {choices!r}"
            )
        replaced = [token]
        if choices and draws[place] < p:
            chosen = choices[int(generator.integers(0, len(choices), device="cpu"))]
            if token[:1].isupper():
                chosen = chosen[:1].upper() + chosen[1:]
            replaced = chosen.split() or [token]
        new += replaced
        places += [place] * len(replaced)
    return Augmented(new, None if labels is None else _labels_at(labels, places))


def random_masking(
    ids: npt.ArrayLike,
    mask_id: int,
    vocab_size: int,
    *,
    p: float = 0.15,
    special_ids: Sequence[int] = (),
    mask_share: float = 0.8,
    random_share: float = 0.1,
    ignore_index: int = -100,
    generator: Generator | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Hide tokens for a model that is to guess them, as BERT was trained.

    Of all tokens that are not special a share `p` is chosen; of these 80 % become the mask, 10 % another
    token, and 10 % stay, so that the model cannot trust what it sees.

    Args:
        ids: Rows of ids, any shape.
        mask_id: The id of the mask.
        vocab_size: How many ids there are.
        p: How likely each token is chosen.
        special_ids: Ids that are never chosen, such as those of padding, ``[CLS]`` and ``[SEP]``.
        mask_share: How much of what is chosen becomes the mask.
        random_share: How much becomes a random token.
        ignore_index: The label of what was not chosen.
        generator: Draws the numbers; default the global one.

    Returns:
        The ids to show and the ids to guess, both int64 in the shape of `ids`.

    Example:
        >>> shown, labels = random_masking(
        ...     [[2, 6, 7]], mask_id=1, vocab_size=10, p=1.0, mask_share=1.0, random_share=0.0, special_ids=[2]
        ... )
        >>> shown.tolist(), labels.tolist()
        ([[2, 1, 1]], [[-100, 6, 7]])
    """
    original = np.array(ids, dtype=np.int64)
    if not 0 <= p <= 1 or mask_share < 0 or random_share < 0 or mask_share + random_share > 1 + 1e-9:
        raise ValueError(
            "random_masking: p must be from 0 to 1 and the shares at least 0 and at most 1 together, got "
            f"p={p}, mask_share={mask_share}, random_share={random_share}"
        )
    if original.size and not 0 <= original.min() <= original.max() < vocab_size:
        raise ValueError(
            f"random_masking: ids must be from 0 to {vocab_size - 1}, there are {original.min()} to {original.max()}"
        )
    generator = generator or default_generator()
    draws = generator.uniform((2, *original.shape), device="cpu")
    chosen = (draws[0] < p) & ~np.isin(original, list(special_ids))
    shown = original.copy()
    shown[chosen & (draws[1] < mask_share)] = mask_id
    changed = chosen & (draws[1] >= mask_share) & (draws[1] < mask_share + random_share)
    shown[changed] = generator.integers(0, vocab_size, original.shape, device="cpu")[changed]
    return shown, np.where(chosen, original, ignore_index)


class Augmenter:
    """Some of these changes at random, for each example anew.

    Args:
        steps: Functions such as `random_swap`, or lambdas that call them with options.
        copies: How many changed examples to make of each.
        keep_original: Give the example itself too, first.

    Example:
        >>> more = Augmenter([random_deletion, lambda t, l, **o: random_swap(t, l, count=2, **o)], copies=2)
        >>> len(more(["we", "saw", "the", "cat"]))
        3
    """

    def __init__(
        self, steps: Sequence[Callable[..., Augmented]], *, copies: int = 1, keep_original: bool = True
    ) -> None:
        if not steps:
            raise ValueError("Augmenter: needs at least one step")
        if copies < 0:
            raise ValueError(f"Augmenter: copies must not be negative, got {copies}")
        self.steps = list(steps)
        self.copies = copies
        self.keep_original = keep_original

    def __call__(
        self,
        tokens: Sequence[str],
        labels: Sequence[str] | None = None,
        *,
        generator: Generator | None = None,
    ) -> list[Augmented]:
        """Return changed examples, each made by one step, the steps in turn from a random one on."""
        _check(tokens, labels)
        generator = generator or default_generator()
        made = [Augmented(list(tokens), None if labels is None else list(labels))] if self.keep_original else []
        first = int(generator.integers(0, len(self.steps), device="cpu"))
        for number in range(self.copies):
            step = self.steps[(first + number) % len(self.steps)]
            made.append(step(tokens, labels, generator=generator))
        return made


def _check(tokens: Sequence[str], labels: Sequence[str] | None) -> None:
    if isinstance(tokens, str):
        raise TypeError(f"augmentation: needs the words of a sentence, got the string {tokens[:40]!r}")
    if labels is not None and len(labels) != len(tokens):
        raise ValueError(f"augmentation: {len(tokens)} words with {len(labels)} labels")


def _draws(
    tokens: Sequence[str], labels: Sequence[str] | None, p: float, generator: Generator | None
) -> npt.NDArray[Any]:
    _check(tokens, labels)
    if not 0 <= p <= 1:
        raise ValueError(f"augmentation: p must be from 0 to 1, got {p}")
    drawn: npt.NDArray[Any] = (generator or default_generator()).uniform((len(tokens),), device="cpu")
    return drawn


def _follow(tokens: Sequence[str], labels: Sequence[str] | None, places: list[int]) -> Augmented:
    """The words at these places, with their labels."""
    moved = [tokens[place] for place in places]
    return Augmented(moved, None if labels is None else _labels_at(labels, places))


def _are_entities(labels: Sequence[str]) -> bool:
    return any(label != "O" for label in labels) and all(
        label == "O" or _ENTITY.match(label) for label in labels
    )


def _labels_at(labels: Sequence[str], places: list[int]) -> list[str]:
    """The labels of words that came from these places; those of entities written anew."""
    if not _are_entities(labels):
        return [labels[place] for place in places]
    ends_are_marked = any(label[0] in "ES" for label in labels)
    number_of: dict[int, int] = {}
    types: list[str] = []
    for number, entity in enumerate(entities(labels)):
        types.append(entity.type)
        number_of.update(dict.fromkeys(range(entity.start, entity.end), number))
    numbers = [number_of.get(place) for place in places]
    written = []
    for place, of in enumerate(numbers):
        if of is None:
            written.append("O")
            continue
        first = place == 0 or numbers[place - 1] != of
        last = place == len(numbers) - 1 or numbers[place + 1] != of
        kind = "B" if first else "I"
        if ends_are_marked and last:
            kind = "S" if first else "E"
        written.append(f"{kind}-{types[of]}")
    return written
