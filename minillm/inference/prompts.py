"""Prompts for a batch: token sequences of any lengths as one array, short ones padded on the left.

On the left, so that the last token of every row is a real one, and the next is predicted from it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minillm.backend import to_numpy
from minillm.inference.context import Tokens
from minillm.ops import Tensor


def prompts_of(
    input_ids: Any, attention_mask: Any, pad_token_id: int, pad_anywhere: bool = False
) -> tuple[Tokens, Tokens]:
    """Return prompts as an array, and how much of each row is padding.

    Args:
        input_ids: (B, T) or (T,), or sequences of any lengths.
        attention_mask: (B, T), 1 for tokens and 0 for padding, which stands on the left.
        pad_token_id: what to pad with.
        pad_anywhere: take padding behind tokens, too.

    Returns:
        The tokens, (B, T) of int64, and which of them are no padding, (B, T) booleans.

    Raises:
        ValueError: no prompt, an empty one, or padding that is not on the left.
        TypeError: tokens that are not whole numbers.

    Example:
        >>> prompts_of([[5, 6, 7], [8]], None, pad_token_id=0)
        (array([[5, 6, 7],
                [0, 0, 8]]), array([[ True,  True,  True],
                [False, False,  True]]))
    """
    if isinstance(input_ids, (Tensor, np.ndarray)) or hasattr(input_ids, "__array_namespace__"):
        tokens = _checked(np.atleast_2d(_host(input_ids)))
        seen = np.ones(tokens.shape, bool)
    else:
        rows = list(input_ids)
        if rows and not any(hasattr(row, "__len__") for row in rows):
            rows = [rows]
        arrays = [_checked(_host(row).reshape(1, -1))[0] for row in rows]
        if attention_mask is not None and len({len(a) for a in arrays}) > 1:
            raise ValueError(
                "generate: got prompts of different lengths and an attention_mask; give one of both"
            )
        width = max(map(len, arrays), default=0)
        seen = np.arange(width) >= np.array([[width - len(a)] for a in arrays])
        tokens = np.full((len(arrays), width), pad_token_id, np.int64)
        for row, array in zip(tokens, arrays, strict=True):
            row[width - len(array) :] = array
    if not tokens.size:
        raise ValueError("generate: the prompt is empty; it needs at least one token to go on from")
    if attention_mask is not None:
        seen = _seen_by(np.atleast_2d(_host(attention_mask)), tokens.shape, pad_anywhere)
    if not seen.any(axis=1).all():
        row = int(seen.any(axis=1).argmin())
        raise ValueError(f"generate: prompt {row} is empty; each needs at least one token to go on from")
    return tokens, seen


def _host(values: Any) -> Tokens:
    return to_numpy(values.array) if isinstance(values, Tensor) else to_numpy(np.asarray(values))


def _checked(tokens: Tokens) -> Tokens:
    if tokens.ndim != 2:
        raise ValueError(f"generate: got tokens of shape {tokens.shape}; it needs (B, T) or (T,)")
    if tokens.dtype.kind not in "iu" and tokens.size:
        raise TypeError(f"generate: got tokens of {tokens.dtype}; it needs whole numbers")
    return tokens.astype(np.int64)


def _seen_by(mask: Tokens, shape: tuple[int, ...], pad_anywhere: bool) -> Tokens:
    """Return which tokens are no padding."""
    if mask.shape != shape:
        raise ValueError(
            f"generate: got an attention_mask of shape {mask.shape}; it needs {shape}, as input_ids"
        )
    seen = mask != 0
    if not pad_anywhere and (seen[:, :-1] & ~seen[:, 1:]).any():
        raise ValueError(
            "generate: the attention_mask has padding behind a token; pad prompts on the left, so that each "
            "goes on from its own last token (padding_side='left')"
        )
    return np.asarray(seen)


def check_range(tokens: Tokens, seen: Tokens, vocab_size: int | None) -> None:
    """Raise an error where a prompt holds a token that the model does not have."""
    if vocab_size is None:
        return
    wrong = seen & ((tokens < 0) | (tokens >= vocab_size))
    if wrong.any():
        row, column = np.argwhere(wrong)[0].tolist()
        raise ValueError(
            f"generate: token {tokens[row, column]} at place {int(seen[row, :column].sum())} of prompt {row} is "
            f"out of range; the model has {vocab_size} tokens, 0 to {vocab_size - 1}. Is the tokenizer another "
            "model's?"
        )
