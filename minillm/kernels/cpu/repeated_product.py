"""Products of a few rows with the same matrix, step after step: the heart of a recurrence.

A few rows are too little work for BLAS to hide how it reads the matrix. Two forms were measured (OpenBLAS
0.3.31, AVX-512, one thread; with two the picture is the same), each with adding y to other rows:

    y = x W,  W in order      the faster one while W is small, up to 1 MB, or wide: with 512 x 2048, 16 and 32
                              rows take 0.98 and 0.95 of the time of the second form;
    y^T = W^T x^T             for a large W that is narrow: with 2048 x 512, 16 and 32 rows take 0.79 and 0.78
                              of the time of the first form; from 128 rows on it does not pay.
"""

from __future__ import annotations

from minillm.backend import Array, xp_of

LARGE = 2**18  # elements of W: 1 MB of float32


class RepeatedProduct:
    """The products of rows with one matrix, into memory that is used again for each.

    Args:
        weight: (K, M), in order or a transposed view.
        rows: the most rows that come.
        times: how many products follow; only many repay bringing ``weight`` into order.
    """

    def __init__(self, weight: Array, rows: int, times: int) -> None:
        xp = xp_of(weight)
        self.matmul = xp.matmul
        self.swapped = 1 < rows <= 64 and weight.size > LARGE and weight.shape[0] > weight.shape[1]
        if self.swapped:
            self.weight = weight.T
            self.buffer = xp.empty((weight.shape[1], rows), weight.dtype)
            return
        if rows > 1 and times >= 8 and not weight.flags.c_contiguous:
            weight = in_order(weight)
        self.weight = weight
        self.buffer = xp.empty((rows, weight.shape[1]), weight.dtype)

    def __call__(self, x: Array) -> Array:
        """Return x W, (N, M), in memory that the next call writes to, perhaps as a transposed view."""
        if self.swapped:
            return self.matmul(self.weight, x.T, out=self.buffer[:, : len(x)]).T
        return self.matmul(x, self.weight, out=self.buffer[: len(x)])

    def write(self, x: Array, out: Array) -> None:
        """Write x W into ``out``, (N, M)."""
        if self.swapped:
            out[...] = self(x)
        else:
            self.matmul(x, self.weight, out=out)


def in_order(matrix: Array) -> Array:
    """Return a transposed view in memory of its own: by 64 columns, a ninth of the time of all at once."""
    out = xp_of(matrix).empty(matrix.shape, matrix.dtype)
    for start in range(0, matrix.shape[1], 64):
        out[:, start : start + 64] = matrix[:, start : start + 64]
    return out
