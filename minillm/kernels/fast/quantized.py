"""Products with weights of int8 or bfloat16, which are widened in registers, or for many rows in the cache."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels import cpu
from minillm.kernels.fast.few_rows import MOST_ROWS, few_rows, scale_and_add, widened
from minillm.kernels.fast.pool import in_ranges
from minillm.kernels.fast.products import LEAST_PRODUCT, multiply_here
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["quantized_linear"]

_TILE = 1 << 16  # numbers of the weight that a thread widens at a time, which then stay in its cache: 256 KB
_NONE = np.empty(0, np.float32)


def quantized_linear(x: Array, weight: Array, scale: Array, bias: Array | None) -> Array:
    """Return x W^T + b; see the plain form."""
    few = len(x) <= MOST_ROWS
    if x.dtype != np.float32 or not weight.size or not weight.flags.c_contiguous:
        return cpu.quantized_linear(x, weight, scale, bias)
    x = np.ascontiguousarray(x)
    factor = scale if weight.dtype == np.int8 else None  # those of bfloat16 are 1
    shift = None if bias is None else np.ascontiguousarray(bias, np.float32)
    if few:
        return few_rows(x, weight, factor, shift)
    y = np.empty((len(x), len(weight)), np.float32)
    _product(x, weight, _NONE if factor is None else factor, _NONE if shift is None else shift, y)
    return y


@njit(cache=True, nogil=True)
def _product(x: Any, weight: Any, scale: Any, bias: Any, y: Any) -> None:
    in_ranges(_tiles, (x, weight, scale, bias, y), len(weight), LEAST_PRODUCT // x.size + 1)


@njit(cache=True, nogil=True)
def _tiles(part: int, begin: int, end: int, x: Any, weight: Any, scale: Any, bias: Any, y: Any) -> None:
    step = max(1, _TILE // weight.shape[1])
    tile = np.empty((min(step, end - begin), weight.shape[1]), np.float32)
    for first in range(begin, end, step):
        last = min(first + step, end)
        wide = tile[: last - first]
        _widen(weight[first:last], wide)
        multiply_here(x, wide.T, y[:, first:last], False)
    scale_and_add(y[:, begin:end], scale[begin:end], bias[begin:end])


@njit(cache=True, nogil=True)
def _widen(weight: Any, wide: Any) -> None:
    wide_vectors()
    for o in range(len(weight)):
        row, wide_row = weight[o], wide[o]
        for i in range(row.size):
            wide_row[i] = widened(row[i])
