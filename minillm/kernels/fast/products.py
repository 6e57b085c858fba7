"""Matrix products C = A B of float32 in machine code, on all threads: by a matrix unit where there is one.

Each thread computes rows of C, or columns where these are more. The sums start from zero, from C or from a bias;
GELU, and the sums of the columns of A that are the gradient of a bias, are taken while what they need is in the
cache. Each sum is made in the same order whatever the number of threads, so the results are the same bit for bit;
where numbers are not finite, this holds for those that they do not reach up to rounding alone.

How fast this is beside the libraries' products: ``python -m benchmarks.threads``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels.fast import amx_products, vector_products
from minillm.kernels.fast.amx import BLOCK, allowed
from minillm.kernels.fast.outlined import by_name
from minillm.kernels.fast.pool import in_ranges
from minillm.kernels.fast.registers import address_of
from minillm.kernels.fast.vector_products import COLUMNS, GELU, GELU_TANH, NOTHING, ROWS

__all__ = ["LEAST_PRODUCT", "affine", "affine_gelu", "are_matrices", "multiply", "multiply_and_add_up", "multiply_here"]

LEAST_PRODUCT = 1 << 18  # multiplications that are worth a thread: two to three microseconds
_LEAST = 24  # columns and depth of a product for the matrix unit, and as many rows as a block


def are_matrices(*arrays: Array) -> bool:
    """Return whether these are matrices of float32 that are not empty."""
    return all(a.dtype == np.float32 and a.ndim == 2 and a.size for a in arrays)


@njit(cache=True, nogil=True)
def _by_unit(rows: int, columns: int, depth: int) -> bool:
    """Return whether a product is one for the matrix unit."""
    answer: bool = rows >= BLOCK and min(columns, depth) >= _LEAST and allowed()
    return answer


@njit(cache=True, nogil=True)
def _product(numbers: Any, by_unit: bool) -> None:
    if by_unit:
        amx_products.product(*numbers)
    else:
        vector_products.product(*numbers)


@njit(cache=True, nogil=True)
def _some_of_rows(part: int, begin: int, end: int, numbers: Any, by_unit: bool) -> None:
    a, a_row, a_column, b, b_row, b_column, rows, columns, depth, c, c_row, start, start_row, then, y, y_row, sums = (
        numbers
    )  # fmt: skip
    multiple = BLOCK if by_unit else ROWS
    first, last = begin * multiple, min(end * multiple, rows)
    some = (
        a + first * a_row, a_row, a_column, b, b_row, b_column, last - first, columns, depth, c + first * c_row, c_row,
        start + first * start_row if start else 0, start_row, then, y + first * y_row, y_row,
        sums + 4 * first if sums else 0,
    )  # fmt: skip
    _product(some, by_unit)


@njit(cache=True, nogil=True)
def _some_of_columns(part: int, begin: int, end: int, numbers: Any, by_unit: bool) -> None:
    a, a_row, a_column, b, b_row, b_column, rows, columns, depth, c, c_row, start, start_row, then, y, y_row, sums = (
        numbers
    )  # fmt: skip
    multiple = BLOCK if by_unit else COLUMNS
    first, last = begin * multiple, min(end * multiple, columns)
    some = (
        a, a_row, a_column, b + first * b_column, b_row, b_column, rows, last - first, depth, c + 4 * first, c_row,
        start + 4 * first if start else 0, start_row, then, y + 4 * first, y_row, 0 if begin else sums,
    )  # fmt: skip
    _product(some, by_unit)


@by_name("minillm_product", 17)
def _on_all_threads(
    a: int, a_row: int, a_column: int, b: int, b_row: int, b_column: int, rows: int, columns: int, depth: int, c: int,
    c_row: int, start: int, start_row: int, then: int, y: int, y_row: int, sums: int,
) -> None:  # fmt: skip
    """Write A B into C, on all threads; see :func:`minillm.kernels.fast.vector_products.product`.

    Each thread brings what it multiplies into memory of its own, which stays in its cache; the longer side is cut, so
    that it is the smaller matrix that each of them brings there.
    """
    numbers = (
        a, a_row, a_column, b, b_row, b_column, rows, columns, depth, c, c_row, start, start_row, then, y, y_row, sums
    )  # fmt: skip
    by_unit = _by_unit(rows, columns, depth)
    if rows >= columns:
        multiple = BLOCK if by_unit else ROWS
        least = LEAST_PRODUCT // (multiple * columns * depth) + 1
        in_ranges(_some_of_rows, (numbers, by_unit), -(-rows // multiple), least)
    else:
        multiple = BLOCK if by_unit else COLUMNS
        least = LEAST_PRODUCT // (multiple * rows * depth) + 1
        in_ranges(_some_of_columns, (numbers, by_unit), -(-columns // multiple), least)


@njit(cache=True, nogil=True)
def multiply(a: Any, b: Any, c: Any, kept: bool) -> None:
    """Make c into a b, or add it where c is ``kept``, on all threads.

    Args:
        a: (M, K); fast where it is in order along either dimension, as is b.
        b: (K, N).
        c: (M, N), in order along the second.
        kept: whether c holds numbers already.
    """
    at_c = address_of(c)
    _on_all_threads(
        address_of(a), a.strides[0], a.strides[1], address_of(b), b.strides[0], b.strides[1],
        a.shape[0], b.shape[1], a.shape[1], at_c, c.strides[0], at_c if kept else 0, c.strides[0], NOTHING, 0, 0, 0,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def multiply_here(a: Any, b: Any, c: Any, kept: bool) -> None:
    """Do what :func:`multiply` does in this thread."""
    at_c = address_of(c)
    numbers = (
        address_of(a), a.strides[0], a.strides[1], address_of(b), b.strides[0], b.strides[1],
        a.shape[0], b.shape[1], a.shape[1], at_c, c.strides[0], at_c if kept else 0, c.strides[0], NOTHING, 0, 0, 0,
    )  # fmt: skip
    _product(numbers, _by_unit(a.shape[0], b.shape[1], a.shape[1]))


@njit(cache=True, nogil=True)
def multiply_and_add_up(a: Any, b: Any, c: Any, sums: Any) -> None:
    """Make c into a^T b, and ``sums`` into the sums of the columns of a, unless that is empty, on all threads."""
    if sums.size:
        sums[:] = 0
    at_sums = address_of(sums) if sums.size else 0
    _on_all_threads(
        address_of(a), a.strides[1], a.strides[0], address_of(b), b.strides[0], b.strides[1],
        a.shape[1], b.shape[1], a.shape[0], address_of(c), c.strides[0], 0, 0, NOTHING, 0, 0, at_sums,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def affine(x: Any, weight: Any, bias: Any, y: Any) -> None:
    """Write x weight^T + bias into y, on all threads; the sums start from the bias, which may be empty."""
    start = address_of(bias) if bias.size else 0
    _on_all_threads(
        address_of(x), x.strides[0], x.strides[1], address_of(weight), weight.strides[1], weight.strides[0],
        x.shape[0], weight.shape[0], x.shape[1], address_of(y), y.strides[0], start, 0, NOTHING, 0, 0, 0,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def affine_gelu(x: Any, weight: Any, bias: Any, tanh: bool, h: Any, y: Any) -> None:
    """Write x weight^T + bias into h and GELU of it into y, of each part while it is in the cache."""
    start = address_of(bias) if bias.size else 0
    _on_all_threads(
        address_of(x), x.strides[0], x.strides[1], address_of(weight), weight.strides[1], weight.strides[0],
        x.shape[0], weight.shape[0], x.shape[1], address_of(h), h.strides[0], start, 0, GELU_TANH if tanh else GELU,
        address_of(y), y.strides[0], 0,
    )  # fmt: skip
