"""Rules over the tokens so far: what may not come next, and what becomes less probable.

- A repetition penalty makes tokens that were there before less probable (Keskar et al., "CTRL", 2019, 4.1).
- ``no_repeat_ngram_size``: no n tokens come twice in the same order (Paulus, Xiong and Socher, "A Deep
  Reinforced Model for Abstractive Summarization", 2017, section 2.5).
- ``bad_words_ids``: sequences of tokens that never come.
- ``min_length``: the text does not end before.

They work on plain arrays, logits or log-probabilities, (B, V), in the order above, as those of Hugging Face's
library do, and come before the filters of :mod:`minillm.inference.sampling`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minillm import ops
from minillm.autograd.function import wrap
from minillm.backend import Array, device_of, to_device, xp_of
from minillm.inference.context import Tokens
from minillm.inference.sampling import check_value


@dataclasses.dataclass(frozen=True)
class Constraints:
    """Rules over the tokens so far; checked when they are made.

    Attributes:
        repetition_penalty: above 1 makes tokens that were there before less probable; positive.
        no_repeat_ngram_size: no so many tokens come twice in the same order; 0 for any.
        bad_words_ids: sequences of tokens that never come.
        min_length: the text does not end before it has so many tokens, with the prompt.
        ends: the tokens that end a text.
        processors: called one after another with the tokens, (B, T), and the logits, (B, V); each returns logits.

    Raises:
        ValueError: a value out of its range.

    Example:
        >>> rules = Constraints(bad_words_ids=[[1], [0, 2]])
        >>> rules.apply(np.zeros((1, 3)), np.array([[2, 0]]), np.array([[True, True]]))
        array([[  0., -inf, -inf]])
    """

    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    bad_words_ids: Sequence[Sequence[int]] = ()
    min_length: int = 0
    ends: Sequence[int] = ()
    processors: Sequence[Callable[[Any, Any], Any]] = ()

    def __post_init__(self) -> None:
        check_value("repetition_penalty", self.repetition_penalty, "be positive", lambda r: 0 < r < math.inf)
        for name in ("no_repeat_ngram_size", "min_length"):
            check_value(name, getattr(self, name), "be 0 or more", lambda n: n >= 0 and n == int(n))
        for word in self.bad_words_ids:
            if isinstance(word, int) or not word or not all(0 <= token == int(token) for token in word):
                raise ValueError(
                    f"bad_words_ids holds {word!r}; it needs sequences of tokens, such as [[5], [7, 8]]"
                )

    def apply(self, logits: Array, tokens: Tokens, seen: Tokens) -> Array:
        """Return the logits, (B, V), as the rules change them.

        Args:
            logits: (B, V).
            tokens: (B, T), what was read and written so far.
            seen: (B, T), False for padding.
        """
        if self.repetition_penalty != 1:
            before = tokens_before(tokens, seen, logits)
            logits = penalize_repetition(logits, before, self.repetition_penalty)
        if self.no_repeat_ngram_size:
            logits = forbid(logits, repeated_ngrams(tokens, self.no_repeat_ngram_size))
        if self.bad_words_ids:
            logits = forbid(logits, ends_of_words(tokens, self._words(logits.shape[-1])))
        if self.ends and tokens.shape[1] < self.min_length:
            logits = forbid(logits, [list(self.ends)] * len(tokens))
        for processor in self.processors:
            changed = processor(ops.tensor(tokens, device=device_of(logits)), wrap(logits))
            logits = changed.array
        return logits

    def _words(self, vocab_size: int) -> list[list[int]]:
        """Return the forbidden sequences; a token that ends the text cannot be one."""
        for word in self.bad_words_ids:
            if max(word) >= vocab_size:
                raise ValueError(f"bad_words_ids holds {list(word)}, and the model has {vocab_size} tokens")
        return [list(word) for word in self.bad_words_ids if len(word) > 1 or word[0] not in self.ends]


class ForcedEnd:
    """A processor of :class:`Constraints`: the last token of a text of the greatest length is one that ends it.

    Args:
        max_length: the greatest length, with the prompt.
        ends: the tokens that it may be, one or several.

    Example:
        >>> rules = Constraints(processors=[ForcedEnd(2, 1)])
        >>> rules.apply(np.zeros((1, 3)), np.array([[2]]), np.array([[True]]))
        array([[-inf,   0., -inf]])
    """

    def __init__(self, max_length: int, ends: int | Sequence[int]) -> None:
        self.max_length, self.ends = max_length, np.atleast_1d(np.asarray(ends, np.int64))

    def __call__(self, tokens: Any, logits: Any) -> Any:
        if tokens.shape[1] != self.max_length - 1:
            return logits
        row = np.full(logits.shape[-1], -math.inf, logits.dtype)
        row[self.ends] = 0
        return ops.tensor(np.broadcast_to(row, logits.shape), device=logits.device)


def forbid(logits: Array, tokens: Sequence[Sequence[int]]) -> Array:
    """Return the logits, (B, V), with -inf for the tokens of each row.

    Example:
        >>> forbid(np.zeros((2, 3)), [[0, 2], []])
        array([[-inf,   0., -inf],
               [  0.,   0.,   0.]])
    """
    banned = np.zeros(logits.shape, bool)
    for row, ids in zip(banned, tokens, strict=True):
        row[[token for token in ids if token < len(row)]] = True
    if not banned.any():
        return logits
    return xp_of(logits).where(to_device(banned, device_of(logits)), -math.inf, logits)


def repeated_ngrams(tokens: Tokens, size: int) -> list[list[int]]:
    """Return, for each row, the tokens that would end n tokens that were there before.

    Example:
        >>> repeated_ngrams(np.array([[1, 2, 3, 1, 2]]), 3)
        [[3]]
    """
    if tokens.shape[1] < size:
        return [[] for _ in tokens]
    windows = np.lib.stride_tricks.sliding_window_view(tokens, size, axis=1)  # (B, T - n + 1, n)
    prefix = tokens[:, tokens.shape[1] - size + 1 :]
    same = (windows[:, :, :-1] == prefix[:, None]).all(axis=2)
    return [row[hits, -1].tolist() for row, hits in zip(windows, same, strict=True)]


def ends_of_words(tokens: Tokens, words: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return, for each row, the last tokens of words whose other tokens are there already.

    Example:
        >>> ends_of_words(np.array([[3, 4]]), [[7], [4, 5], [9, 5]])
        [[7, 5]]
    """
    rows: list[list[int]] = tokens.tolist()
    return [[w[-1] for w in words if len(w) == 1 or row[1 - len(w) :] == list(w[:-1])] for row in rows]


def tokens_before(tokens: Tokens, seen: Tokens, logits: Array) -> Array:
    """Return which tokens of the vocabulary each row has, padding on the left left out: (B, V) booleans."""
    present = np.zeros((len(tokens), logits.shape[-1] + 1), bool)
    real = np.maximum.accumulate(seen, axis=1) & (tokens < logits.shape[-1])
    np.put_along_axis(present, np.where(real, tokens, logits.shape[-1]), True, axis=1)
    return to_device(present[:, :-1], device_of(logits))


def penalize_repetition(logits: Array, seen: Array, penalty: float) -> Array:
    """Return the logits, (B, V), with those of tokens that were seen moved towards improbable.

    Args:
        logits: (B, V).
        seen: (B, V), booleans.
        penalty: positive logits are divided by it, negative ones multiplied.

    Example:
        >>> import numpy as np
        >>> penalize_repetition(np.array([[2.0, 2.0]]), np.array([[True, False]]), 2.0)
        array([[1., 2.]])
    """
    xp = xp_of(logits)
    return xp.where(seen, xp.where(logits < 0, logits * penalty, logits / penalty), logits)


