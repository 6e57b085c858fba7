"""GELU and its approximation by tanh in one loop; in float32, the plain form elsewhere.

Phi(x) is 1 / (1 + exp(-2 x P(x^2))) with the polynomial of the plain form, and so is the approximation with
P(x^2) = sqrt(2 / pi) (1 + 0.044715 x^2): tanh(u) = 2 / (1 + exp(-2 u)) - 1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels import cpu
from minillm.kernels.fast.elementary import exp, normal_cdf
from minillm.kernels.fast.elementwise import value_and_slope
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["gelu", "gelu_tanh"]

_f = np.float32
_ONE, _HALF = _f(1), _f(0.5)
_DENSITY = _f(1 / math.sqrt(2 * math.pi))
_K2, _K2_A = _f(2 * math.sqrt(2 / math.pi)), _f(2 * math.sqrt(2 / math.pi) * 0.044715)


def gelu(x: Array, with_slope: bool) -> tuple[Array, Array | None]:
    """Return x Phi(x), and Phi(x) + x phi(x) or None; see the plain form."""
    if x.dtype != np.float32:
        return cpu.gelu(x, with_slope)
    return value_and_slope(x, with_slope, _gelu, _gelu_and_slope)


def gelu_tanh(x: Array, with_slope: bool) -> tuple[Array, Array | None]:
    """Return x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, and its derivative or None."""
    if x.dtype != np.float32:
        return cpu.gelu_tanh(x, with_slope)
    return value_and_slope(x, with_slope, _gelu_tanh, _gelu_tanh_and_slope)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _gelu(x: Any, y: Any) -> None:
    wide_vectors()
    for i in range(x.size):
        y[i] = x[i] * normal_cdf(x[i])


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _gelu_and_slope(x: Any, y: Any, slope: Any) -> None:
    wide_vectors()
    for i in range(x.size):
        v = x[i]
        phi = normal_cdf(v)
        y[i] = v * phi
        slope[i] = phi + v * (_DENSITY * exp(-_HALF * (v * v)))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _gelu_tanh(x: Any, y: Any) -> None:
    wide_vectors()
    for i in range(x.size):
        v = x[i]
        y[i] = v / (_ONE + exp(-v * (_K2 + _K2_A * (v * v))))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _gelu_tanh_and_slope(x: Any, y: Any, slope: Any) -> None:
    wide_vectors()
    for i in range(x.size):
        v = x[i]
        square = v * v
        s = _ONE / (_ONE + exp(-v * (_K2 + _K2_A * square)))
        y[i] = v * s
        slope[i] = s + v * s * (_ONE - s) * (_K2 + _f(3) * _K2_A * square)
