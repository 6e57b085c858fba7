"""Rotary position embedding in one loop: every number is read and written once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels import cpu
from minillm.kernels.fast.elementwise import LEAST
from minillm.kernels.fast.pool import in_ranges
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["rotary", "rotary_backward"]


def rotary(x: Array, cos: Array, sin: Array) -> Array:
    """Return x turned; see the plain form."""
    if x.dtype.char not in "fd" or cos.dtype != x.dtype or sin.dtype != x.dtype or not x.size:
        return cpu.rotary(x, cos, sin)
    return _turned(x, cos, sin, x.dtype.type(1))


def rotary_backward(dy: Array, cos: Array, sin: Array) -> Array:
    """Return the gradient of x, dy turned back."""
    if dy.dtype.char not in "fd" or cos.dtype != dy.dtype or sin.dtype != dy.dtype or not dy.size:
        return cpu.rotary_backward(dy, cos, sin)
    return _turned(dy, cos, sin, dy.dtype.type(-1))


def _turned(x: Array, cos: Array, sin: Array, sign: Any) -> Array:
    B, T, H, D = x.shape
    rows = np.ascontiguousarray(x).reshape(B * T, H, D)
    cos, sin = (np.ascontiguousarray(a).reshape(-1, D // 2) for a in (cos, sin))
    y = np.empty(rows.shape, x.dtype)
    _turn(rows, cos, sin, sign, y)
    return y.reshape(x.shape)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _rotary(part: int, begin: int, end: int, x: Any, cos: Any, sin: Any, sign: Any, y: Any) -> None:
    wide_vectors()
    _, heads, size = x.shape
    half = size // 2
    for r in range(begin, end):
        c, s = cos[r % len(cos)], sin[r % len(cos)]
        for h in range(heads):
            x1, x2, y1, y2 = x[r, h, :half], x[r, h, half:], y[r, h, :half], y[r, h, half:]
            for i in range(half):
                a, b, t = x1[i], x2[i], sign * s[i]
                y1[i] = a * c[i] - b * t
                y2[i] = b * c[i] + a * t


@njit(cache=True, nogil=True)
def _turn(x: Any, cos: Any, sin: Any, sign: Any, y: Any) -> None:
    in_ranges(_rotary, (x, cos, sin, sign, y), len(x), LEAST // (x.shape[1] * x.shape[2]))
