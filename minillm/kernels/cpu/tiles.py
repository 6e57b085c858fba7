"""Tiles: a chain of operations goes stretch by stretch, each small enough to stay in the cache.

NumPy runs one operation at a time over a whole array. Where the array is larger than the cache, each step of a
chain waits for memory; in tiles, only the first and the last do. On a GPU the whole array is one tile.

Threads share the tiles of a large array; the sums of rows that kernels return are added up thread by thread, so they
have the same bits each time for the same number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minillm.backend import Array, in_parts, xp_of

# Elements of a tile: 128 KB of float32. Tiles of 32 KB take gelu a third longer, for the calls themselves cost time;
# larger ones bring at most 3 %, and four of these still fit a cache of 512 KB.
TILE = 32768
_LINE = 64  # bytes of a line of the cache
# Numbers from which on threads share an array. To hand a part over takes some 30 us, which few passes over fewer take.
LARGE = 1 << 18


def tiles(xp: Any, rows: slice, step: int) -> Iterator[slice]:
    """Yield slices of ``step`` that cover the slice ``rows``, the last one shorter; a single one on a GPU."""
    step = step if xp is np else max(rows.stop - rows.start, 1)
    for start in range(rows.start, rows.stop, step):
        yield slice(start, min(start + step, rows.stop))


def share(xp: Any, work: Callable[[slice], Any], count: int, size: int) -> None:
    """Call ``work`` with slices that cover ``count`` items, of ``size`` numbers in all: one a thread, where many.

    The work goes through its slice by :func:`tiles`, in memory of its own.
    """
    if xp is np and size >= LARGE:
        in_parts(work, count, 1)
    elif count:
        work(slice(0, count))


def of_two(operation: Any, a: Array, b: Array, out: Array | None = None) -> Array:
    """Return ``operation(a, b)`` of arrays of one shape and dtype, by all threads where they are large."""
    alike = type(a) is type(b) is np.ndarray and a.shape == b.shape and a.dtype == b.dtype
    if not alike or a.size < 2 * LARGE:
        return operation(a, b) if out is None else operation(a, b, out)
    y = np.empty_like(a) if out is None else out
    in_parts(lambda rows: operation(a[rows], b[rows], y[rows]), len(a), 1)
    return y


def aligned_empty(xp: Any, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an array that begins at a line of the cache, where NumPy's own begin 16 bytes behind.

    In the cache, a product that is written to such an array takes half the time (0.10 and 0.19 ns an element), one
    in place four fifths, for wide vectors never reach over two lines.
    """
    size = math.prod(shape)
    if xp is not np or size < 16384:  # to ask for the address takes a microsecond; in generation, ten
        return xp.empty(shape, dtype)
    dtype = np.dtype(dtype)
    spare = _LINE // dtype.itemsize
    block = np.empty(size + spare, dtype)
    start = -block.__array_interface__["data"][0] % _LINE // dtype.itemsize
    return block[start : start + size].reshape(shape)


@np.errstate(all="ignore")  # infinities come without a word, as in PyTorch
def value_and_slope(
    x: Array,
    compute: Callable[[Any, Array, Array, Array | None, Array], None],
    num_buffers: int,
    with_slope: bool,
) -> tuple[Array, Array | None]:
    """Return a function of each element of x, and its derivative, in the shape of x.

    Args:
        x: floats; float16 is computed in float32.
        compute: writes a tile: called with the array module, x, y, slope or None, and buffers of shape
            (num_buffers, size of the tile).
        num_buffers: how many tiles of scratch ``compute`` needs.
        with_slope: whether the derivative is asked for.
    """
    xp = xp_of(x)
    if x.dtype.itemsize == 2:
        y, slope = value_and_slope(x.astype("float32"), compute, num_buffers, with_slope)
        return y.astype(x.dtype), None if slope is None else slope.astype(x.dtype)
    flat = x.reshape(-1)
    y = aligned_empty(xp, flat.shape, x.dtype)
    slope = aligned_empty(xp, flat.shape, x.dtype) if with_slope else None

    def work(whole: slice) -> None:
        size = whole.stop - whole.start
        scratch = aligned_empty(xp, (num_buffers, min(size, TILE) if xp is np else size), x.dtype)
        for part in tiles(xp, whole, TILE):
            buffers = scratch[:, : part.stop - part.start]
            compute(xp, flat[part], y[part], None if slope is None else slope[part], buffers)

    share(xp, work, flat.size, flat.size)
    return y.reshape(x.shape), None if slope is None else slope.reshape(x.shape)
