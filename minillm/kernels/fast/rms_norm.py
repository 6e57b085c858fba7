"""Root-mean-square normalisation, a row at a time: y = x rstd w, rstd = 1 / sqrt(<x^2> + eps).

Backwards, with g = dy w and the mean over a row written as <.>,

    dx = rstd (g - x rstd^2 <g x>),  dw = sum of dy x rstd  (over the rows).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels import cpu
from minillm.kernels.fast.elementary import plus
from minillm.kernels.fast.elementwise import BLOCKS, LEAST, fit_rows, has_loops
from minillm.kernels.fast.pool import in_parts, in_ranges
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["rms_norm", "rms_norm_backward"]


def rms_norm(x: Array, weight: Array | None, eps: float) -> tuple[Array, Array]:
    """Return (y, 1 / the root of the mean square of each row).

    Args:
        x: (rows, n).
        weight: (n,) or None.
        eps: added to the mean square.
    """
    if not fit_rows(x, weight):
        return cpu.rms_norm(x, weight, eps)
    x, (rows, n) = np.ascontiguousarray(x), x.shape
    factor = np.ones(n, x.dtype) if weight is None else np.ascontiguousarray(weight)
    y, rstd = np.empty(x.shape, x.dtype), np.empty(rows, x.dtype)
    eps, share = x.dtype.type(eps), x.dtype.type(1 / n)
    _forward_in_parts(x, y, rstd, factor, eps, share)
    return y, rstd


def rms_norm_backward(
    dy: Array, x: Array, weight: Array | None, rstd: Array, affine: bool
) -> tuple[Array, Array | None]:
    """Return the gradients of x and weight; the second is None unless ``affine``.

    Args:
        dy: (rows, n).
        x: (rows, n).
        weight: (n,) or None.
        rstd: (rows,), from the forward.
        affine: whether the gradient of the weight is asked for.
    """
    if dy.shape != x.shape or not has_loops(dy, x) or not fit_rows(x, weight):
        return cpu.rms_norm_backward(dy, x, weight, rstd, affine)
    x, dy, n = np.ascontiguousarray(x), np.ascontiguousarray(dy), x.shape[1]
    factor = np.ones(n, x.dtype) if weight is None else np.ascontiguousarray(weight)
    dx = np.empty(x.shape, x.dtype)
    share = x.dtype.type(1 / n)
    sums = np.zeros((BLOCKS, n if affine else 0), x.dtype)  # of dy x rstd
    _backward_in_parts(dy, x, factor, rstd, share, dx, sums)
    return dx, sums.sum(axis=0) if affine else None


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _forward(x: Any, y: Any, rstd: Any, weight: Any, eps: Any, share: Any) -> None:
    wide_vectors()
    rows, n = x.shape
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(rows):
        squares = zero
        for j in range(n):
            squares = plus(squares, x[i, j] * x[i, j])
        r = rstd[i] = one / np.sqrt(squares * share + eps)
        for j in range(n):
            y[i, j] = x[i, j] * r * weight[j]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _backward(dy: Any, x: Any, weight: Any, rstd: Any, share: Any, dx: Any, dweight: Any) -> None:
    wide_vectors()
    rows, n = x.shape
    zero = x.dtype.type(0)
    for i in range(rows):
        r = rstd[i]
        b = zero
        for j in range(n):
            b = plus(b, dy[i, j] * weight[j] * x[i, j])
        b *= share * r * r
        for j in range(n):
            dx[i, j] = r * (dy[i, j] * weight[j] - x[i, j] * b)
        for j in range(dweight.size):
            dweight[j] += dy[i, j] * (x[i, j] * r)


@njit(cache=True, nogil=True)
def _forward_in_parts(x: Any, y: Any, rstd: Any, weight: Any, eps: Any, share: Any) -> None:
    in_parts(_forward, (x, y, rstd), (weight, eps, share), LEAST // x.shape[1])


@njit(cache=True, nogil=True)
def _backward_in_parts(dy: Any, x: Any, weight: Any, rstd: Any, share: Any, dx: Any, sums: Any) -> None:
    in_ranges(_backward_part, (dy, x, weight, rstd, share, dx, sums), BLOCKS, LEAST * BLOCKS // x.size)


@njit(cache=True, nogil=True)
def _backward_part(
    part: int, begin: int, end: int, dy: Any, x: Any, weight: Any, rstd: Any, share: Any, dx: Any, sums: Any
) -> None:
    for block in range(begin, end):
        i, j = len(x) * block // BLOCKS, len(x) * (block + 1) // BLOCKS
        _backward(dy[i:j], x[i:j], weight, rstd[i:j], share, dx[i:j], sums[block])
