"""SiLU in one loop; in float32, the plain form elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels import cpu
from minillm.kernels.fast.elementary import exp
from minillm.kernels.fast.elementwise import LEAST, gradient_of_each, of_each
from minillm.kernels.fast.pool import in_parts
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["silu", "silu_backward"]

_ONE = np.float32(1)


def silu(x: Array, with_slope: bool) -> tuple[Array, Array | None]:
    """Return x s, s = 1 / (1 + exp(-x)), and what :func:`silu_backward` needs, which is x itself, or None."""
    if x.dtype != np.float32:
        return cpu.silu(x, with_slope)
    return of_each(x, _silu_in_parts), x if with_slope else None


def silu_backward(dy: Array, saved: Array) -> Array:
    """Return dy (s + x s (1 - s))."""
    if saved.dtype != np.float32:
        return cpu.silu_backward(dy, saved)
    return gradient_of_each(dy, saved, _silu_backward_in_parts)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _silu(x: Any, y: Any) -> None:
    wide_vectors()
    for i in range(x.size):
        y[i] = x[i] / (_ONE + exp(-x[i]))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _silu_backward(dy: Any, x: Any, dx: Any) -> None:
    wide_vectors()
    for i in range(x.size):
        v = x[i]
        s = _ONE / (_ONE + exp(-v))
        dx[i] = dy[i] * (s + v * s * (_ONE - s))


@njit(cache=True, nogil=True)
def _silu_in_parts(x: Any, y: Any) -> None:
    in_parts(_silu, (x, y), (), LEAST)


@njit(cache=True, nogil=True)
def _silu_backward_in_parts(dy: Any, x: Any, dx: Any) -> None:
    in_parts(_silu_backward, (dy, x, dx), (), LEAST)
