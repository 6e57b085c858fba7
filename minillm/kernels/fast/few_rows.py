"""Products of a few rows with a weight of four, two or one bytes a number, y = scale (x W^T) + bias, on all threads.

For few rows a product takes as long as reading the weight. Each thread reads rows of its own, four at a time: more
reads are on their way than for one row after another, which took 1.1 to 1.2 times as long. Numbers of int8 and
bfloat16 are widened in registers, and rows further on are asked for in advance: int8 then takes 0.75 of the time,
bfloat16 0.9; float32 gains nothing.

The threads share the rows in blocks of four, so results do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

from minillm.backend import Array
from minillm.kernels.fast.elementary import plus
from minillm.kernels.fast.pool import in_ranges
from minillm.kernels.fast.registers import address_of, fetch
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["MOST_ROWS", "few_rows", "scale_and_add", "widened"]

MOST_ROWS = 8  # of x; for more, BLAS is faster
_LEAST = 1 << 15  # numbers of the weight that are worth a thread: two microseconds
_AHEAD = 16  # rows: those read now were asked for that long ago
_NONE = np.empty(0, np.float32)
_f = np.float32


def few_rows(x: Array, weight: Array, scale: Array | None, bias: Array | None) -> Array:
    """Return x W^T, times the scale of each output, plus its bias.

    Args:
        x: (rows, in), float32, in order.
        weight: (out, in), float32, int8, or int16 that holds the bits of bfloat16; in order.
        scale: (out,), float32, or None.
        bias: (out,), float32, or None.

    Returns:
        (rows, out).
    """
    y = np.empty((len(x), len(weight)), np.float32)
    _product(x, weight, _NONE if scale is None else scale, _NONE if bias is None else bias, y)
    return y


@njit(cache=True, nogil=True)
def _product(x: Any, weight: Any, scale: Any, bias: Any, y: Any) -> None:
    blocks, size = (len(weight) + 3) // 4, 4 * weight.shape[1]
    in_ranges(_blocks, (x, weight, scale, bias, y), blocks, _LEAST // (size + 1) + 1)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _blocks(part: int, begin: int, end: int, x: Any, weight: Any, scale: Any, bias: Any, y: Any) -> None:
    wide_vectors()
    first, last, whole = 4 * begin, min(4 * end, len(weight)), len(weight) // 4 * 4
    for o in range(first, min(last, whole), 4):
        if weight.itemsize < 4:
            for k in range(0, 4 * weight.shape[1] * weight.itemsize, 64):
                fetch(address_of(weight) + (o + _AHEAD) * weight.strides[0] + k)
        for b in range(len(x)):
            y[b, o], y[b, o + 1], y[b, o + 2], y[b, o + 3] = _four(x[b], weight[o : o + 4])
    for o in range(max(first, whole), last):
        for b in range(len(x)):
            y[b, o] = _one(x[b], weight[o])
    scale_and_add(y[:, first:last], scale[first:last], bias[first:last])


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def _four(x: Any, rows: Any) -> Any:
    a, b, c, d = rows[0], rows[1], rows[2], rows[3]
    of_a = of_b = of_c = of_d = _f(0)
    for i in range(x.size):
        of_a = plus(of_a, x[i] * widened(a[i]))
        of_b = plus(of_b, x[i] * widened(b[i]))
        of_c = plus(of_c, x[i] * widened(c[i]))
        of_d = plus(of_d, x[i] * widened(d[i]))
    return of_a, of_b, of_c, of_d


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def _one(x: Any, row: Any) -> Any:
    total = _f(0)
    for i in range(x.size):
        total = plus(total, x[i] * widened(row[i]))
    return total


@njit(cache=True, nogil=True)
def scale_and_add(y: Any, scale: Any, bias: Any) -> None:
    """Make y, (rows, out), into y scale + bias in compiled code, each of which may be empty."""
    wide_vectors()
    for b in range(len(y)):
        y_b = y[b]
        for o in range(scale.size):
            y_b[o] *= scale[o]
        for o in range(bias.size):
            y_b[o] += bias[o]


def widened(number: Any) -> Any:
    """Return a number of a weight as a float32, in compiled code."""
    raise NotImplementedError("widened: it is there in compiled code alone")


@overload(widened, strict=False)
def _widened(number: Any) -> Any:
    if number == types.int16:
        return lambda number: np.int32(np.int32(number) << np.int32(16)).view(np.float32)
    return lambda number: np.float32(number)
