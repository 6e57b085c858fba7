"""Layer normalisation, a row at a time: y = (x - mean) rstd w + b.

Backwards, with g = dy w, the mean over a row written as <.>, and xhat = (x - mean) rstd,

    dx = rstd (g - <g> - xhat <g xhat>),  dw = sum of dy xhat,  db = sum of dy  (over the rows).
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

__all__ = ["layer_norm", "layer_norm_backward"]


def layer_norm(x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array, Array]:
    """Return (y, the mean of each row, 1 / the standard deviation of each row).

    Args:
        x: (rows, n).
        weight: (n,) or None.
        bias: (n,) or None.
        eps: added to the variance.
    """
    if not fit_rows(x, weight, bias):
        return cpu.layer_norm(x, weight, bias, eps)
    x, (rows, n) = np.ascontiguousarray(x), x.shape
    factor = np.ones(n, x.dtype) if weight is None else np.ascontiguousarray(weight)
    addend = np.zeros(n, x.dtype) if bias is None else np.ascontiguousarray(bias)
    y, mean, rstd = np.empty(x.shape, x.dtype), np.empty(rows, x.dtype), np.empty(rows, x.dtype)
    eps, share = x.dtype.type(eps), x.dtype.type(1 / n)
    _forward_in_parts(x, y, mean, rstd, factor, addend, eps, share)
    return y, mean, rstd


def layer_norm_backward(
    dy: Array, x: Array, weight: Array | None, mean: Array, rstd: Array, affine: bool
) -> tuple[Array, Array | None, Array | None]:
    """Return the gradients of x, weight and bias; the last two are None unless ``affine``.

    Args:
        dy: (rows, n).
        x: (rows, n).
        weight: (n,) or None.
        mean: (rows,), from the forward.
        rstd: (rows,), from the forward.
        affine: whether the gradients of weight and bias are asked for.
    """
    if dy.shape != x.shape or not has_loops(dy, x) or not fit_rows(x, weight):
        return cpu.layer_norm_backward(dy, x, weight, mean, rstd, affine)
    x, dy, n = np.ascontiguousarray(x), np.ascontiguousarray(dy), x.shape[1]
    factor = np.ones(n, x.dtype) if weight is None else np.ascontiguousarray(weight)
    dx = np.empty(x.shape, x.dtype)
    share = x.dtype.type(1 / n)
    sums = np.zeros((BLOCKS, 2, n if affine else 0), x.dtype)  # of dy xhat and of dy
    _backward_in_parts(dy, x, factor, mean, rstd, share, dx, sums)
    if not affine:
        return dx, None, None
    dweight, dbias = sums.sum(axis=0)
    return dx, dweight, dbias


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _forward(x: Any, y: Any, mean: Any, rstd: Any, weight: Any, bias: Any, eps: Any, share: Any) -> None:
    wide_vectors()
    rows, n = x.shape
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(rows):
        total = zero
        for j in range(n):
            total = plus(total, x[i, j])
        m = total * share
        squares = zero
        for j in range(n):
            d = x[i, j] - m
            squares = plus(squares, d * d)
        r = one / np.sqrt(squares * share + eps)
        for j in range(n):
            y[i, j] = (x[i, j] - m) * r * weight[j] + bias[j]
        mean[i], rstd[i] = m, r


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _backward(
    dy: Any, x: Any, weight: Any, mean: Any, rstd: Any, share: Any, dx: Any, dweight: Any, dbias: Any
) -> None:
    wide_vectors()
    rows, n = x.shape
    zero = x.dtype.type(0)
    for i in range(rows):
        m, r = mean[i], rstd[i]
        a = b = zero
        for j in range(n):
            g = dy[i, j] * weight[j]
            a = plus(a, g)
            b = plus(b, g * (x[i, j] - m))
        a *= share
        b *= share * r * r
        for j in range(n):
            dx[i, j] = r * (dy[i, j] * weight[j] - a - (x[i, j] - m) * b)
        for j in range(dweight.size):
            dweight[j] += dy[i, j] * ((x[i, j] - m) * r)
        for j in range(dbias.size):
            dbias[j] += dy[i, j]


@njit(cache=True, nogil=True)
def _forward_in_parts(x: Any, y: Any, mean: Any, rstd: Any, weight: Any, bias: Any, eps: Any, share: Any) -> None:
    in_parts(_forward, (x, y, mean, rstd), (weight, bias, eps, share), LEAST // x.shape[1])


@njit(cache=True, nogil=True)
def _backward_in_parts(dy: Any, x: Any, weight: Any, mean: Any, rstd: Any, share: Any, dx: Any, sums: Any) -> None:
    in_ranges(_backward_part, (dy, x, weight, mean, rstd, share, dx, sums), BLOCKS, LEAST * BLOCKS // x.size)


@njit(cache=True, nogil=True)
def _backward_part(
    part: int, begin: int, end: int, dy: Any, x: Any, weight: Any, mean: Any, rstd: Any, share: Any, dx: Any, sums: Any
) -> None:
    for block in range(begin, end):
        i, j = len(x) * block // BLOCKS, len(x) * (block + 1) // BLOCKS
        dweight, dbias = sums[block]
        _backward(dy[i:j], x[i:j], weight, mean[i:j], rstd[i:j], share, dx[i:j], dweight, dbias)
