"""Softmax and its logarithm along a dimension, a few rows at a time so that they stay in the cache.

y = exp(x) / sum exp(x)  and  y = (x - top) - log sum exp(x - top),  top = max x;
dx = y (dy - sum(dy y))  and  dx = dy - exp(y) sum(dy).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minillm.backend import Array, xp_of
from minillm.kernels.cpu.rows import row_dots, row_sums, rows_of_tile, whole_rows
from minillm.kernels.cpu.tiles import tiles

# exp of numbers up to here, and sums and quotients of them, are far from the ends of float32.
_SAFE = 30.0


def softmax(x: Array, dim: int) -> Array:
    """Return exp(x) / sum(exp(x)) along ``dim``."""
    return _by_tiles(x, dim, _softmax_of_tile)


def log_softmax(x: Array, dim: int) -> Array:
    """Return x - log(sum(exp(x))) along ``dim``."""
    return _by_tiles(x, dim, _log_softmax_of_tile)


def softmax_backward(dy: Array, y: Array, dim: int) -> Array:
    """Return y (dy - sum(dy y)) along ``dim``, the gradient of x where y = softmax(x)."""
    return _by_tiles(dy, dim, _softmax_backward_of_tile, y)


def log_softmax_backward(dy: Array, y: Array, dim: int) -> Array:
    """Return dy - exp(y) sum(dy) along ``dim``, the gradient of x where y = log_softmax(x)."""
    return _by_tiles(dy, dim, _log_softmax_backward_of_tile, y)


def _by_tiles(x: Array, dim: int, compute: Any, *others: Array) -> Array:
    """Return what ``compute(xp, x, *others, out)`` writes, called with parts (rows, n) or (rows, n, inner)."""
    xp = xp_of(x)
    if x.dtype.itemsize == 2:
        return _by_tiles(x.astype("float32"), dim, compute, *(a.astype("float32") for a in others)).astype(x.dtype)
    if not x.size:
        return x.copy()
    shape = x.shape
    n = shape[dim] if shape else 1
    inner = math.prod(shape[dim % x.ndim + 1 :]) if shape else 1
    arrays = [a.reshape((-1, n) if inner == 1 else (-1, n, inner)) for a in (x, *others)]
    out = xp.empty(arrays[0].shape, x.dtype)
    arrays.append(out)
    if x.size < 8192:  # less than the blocks below cost
        compute(xp, *arrays)
        return out.reshape(shape)
    with whole_rows(n if inner == 1 else inner):
        for part in tiles(xp, len(out), rows_of_tile(xp, n * inner, len(out))):
            compute(xp, *(a[part] for a in arrays))
    return out.reshape(shape)


def _softmax_of_tile(xp: Any, x: Array, y: Array) -> None:
    if xp is np and x.max() <= _SAFE and x.min() >= -_SAFE:
        xp.exp(x, out=y)  # nothing to take off: a third less time (on a GPU, to ask would be to wait)
    else:
        xp.subtract(x, x.max(axis=1, keepdims=True), out=y)
        xp.exp(y, out=y)
    y *= 1 / _sums(y)


def _log_softmax_of_tile(xp: Any, x: Array, y: Array) -> None:
    xp.subtract(x, x.max(axis=1, keepdims=True), out=y)
    y -= xp.log(_sums(xp.exp(y)))


def _softmax_backward_of_tile(xp: Any, dy: Array, y: Array, dx: Array) -> None:
    if dy.ndim == 2:
        xp.subtract(dy, row_dots(dy, y)[:, None], out=dx)
    else:
        xp.multiply(dy, y, out=dx)
        xp.subtract(dy, dx.sum(axis=1, keepdims=True), out=dx)
    dx *= y


def _log_softmax_backward_of_tile(xp: Any, dy: Array, y: Array, dx: Array) -> None:
    xp.exp(y, out=dx)
    dx *= _sums(dy)
    xp.subtract(dy, dx, out=dx)


def _sums(x: Array) -> Array:
    return row_sums(x)[:, None] if x.ndim == 2 else x.sum(axis=1, keepdims=True)
