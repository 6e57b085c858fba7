"""GELU: x times the probability Phi(x) that a standard normal number is below x.

Phi(x) = (1 + erf(x / sqrt 2)) / 2, or nearly (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.

In float32 the first form is computed as (1 + tanh(x P(x^2))) / 2 too, with a polynomial P of degree 6 that was
fitted to the exact form: Phi is off by 3e-8 at most, less than float32 resolves. NumPy's tanh is fast, and an
error function by its own rational approximations takes ten times as long.

Both forms hand out the derivative with the value: they share most of the work, and backward is one product.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minillm.backend import Array, xp_of
from minillm.kernels.cpu.activation import halfway, slope_backward, times_one_minus
from minillm.kernels.cpu.erf import erf, horner
from minillm.kernels.cpu.tiles import value_and_slope

# P(t) = c_0 + c_1 t + ... + c_6 t^6, minimax for the error of Phi on 0 <= t <= 5.5^2.
_P = (
    7.97884941e-1, 3.63330846e-2, -3.25949756e-5, -5.53061937e-5, 3.96474441e-6, -1.32263338e-7, 1.75617070e-9,
)  # fmt: skip

_DENSITY = 1 / math.sqrt(2 * math.pi)  # phi(x) = _DENSITY exp(-x^2 / 2)
_K = math.sqrt(2 / math.pi)
_A = 0.044715
_FEW = 8192  # numbers


def gelu(x: Array, with_slope: bool) -> tuple[Array, Array | None]:
    """Return x Phi(x), and what :func:`gelu_backward` needs (None without ``with_slope``).

    Args:
        x: floats of any shape.
        with_slope: whether backward will follow.
    """
    if x.dtype.itemsize == 8:
        return _gelu_exact(x, with_slope)

    def compute(xp: Any, x: Array, y: Array, slope: Array | None, buffers: Array) -> None:
        square, z = buffers
        xp.multiply(x, x, out=square)
        horner(xp, _P, square, z)
        z *= x
        xp.tanh(z, out=y)
        halfway(xp, y, y)  # Phi
        if slope is not None:  # Phi + x phi
            square *= -0.5
            xp.exp(square, out=slope)
            slope *= x
            slope *= _DENSITY
            slope += y
        y *= x

    return value_and_slope(x, compute, 2, with_slope)


def _gelu_exact(x: Array, with_slope: bool) -> tuple[Array, Array | None]:
    """Return the same by the exact error function, for float64."""
    phi = 0.5 + 0.5 * erf(x * math.sqrt(0.5))
    y = x * phi
    if with_slope:
        return y, phi + x * xp_of(x).exp(-0.5 * x * x) * _DENSITY
    return y, None


def gelu_tanh(x: Array, with_slope: bool) -> tuple[Array, Array | None]:
    """Return x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, and what gelu_tanh_backward needs."""
    if x.size <= _FEW and not with_slope and x.dtype.itemsize > 2:
        return _gelu_tanh_of_few(x), None

    def compute(xp: Any, x: Array, y: Array, slope: Array | None, buffers: Array) -> None:
        square, z = buffers
        xp.multiply(x, x, out=square)
        horner(xp, (_K, _K * _A), square, z)
        z *= x
        s = y if slope is None else slope
        xp.tanh(z, out=y)
        halfway(xp, y, s)
        xp.multiply(x, s, out=y)
        if slope is not None:  # s + 2 x s (1 - s) K (1 + 3 A x^2)
            square *= 6 * _K * _A
            square += 2 * _K
            times_one_minus(xp, y, s, z)
            z *= square
            slope += z

    return value_and_slope(x, compute, 2, with_slope)


@np.errstate(all="ignore")  # as in tiles
def _gelu_tanh_of_few(x: Array) -> Array:
    """Return the value alone, in as few calls as can be: as a token is generated, calls are what takes time."""
    y: Any = x * x
    y *= _K * _A
    y += _K
    y *= x
    xp_of(x).tanh(y, out=y)
    y += 1
    y *= 0.5
    y *= x
    return y


gelu_backward = gelu_tanh_backward = slope_backward
