"""Windows that slide over an input: what convolution and pooling share.

A window of size k at output place o takes the inputs o stride + i dilation, i = 0 ... k - 1. For one i and all
o these are a strided slice, so all windows together are k slices, stacked; their gradients are written back to
slices, without a search.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from minillm import ops
from minillm.autograd.errors import OperationError

Sizes = int | Sequence[int]


def sizes_of(name: str, what: str, value: Sizes, n: int, least: int) -> tuple[int, ...]:
    """Return a size for each of n dimensions, given one for all or a sequence."""
    sizes = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    sizes = sizes * n if len(sizes) == 1 else sizes
    if len(sizes) != n or any(not isinstance(size, int) or size < least for size in sizes):
        raise OperationError(f"{name}: got {what}={value}; it needs a whole number, {least} or more, or {n} of them")
    return sizes


def with_batch(name: str, input: Any, n: int) -> tuple[Any, bool]:
    """Return the input as (N, C, d1, ..., dn), and whether N had to be added."""
    if input.ndim not in (n + 1, n + 2):
        places = "L" if n == 1 else "H, W"
        raise OperationError(f"{name}: got an input of shape {input.shape}; it needs (N, C, {places}) or (C, {places})")
    return (input, False) if input.ndim == n + 2 else (ops.unsqueeze(input, 0), True)


def num_windows(size: int, kernel: int, stride: int, dilation: int) -> int:
    """Return how many windows fit along a dimension."""
    return (size - dilation * (kernel - 1) - 1) // stride + 1


def windows(
    name: str, x: Any, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[Any, tuple[int, ...]]:
    """Return the windows of a padded input, (N, C, K, o1, ..., on) with K places each, and (o1, ..., on).

    Raises:
        OperationError: a window is larger than the input.
    """
    sizes = x.shape[2:]
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    if any(r > size for r, size in zip(reach, sizes, strict=True)):
        raise OperationError(
            f"{name}: the kernel reaches over {reach}, more than the padded input's size {tuple(sizes)}"
        )
    counts = tuple(itertools.starmap(num_windows, zip(sizes, kernel, stride, dilation, strict=True)))
    slices = []
    for place in itertools.product(*map(range, kernel)):
        spans = [
            slice(i * d, i * d + s * (o - 1) + 1, s) for i, d, s, o in zip(place, dilation, stride, counts, strict=True)
        ]
        index = (slice(None), slice(None), *spans)
        slices.append(x[index])
    return ops.stack(slices, 2), counts
