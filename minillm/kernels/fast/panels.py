"""Products of a few rows with one matrix, again and again: the heart of a recurrence.

BLAS brings a matrix into an order of its own in each product, which a few rows do not repay. Here W (K, N) is brought
into panels once for all steps: all rows of a few of its columns, one after the other, so that memory is read in the
order in which it lies. A tile of the result, 8 rows of one panel, stays in registers while K is walked:

    for each k:  load the numbers of W[k] in the panel;  for each row r:  tile[r] += x[r, k] W[k]

128 rows of a panel are multiplied with all rows of x before the next 128, so that they and their part of x stay in the
first cache.

Source: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 2008.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels.cpu.tiles import aligned_empty
from minillm.kernels.fast.registers import LANES, REGISTERS, tile_of
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["COLUMNS", "multiply_panel", "pack", "panels_for", "rows_for", "whole_tiles"]

_VECTORS = 2  # of a row of a tile
COLUMNS = LANES * _VECTORS  # of a panel
_ROWS = REGISTERS // 4  # of a tile, which fills half of the registers
_DEPTH = 128  # rows of a panel that are walked at a time
_multiply_tile = tile_of(_ROWS, _VECTORS)


def panels_for(units: int, groups: int, depth: int) -> Array:
    """Return memory for the panels of a matrix (depth, groups * units), (blocks, groups, depth, COLUMNS).

    A block holds the columns of some units in each group (of gates, say); what lies behind the last is to be 0.
    """
    return aligned_empty(np, (-(-units // COLUMNS), groups, depth, COLUMNS), np.dtype("float32"))


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
            if count < COLUMNS:
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
        x: (rows, depth or more), of :func:`rows_for`.
        panel: (depth, COLUMNS).
        y: (rows, COLUMNS), a part of what is of :func:`rows_for`.
    """
    wide_vectors()
    depth = len(panel)
    x_at, x_step, y_at, y_step = x.ctypes.data, x.strides[0], y.ctypes.data, y.strides[0]
    for k in range(0, depth, _DEPTH):
        here = min(_DEPTH, depth - k)
        for r in range(0, len(x), _ROWS):
            y_here = y_at + r * y_step
            _multiply_tile(
                x_at + r * x_step + 4 * k, x_step, 4, panel.ctypes.data + 4 * COLUMNS * k, 4 * COLUMNS, y_here, y_step,
                here, y_here if k else 0, y_step,
            )  # fmt: skip
