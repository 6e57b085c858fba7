"""Matrix products C = A B of float32 in machine code, on all threads.

Each thread computes rows of C, or columns where these are more. It cuts B along both dimensions into blocks that fit
the second cache, and brings a block into panels: of each row what makes a tile's width, one row after the other, so
that memory is read in the order in which it lies. Then some tiles of rows meet one panel after the other. A is read
where it is, or brought into order too where its numbers of a column, not of a row, lie side by side. The sums start
from zero, from C or from a bias; GELU, and the sums of the columns of A that are the gradient of a bias, are taken
while what they need is in the cache.

How fast this is beside the libraries' products: ``python -m benchmarks.threads``.

Each sum is made in the same order whatever the number of threads, so the results are the same bit for bit.

Source: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 2008.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels.fast.gelu import gelu_of_vector, gelu_tanh_of_vector
from minillm.kernels.fast.pool import in_ranges
from minillm.kernels.fast.registers import (
    LANES,
    REGISTERS,
    add_vector,
    address_of,
    copy_vector,
    fetch,
    load,
    row_at,
    store,
    tile_of,
    turn,
)
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["LEAST_PRODUCT", "affine", "affine_gelu", "are_matrices", "multiply", "multiply_and_add_up", "multiply_here"]

LEAST_PRODUCT = 1 << 18  # multiplications that are worth a thread: two to three microseconds
_ROWS, _VECTORS = (6, 4) if REGISTERS == 32 else (4, 3)  # of a tile, with what it multiplies in nearly all registers
_COLUMNS = LANES * _VECTORS
_DEPTH, _WIDTH = 384, 1024  # of a block of B, at most: 1.5 MB
_AHEAD = 16  # columns of A that are asked for in advance: each lies in a page of its own
_NEAR = 1 << 18  # bytes of A that fit the second cache beside a block of B
_TOGETHER = 8  # tiles of rows that meet a panel while it is in the cache
_NOTHING, _GELU, _GELU_TANH = 0, 1, 2  # what is done with a result
_zero = np.float32(0)

# Each has a function of its own, at this level: numba keeps no made functions on disk.
_tile_1, _tile_2, _tile_3, _tile_4 = (tile_of(_ROWS, vectors) for vectors in (1, 2, 3, 4))


def are_matrices(*arrays: Array) -> bool:
    """Return whether these are matrices of float32 that are not empty."""
    return all(a.dtype == np.float32 and a.ndim == 2 and a.size for a in arrays)


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
    return (min(columns, _COLUMNS) + LANES - 1) // LANES


@njit(cache=True, nogil=True)
def _pack(b: Any, columns: int, depth: int, panels: int) -> None:
    """Write a block of B in panels, with zeros behind its last column."""
    wide_vectors()
    at_b, b_row, b_column = b
    whole = columns // _COLUMNS * _COLUMNS if b_column == 4 else 0
    for k in range(depth if whole else 0):  # row after row, as they lie in memory
        source, place = at_b + k * b_row, panels + 4 * k * _COLUMNS
        for first in range(0, whole, _COLUMNS):
            for v in range(0, _COLUMNS, LANES):
                copy_vector(source + 4 * (first + v), place + 4 * (first * depth + v))
    for first in range(whole, columns, _COLUMNS):
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
    return 4 * (depth * _ROWS + LANES)


@njit(cache=True, nogil=True)
def _add_up(a: Any, some: Any, depth: int, sums: int) -> None:
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
        for row in range(first, last, _ROWS):
            copy_vector(source + 4 * row, place + (row - first) // _ROWS * _bytes_of_tile(depth) + 4 * k * _ROWS)
    for row in range(first, last, _ROWS):
        for k in range(done, depth):
            to = place + (row - first) // _ROWS * _bytes_of_tile(depth) + 4 * k * _ROWS
            here = min(_ROWS, last - row)
            for r in range(here):
                store(to + 4 * r, load(at_a + (row + r) * a_row + k * a_column))
            for r in range(here, _ROWS):
                store(to + 4 * r, _zero)


@njit(cache=True, nogil=True)
def _copy(rows: int, columns: int, source: Any, target: Any) -> None:
    for r in range(rows):
        for i in range(columns):
            store(target[0] + r * target[1] + 4 * i, load(source[0] + r * source[1] + 4 * i))


@njit(cache=True, nogil=True)
def _any_tile(rows: int, columns: int, a: Any, panel: int, depth: int, c: Any, start: Any, edge: int) -> None:
    """Compute a tile of which so many rows and columns are there; the others go to the memory at ``edge`` alone."""
    vectors = _vectors_for(columns)
    b = panel, 4 * LANES * vectors
    if rows == _ROWS and columns == LANES * vectors:
        _tile(vectors, a, b, c, depth, start)
        return
    whole = edge, 4 * _COLUMNS
    if start[0]:
        _copy(rows, columns, start, whole)
    _tile(vectors, a, b, whole, depth, (edge if start[0] else 0, 4 * _COLUMNS))
    _copy(rows, columns, whole, c)


@njit(cache=True, nogil=True)
def _some_rows(
    some: Any, a: Any, panels: int, shape: Any, c: Any, start: Any, sums: int, memory: int, edge: int
) -> None:
    """Compute some rows of the product with a block that lies in panels."""
    (at_a, a_row, a_column), (at_c, c_row), (at_start, start_row) = a, c, start
    (first, last), (_, columns, depth) = some, shape
    if sums:
        _add_up(a, some, depth, sums)
    # What is read once, and lies near together, need not be brought into order.
    in_place = a_column == 4 or (a_row == 4 and columns <= _COLUMNS and depth * a_column <= _NEAR)
    rest = last - (last - first) % _ROWS
    # The last rows in a whole tile: those before them are computed again, unless they are what the sums start from.
    again = in_place and rest < last and last >= _ROWS and at_start != at_c
    if not (in_place and (again or rest == last)):
        packed = rest if in_place else first
        _pack_rows(a, (packed, last), depth, memory + (packed - first) // _ROWS * _bytes_of_tile(depth))
    for column in range(0, columns, _COLUMNS):
        width = min(_COLUMNS, columns - column)
        for tile in range(first, last, _ROWS):
            row = last - _ROWS if again and tile == rest else tile
            here = min(_ROWS, last - row)
            if in_place and here == _ROWS:
                of_a = at_a + row * a_row, a_row, a_column
            else:
                of_a = memory + (row - first) // _ROWS * _bytes_of_tile(depth), 4, 4 * _ROWS
            begun = at_start + row * start_row + 4 * column if at_start else 0
            _any_tile(
                here, width, of_a, panels + 4 * column * depth, depth, (at_c + row * c_row + 4 * column, c_row),
                (begun, start_row), edge,
            )  # fmt: skip


@njit(cache=True, nogil=True)
def _finish(some: Any, columns: int, c: Any, then: int, y: Any) -> None:
    """Apply GELU to rows of the result that have just been computed."""
    for row in range(some[0], some[1]):
        result, place = row_at(c[0] + row * c[1], columns), row_at(y[0] + row * y[1], columns)
        if then == _GELU:
            gelu_of_vector(result, place)
        else:
            gelu_tanh_of_vector(result, place)


@njit(cache=True, nogil=True)
def _share(number: int, most: int, multiple: int) -> int:
    """Return how long equal parts of a number are: multiples of one number, and at most as long as another."""
    parts = -(-number // most)
    return -(-number // (parts * multiple)) * multiple


@njit(cache=True, nogil=True)
def _product(a: Any, b: Any, shape: Any, c: Any, start: Any, then: int, y: Any, sums: int) -> None:
    """Write A B into C, in this thread.

    Args:
        a: the matrix of shape[0] rows and shape[2] columns.
        b: that of shape[2] rows and shape[1] columns.
        shape: the rows and columns of the result, and the common dimension.
        c: the result.
        start: what is added, which may be the result itself; address 0 for nothing.
        then: what is done with the result.
        y: where that is written.
        sums: where the sum of each row of A is added; 0 for nowhere.
    """
    (rows, columns, depth), (at_a, a_row, a_column), (at_b, b_row, b_column) = shape, a, b
    deep, wide = _share(depth, _DEPTH, 1), _share(columns, _WIDTH, _COLUMNS)
    numbers = deep * wide + _TOGETHER * _bytes_of_tile(deep) // 4 + _ROWS * _COLUMNS
    memory = np.empty(numbers + 16, np.float32)
    panels = address_of(memory) + -address_of(memory) % 64
    of_rows = panels + 4 * deep * wide
    edge = of_rows + _TOGETHER * _bytes_of_tile(deep)
    for i in range(_ROWS * _COLUMNS):
        store(edge + 4 * i, _zero)
    for j in range(0, columns, wide):
        width = min(wide, columns - j)
        to = c[0] + 4 * j, c[1]
        for k in range(0, depth, deep):
            here = min(deep, depth - k)
            _pack((at_b + k * b_row + j * b_column, b_row, b_column), width, here, panels)
            begun = to
            if k == 0:
                begun = (start[0] + 4 * j, start[1]) if start[0] else (0, 0)
            for row in range(0, rows, _TOGETHER * _ROWS):
                some = row, min(row + _TOGETHER * _ROWS, rows)
                block = at_a + k * a_column, a_row, a_column
                _some_rows(some, block, panels, (rows, width, here), to, begun, 0 if j else sums, of_rows, edge)
                if then != _NOTHING and k + here == depth:
                    _finish(some, width, to, then, (y[0] + 4 * j, y[1]))
    memory[0] = 0  # it has to live up to here


@njit(cache=True, nogil=True)
def _some_of_rows(
    part: int, begin: int, end: int, a: Any, b: Any, shape: Any, c: Any, start: Any, then: int, y: Any, sums: int
) -> None:
    first, last = begin * _ROWS, min(end * _ROWS, shape[0])
    _product(
        (a[0] + first * a[1], a[1], a[2]), b, (last - first, shape[1], shape[2]), (c[0] + first * c[1], c[1]),
        (start[0] + first * start[1], start[1]), then, (y[0] + first * y[1], y[1]), sums + 4 * first if sums else 0,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _some_of_columns(
    part: int, begin: int, end: int, a: Any, b: Any, shape: Any, c: Any, start: Any, then: int, y: Any, sums: int
) -> None:
    first, last = begin * _COLUMNS, min(end * _COLUMNS, shape[1])
    _product(
        a, (b[0] + first * b[2], b[1], b[2]), (shape[0], last - first, shape[2]), (c[0] + 4 * first, c[1]),
        (start[0] + 4 * first if start[0] else 0, start[1]), then, (y[0] + 4 * first, y[1]), 0 if begin else sums,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _on_all_threads(a: Any, b: Any, shape: Any, c: Any, start: Any, then: int, y: Any, sums: int) -> None:
    """Write A B into C; see :func:`_product`.

    Each thread brings what it multiplies into memory of its own, which stays in its cache; the longer side is cut, so
    that it is the smaller matrix that each of them brings there.
    """
    rows, columns, depth = shape
    arguments = a, b, shape, c, start, then, y, sums
    if rows >= columns:
        in_ranges(_some_of_rows, arguments, -(-rows // _ROWS), LEAST_PRODUCT // (_ROWS * columns * depth) + 1)
    else:
        in_ranges(_some_of_columns, arguments, -(-columns // _COLUMNS), LEAST_PRODUCT // (_COLUMNS * rows * depth) + 1)


@njit(cache=True, nogil=True)
def _placed(a: Any) -> Any:
    return address_of(a), a.strides[0], a.strides[1]


@njit(cache=True, nogil=True)
def _rows_of(a: Any) -> Any:
    return address_of(a), a.strides[0]


@njit(cache=True, nogil=True)
def multiply(a: Any, b: Any, c: Any, kept: bool) -> None:
    """Make c into a b, or add it where c is ``kept``, on all threads.

    Args:
        a: (M, K); fast where it is in order along either dimension, as is b.
        b: (K, N).
        c: (M, N), in order along the second.
        kept: whether c holds numbers already.
    """
    shape = a.shape[0], b.shape[1], a.shape[1]
    start = _rows_of(c) if kept else (0, 0)
    _on_all_threads(_placed(a), _placed(b), shape, _rows_of(c), start, _NOTHING, (0, 0), 0)


@njit(cache=True, nogil=True)
def multiply_here(a: Any, b: Any, c: Any, kept: bool) -> None:
    """Do what :func:`multiply` does in this thread."""
    shape = a.shape[0], b.shape[1], a.shape[1]
    start = _rows_of(c) if kept else (0, 0)
    _product(_placed(a), _placed(b), shape, _rows_of(c), start, _NOTHING, (0, 0), 0)


@njit(cache=True, nogil=True)
def multiply_and_add_up(a: Any, b: Any, c: Any, sums: Any) -> None:
    """Make c into a^T b, and ``sums`` into the sums of the columns of a, unless that is empty, on all threads."""
    if sums.size:
        sums[:] = 0
    shape = a.shape[1], b.shape[1], a.shape[0]
    at_sums = address_of(sums) if sums.size else 0
    _on_all_threads(_placed(a.T), _placed(b), shape, _rows_of(c), (0, 0), _NOTHING, (0, 0), at_sums)


@njit(cache=True, nogil=True)
def affine(x: Any, weight: Any, bias: Any, y: Any) -> None:
    """Write x weight^T + bias into y, on all threads; the sums start from the bias, which may be empty."""
    start = (address_of(bias), 0) if bias.size else (0, 0)
    shape = x.shape[0], weight.shape[0], x.shape[1]
    _on_all_threads(_placed(x), _placed(weight.T), shape, _rows_of(y), start, _NOTHING, (0, 0), 0)


@njit(cache=True, nogil=True)
def affine_gelu(x: Any, weight: Any, bias: Any, tanh: bool, h: Any, y: Any) -> None:
    """Write x weight^T + bias into h and GELU of it into y, of each part while it is in the cache."""
    start = (address_of(bias), 0) if bias.size else (0, 0)
    shape, then = (x.shape[0], weight.shape[0], x.shape[1]), _GELU_TANH if tanh else _GELU
    _on_all_threads(_placed(x), _placed(weight.T), shape, _rows_of(h), start, then, _rows_of(y), 0)
