"""Tiles: a chain of operations goes stretch by stretch, each small enough to stay in the cache.

NumPy runs one operation at a time over a whole array. Where the array is larger than the cache, each step of a
chain waits for memory; in tiles, only the first and the last do. On a GPU the whole array is one tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minillm.backend import Array, xp_of

# Elements of a tile: 128 KB of float32. Half and twice of it were slower for gelu (4 tiles of scratch in a
# cache of 2 MB), by 13 % and 11 %; the calls themselves cost more the smaller it is.
TILE = 32768


def tiles(xp: Any, count: int, step: int) -> Iterator[slice]:
    """Yield slices of ``step`` that cover ``count``, the last one shorter; a single one on a GPU."""
    step = step if xp is np else max(count, 1)
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


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
    y = xp.empty(flat.shape, x.dtype)
    slope = xp.empty(flat.shape, x.dtype) if with_slope else None
    scratch = xp.empty(num_buffers * (min(flat.size, TILE) if xp is np else flat.size), x.dtype)
    for part in tiles(xp, flat.size, TILE):
        size = part.stop - part.start
        buffers = scratch[: num_buffers * size].reshape(num_buffers, size)
        compute(xp, flat[part], y[part], None if slope is None else slope[part], buffers)
    return y.reshape(x.shape), None if slope is None else slope.reshape(x.shape)
