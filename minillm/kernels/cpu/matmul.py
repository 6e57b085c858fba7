"""Matrix products."""

from __future__ import annotations

import numpy as np

from minillm.backend import Array, xp_of

__all__ = ["matmul"]


def matmul(a: Array, b: Array) -> Array:
    """Return the products of two stacks of matrices, whose leading dimensions broadcast.

    Args:
        a: (..., M, K), or (K,) for a row.
        b: (..., K, N), or (K,) for a column.

    Returns:
        (..., M, N), without the dimension of a vector.
    """
    if a.dtype.itemsize == 2 and a.dtype.kind == "f":  # BLAS knows no float16; sums need more digits
        wide = xp_of(a).matmul(a.astype("float32"), b.astype("float32"))
        with np.errstate(all="ignore"):
            return wide.astype(a.dtype)
    return xp_of(a).matmul(a, b)
