"""Products of a few rows with one matrix, again and again: the heart of a recurrence.

BLAS brings a matrix into an order of its own in each product, which a few rows do not repay. Here W (K, N) is brought
into panels once for all steps: all rows of a few of its columns, one after the other, so that memory is read in the
order in which it lies. A tile of the result, 8 rows of one panel, stays in registers while K is walked:

    for each k:  load the numbers of W[k] in the panel;  for each row r:  tile[r] += x[r, k] W[k]

128 rows of a panel are multiplied with all rows of x before the next 128, so that they and their part of x stay in the
first cache. With 32 rows and 512 x 1024 or 2048 x 256 numbers this reaches 138 and 152 GFLOP/s where OpenBLAS 0.3.31
reaches 87 and 79, and MKL 127 and 118 (AVX-512, one thread).

Source: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 2008.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from minillm.backend import Array
from minillm.kernels.cpu.tiles import aligned_empty
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["COLUMNS", "multiply_panel", "pack", "panels_for", "rows_for", "whole_tiles"]

_features = llvmlite.binding.get_host_cpu_features()
_LANES = 16 if _features.get("avx512f") else 8 if _features.get("avx2") else 4  # numbers in a vector
_VECTORS = 2  # of a row of a tile
COLUMNS = _LANES * _VECTORS  # of a panel
_ROWS = 4 if _LANES == 8 else 8  # of a tile, which fills half of the registers: 32, but with AVX2 16
_DEPTH = 128  # rows of a panel that are walked at a time
_UNROLLED = 4

_int64, _float = ir.IntType(64), ir.FloatType()
_vector = ir.VectorType(_float, _LANES)
_intrinsic: Any = intrinsic  # it takes the typing context away, which its own type does not tell


@_intrinsic
def _multiply_tile(
    typing_context: Any, x: Any, x_step: Any, panel: Any, y: Any, y_step: Any, depth: Any, kept: Any
) -> Any:
    """Make a tile of y the product of _ROWS rows of x with a panel, or add it where ``kept`` is not 0.

    ``x``, ``panel`` and ``y`` are addresses, the steps those between rows in bytes; ``depth``, the numbers of a row
    of x, is a multiple of _UNROLLED.
    """

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, x_step, panel, y, y_step, depth, kept = arguments
        tile = [[cgutils.alloca_once_value(builder, _vector(None)) for _ in range(_VECTORS)] for _ in range(_ROWS)]
        x_rows, y_rows = (
            [builder.add(start, builder.mul(step, _int64(r))) for r in range(_ROWS)]
            for start, step in ((x, x_step), (y, y_step))
        )

        def at(row: Any, i: int) -> Any:
            return builder.inttoptr(builder.add(row, _int64(4 * _LANES * i)), _vector.as_pointer())

        def add_products(k: Any) -> None:
            row = builder.add(panel, builder.mul(k, _int64(4 * COLUMNS)))
            weights = [builder.load(at(row, i), align=4) for i in range(_VECTORS)]
            for x_row, sums in zip(x_rows, tile, strict=True):
                address = builder.add(x_row, builder.mul(k, _int64(4)))
                number = builder.load(builder.inttoptr(address, _float.as_pointer()), align=4)
                everywhere = _broadcast(builder, number)
                for weight, total in zip(weights, sums, strict=True):
                    product = builder.fmul(everywhere, weight, flags=["contract"])
                    builder.store(builder.fadd(product, builder.load(total), flags=["contract"]), total)

        with builder.if_then(builder.icmp_signed("!=", kept, _int64(0))):
            for row, sums in zip(y_rows, tile, strict=True):
                for i, total in enumerate(sums):
                    builder.store(builder.load(at(row, i), align=4), total)
        with cgutils.for_range(builder, builder.udiv(depth, _int64(_UNROLLED))) as loop:
            first = builder.mul(loop.index, _int64(_UNROLLED))
            for i in range(_UNROLLED):
                add_products(builder.add(first, _int64(i)))
        for row, sums in zip(y_rows, tile, strict=True):
            for i, total in enumerate(sums):
                builder.store(builder.load(total), at(row, i), align=4)
        return context.get_dummy_value()

    return types.none(*[types.int64] * 7), write


def _broadcast(builder: Any, number: Any) -> Any:
    """Write a vector in which all numbers are the same."""
    nothing, first = ir.Constant(_vector, ir.Undefined), ir.IntType(32)(0)
    vector = builder.insert_element(nothing, number, first)
    return builder.shuffle_vector(vector, nothing, ir.Constant(ir.VectorType(ir.IntType(32), _LANES), None))


def panels_for(units: int, groups: int, depth: int) -> Array:
    """Return memory for the panels of a matrix (depth, groups * units), (blocks, groups, depth', COLUMNS).

    A block holds the columns of some units in each group (of gates, say). ``depth'`` is the depth up to a multiple
    of four; what lies behind the matrix is to be 0.
    """
    return aligned_empty(np, (-(-units // COLUMNS), groups, _whole(depth, _UNROLLED), COLUMNS), np.dtype("float32"))


def rows_for(rows: int, width: int, *others: int) -> Array:
    """Return memory for rows that are multiplied or written in whole tiles, (*others, rows', width').

    It is 0 behind the width. The rows lie further apart than they are long: where the step is a power of two, those
    of a tile would push each other out of the cache.
    """
    memory = aligned_empty(np, (*others, whole_tiles.py_func(rows), _whole(width, COLUMNS) + 16), np.dtype("float32"))
    memory[..., width:] = 0
    return memory


@njit(cache=True, nogil=True)
def whole_tiles(rows: int) -> int:
    """Return the number of rows of the tiles that hold so many."""
    return -(-rows // _ROWS) * _ROWS


def _whole(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


@njit(cache=True, nogil=True)
def pack(part: int, begin: int, end: int, weight: Any, panels: Any) -> None:
    """Write some blocks of panels.

    Args:
        part: not used: this is a loop for :func:`~minillm.kernels.fast.pool.in_ranges`.
        begin: the first block.
        end: behind the last block.
        weight: (groups, units, depth), the columns of the matrix; in order along any dimension.
        panels: see :func:`panels_for`.
    """
    groups, units, depth = weight.shape
    for block in range(begin, end):
        first = block * COLUMNS
        count = min(COLUMNS, units - first)
        for group in range(groups):
            panel, columns = panels[block, group], weight[group, first : first + count]
            if count < COLUMNS or depth < len(panel):
                panel[:] = 0
            if weight.strides[1] == weight.itemsize:
                for k in range(depth):
                    panel_k, columns_k = panel[k], columns[:, k]
                    for j in range(count):
                        panel_k[j] = columns_k[j]
            else:
                for start in range(0, depth, 16):  # of each column what lies in a line of the cache
                    for j in range(count):
                        for k in range(start, min(start + 16, depth)):
                            panel[k, j] = columns[j, k]


@njit(cache=True, nogil=True)
def multiply_panel(x: Any, panel: Any, y: Any) -> None:
    """Write x W for one panel of W.

    Args:
        x: (rows, depth' or more), of :func:`rows_for`.
        panel: (depth', COLUMNS).
        y: (rows, COLUMNS), a part of what is of :func:`rows_for`.
    """
    wide_vectors()
    depth = len(panel)
    x_at, x_step, y_at, y_step = x.ctypes.data, x.strides[0], y.ctypes.data, y.strides[0]
    for k in range(0, depth, _DEPTH):
        here = min(_DEPTH, depth - k)
        for r in range(0, len(x), _ROWS):
            _multiply_tile(
                x_at + r * x_step + 4 * k, x_step, panel.ctypes.data + 4 * COLUMNS * k, y_at + r * y_step, y_step,
                here, k,
            )  # fmt: skip
