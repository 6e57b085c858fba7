"""The error function in one loop; in float32, the plain form elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels import cpu
from minillm.kernels.fast import elementary
from minillm.kernels.fast.elementwise import LEAST, of_each
from minillm.kernels.fast.pool import in_parts
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["erf"]


def erf(x: Array) -> Array:
    """Return the error function of x; the largest error in float32 is 1.3e-7."""
    if x.dtype != np.float32:
        return cpu.erf(x)
    return of_each(x, _erf_in_parts)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _erf(x: Any, y: Any) -> None:
    wide_vectors()
    for i in range(x.size):
        y[i] = elementary.erf(x[i])


@njit(cache=True, nogil=True)
def _erf_in_parts(x: Any, y: Any) -> None:
    in_parts(_erf, (x, y), (), LEAST)
