"""Sums of two arrays of one shape; the threads share large ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels.fast.pool import in_parts
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["add", "add_to"]

_SMALL = 1 << 15  # numbers up to which NumPy takes no longer
_LEAST = 1 << 14


def add(a: Array, b: Array) -> Array:
    """Return a + b."""
    if a.size <= _SMALL or not _alike(a, b):
        return a + b
    y = np.empty(a.shape, np.float32)
    _add(a.reshape(-1), b.reshape(-1), y.reshape(-1))
    return y


def add_to(total: Array, x: Array) -> None:
    """Add x to ``total``, in its memory."""
    if total.size <= _SMALL or not _alike(total, x):
        total += x
    else:
        _add(total.reshape(-1), x.reshape(-1), total.reshape(-1))


def _alike(a: Array, b: Array) -> bool:
    if a.dtype != np.float32 or b.dtype != np.float32 or a.shape != b.shape:
        return False
    return bool(a.flags.c_contiguous and b.flags.c_contiguous)


@njit(cache=True, nogil=True)
def _add(a: Any, b: Any, y: Any) -> None:
    in_parts(_add_part, (a, b, y), (), _LEAST)


@njit(cache=True, nogil=True)
def _add_part(a: Any, b: Any, y: Any) -> None:
    wide_vectors()
    for i in range(a.size):
        y[i] = a[i] + b[i]
