"""Products of a few rows with weights of int8 or bfloat16, which are widened in registers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array, in_parts
from minillm.kernels import cpu
from minillm.kernels.fast.elementary import plus
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["quantized_linear"]

_MOST_ROWS = 8  # of x; for more, it pays to widen the weight once and leave the product to BLAS
_LEAST = 1 << 22  # elements of the weight that are worth a thread, which has to be woken up for every product
_f = np.float32


def quantized_linear(x: Array, weight: Array, scale: Array, bias: Array | None) -> Array:
    """Return x W^T + b; see the plain form."""
    if len(x) > _MOST_ROWS or x.dtype != np.float32 or not weight.size or not weight.flags.c_contiguous:
        return cpu.quantized_linear(x, weight, scale, bias)
    x = np.ascontiguousarray(x)
    y = np.empty((len(x), len(weight)), np.float32)
    shift = _NONE if bias is None else np.ascontiguousarray(bias, np.float32)
    product = _int8 if weight.dtype == np.int8 else _bfloat16
    least = max(1, _LEAST // weight.shape[1])
    in_parts(lambda part: product(x, weight[part], scale[part], shift[part], y[:, part]), len(weight), least)
    return y


_NONE = np.empty(0, np.float32)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _int8(x: Any, weight: Any, scale: Any, shift: Any, y: Any) -> None:
    wide_vectors()
    size = x.shape[1]
    for o in range(len(weight)):
        row = weight[o]
        for b in range(len(x)):
            x_b = x[b]
            total = _f(0)
            for i in range(size):
                total = plus(total, x_b[i] * _f(row[i]))
            total *= scale[o]
            y[b, o] = total + shift[o] if shift.size else total


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _bfloat16(x: Any, weight: Any, scale: Any, shift: Any, y: Any) -> None:
    wide_vectors()
    size = x.shape[1]
    for o in range(len(weight)):
        row = weight[o]
        for b in range(len(x)):
            x_b = x[b]
            total = _f(0)
            for i in range(size):
                total = plus(total, x_b[i] * np.int32(np.int32(row[i]) << np.int32(16)).view(np.float32))
            y[b, o] = total + shift[o] if shift.size else total
