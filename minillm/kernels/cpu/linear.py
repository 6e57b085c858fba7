"""The affine map y = x W^T + b: one product of two matrices for any number of leading dimensions.

dx = dy W,  dW = dy^T x,  db = the sum of dy over its rows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minillm.backend import Array, in_parts
from minillm.kernels.cpu.gelu import gelu, gelu_tanh
from minillm.kernels.cpu.rows import column_sums

_LARGE = 1 << 20  # numbers of y from which on threads share the addition of the bias, as logits have


def linear(x: Array, weight: Array, bias: Array | None) -> Array:
    """Return x W^T + b.

    Args:
        x: (..., in).
        weight: (out, in).
        bias: (out,) or None.

    Returns:
        (..., out), in a buffer of its own.
    """
    if x.ndim != 2 or x.dtype.itemsize == 2:
        return _linear_of_any(x, weight, bias)
    y = x.dot(weight.T)
    if bias is not None:
        if y.size < _LARGE or type(y) is not np.ndarray:
            y += bias
        else:
            in_parts(lambda part: np.add(y[part], bias, out=y[part]), len(y), 1)
    return y


def linear_gelu(
    x: Array, weight: Array, bias: Array | None, tanh: bool, with_slope: bool
) -> tuple[Array, Array | None]:
    """Return GELU of x W^T + b, and what the backward of GELU needs, or None.

    Args:
        x: (..., in).
        weight: (out, in).
        bias: (out,) or None.
        tanh: take the approximation by tanh.
        with_slope: whether the gradient will be asked for.
    """
    return (gelu_tanh if tanh else gelu)(linear(x, weight, bias), with_slope)


def _linear_of_any(x: Array, weight: Array, bias: Array | None) -> Array:
    """Return the same for any number of dimensions, and for float16."""
    if x.dtype.itemsize == 2:  # NumPy multiplies float16 by hand, and adds up in float16
        return linear(_wide(x), _wide(weight), None if bias is None else _wide(bias)).astype(x.dtype)
    return linear(as_matrix(x), weight, bias).reshape((*x.shape[:-1], weight.shape[0]))


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
    if dy.ndim != 2 or dy.dtype.itemsize == 2:
        return _backward_of_any(dy, x, weight, with_bias)
    return (
        None if weight is None else dy.dot(weight),
        None if x is None else dy.T.dot(x),
        column_sums(dy) if with_bias else None,
    )


def _backward_of_any(
    dy: Array, x: Array | None, weight: Array | None, with_bias: bool
) -> tuple[Array | None, Array | None, Array | None]:
    """Return the same for any number of dimensions, and for float16."""
    if dy.dtype.itemsize == 2:
        wide = linear_backward(
            _wide(dy), None if x is None else _wide(x), None if weight is None else _wide(weight), with_bias
        )
        dx, dweight, dbias = (None if g is None else g.astype(dy.dtype) for g in wide)
        return dx, dweight, dbias
    rows = as_matrix(dy)
    dx, dweight, dbias = linear_backward(rows, None if x is None else as_matrix(x), weight, with_bias)
    if dx is not None and weight is not None:
        dx = dx.reshape((*dy.shape[:-1], weight.shape[1]))
    return dx, dweight, dbias


def as_matrix(x: Array) -> Array:
    """Return x with all dimensions but the last in one; reshape(-1) could not tell where x is empty."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _wide(x: Any) -> Array:
    return x.astype("float32")
