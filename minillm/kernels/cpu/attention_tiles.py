"""How attention is cut: tiles of queries with the keys that they see, and groups of matrices for the threads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minillm.backend import Array, in_parts, xp_of

# The best of 2^18 to 2^21 bytes on a core with 1 MiB of L2; the worst takes a tenth longer.
_TILE_BYTES = 1 << 19
# From so many scores on, threads share a call: with 1.6 million it took 0.65 to 1.0 of the time that it takes with the
# threads inside the products, with 0.2 million 1.2 times as long (two threads, a busy machine).
_LEAST_SCORES = 1 << 19


def tiles_of(xp: Any, L: int, S: int, causal: bool, dtype: Any) -> list[tuple[int, int, int, Array | None]]:
    """Return for each tile of queries i to j how many keys it sees, and 1 and 0 for those each may see.

    Where the triangle is narrower than the tile, it belongs to the last keys; all see those before.
    """
    # The fastest of 32 to 512 rows; the slowest takes a third longer. Under causality, lower tiles skip more, and
    # higher ones multiply faster while they fit the cache; else a tile for each matrix needs no sums over tiles.
    if causal:
        rows = min(L, 128 if 256 < S <= 1024 else 64)
    else:
        rows = min(L, max(64, (1 << 18) // S))
    tiles = []
    for i in range(0, L, rows):
        j = min(i + rows, L)
        c = min(j, S) if causal else S
        triangle = None
        if causal and i < S:
            # As wide as the tile, one multiplication runs through without gaps: a sixth of the time.
            first = 0 if c <= 512 else i
            triangle = xp.tri(j - i, c - first, i - first, dtype)
        tiles.append((i, j, c, triangle))
    return tiles


def groups_of(
    lead: tuple[int, ...], last: tuple[int, int, int, Any], itemsize: int
) -> list[tuple[slice, ...]]:
    """Return the parts of the leading dimensions that are computed together, so that tiles fit the cache.

    Where the work is worth several threads, their number is a multiple of 4 if it can be.
    """
    i, j, c, _ = last
    scores, matrices = (j - i) * c, math.prod(lead)
    count = -(-scores * matrices * itemsize // _TILE_BYTES)
    if scores * matrices >= _LEAST_SCORES:
        count = -(-count // 4) * 4
    return list(parts_of(lead, max(1, matrices // max(count, 1))))


def divides_weights(num_keys: int, v: Array) -> bool:
    """Return whether weights are divided by their sums, rather than outputs and their gradients."""
    # Both are passes with short inner loops. With 64 keys and values of 32 numbers, backward takes a ninth to an eighth
    # less time with the weights divided; with 256 keys and values of 64, the same.
    return num_keys <= 2 * int(v.shape[-1])


def in_groups(xp: Any, work: Callable[[slice], None], count: int, scores: int) -> None:
    """Let the threads of the CPU share ``count`` groups with so many scores in all."""
    if xp is np and scores >= _LEAST_SCORES:
        in_parts(work, count, 1)
    else:
        work(slice(0, count))


def parts_of(lead: tuple[int, ...], size: int) -> Iterator[tuple[slice, ...]]:
    """Yield indices that cut leading dimensions into parts of at most ``size`` matrices."""
    if not lead:
        yield ()
        return
    inner = math.prod(lead[1:])
    if inner > size:
        for i in range(lead[0]):
            for rest in parts_of(lead[1:], size):
                yield (slice(i, i + 1), *rest)
    else:
        step = size // inner
        for i in range(0, lead[0], step):
            yield (slice(i, i + step),)


def with_equal_leads(q: Array, k: Array, v: Array) -> tuple[Array, Array, Array, tuple[int, ...]]:
    """Return the three with their leading dimensions broadcast, and these."""
    lead = q.shape[:-2]
    if k.shape[:-2] == lead and v.shape[:-2] == lead:
        return q, k, v, lead
    xp = xp_of(q)
    lead = xp.broadcast_shapes(lead, k.shape[:-2], v.shape[:-2])
    q, k, v = (xp.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (q, k, v))
    return q, k, v, lead


def aligned(mask: Array | None, ndim: int) -> Array | None:
    """Return a mask with dimensions of size 1 in front, up to ``ndim``."""
    return mask if mask is None else mask.reshape((1,) * (ndim - mask.ndim) + mask.shape)


def part_of(mask: Array | None, g: tuple[slice, ...], i: int, j: int, c: int) -> Any:
    """Return the part of an aligned mask that belongs to a tile, a view."""
    if mask is None:
        return None
    index = [*g, *[slice(None)] * (mask.ndim - 2 - len(g)), slice(i, j), slice(0, c)]
    return mask[tuple(slice(None) if n == 1 else s for s, n in zip(index, mask.shape, strict=True))]


def summed_to(x: Array, shape: tuple[int, ...]) -> Array:
    """Return x summed over the dimensions where ``shape`` has size 1."""
    dims = tuple(d for d, n in enumerate(shape) if n == 1 and x.shape[d] != 1)
    return x.sum(axis=dims, keepdims=True) if dims else x

