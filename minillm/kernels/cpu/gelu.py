"""GELU: x times the probability that a standard normal number is below x."""

from __future__ import annotations

import math

from minillm.backend import Array, xp_of
from minillm.kernels.cpu.erf import erf

_K = math.sqrt(2 / math.pi)
_A = 0.044715


def gelu(x: Array) -> Array:
    """Return x (1 + erf(x / sqrt 2)) / 2."""
    return x * (0.5 + 0.5 * erf(x * math.sqrt(0.5)))


def gelu_backward(dy: Array, x: Array) -> Array:
    """Return dy times the derivative of gelu at x."""
    xp = xp_of(x)
    slope = 0.5 + 0.5 * erf(x * math.sqrt(0.5))
    slope += x * xp.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return dy * slope


def gelu_tanh(x: Array) -> Array:
    """Return x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2."""
    t = xp_of(x).tanh(_K * x * (1 + _A * x * x))
    return 0.5 * x * (1 + t)


def gelu_tanh_backward(dy: Array, x: Array) -> Array:
    """Return dy times the derivative of gelu_tanh at x."""
    t = xp_of(x).tanh(_K * x * (1 + _A * x * x))
    return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * _K * (1 + 3 * _A * x * x))
