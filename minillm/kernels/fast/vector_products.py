"""Matrix products C = A B of float32 by vectors, in one thread.

B is cut along both dimensions into blocks that fit the second cache, and a block is brought into panels: of each row
what makes a tile's width, one row after the other, so that memory is read in the order in which it lies. Then some
tiles of rows meet one panel after the other. A is read where it is, or brought into order too where its numbers of a
column, not of a row, lie side by side.

Source: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 2008.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.kernels.fast.gelu import gelu_of_vector, gelu_tanh_of_vector
from minillm.kernels.fast.outlined import by_name
from minillm.kernels.fast.registers import (
    LANES,
    ON_STACK,
    REGISTERS,
    add_first,
    add_vector,
    address_of,
    copy_first,
    copy_vector,
    fetch,
    keep,
    load,
    on_stack,
    row_at,
    store,
    tile_of,
    turn,
)
from minillm.kernels.fast.vectors import wide_vectors

__all__ = [
    "COLUMNS",
    "GELU",
    "GELU_TANH",
    "NOTHING",
    "ROWS",
    "add_block",
    "add_up",
    "copy_block",
    "finish",
    "product",
    "share",
]

ROWS, _VECTORS = (6, 4) if REGISTERS == 32 else (4, 3)  # of a tile, with what it multiplies in nearly all registers
COLUMNS = LANES * _VECTORS
_DEPTH, _WIDTH = 384, 1024  # of a block of B, at most: 1.5 MB
_AHEAD = 16  # columns of A that are asked for in advance: each lies in a page of its own
_NEAR = 1 << 18  # bytes of A that fit the second cache beside a block of B
_TOGETHER = 8  # tiles of rows that meet a panel while it is in the cache
NOTHING, GELU, GELU_TANH = 0, 1, 2  # what is done with a result
_zero = np.float32(0)

# Each has a function of its own, at this level: numba keeps no made functions on disk.
_tile_1, _tile_2, _tile_3, _tile_4 = (tile_of(ROWS, vectors) for vectors in (1, 2, 3, 4))


@njit(cache=True, nogil=True)
def _tile(vectors: int, a: Any, b: Any, c: Any, depth: int, start: Any) -> None:
    """Compute a tile of so many vectors."""
    if vectors == 4:
        _of_4(a, b, c, depth, start)
    elif vectors == 3:
        _of_3(a, b, c, depth, start)
    elif vectors == 2:
        _of_2(a, b, c, depth, start)
    else:
        _of_1(a, b, c, depth, start)


@njit(cache=True, nogil=True)
def _of_1(a: Any, b: Any, c: Any, depth: int, start: Any) -> None:
    wide_vectors()
    _tile_1(a[0], a[1], a[2], b[0], b[1], c[0], c[1], depth, start[0], start[1])


@njit(cache=True, nogil=True)
def _of_2(a: Any, b: Any, c: Any, depth: int, start: Any) -> None:
    wide_vectors()
    _tile_2(a[0], a[1], a[2], b[0], b[1], c[0], c[1], depth, start[0], start[1])


@njit(cache=True, nogil=True)
def _of_3(a: Any, b: Any, c: Any, depth: int, start: Any) -> None:
    wide_vectors()
    _tile_3(a[0], a[1], a[2], b[0], b[1], c[0], c[1], depth, start[0], start[1])


@njit(cache=True, nogil=True)
def _of_4(a: Any, b: Any, c: Any, depth: int, start: Any) -> None:
    wide_vectors()
    _tile_4(a[0], a[1], a[2], b[0], b[1], c[0], c[1], depth, start[0], start[1])


@njit(cache=True, nogil=True)
def _vectors_for(columns: int) -> int:
    return (min(columns, COLUMNS) + LANES - 1) // LANES


@njit(cache=True, nogil=True)
def _pack(b: Any, columns: int, depth: int, panels: int) -> None:
    """Write a block of B in panels, with zeros behind its last column."""
    wide_vectors()
    at_b, b_row, b_column = b
    whole = columns // COLUMNS * COLUMNS if b_column == 4 else 0
    for k in range(depth if whole else 0):  # row after row, as they lie in memory
        source, place = at_b + k * b_row, panels + 4 * k * COLUMNS
        for first in range(0, whole, COLUMNS):
            for v in range(0, COLUMNS, LANES):
                copy_vector(source + 4 * (first + v), place + 4 * (first * depth + v))
    for first in range(whole, columns, COLUMNS):
        width = _vectors_for(columns - first) * LANES
        for v in range(0, width, LANES):
            count = min(LANES, columns - first - v)
            source, place = at_b + (first + v) * b_column, panels + 4 * (first * depth + v)
            done = 0
            if count == LANES and b_column == 4:
                for k in range(depth):
                    copy_vector(source + k * b_row, place + 4 * k * width)
                done = depth
            elif count == LANES and b_row == 4:
                done = depth // LANES * LANES
                for k in range(0, done, LANES):
                    turn(source + 4 * k, b_column, place + 4 * k * width, 4 * width)
            for k in range(done, depth):
                for i in range(count):
                    store(place + 4 * (k * width + i), load(source + k * b_row + i * b_column))
                for i in range(count, LANES):
                    store(place + 4 * (k * width + i), _zero)


@njit(cache=True, nogil=True)
def _bytes_of_tile(depth: int) -> int:
    return 4 * (depth * ROWS + LANES)


@njit(cache=True, nogil=True)
def add_up(a: Any, some: Any, depth: int, sums: int) -> None:
    """Add some rows of A to one number each."""
    wide_vectors()
    at_a, a_row, a_column = a
    first, last = some
    whole = first + (last - first) // LANES * LANES if a_row == 4 else first
    for k in range(depth):
        source = at_a + k * a_column
        for row in range(first, whole, LANES):
            fetch(source + _AHEAD * a_column + 4 * row)
            add_vector(source + 4 * row, sums + 4 * row)
        for row in range(whole, last):
            store(sums + 4 * row, load(sums + 4 * row) + load(source + row * a_row))


@njit(cache=True, nogil=True)
def _pack_rows(a: Any, some: Any, depth: int, place: int) -> None:
    """Write some rows in tiles: for each k the numbers of a tile side by side.

    What lies side by side in A is copied by whole vectors, which reach into the next column of A; what is too much is
    written over by the next. Rows that miss are zeros, or numbers of A: with what happens to lie in memory, such as
    the tiniest numbers, products would take twenty times as long.
    """
    at_a, a_row, a_column = a
    first, last = some
    done = depth - 1 if a_row == 4 and a_column >= 4 * LANES else 0
    for k in range(done):
        source = at_a + k * a_column
        for row in range(first, last, LANES):
            fetch(source + _AHEAD * a_column + 4 * row)
        for row in range(first, last, ROWS):
            copy_vector(source + 4 * row, place + (row - first) // ROWS * _bytes_of_tile(depth) + 4 * k * ROWS)
    for row in range(first, last, ROWS):
        for k in range(done, depth):
            to = place + (row - first) // ROWS * _bytes_of_tile(depth) + 4 * k * ROWS
            here = min(ROWS, last - row)
            for r in range(here):
                store(to + 4 * r, load(at_a + (row + r) * a_row + k * a_column))
            for r in range(here, ROWS):
                store(to + 4 * r, _zero)


@njit(cache=True, nogil=True)
def copy_block(rows: int, columns: int, source: Any, target: Any) -> None:
    """Copy a part of a matrix; each is an address and a step from row to row, in bytes."""
    for r in range(rows):
        for i in range(0, columns, LANES):
            copy_first(source[0] + r * source[1] + 4 * i, target[0] + r * target[1] + 4 * i, columns - i)


@njit(cache=True, nogil=True)
def add_block(rows: int, columns: int, source: Any, target: Any) -> None:
    """Add a part of a matrix to another; each is an address and a step from row to row, in bytes."""
    for r in range(rows):
        for i in range(0, columns, LANES):
            add_first(source[0] + r * source[1] + 4 * i, target[0] + r * target[1] + 4 * i, columns - i)


@njit(cache=True, nogil=True)
def _any_tile(rows: int, columns: int, a: Any, panel: int, depth: int, c: Any, start: Any, edge: int) -> None:
    """Compute a tile of which so many rows and columns are there; the others go to the memory at ``edge`` alone.

    Sums that go on are made from zero and then added: a long sum is one of sums, as exact as those of the libraries.
    """
    vectors, goes_on = _vectors_for(columns), start[0] == c[0]
    b = panel, 4 * LANES * vectors
    if rows == ROWS and columns == LANES * vectors and not goes_on:
        _tile(vectors, a, b, c, depth, start)
        return
    whole = edge, 4 * COLUMNS
    begins = start[0] != 0 and not goes_on
    if begins:
        copy_block(rows, columns, start, whole)
    _tile(vectors, a, b, whole, depth, (edge if begins else 0, 4 * COLUMNS))
    if goes_on:
        add_block(rows, columns, whole, c)
    else:
        copy_block(rows, columns, whole, c)


@njit(cache=True, nogil=True)
def _some_rows(
    some: Any, a: Any, panels: int, shape: Any, c: Any, start: Any, sums: int, memory: int, edge: int
) -> None:
    """Compute some rows of the product with a block that lies in panels."""
    (at_a, a_row, a_column), (at_c, c_row), (at_start, start_row) = a, c, start
    (first, last), (_, columns, depth) = some, shape
    if sums:
        add_up(a, some, depth, sums)
    # What is read once, and lies near together, need not be brought into order.
    in_place = a_column == 4 or (a_row == 4 and columns <= COLUMNS and depth * a_column <= _NEAR)
    rest = last - (last - first) % ROWS
    # The last rows in a whole tile: those before them are computed again, unless they are what the sums start from.
    again = in_place and rest < last and last >= ROWS and at_start != at_c
    if not (in_place and (again or rest == last)):
        packed = rest if in_place else first
        _pack_rows(a, (packed, last), depth, memory + (packed - first) // ROWS * _bytes_of_tile(depth))
    for column in range(0, columns, COLUMNS):
        width = min(COLUMNS, columns - column)
        for tile in range(first, last, ROWS):
            row = last - ROWS if again and tile == rest else tile
            here = min(ROWS, last - row)
            if in_place and here == ROWS:
                of_a = at_a + row * a_row, a_row, a_column
            else:
                of_a = memory + (row - first) // ROWS * _bytes_of_tile(depth), 4, 4 * ROWS
            begun = at_start + row * start_row + 4 * column if at_start else 0
            _any_tile(
                here, width, of_a, panels + 4 * column * depth, depth, (at_c + row * c_row + 4 * column, c_row),
                (begun, start_row), edge,
            )  # fmt: skip


@njit(cache=True, nogil=True)
def finish(some: Any, columns: int, c: Any, then: int, y: Any) -> None:
    """Apply GELU to rows of the result that have just been computed."""
    for row in range(some[0], some[1]):
        result, place = row_at(c[0] + row * c[1], columns), row_at(y[0] + row * y[1], columns)
        if then == GELU:
            gelu_of_vector(result, place)
        else:
            gelu_tanh_of_vector(result, place)


@njit(cache=True, nogil=True)
def share(number: int, most: int, multiple: int) -> int:
    """Return how long equal parts of a number are: multiples of one number, and at most as long as another."""
    parts = -(-number // most)
    return -(-number // (parts * multiple)) * multiple


@by_name("minillm_product_by_vectors", 17)
def product(
    a: int, a_row: int, a_column: int, b: int, b_row: int, b_column: int, rows: int, columns: int, depth: int, c: int,
    c_row: int, start: int, start_row: int, then: int, y: int, y_row: int, sums: int,
) -> None:  # fmt: skip
    """Write A B into C, in this thread; matrices are addresses and steps in bytes, from row to row and from column on.

    Args:
        a: the matrix of ``rows`` and ``depth``.
        a_row: its step.
        a_column: likewise.
        b: that of ``depth`` and ``columns``.
        b_row: its step.
        b_column: likewise.
        rows: of the result.
        columns: of the result.
        depth: the common dimension.
        c: the result, whose columns lie side by side.
        c_row: its step.
        start: what is added, which may be the result itself; 0 for nothing.
        start_row: its step.
        then: what is done with the result.
        y: where that is written.
        y_row: its step.
        sums: where the sum of each row of A is added; 0 for nowhere.
    """
    deep, wide = share(depth, _DEPTH, 1), share(columns, _WIDTH, COLUMNS)
    size = 4 * (deep * wide + ROWS * COLUMNS) + _TOGETHER * _bytes_of_tile(deep)
    memory = np.empty(0 if size <= ON_STACK else size // 4 + 16, np.float32)
    panels = on_stack() if size <= ON_STACK else address_of(memory) + -address_of(memory) % 64
    of_rows = panels + 4 * deep * wide
    edge = of_rows + _TOGETHER * _bytes_of_tile(deep)
    for i in range(ROWS * COLUMNS):
        store(edge + 4 * i, _zero)
    for j in range(0, columns, wide):
        width = min(wide, columns - j)
        to = c + 4 * j, c_row
        for k in range(0, depth, deep):
            here = min(deep, depth - k)
            _pack((b + k * b_row + j * b_column, b_row, b_column), width, here, panels)
            begun = to
            if k == 0:
                begun = (start + 4 * j, start_row) if start else (0, 0)
            for row in range(0, rows, _TOGETHER * ROWS):
                some = row, min(row + _TOGETHER * ROWS, rows)
                block = a + k * a_column, a_row, a_column
                _some_rows(some, block, panels, (rows, width, here), to, begun, 0 if j else sums, of_rows, edge)
                if then != NOTHING and k + here == depth:
                    finish(some, width, to, then, (y + 4 * j, y_row))
    keep(memory)
