"""Next-token training batches from one long row of tokens.

A language model reads x and predicts y, the same tokens one place further on:

    tokens   t0 t1 t2 t3 t4 ...
    x        t0 t1 t2 t3            (block_size tokens)
    y           t1 t2 t3 t4

Training draws windows at random places (`TokenBatches.batch`), evaluation walks through the whole
split once (`TokenBatches.windows`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from minillm.backend import Generator

Tokens = npt.NDArray[Any]
Batch = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


class TokenBatches:
    """Windows of `block_size` tokens and their next tokens, in batches.

    The tokens may be a `numpy.memmap` or the array of a `TokenFile`: only the windows asked for
    are read.

    Args:
        tokens: (num_tokens,) token numbers, any integer type.
        block_size: tokens in a window, T.
        batch_size: windows in a batch, B.
        stream: name of the random stream that `batch` draws from; give two `TokenBatches` that
            share a generator different names.

    Raises:
        ValueError: there are fewer than block_size + 1 tokens (the message says how many there
            are), they are not a row, or a size is not positive.
        TypeError: the tokens are not integers.

    Example:
        >>> batches = TokenBatches(np.arange(10), block_size=4, batch_size=2)
        >>> for x, y in batches.windows():
        ...     print(x.tolist(), y.tolist())
        [[0, 1, 2, 3], [4, 5, 6, 7]] [[1, 2, 3, 4], [5, 6, 7, 8]]
        [[8]] [[9]]
    """

    def __init__(self, tokens: Tokens, block_size: int, batch_size: int, *, stream: str = "batch") -> None:
        _check_tokens(tokens)
        _check_sizes(block_size, batch_size)
        if len(tokens) <= block_size:
            raise ValueError(
                f"the text is too short: it has {len(tokens):,} tokens, and windows of "
                f"block_size={block_size} need at least {block_size + 1:,}. Give a longer text "
                "or a smaller block size"
            )
        self.tokens = tokens
        self.block_size = block_size
        self.batch_size = batch_size
        self.stream = stream

    def batch(self, step: int, generator: Generator) -> Batch:
        """Return the random windows of one training step.

        The places are drawn from ``generator.at(stream, step)``: they depend on the seed, the
        stream and the step alone, so that a run resumed at this step draws the same batch.

        Args:
            step: number of the step, from 0.
            generator: the run's `minillm.backend.Generator`.

        Returns:
            (x, y): two int64 arrays of shape (batch_size, block_size).
        """
        num_starts = len(self.tokens) - self.block_size
        draws = generator.at(self.stream, step)
        starts = draws.integers(0, num_starts, (self.batch_size,), device="cpu")
        places = starts[:, None] + np.arange(self.block_size + 1)  # (B, T + 1)
        return _shift(self.tokens[places])

    def windows(self) -> Iterator[Batch]:
        """Yield windows side by side: each token but the first is a target exactly once.

        See `sequential_windows`.
        """
        return sequential_windows(self.tokens, self.block_size, self.batch_size)

    def __len__(self) -> int:
        """The number of batches that `windows` yields."""
        num_windows, rest = divmod(len(self.tokens) - 1, self.block_size)
        return -(-num_windows // self.batch_size) + (rest > 0)


def sequential_windows(tokens: Tokens, block_size: int, batch_size: int) -> Iterator[Batch]:
    """Yield (x, y) windows that stand side by side and cover a whole split.

    Each token but the first is a target exactly once. The last full batch may hold fewer windows,
    and what is left after the last full window comes as one window of its own, shorter than
    `block_size`. A mean over the split must therefore weigh each batch by ``y.size``.

    Args:
        tokens: (num_tokens,) token numbers, at least two.
        block_size: tokens in a window.
        batch_size: the most windows in a batch.

    Yields:
        (x, y): int64 arrays of shape (B, block_size) with B <= batch_size; the last may be
        (1, rest) with rest < block_size.

    Raises:
        ValueError: fewer than two tokens, not a row, or a size that is not positive.
        TypeError: the tokens are not integers.

    Example:
        >>> [y.size for _, y in sequential_windows(np.arange(12), block_size=4, batch_size=8)]
        [8, 3]
    """
    _check_tokens(tokens)
    _check_sizes(block_size, batch_size)
    if len(tokens) < 2:
        raise ValueError(
            f"evaluation needs at least 2 tokens (one to read, one to predict), got {len(tokens)}"
        )
    return _windows(tokens, block_size, batch_size)


def _windows(tokens: Tokens, block_size: int, batch_size: int) -> Iterator[Batch]:
    num_windows, rest = divmod(len(tokens) - 1, block_size)
    within = np.arange(block_size + 1)
    for first in range(0, num_windows, batch_size):
        numbers = np.arange(first, min(first + batch_size, num_windows))
        yield _shift(tokens[numbers[:, None] * block_size + within])
    if rest:
        yield _shift(np.asarray(tokens[num_windows * block_size :])[None])


def _shift(windows: Tokens) -> Batch:
    """(B, T + 1) windows -> x, y of (B, T)."""
    return windows[:, :-1].astype(np.int64), windows[:, 1:].astype(np.int64)


def split_tokens(tokens: Tokens, validation_fraction: float = 0.1) -> tuple[Tokens, Tokens]:
    """Cut a row of tokens into a training part and, at its end, a validation part.

    Both are views: no token is copied.

    Args:
        tokens: (num_tokens,) token numbers.
        validation_fraction: share of the tokens to hold out, 0 <= fraction < 1.

    Returns:
        (train, validation).

    Raises:
        ValueError: the fraction is outside [0, 1), or the tokens are not a row.
        TypeError: the tokens are not integers.

    Example:
        >>> train, validation = split_tokens(np.arange(10), 0.2)
        >>> train.tolist(), validation.tolist()
        ([0, 1, 2, 3, 4, 5, 6, 7], [8, 9])
    """
    _check_tokens(tokens)
    if not 0 <= validation_fraction < 1:
        raise ValueError(f"validation_fraction must be at least 0 and below 1, got {validation_fraction}")
    cut = len(tokens) - round(len(tokens) * validation_fraction)
    return tokens[:cut], tokens[cut:]


def _check_tokens(tokens: Tokens) -> None:
    shape, dtype = getattr(tokens, "shape", None), getattr(tokens, "dtype", None)
    if shape is None or dtype is None:
        raise TypeError(f"tokens must be an array of integers, got {type(tokens).__name__}")
    if len(shape) != 1:
        raise ValueError(f"tokens must be one row, of shape (num_tokens,), got shape {shape}")
    if not np.issubdtype(dtype, np.integer):
        raise TypeError(f"tokens must be integers, got {dtype}")


def _check_sizes(block_size: int, batch_size: int) -> None:
    for name, size in (("block_size", block_size), ("batch_size", batch_size)):
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")
