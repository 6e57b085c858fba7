"""Rows of a table by their numbers, and the sum of gradients back into the table."""

from __future__ import annotations

from minillm.backend import Array, scatter_add, xp_of


def embedding(weight: Array, indices: Array) -> Array:
    """Return weight[indices].

    Args:
        weight: (num_embeddings, embedding_dim).
        indices: integers of any shape.

    Raises:
        IndexError: a number that is not in the table; names it.
    """
    if indices.size:
        low, high = int(indices.min()), int(indices.max())
        if low < 0 or high >= weight.shape[0]:
            wrong = low if low < 0 else high
            raise IndexError(
                f"the index {wrong} is not in the table, which has {weight.shape[0]} rows: "
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
    scatter_add(dweight, indices, dy)
    if padding_idx is not None:
        dweight[padding_idx] = 0
    if scale_by_freq:
        counts = xp.bincount(indices.reshape(-1), minlength=num_embeddings)
        dweight /= xp.maximum(counts, 1).astype(dy.dtype)[:, None]
    return dweight
