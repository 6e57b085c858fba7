"""exp, the normal distribution, erf and the order of floats in float32, and sums: what becomes vector instructions.

For exp and its like numba calls the C library, one number at a time: ten times slower than these. They are compiled
into the kernels that call them. numba keeps a kernel's machine code until the file of that kernel changes, so after
a change in this file remove the folder ``__pycache__`` beside it.

Source: S. L. Moshier, Cephes: ``expf.c`` (the polynomial, and ln 2 in two parts) and ``ndtrf.c`` (erf up to 1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.kernels.cpu.gelu import _P as _LOGIT

__all__ = ["erf", "exp", "from_order", "normal_cdf", "order", "plus"]


def _polynomial(*coefficients: float) -> tuple[Any, ...]:
    return tuple(map(np.float32, coefficients))


_f = np.float32
_ONE, _HALF, _ROOT_2 = _f(1), _f(0.5), _f(2**0.5)
_LOG2_E = _f(1.44269504)
_LN2_HIGH, _LN2_LOW = _f(0.693359375), _f(-2.12194440e-4)
_LOWEST, _HIGHEST = _f(-88), _f(88.8)  # there 2^n is 0 and infinite
_E = _polynomial(1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5)
_ERF = _polynomial(
    7.853861353153693e-5, -8.010193625184903e-4, 5.188327685732524e-3, -2.685381193529856e-2,
    1.128358514861418e-1, -3.761262582423300e-1, 1.128379165726710,
)  # fmt: skip
_L = _polynomial(*(-2 * c for c in reversed(_LOGIT)))  # highest power first
_FAR = _f(210)  # from this square on, exp(-x^2 / 2) is 0


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def exp(x: Any) -> Any:
    """Return e^x = 2^n e^r with n whole, to the last digit but one.

    The largest numbers of float32, from e^88.38 to e^88.72, become infinite, and the denormal ones 0.
    """
    t = x if x > _LOWEST else _LOWEST
    t = t if t < _HIGHEST else _HIGHEST
    n = np.floor(t * _LOG2_E + _HALF)
    r = t - n * _LN2_HIGH
    r = r - n * _LN2_LOW
    p = ((((_E[0] * r + _E[1]) * r + _E[2]) * r + _E[3]) * r + _E[4]) * r + _E[5]
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    y = (p * (r * r) + (r + _ONE)) * power
    return y if x == x else x


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def normal_cdf(x: Any) -> Any:
    """Return the probability that a standard normal number is below x, by the fit of the plain GELU."""
    s = x * x
    s = s if s < _FAR else _FAR
    p = (((((_L[0] * s + _L[1]) * s + _L[2]) * s + _L[3]) * s + _L[4]) * s + _L[5]) * s + _L[6]
    return _ONE / (_ONE + exp(x * p))


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def erf(x: Any) -> Any:
    """Return the error function of x, off by 1.2e-7 of its value at most."""
    s = x * x
    p = (((((_ERF[0] * s + _ERF[1]) * s + _ERF[2]) * s + _ERF[3]) * s + _ERF[4]) * s + _ERF[5]) * s + _ERF[6]
    size = abs(x)
    tail = normal_cdf(-_ROOT_2 * size)
    far = _ONE - (tail + tail)
    return x * p if size < _ONE else (far if x > _f(0) else -far)


@njit(forceinline=True)
def order(x: Any) -> Any:
    """Return a whole number that is larger where x is larger.

    LLVM finds the largest of whole numbers with vector instructions, but not that of floats with NaN among them.
    """
    bits = np.float32(x).view(np.int32)
    return np.int32(bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))


@njit(forceinline=True)
def from_order(number: Any) -> Any:
    """Return the float of a number that ``order`` gave."""
    bits = np.int32(number)
    return np.int32(bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF))).view(np.float32)


@njit(forceinline=True, fastmath={"contract", "reassoc", "nsz"})
def plus(total: Any, x: Any) -> Any:
    """Return total + x, for a sum whose terms may be added in any order: in a vector of sums, then."""
    return total + x
