"""Dropout in one loop, without a product between."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels import cpu
from minillm.kernels.fast.elementwise import LEAST
from minillm.kernels.fast.pool import in_parts
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["dropout"]

_SMALL = 1 << 13  # elements up to which NumPy's two passes are as fast as a call of the loop


def dropout(x: Array, keep: Array, scale: float) -> Array:
    """Return x * scale where ``keep`` is true, else zero."""
    if x.size < _SMALL or x.dtype.char not in "fd" or keep.dtype != np.bool_ or keep.shape != x.shape:
        return cpu.dropout(x, keep, scale)
    flat, kept = x.reshape(-1), keep.reshape(-1).view(np.uint8)
    y = np.empty(flat.shape, x.dtype)
    factors = np.array([0, scale], x.dtype)
    _dropout_in_parts(flat, kept, factors, y)
    return y.reshape(x.shape)


@njit(cache=True, nogil=True, error_model="numpy")
def _dropout(x: Any, kept: Any, y: Any, factors: Any) -> None:
    wide_vectors()
    none, all = factors[0], factors[1]
    for i in range(x.size):
        y[i] = x[i] * (all if kept[i] else none)


@njit(cache=True, nogil=True)
def _dropout_in_parts(x: Any, kept: Any, factors: Any, y: Any) -> None:
    in_parts(_dropout, (x, kept, y), (factors,), LEAST)
