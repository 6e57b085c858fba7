"""Matrix products C = A B of float32 by a processor's matrix unit, in one thread.

B is cut along both dimensions into blocks, and the parts of a block (see :mod:`~minillm.kernels.fast.amx`) are
written in the order in which the unit takes them. Then the parts of some rows of A are written likewise, and meet one
panel of the block after the other. What is not finite has no parts: its rows and block are multiplied by vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.kernels.fast import vector_products
from minillm.kernels.fast.amx import BLOCK, SIZE, STEP, begin, end, multiply_block, split
from minillm.kernels.fast.registers import address_of, fetch, load, store, turn
from minillm.kernels.fast.vector_products import NOTHING, add_up, copy_block, finish, share

__all__ = ["product"]

_DEPTH, _WIDTH = 512, 384  # of a block of B, at most: 1.2 MB of parts
_TILE = 16  # rows or columns
_AHEAD = 2 * STEP  # columns of A that are asked for in advance: each lies in a page of its own
_BYTES_OF_TILE = 1024
_zero = np.float32(0)


@njit(cache=True, nogil=True)
def _block(a: int, b: int, steps: int, c: Any, start: Any) -> None:
    multiply_block(a, b, steps, c[0], c[1], start[0], start[1])


@njit(cache=True, nogil=True)
def _split_left(at: int, row: int, column: int, rows: int, depth: int, place: int, scratch: int) -> bool:
    """Write the parts of a tile of A: pairs of a row side by side."""
    if rows == _TILE and depth == STEP:
        if column == 4:
            direct: bool = split(at, row, 4 * _TILE, place)
            return direct
        if row == 4:
            for k in range(_AHEAD, _AHEAD + STEP):
                fetch(at + k * column)
            turn(at, column, scratch, 4 * STEP)
            turn(at + _TILE * column, column, scratch + 4 * _TILE, 4 * STEP)
    if rows < _TILE or depth < STEP or row != 4:
        _gather(at, row, column, rows, depth, scratch, 4 * STEP, 4)
    finite: bool = split(scratch, 4 * STEP, 4 * _TILE, place)
    return finite


@njit(cache=True, nogil=True)
def _split_right(at: int, row: int, column: int, columns: int, depth: int, place: int, scratch: int) -> bool:
    """Write the parts of a tile of B: pairs of a column one below the other."""
    if columns == _TILE and depth == STEP:
        if column == 4:
            direct: bool = split(at, row, _TILE * row, place)
            return direct
        if row == 4:
            turn(at, column, scratch, 4 * _TILE)
            turn(at + 4 * _TILE, column, scratch + 4 * _TILE * _TILE, 4 * _TILE)
    if columns < _TILE or depth < STEP or row != 4:
        _gather(at, column, row, columns, depth, scratch, 4, 4 * _TILE)
    finite: bool = split(scratch, 4 * _TILE, 4 * _TILE * _TILE, place)
    return finite


@njit(cache=True, nogil=True)
def _gather(at: int, row: int, column: int, rows: int, depth: int, to: int, to_row: int, to_column: int) -> None:
    """Copy a part of a tile, and zeros where there is nothing."""
    for r in range(_TILE):
        for k in range(STEP):
            there = r < rows and k < depth
            store(to + r * to_row + k * to_column, load(at + r * row + k * column) if there else _zero)


@njit(cache=True, nogil=True)
def _pack_left(a: Any, rows: int, depth: int, place: int, scratch: int) -> bool:
    """Write the parts of up to BLOCK rows of A, one step of the common dimension after the other."""
    at, row, column = a
    finite = True
    for k in range(0, depth, STEP):
        for r in range(0, rows, _TILE):
            to = place + k // STEP * SIZE + r // _TILE * _BYTES_OF_TILE
            here = min(_TILE, rows - r), min(STEP, depth - k)
            finite &= _split_left(at + r * row + k * column, row, column, here[0], here[1], to, scratch)
    return finite


@njit(cache=True, nogil=True)
def _pack_right(b: Any, columns: int, depth: int, place: int, scratch: int) -> bool:
    """Write the parts of a block of B: panels of BLOCK columns, in each one step after the other."""
    at, row, column = b
    finite = True
    panel = (depth + STEP - 1) // STEP * SIZE
    for k in range(0, depth, STEP):
        for j in range(0, columns, _TILE):
            to = place + j // BLOCK * panel + k // STEP * SIZE + j % BLOCK // _TILE * _BYTES_OF_TILE
            here = min(_TILE, columns - j), min(STEP, depth - k)
            finite &= _split_right(at + k * row + j * column, row, column, here[0], here[1], to, scratch)
    return finite


@njit(cache=True, nogil=True)
def _some_rows(rows: int, columns: int, depth: int, a: int, b: int, c: Any, start: Any, edge: int) -> None:
    """Multiply the parts of up to BLOCK rows with those of a block of B."""
    steps = (depth + STEP - 1) // STEP
    for j in range(0, columns, BLOCK):
        to, width = (c[0] + 4 * j, c[1]), min(BLOCK, columns - j)
        begun = (start[0] + 4 * j, start[1]) if start[0] else (0, 0)
        panel = b + j // BLOCK * steps * SIZE
        if rows == BLOCK and width == BLOCK:
            _block(a, panel, steps, to, begun)
            continue
        whole = edge, 4 * BLOCK
        if begun[0]:
            copy_block(rows, width, begun, whole)
        _block(a, panel, steps, whole, (edge if begun[0] else 0, 4 * BLOCK))
        copy_block(rows, width, whole, to)


@njit(cache=True, nogil=True)
def product(a: Any, b: Any, shape: Any, c: Any, start: Any, then: int, y: Any, sums: int) -> None:
    """Write A B into C; see :func:`minillm.kernels.fast.vector_products.product`."""
    (rows, columns, depth), (at_a, a_row, a_column), (at_b, b_row, b_column) = shape, a, b
    deep, wide = share(depth, _DEPTH, STEP), share(columns, _WIDTH, BLOCK)
    size_b, size_a = wide // BLOCK * (deep // STEP) * SIZE, deep // STEP * SIZE
    memory = np.empty((size_b + size_a + 4 * BLOCK * BLOCK + 4 * _TILE * STEP + 64) // 4, np.float32)
    panels = address_of(memory) + -address_of(memory) % 64
    of_rows = panels + size_b
    edge = of_rows + size_a
    scratch = edge + 4 * BLOCK * BLOCK
    begin()
    for j in range(0, columns, wide):
        width = min(wide, columns - j)
        to = c[0] + 4 * j, c[1]
        for k in range(0, depth, deep):
            here = min(deep, depth - k)
            begun = to
            if k == 0:
                begun = (start[0] + 4 * j, start[1]) if start[0] else (0, 0)
            block = at_b + k * b_row + j * b_column, b_row, b_column
            finite = _pack_right(block, width, here, panels, scratch)
            for row in range(0, rows, BLOCK):
                number = min(BLOCK, rows - row)
                part = at_a + row * a_row + k * a_column, a_row, a_column
                to_rows = to[0] + row * to[1], to[1]
                begun_rows = begun[0] + row * begun[1] if begun[0] else 0, begun[1]
                if sums and j == 0:
                    add_up(part, (0, number), here, sums + 4 * row)
                if _pack_left(part, number, here, of_rows, scratch) and finite:
                    _some_rows(number, width, here, of_rows, panels, to_rows, begun_rows, edge)
                else:
                    vector_products.product(
                        part, block, (number, width, here), to_rows, begun_rows, NOTHING, (0, 0), 0
                    )  # fmt: skip
                if then != NOTHING and k + here == depth:
                    finish((row, row + number), width, to, then, (y[0] + 4 * j, y[1]))
    end()
    memory[0] = 0  # it has to live up to here
