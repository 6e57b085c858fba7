"""The affine map y = x W^T + b and its gradients, on all threads.

dx = dy W  by rows of x,  dW = dy^T x  and  db = the sum of dy over its rows  by rows of W.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels import cpu
from minillm.kernels.fast.few_rows import MOST_ROWS, few_rows
from minillm.kernels.fast.gelu import gelu, gelu_tanh
from minillm.kernels.fast.pool import in_ranges
from minillm.kernels.fast.products import affine, affine_gelu, are_matrices, multiply, multiply_and_add_up
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["linear", "linear_backward", "linear_gelu"]

_LEAST = 1 << 15  # numbers to add that are worth a thread
_SMALL = 1 << 17  # multiplications up to which NumPy's functions are as fast as a call from here
_NOTHING = np.empty((0, 0), np.float32)
_NO_BIAS = np.empty(0, np.float32)


def linear(x: Array, weight: Array, bias: Array | None) -> Array:
    """Return x W^T + b.

    Args:
        x: (..., in).
        weight: (out, in).
        bias: (out,) or None.

    Returns:
        (..., out), in a buffer of its own.
    """
    rows = _rows(x, weight, bias)
    if rows is None:
        return cpu.linear(x, weight, bias)
    if _reads_the_weight_once(rows, weight):
        y = few_rows(rows, weight, None, bias)
    else:
        y = np.empty((len(rows), len(weight)), np.float32)
        affine(rows, weight, _NO_BIAS if bias is None else bias, y)
    return y if x.ndim == 2 else y.reshape(*x.shape[:-1], len(weight))


def linear_gelu(
    x: Array, weight: Array, bias: Array | None, tanh: bool, with_slope: bool
) -> tuple[Array, Array | None]:
    """Return GELU of x W^T + b, and x W^T + b for the backward of GELU, or None; see the plain form.

    The bias is added and GELU applied in one pass over the part of the product that a thread has just computed.
    """
    rows = _rows(x, weight, bias)
    if rows is None or _reads_the_weight_once(rows, weight):
        return (gelu_tanh if tanh else gelu)(linear(x, weight, bias), with_slope)
    h = np.empty((len(rows), len(weight)), np.float32)
    y = np.empty_like(h)  # also where h is not kept: a loop from an array into itself gets no vector instructions
    affine_gelu(rows, weight, _NO_BIAS if bias is None else bias, tanh, h, y)
    shape = (*x.shape[:-1], len(weight))
    return y.reshape(shape), h.reshape(shape) if with_slope else None


def _rows(x: Array, weight: Array, bias: Array | None) -> Array | None:
    """Return x as a matrix, None where the product is small or not one for machine code."""
    if x.size * len(weight) <= _SMALL or x.dtype != np.float32:
        return None
    rows = x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    suits = are_matrices(rows, weight) and rows.shape[1] == weight.shape[1] and _is_vector(bias, len(weight))
    return rows if suits else None


def linear_backward(
    dy: Array, x: Array | None, weight: Array | None, with_bias: bool
) -> tuple[Array | None, Array | None, Array | None]:
    """Return the gradients of x, weight and bias.

    Args:
        dy: (..., out).
        x: (..., in), or None where the gradient of the weight is not asked for.
        weight: (out, in), or None where the gradient of x is not asked for.
        with_bias: whether the gradient of the bias is asked for.
    """
    other = weight if x is None else x
    if other is None or dy.size * other.shape[-1] <= _SMALL or dy.dtype != np.float32:
        return cpu.linear_backward(dy, x, weight, with_bias)
    count, out = math.prod(dy.shape[:-1]), dy.shape[-1]
    rows, into = dy.reshape(count, out), None if x is None else x.reshape(count, x.shape[-1])
    if not are_matrices(rows, *(a for a in (into, weight) if a is not None)):
        return cpu.linear_backward(dy, x, weight, with_bias)
    dx = None if weight is None else np.empty((count, weight.shape[1]), np.float32)
    dweight = None if into is None else np.empty((out, into.shape[1]), np.float32)
    dbias = np.empty(out, np.float32) if with_bias else None
    _backward(
        rows,
        _NOTHING if into is None else into,
        _NOTHING if weight is None else weight,
        _NOTHING if dx is None else dx,
        _NOTHING if dweight is None else dweight,
        _NO_BIAS if dbias is None else dbias,
    )
    if dx is not None:
        dx = dx.reshape(*dy.shape[:-1], dx.shape[1])
    return dx, dweight, dbias


def _reads_the_weight_once(rows: Array, weight: Array) -> bool:
    """Return whether a loop over the rows of the weight is faster than a product of tiles."""
    return bool(len(rows) <= MOST_ROWS and rows.flags.c_contiguous and weight.flags.c_contiguous)


def _is_vector(bias: Array | None, length: int) -> bool:
    return bias is None or (bias.shape == (length,) and bias.dtype == np.float32 and bias.flags.c_contiguous)


@njit(cache=True, nogil=True)
def _backward(dy: Any, x: Any, weight: Any, dx: Any, dweight: Any, dbias: Any) -> None:
    if dweight.size:
        multiply_and_add_up(dy, x, dweight, dbias)
    elif dbias.size:
        in_ranges(_add_rows, (dy, dbias), dbias.size, _LEAST // len(dy) + 1)
    if dx.size:
        multiply(dy, weight, dx, False)


@njit(cache=True, nogil=True)
def _add_rows(part: int, begin: int, end: int, x: Any, sums: Any) -> None:
    wide_vectors()
    for j in range(begin, end):
        sums[j] = 0
    for i in range(x.shape[0]):
        row = x[i]
        for j in range(begin, end):
            sums[j] += row[j]
