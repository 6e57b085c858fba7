"""Functions of each element of an array, and their derivatives, in loops over slices for the threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minillm.backend import Array, in_parts

__all__ = ["LEAST", "fit_rows", "has_loops", "value_and_slope"]

# Elements that are worth a thread: they take 100 microseconds and more, and to hand them over takes 50 to 90.
LEAST = 1 << 18


def has_loops(x: Array, *others: Array | None) -> bool:
    """Return whether arrays have one dtype, float32 or float64."""
    return x.dtype.char in "fd" and all(a is None or a.dtype == x.dtype for a in others)


def fit_rows(x: Array, *vectors: Array | None) -> bool:
    """Return whether a matrix has numbers, and vectors have its dtype and the length of its rows."""
    return bool(x.size) and has_loops(x, *vectors) and all(v is None or v.shape == x.shape[1:] for v in vectors)


def value_and_slope(
    x: Array,
    with_slope: bool,
    value: Callable[[Array, Array], None],
    both: Callable[[Array, Array, Array], None],
) -> tuple[Array, Array | None]:
    """Return a function of each element of x, and its derivative or None, in the shape of x.

    Args:
        x: of a dtype that the loops take.
        with_slope: whether the derivative is asked for.
        value: writes the function of vectors: called with x and y.
        both: called with x, y and slope.
    """
    flat = x.reshape(-1)
    y = np.empty(flat.shape, x.dtype)
    if not with_slope:
        in_parts(lambda part: value(flat[part], y[part]), flat.size, LEAST)
        return y.reshape(x.shape), None
    slope = np.empty(flat.shape, x.dtype)
    work: Callable[[slice], Any] = lambda part: both(flat[part], y[part], slope[part])  # noqa: E731
    in_parts(work, flat.size, LEAST)
    return y.reshape(x.shape), slope.reshape(x.shape)
