"""Products of a few rows with the same matrix, step after step: the heart of a recurrence.

A few rows are too little work for BLAS to hide how it reads the matrix. Two forms were measured (OpenBLAS
0.3.31, AVX-512, one thread; with two the picture is the same), each with adding y to other rows:

    y = x W,  W in order      the faster one while W is small, up to 1 MB, or wide: with 512 x 2048, 16 and 32
                              rows take 0.98 and 0.95 of the time of the second form;
    y^T = W^T x^T             for a large W that is narrow: with 2048 x 512, 16 and 32 rows take 0.79 and 0.78
                              of the time of the first form; from 128 rows on it does not pay.

On processors for which OpenBLAS has kernels of small products, which read W where it lies and do not bring it into
an order of their own first, there is a third form for up to 32 rows on one thread, as where a batch is split over
threads: W goes in blocks of 32 columns, each small enough for these kernels. With 512 x 2048, 8, 16 and 32 rows take
0.53, 0.60 and 0.77 of the time of the first form, with 512 x 512 they take 0.50, 0.65 and 0.87. Above 16 rows it pays
to copy the blocks of a transposed view, too, even for 8 products; below, as they lie they are at least as fast.
"""

from __future__ import annotations

import numpy as np

from minillm.backend import Array, get_num_threads, xp_of
from minillm.backend.threads import has_small_products

LARGE = 2**18  # elements of W: 1 MB of float32
_COLUMNS = 32  # of a block
_SMALL = 10**6  # multiplications up to which OpenBLAS calls a product small
_FEW = 32  # rows
_AS_THEY_LIE = 16  # rows up to which blocks of a transposed view are not copied


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
        self.blocks = _blocks(weight, rows) if times >= 8 else None
        self.swapped = False
        if self.blocks is not None:
            self.buffer = xp.empty((rows, weight.shape[1]), weight.dtype)
            self.parts = xp.empty((len(self.blocks), rows, weight.shape[1]), weight.dtype)
            return
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
        if self.blocks is not None:
            self.write(x, self.buffer[: len(x)])
            return self.buffer[: len(x)]
        if self.swapped:
            return self.matmul(self.weight, x.T, out=self.buffer[:, : len(x)]).T
        return self.matmul(x, self.weight, out=self.buffer[: len(x)])

    def write(self, x: Array, out: Array) -> None:
        """Write x W into ``out``, (N, M)."""
        if self.blocks is not None and out.flags.c_contiguous:
            self._write_blocks(x, out)
        elif self.blocks is not None or self.swapped:
            out[...] = self(x)
        else:
            self.matmul(x, self.weight, out=out)

    def _write_blocks(self, x: Array, out: Array) -> None:
        """Do the same by blocks of W: each part of its rows gives a part of the sum."""
        assert self.blocks is not None
        n, (splits, columns, rows, width) = len(x), self.blocks.shape
        parts = out[None] if splits == 1 else self.parts[:, :n]
        self.matmul(
            x.reshape(n, splits, 1, rows).transpose(1, 2, 0, 3),
            self.blocks,
            out=parts.reshape(splits, n, columns, width).transpose(0, 2, 1, 3),
        )
        if splits > 1:
            np.add.reduce(parts, axis=0, out=out)


def _blocks(weight: Array, rows: int) -> Array | None:
    """Return W as (parts of the rows, parts of the columns, K / parts, 32), None where blocks would not pay."""
    K, M = weight.shape
    few = 1 < rows <= _FEW and M % _COLUMNS == 0 and weight.size >= LARGE // 2
    if not few or type(weight) is not np.ndarray or weight.dtype != np.float32:
        return None
    splits = 1
    while rows * _COLUMNS * (K // splits) > _SMALL:
        splits *= 2
    if K % splits or get_num_threads() > 1 or not has_small_products():
        return None
    if weight.T.flags.c_contiguous:
        blocks = weight.T.reshape(M // _COLUMNS, _COLUMNS, splits, K // splits).transpose(2, 0, 3, 1)
        return blocks if rows <= _AS_THEY_LIE else np.ascontiguousarray(blocks)
    blocks = weight.reshape(splits, K // splits, M // _COLUMNS, _COLUMNS).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(blocks)


def in_order(matrix: Array) -> Array:
    """Return a transposed view in memory of its own: by 64 columns, a ninth of the time of all at once."""
    out = xp_of(matrix).empty(matrix.shape, matrix.dtype)
    for start in range(0, matrix.shape[1], 64):
        out[:, start : start + 64] = matrix[:, start : start + 64]
    return out
