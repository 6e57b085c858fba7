"""GELU and its approximation by tanh in one loop; in float32, the plain form elsewhere.

Phi(x) is 1 / (1 + exp(-2 x P(x^2))) with the polynomial of the plain form, and so is the approximation with
P(x^2) = sqrt(2 / pi) (1 + 0.044715 x^2): tanh(u) = 2 / (1 + exp(-2 u)) - 1.

Backward computes the derivative from x anew. The plain form keeps it from the forward: here that would take longer,
for it is one more array to write and to read, and as much memory as x.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels import cpu
from minillm.kernels.fast.elementary import exp, normal_cdf
from minillm.kernels.fast.elementwise import LEAST, gradient_of_each, of_each
from minillm.kernels.fast.pool import in_parts
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["gelu", "gelu_backward", "gelu_of_vector", "gelu_tanh", "gelu_tanh_backward", "gelu_tanh_of_vector"]

_f = np.float32
_ONE, _HALF = _f(1), _f(0.5)
_DENSITY = _f(1 / math.sqrt(2 * math.pi))
_K2, _K2_A = _f(2 * math.sqrt(2 / math.pi)), _f(2 * math.sqrt(2 / math.pi) * 0.044715)


def gelu(x: Array, with_slope: bool) -> tuple[Array, Array | None]:
    """Return x Phi(x), and what :func:`gelu_backward` needs, which is x itself, or None."""
    if x.dtype != np.float32:
        return cpu.gelu(x, with_slope)
    return of_each(x, _gelu_in_parts), x if with_slope else None


def gelu_backward(dy: Array, saved: Array) -> Array:
    """Return dy (Phi(x) + x phi(x))."""
    if saved.dtype != np.float32:
        return cpu.gelu_backward(dy, saved)
    return gradient_of_each(dy, saved, _gelu_backward_in_parts)


def gelu_tanh(x: Array, with_slope: bool) -> tuple[Array, Array | None]:
    """Return x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, and x for gelu_tanh_backward, or None."""
    if x.dtype != np.float32:
        return cpu.gelu_tanh(x, with_slope)
    return of_each(x, _gelu_tanh_in_parts), x if with_slope else None


def gelu_tanh_backward(dy: Array, saved: Array) -> Array:
    """Return dy times the derivative of :func:`gelu_tanh`."""
    if saved.dtype != np.float32:
        return cpu.gelu_tanh_backward(dy, saved)
    return gradient_of_each(dy, saved, _gelu_tanh_backward_in_parts)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def gelu_of_vector(x: Any, y: Any) -> None:
    """Write x Phi(x), in compiled code."""
    wide_vectors()
    for i in range(x.size):
        y[i] = x[i] * normal_cdf(x[i])


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _gelu_backward(dy: Any, x: Any, dx: Any) -> None:
    wide_vectors()
    for i in range(x.size):
        v = x[i]
        dx[i] = dy[i] * (normal_cdf(v) + v * (_DENSITY * exp(-_HALF * (v * v))))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def gelu_tanh_of_vector(x: Any, y: Any) -> None:
    """Write the approximation by tanh, in compiled code."""
    wide_vectors()
    for i in range(x.size):
        v = x[i]
        y[i] = v / (_ONE + exp(-v * (_K2 + _K2_A * (v * v))))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _gelu_tanh_backward(dy: Any, x: Any, dx: Any) -> None:
    wide_vectors()
    for i in range(x.size):
        v = x[i]
        square = v * v
        s = _ONE / (_ONE + exp(-v * (_K2 + _K2_A * square)))
        dx[i] = dy[i] * (s + v * s * (_ONE - s) * (_K2 + _f(3) * _K2_A * square))


@njit(cache=True, nogil=True)
def _gelu_in_parts(x: Any, y: Any) -> None:
    in_parts(gelu_of_vector, (x, y), (), LEAST)


@njit(cache=True, nogil=True)
def _gelu_tanh_in_parts(x: Any, y: Any) -> None:
    in_parts(gelu_tanh_of_vector, (x, y), (), LEAST)


@njit(cache=True, nogil=True)
def _gelu_backward_in_parts(dy: Any, x: Any, dx: Any) -> None:
    in_parts(_gelu_backward, (dy, x, dx), (), LEAST)


@njit(cache=True, nogil=True)
def _gelu_tanh_backward_in_parts(dy: Any, x: Any, dx: Any) -> None:
    in_parts(_gelu_tanh_backward, (dy, x, dx), (), LEAST)
