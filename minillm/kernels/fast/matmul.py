"""Matrix products of float32: one on all threads, or of a stack some by each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels import cpu
from minillm.kernels.fast.pool import in_ranges
from minillm.kernels.fast.products import LEAST_PRODUCT, multiply, multiply_here

__all__ = ["matmul"]

_SMALL = 1 << 17  # multiplications up to which NumPy's function is as fast as a call from here
_FEW = 8  # rows or columns below which a product is bound by memory, not by multiplications


def matmul(a: Array, b: Array) -> Array:
    """Return the products of two stacks of matrices; see the plain form."""
    if a.size * b.shape[-1] <= _SMALL or not _suit(a, b):
        return cpu.matmul(a, b)
    if b.ndim == 2:  # one product, of all rows
        c = np.empty((*a.shape[:-1], b.shape[1]), np.float32)
        multiply(a.reshape(-1, a.shape[-1]), b, c.reshape(-1, b.shape[1]), False)
        return c
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    c = np.empty((*lead, a.shape[-2], b.shape[-1]), np.float32)
    _stack(*(_of_stack(m, lead) for m in (a, b, c)))
    return c


def _suit(a: Array, b: Array) -> bool:
    """Return whether these are matrices for machine code: NumPy has the others, and its errors."""
    if a.dtype != np.float32 or b.dtype != np.float32 or a.ndim < 2 or b.ndim < 2 or not (a.size and b.size):
        return False
    rows = a.shape[-2] if b.ndim > 2 else math.prod(a.shape[:-1])
    return bool(a.shape[-1] == b.shape[-2] and min(rows, b.shape[-1]) >= _FEW)


def _of_stack(m: Array, lead: tuple[int, ...]) -> Array:
    """Return matrices as (some, others, rows, columns), without a copy where there are no more leading dimensions."""
    shape = m.shape[-2:]
    return np.broadcast_to(m, (*lead, *shape)).reshape(math.prod(lead[:-1]), lead[-1], *shape)


@njit(cache=True, nogil=True)
def _stack(a: Any, b: Any, c: Any) -> None:
    work = c.shape[2] * c.shape[3] * a.shape[3]
    count = c.shape[0] * c.shape[1]
    if count == 1:
        multiply(a[0, 0], b[0, 0], c[0, 0], False)
    else:
        in_ranges(_some, (a, b, c), count, LEAST_PRODUCT // work + 1)


@njit(cache=True, nogil=True)
def _some(part: int, begin: int, end: int, a: Any, b: Any, c: Any) -> None:
    others = c.shape[1]
    for m in range(begin, end):
        i, j = m // others, m % others
        multiply_here(a[i, j], b[i, j], c[i, j], False)
