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
from minillm.kernels.fast.amx import BLOCK, HAS_UNIT, SIZE, STEP, begin, end, multiply_block, split
from minillm.kernels.fast.outlined import by_name
from minillm.kernels.fast.registers import ON_STACK, address_of, copy_and_fill, fetch, keep, load, on_stack, store, turn
from minillm.kernels.fast.vector_products import NOTHING, add_block, add_up, copy_block, finish, share

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
def _split_tile(
    at: int, step: int, k_step: int, count: int, depth: int, place: int, scratch: int, is_left: bool
) -> bool:
    """Write the parts of a tile; return whether all is finite.

    Args:
        at: the address of its first number.
        step: from row to row of A, or from column to column of B, in bytes.
        k_step: along the common dimension.
        count: the rows or columns that are there; the others become zeros.
        depth: the numbers of the common dimension that are there.
        place: where the parts are written.
        scratch: memory for the numbers of two tiles.
        is_left: whether this is of A: pairs side by side; of B they are one below the other.
    """
    whole = count == _TILE and depth == STEP
    turned = scratch + 4 * _TILE * STEP
    if step != 4:  # along the common dimension they lie side by side, or are brought there
        if k_step != 4 or not whole:
            _gather(at, step, k_step, count, depth, scratch)
            at, step = scratch, 4 * STEP
        if not is_left:
            turn(at, step, turned, 4 * _TILE)
            turn(at + 4 * _TILE, step, turned + 4 * _TILE * _TILE, 4 * _TILE)
            at, k_step = turned, 4 * _TILE
    else:
        if is_left:
            for k in range(_AHEAD, _AHEAD + STEP):
                fetch(at + k * k_step)
        if not whole:
            for k in range(STEP):
                copy_and_fill(at + k * k_step, scratch + 4 * _TILE * k, count if k < depth else 0)
            at, k_step = scratch, 4 * _TILE
        if is_left:
            turn(at, k_step, turned, 4 * STEP)
            turn(at + _TILE * k_step, k_step, turned + 4 * _TILE, 4 * STEP)
            at, step = turned, 4 * STEP
    row, pair = (step, 4 * _TILE) if is_left else (k_step, _TILE * k_step)
    finite: bool = split(at, row, pair, place)
    return finite


@njit(cache=True, nogil=True)
def _gather(at: int, step: int, k_step: int, count: int, depth: int, place: int) -> None:
    """Copy what is there of a tile, a row or column after the other, and zeros where there is nothing."""
    for i in range(_TILE):
        source, to, there = at + i * step, place + 4 * STEP * i, depth if i < count else 0
        if k_step == 4:
            copy_and_fill(source, to, there)
            copy_and_fill(source + 4 * _TILE, to + 4 * _TILE, there - _TILE)
        else:
            for k in range(STEP):
                store(to + 4 * k, load(source + k * k_step) if k < there else _zero)


@njit(cache=True, nogil=True)
def _pack(m: Any, count: int, depth: int, place: int, scratch: int, is_left: bool) -> bool:
    """Write the parts of rows of A or columns of B: by BLOCK, of each one step of the common dimension after the other.

    Of the last block, the tile that has no row or column stays as it is: what comes of it is not used.
    """
    at, step, k_step = m
    finite = True
    panel = (depth + STEP - 1) // STEP * SIZE
    for k in range(0, depth, STEP):
        for i in range(0, count, _TILE):
            to = place + i // BLOCK * panel + k // STEP * SIZE + i % BLOCK // _TILE * _BYTES_OF_TILE
            first, here, deep = at + i * step + k * k_step, min(_TILE, count - i), min(STEP, depth - k)
            finite &= _split_tile(first, step, k_step, here, deep, to, scratch, is_left)
    return finite


@njit(cache=True, nogil=True)
def _some_rows(rows: int, columns: int, depth: int, a: int, b: int, c: Any, start: Any, edge: int) -> None:
    """Multiply the parts of up to BLOCK rows with those of a block of B.

    Sums that go on are made from zero and then added: beside a long sum, the products of small parts would be lost.
    """
    steps = (depth + STEP - 1) // STEP
    goes_on = start[0] == c[0]
    for j in range(0, columns, BLOCK):
        to, width = (c[0] + 4 * j, c[1]), min(BLOCK, columns - j)
        begun = (start[0] + 4 * j, start[1]) if start[0] and not goes_on else (0, 0)
        panel = b + j // BLOCK * steps * SIZE
        if rows == BLOCK and width == BLOCK and not goes_on:
            _block(a, panel, steps, to, begun)
            continue
        whole = edge, 4 * BLOCK
        if begun[0]:
            copy_block(rows, width, begun, whole)
        _block(a, panel, steps, whole, (edge if begun[0] else 0, 4 * BLOCK))
        if goes_on:
            add_block(rows, width, whole, to)
        else:
            copy_block(rows, width, whole, to)


def _product(  # pragma: no cover (compiled below)
    a: int, a_row: int, a_column: int, b: int, b_row: int, b_column: int, rows: int, columns: int, depth: int, c: int,
    c_row: int, start: int, start_row: int, then: int, y: int, y_row: int, sums: int,
) -> None:  # fmt: skip
    """Write A B into C, in this thread; see :func:`minillm.kernels.fast.vector_products.product`."""
    deep, wide = share(depth, _DEPTH, STEP), share(columns, _WIDTH, BLOCK)
    size_b, size_a = wide // BLOCK * (deep // STEP) * SIZE, deep // STEP * SIZE
    size = size_b + size_a + 4 * BLOCK * BLOCK + 8 * _TILE * STEP
    memory = np.empty(0 if size <= ON_STACK else size // 4 + 16, np.float32)
    panels = on_stack() if size <= ON_STACK else address_of(memory) + -address_of(memory) % 64
    of_rows = panels + size_b
    edge = of_rows + size_a
    scratch = edge + 4 * BLOCK * BLOCK
    begin()
    for j in range(0, columns, wide):
        width = min(wide, columns - j)
        for k in range(0, depth, deep):
            here = min(deep, depth - k)
            block = b + k * b_row + j * b_column
            finite = _pack((block, b_column, b_row), width, here, panels, scratch, False)
            for row in range(0, rows, BLOCK):
                number = min(BLOCK, rows - row)
                part, to = a + row * a_row + k * a_column, c + 4 * j + row * c_row
                begun, begun_row = to, c_row
                if k == 0:
                    begun, begun_row = start + 4 * j + row * start_row if start else 0, start_row
                if sums and j == 0:
                    add_up((part, a_row, a_column), (0, number), here, sums + 4 * row)
                if _pack((part, a_row, a_column), number, here, of_rows, scratch, True) and finite:
                    _some_rows(number, width, here, of_rows, panels, (to, c_row), (begun, begun_row), edge)
                else:
                    vector_products.product(
                        part, a_row, a_column, block, b_row, b_column, number, width, here, to, c_row, begun,
                        begun_row, NOTHING, 0, 0, 0,
                    )  # fmt: skip
                if then != NOTHING and k + here == depth:
                    finish((0, number), width, (to, c_row), then, (y + 4 * j + row * y_row, y_row))
    end()
    keep(memory)


# Without the unit nobody calls it, and it need not be compiled.
product = by_name("minillm_product_by_unit", 17)(_product) if HAS_UNIT else vector_products.product
