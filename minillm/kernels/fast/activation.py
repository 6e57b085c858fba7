"""SiLU in one loop; in float32, the plain form elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels import cpu
from minillm.kernels.fast.elementary import exp
from minillm.kernels.fast.elementwise import value_and_slope
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["silu"]

_ONE = np.float32(1)


def silu(x: Array, with_slope: bool) -> tuple[Array, Array | None]:
    """Return x s, s = 1 / (1 + exp(-x)), and s + x s (1 - s) or None."""
    if x.dtype != np.float32:
        return cpu.silu(x, with_slope)
    return value_and_slope(x, with_slope, _silu, _silu_and_slope)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _silu(x: Any, y: Any) -> None:
    wide_vectors()
    for i in range(x.size):
        y[i] = x[i] / (_ONE + exp(-x[i]))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _silu_and_slope(x: Any, y: Any, slope: Any) -> None:
    wide_vectors()
    for i in range(x.size):
        v = x[i]
        s = _ONE / (_ONE + exp(-v))
        y[i] = v * s
        slope[i] = s + v * s * (_ONE - s)
