"""The error function in one loop; in float32, the plain form elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array, in_parts
from minillm.kernels import cpu
from minillm.kernels.fast import elementary
from minillm.kernels.fast.elementwise import LEAST
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["erf"]


def erf(x: Array) -> Array:
    """Return the error function of x; the largest error in float32 is 1.3e-7."""
    if x.dtype != np.float32:
        return cpu.erf(x)
    flat = x.reshape(-1)
    y = np.empty(flat.shape, x.dtype)
    in_parts(lambda part: _erf(flat[part], y[part]), flat.size, LEAST)
    return y.reshape(x.shape)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _erf(x: Any, y: Any) -> None:
    wide_vectors()
    for i in range(x.size):
        y[i] = elementary.erf(x[i])
