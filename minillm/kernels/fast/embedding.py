"""Rows of a table by their numbers, and the sum of gradients back into the table, row after row.

The sum is always taken in the order of the numbers, so every run gives the same. For several threads it is cut by
columns: two rows may go to the same place, two columns never do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels import cpu
from minillm.kernels.fast.elementwise import LEAST
from minillm.kernels.fast.pool import in_ranges
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["embedding_backward"]

# Columns that are worth a thread: with fewer, each walks through too little of a row.
_LEAST_COLUMNS = 32


def embedding_backward(
    dy: Array, indices: Array, num_embeddings: int, padding_idx: int | None, scale_by_freq: bool
) -> Array:
    """Return the gradient of the table: the rows of dy, summed by their number.

    Args:
        dy: (..., embedding_dim).
        indices: integers of the shape (...).
        num_embeddings: the number of rows of the table.
        padding_idx: a row that gets no gradient, or None.
        scale_by_freq: divide each sum by how often its number occurs.

    Raises:
        IndexError: a number that is not in the table.
    """
    if dy.dtype.char not in "fd" or scale_by_freq or not dy.size:
        return cpu.embedding_backward(dy, indices, num_embeddings, padding_idx, scale_by_freq)
    places, width = indices.reshape(-1), dy.shape[-1]
    rows = np.ascontiguousarray(dy).reshape(places.size, width)
    dweight = np.zeros((num_embeddings, width), dy.dtype)
    if _add_in_parts(places, rows, dweight):
        raise IndexError(f"embedding: an index is not in the table of {num_embeddings} rows")
    if padding_idx is not None:
        dweight[padding_idx] = 0
    return dweight


@njit(cache=True, nogil=True, error_model="numpy")
def _add_in_parts(places: Any, rows: Any, dweight: Any) -> bool:
    """Add each row to its place; return whether a place is not there."""
    for place in places:
        if place < 0 or place >= len(dweight):
            return True
    in_ranges(_add, (places, rows, dweight), rows.shape[1], max(_LEAST_COLUMNS, LEAST // places.size))
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _add(part: int, begin: int, end: int, places: Any, rows: Any, dweight: Any) -> None:
    wide_vectors()
    for i in range(places.size):
        row, added = dweight[places[i], begin:end], rows[i, begin:end]
        for j in range(added.size):
            row[j] += added[j]
