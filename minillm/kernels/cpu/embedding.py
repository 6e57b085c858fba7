"""Rows of a table by their numbers, and the sum of gradients back into the table."""

from __future__ import annotations

import numpy as np

from minillm.backend import Array, scatter_add, xp_of


def embedding(weight: Array, indices: Array) -> Array:
    """Return weight[indices].

    Args:
        weight: (num_embeddings, embedding_dim).
        indices: integers of any shape.

    Raises:
        IndexError: a number that is not in the table; names it. NumPy would count a negative one from the end,
            CuPy would wrap every one around.
    """
    if indices.size:
        low, high = int(indices.min()), int(indices.max())
        if low < 0 or high >= weight.shape[0]:
            raise IndexError(
                f"the index {low if low < 0 else high} is not in the table, which has {weight.shape[0]} rows: "
                f"indices need to lie between 0 and {weight.shape[0] - 1}"
            )
    return weight.take(indices, axis=0)


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
    """
    xp = xp_of(dy)
    dweight = xp.zeros((num_embeddings, dy.shape[-1]), dy.dtype)
    if dy.size:
        places, rows = indices.reshape(-1), dy.reshape(indices.size, -1)
        add_rows = _add_rows_on_host if xp is np else scatter_add
        if dy.dtype.itemsize == 2:  # sums of float16 would lose their last digits
            wide = dweight.astype("float32")
            add_rows(wide, places, rows.astype("float32"))
            dweight = wide.astype(dy.dtype)
        else:
            add_rows(dweight, places, rows)
    if padding_idx is not None:
        dweight[padding_idx] = 0
    if scale_by_freq:
        counts = xp.bincount(indices.reshape(-1), minlength=num_embeddings)
        dweight /= xp.maximum(counts, 1).astype(dy.dtype)[:, None]
    return dweight


def _add_rows_on_host(dweight: Array, places: Array, rows: Array) -> None:
    """Write to each row of dweight the sum of the rows that go there, always in the same order.

    The rows are sorted by place. What stands alone is copied, and each longer run is summed as a product with
    ones. That takes half the time of ``add.at`` on flat places and a fifth of ``add.reduceat``.
    """
    # NumPy sorts 16-bit integers by their digits, six times faster than wider ones.
    keys = places.astype(np.uint16) if len(dweight) <= 2**16 else places
    order = np.argsort(keys, kind="stable")
    places = places[order]
    starts = np.flatnonzero(np.concatenate(([True], places[1:] != places[:-1])))
    counts = np.diff(starts, append=len(places))
    alone = starts[counts == 1]
    dweight[places[alone]] = rows[order[alone]]
    runs = counts > 1
    ones = np.ones(counts.max(), rows.dtype)
    for start, count, place in zip(
        starts[runs].tolist(), counts[runs].tolist(), places[starts[runs]].tolist(), strict=True
    ):
        np.dot(ones[:count], rows.take(order[start : start + count], axis=0), out=dweight[place])
