"""Functions of each element of an array, and their gradients, by loops over vectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minillm.backend import Array

__all__ = ["BLOCKS", "LEAST", "fit_rows", "gradient_of_each", "has_loops", "of_each"]

# Elements that are worth a thread: they take 2 to 10 microseconds, and to hand over half of them takes about two.
LEAST = 1 << 13
# Blocks of rows whose sums are added up in order, whatever the number of threads: so are the bits.
BLOCKS = 16


def has_loops(x: Array, *others: Array | None) -> bool:
    """Return whether arrays have one dtype, float32 or float64."""
    return x.dtype.char in "fd" and all(a is None or a.dtype == x.dtype for a in others)


def fit_rows(x: Array, *vectors: Array | None) -> bool:
    """Return whether a matrix has numbers, and vectors have its dtype and the length of its rows."""
    return bool(x.size) and has_loops(x, *vectors) and all(v is None or v.shape == x.shape[1:] for v in vectors)


def of_each(x: Array, loop: Callable[[Array, Array], None]) -> Array:
    """Return what ``loop`` writes, called with vectors x and y, in the shape of x."""
    flat = x.reshape(-1)
    y = np.empty(flat.shape, x.dtype)
    loop(flat, y)
    return y.reshape(x.shape)


def gradient_of_each(dy: Array, x: Array, loop: Callable[[Array, Array, Array], None]) -> Array:
    """Return what ``loop`` writes, called with vectors dy, x and dx, in the shape of x."""
    gradient, flat = dy.reshape(-1), x.reshape(-1)
    dx = np.empty(flat.shape, x.dtype)
    loop(gradient, flat, dx)
    return dx.reshape(x.shape)
