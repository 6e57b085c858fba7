"""Scaled dot-product attention by tiles of queries: never more scores at a time than fit the cache.

S = scale Q K^T,  P = exp(S),  l = the row sums of P,  O = P V / l.  Backwards, with dO' = dO / l:

    dV = P^T dO',  dP = dO' V^T,  dS = P (dP - rowsum(dO' O)),  dQ = scale dS K,  dK = scale dS^T Q.

P is never divided by its row sums: dividing O and dO, which are narrower, comes to the same. The largest
score of a row is taken off only where the sums show that exp left its range without it. Keys that a tile of queries may
not see under causality are not computed at all.

Source: Dao, "FlashAttention-2", 2023, arXiv:2307.08691, equations of section 2.3, for the tiles and dS.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minillm.backend import Array, xp_of
from minillm.kernels.cpu.half_precision import in_float32

# The best of 2^18 to 2^21 bytes on a core with 1 MiB of L2; the worst takes a tenth longer.
_TILE_BYTES = 1 << 19
# Up to here the weights are kept for backward; beyond, they are computed again, which takes a tenth longer.
_SAVED_BYTES = 1 << 26
# Sums of exp up to here, and from its inverse on, are far from the ends of float32.
_LARGE = 1e13


def _set_up(kernel: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """Let infinities pass without a word, and NumPy's loops copy less of what is broadcast.

    The latter takes 3 % off attention, where rows are short and strided.
    """

    @functools.wraps(kernel)
    @np.errstate(all="ignore")
    def ready(*arguments: Any) -> tuple[Any, ...]:
        before = np.setbufsize(1024)
        try:
            return kernel(*arguments)
        finally:
            np.setbufsize(before)

    return ready


@in_float32
@_set_up
def attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    causal: bool,
    scale: float,
    kept: Array | None,
    kept_scale: float,
    save: bool,
) -> tuple[Array, tuple[Any, ...]]:
    """Return softmax(scale q k^T + mask) v, and what backward needs of it.

    Args:
        q: (..., L, E).
        k: (..., S, E).
        v: (..., S, Ev).
        mask: broadcasts to (..., L, S): False for keys that are left out, or floats that are added; or None.
        causal: let query i see the keys 0 to i alone.
        scale: of the scores.
        kept: (..., L, S), False for weights that are dropped, or None.
        kept_scale: of the weights that are not dropped.
        save: prepare for backward.

    Returns:
        (..., L, Ev), zeros for a query without any key; and the sums of the rows of P, what was taken off
        the scores (or None), and the tiles of P (or none, where they would be too large).
    """
    xp = xp_of(q)
    q, k, v, lead = _with_equal_leads(q, k, v)
    L, S = q.shape[-2], k.shape[-2]
    if L == 1 and S and q.size and kept is None and not (save or causal):
        return _one_query(q, k, v, _aligned(mask, q.ndim), scale), ()
    out = xp.empty_like(q, shape=(*lead, L, v.shape[-1]))
    sums = xp.empty((*lead, L, 1), q.dtype)
    if not S or not sums.size:
        out[...] = 0
        return out, (sums, None)
    mask = _aligned(mask, len(lead) + 2)
    tiles = _tiles(xp, L, S, causal, q.dtype)
    save = save and math.prod(lead) * sum((j - i) * c for i, j, c, _ in tiles) * q.itemsize <= _SAVED_BYTES
    ones = xp.ones((S, 1), q.dtype)
    shifts = None
    careful = False
    saved = []
    for g in _groups(lead, tiles[-1], q.itemsize):
        q_g, k_g, v_g, out_g, sums_g = q[g], k[g], v[g], out[g], sums[g]
        for i, j, c, triangle in tiles:
            tile = q_g[..., i:j, :], k_g[..., :c, :], scale, _part(mask, g, i, j, c), triangle
            sums_t = sums_g[..., i:j, :]
            if not careful:
                p = _weights(*tile)
                xp.matmul(p, ones[:c], out=sums_t)  # by BLAS: a quarter of the time of sum()
                careful = not _in_range(sums_t)
            if careful:
                p, shift = _shifted_weights(*tile)
                xp.matmul(p, ones[:c], out=sums_t)
                if shifts is None:
                    shifts = xp.zeros((*lead, L, 1), q.dtype)
                shifts[g][..., i:j, :] = shift
            if save:
                saved.append(p)
            if kept is not None:
                p = p * kept[g][..., i:j, :c]
                p *= kept_scale
            xp.matmul(p, v_g[..., :c, :], out=out_g[..., i:j, :])
        sums_g += sums_g == 0  # a query without any key
        out_g *= 1 / sums_g
    return out, (sums, shifts, *saved)


@in_float32
@_set_up
def attention_backward(
    dout: Array,
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    out: Array,
    saved: tuple[Any, ...],
    causal: bool,
    scale: float,
    kept: Array | None,
    kept_scale: float,
    with_mask: bool,
) -> tuple[Array, Array, Array, Array | None]:
    """Return the gradients of q, k, v, with leading dimensions broadcast, and, if ``with_mask``, of the mask.

    Args:
        dout: the gradient of the output.
        q: as in :func:`attention`, like the arguments not named here.
        k: likewise.
        v: likewise.
        mask: likewise.
        out: the output of :func:`attention`.
        saved: what it returned beside.
        causal: as before.
        scale: as before.
        kept: as before.
        kept_scale: as before.
        with_mask: whether the gradient of the mask is asked for.
    """
    xp = xp_of(q)
    q, k, v, lead = _with_equal_leads(q, k, v)
    L, S = q.shape[-2], k.shape[-2]
    dq, dk, dv = xp.empty_like(q), xp.empty_like(k), xp.empty_like(v)
    sums, shifts, *weights = saved
    dmask = None
    if with_mask and mask is not None:
        dmask = xp.zeros(mask.shape, q.dtype)
    if not S or not sums.size:
        dq[...], dk[...], dv[...] = 0, 0, 0
        return dq, dk, dv, dmask
    mask, dmask_aligned = _aligned(mask, len(lead) + 2), _aligned(dmask, len(lead) + 2)
    tiles = _tiles(xp, L, S, causal, q.dtype)
    scale = q.dtype.type(scale)
    done = 0
    for g in _groups(lead, tiles[-1], q.itemsize):
        q_g, k_g, v_g, dq_g = q[g], k[g], v[g], dq[g]
        dout_g = dout[g] / sums[g]
        dot = xp.einsum("...d,...d->...", dout_g, out[g])[..., None]
        # Over several tiles, dk and dv are added up in arrays without gaps: half of the time of the sums.
        dk_g, dv_g = (dk[g], dv[g]) if len(tiles) == 1 else (xp.empty(x.shape, x.dtype) for x in (k_g, v_g))
        # The last tile comes first: it sees most keys and fills the arrays that the others add to.
        for n in range(len(tiles) - 1, -1, -1):
            i, j, c, triangle = tiles[n]
            q_t, k_t, dout_t = q_g[..., i:j, :], k_g[..., :c, :], dout_g[..., i:j, :]
            if weights:
                p = weights[done + n]
            else:
                tile = q_t, k_t, scale, _part(mask, g, i, j, c), triangle
                if shifts is None:
                    p = _weights(*tile)
                else:
                    p, _ = _shifted_weights(*tile, shifts[g][..., i:j, :])
            ds = xp.matmul(dout_t, v_g[..., :c, :].mT)
            dropped = p
            if kept is not None:
                kept_t = kept[g][..., i:j, :c] * q.dtype.type(kept_scale)
                dropped = p * kept_t
                ds *= kept_t
            ds -= dot[..., i:j, :]
            ds *= p
            if dmask_aligned is not None:
                part = _part(dmask_aligned, g, i, j, c)
                part += _summed_to(ds, part.shape)
            ds *= scale
            xp.matmul(ds, k_t, out=dq_g[..., i:j, :])
            dv_t, dk_t = dv_g[..., :c, :], dk_g[..., :c, :]
            if n == len(tiles) - 1:
                xp.matmul(dropped.mT, dout_t, out=dv_t)
                xp.matmul(ds.mT, q_t, out=dk_t)
                dv_g[..., c:, :], dk_g[..., c:, :] = 0, 0
            else:
                dv_t += xp.matmul(dropped.mT, dout_t)
                dk_t += xp.matmul(ds.mT, q_t)
        if len(tiles) > 1:
            dk[g], dv[g] = dk_g, dv_g
        done += len(tiles)
    return dq, dk, dv, dmask


def _one_query(q: Array, k: Array, v: Array, mask: Array | None, scale: float) -> Array:
    """Return attention for a single query, as in generation, where each call counts: a fifth off the time."""
    p = _weights(q, k, scale, mask, None)
    sums = p.sum(axis=-1, keepdims=True)
    if not _in_range(sums):
        p, _ = _shifted_weights(q, k, scale, mask, None)
        sums = p.sum(axis=-1, keepdims=True)
        sums += sums == 0
    y: Array = xp_of(q).matmul(p, v)
    y *= 1 / sums
    return y


def _in_range(sums: Array) -> bool:
    return bool(sums.min() >= 1 / _LARGE) and bool(sums.max() <= _LARGE)


def _weights(q: Array, k: Array, scale: float, mask: Array | None, triangle: Array | None) -> Array:
    """Return exp(scale q k^T + mask) for a tile, and 0 for what may not be seen."""
    # It becomes 0 after exp: a product takes less time than a choice before.
    xp = xp_of(q)
    p = xp.matmul(q, k.mT)
    p *= q.dtype.type(scale)
    if mask is not None and mask.dtype.kind == "f":
        p += mask
    xp.exp(p, out=p)
    if triangle is not None:
        block = p if triangle.shape[-1] == p.shape[-1] else p[..., p.shape[-1] - triangle.shape[-1] :]
        block *= triangle
    if mask is not None and mask.dtype.kind == "b":
        p *= mask.astype(q.dtype)
    return p


def _shifted_weights(
    q: Array, k: Array, scale: float, mask: Array | None, triangle: Array | None, shift: Array | None = None
) -> tuple[Array, Array]:
    """Return exp(scale q k^T + mask - shift) and the shift: by default, the largest score of each row."""
    xp = xp_of(q)
    p = xp.matmul(q, k.mT)
    p *= q.dtype.type(scale)
    # What may not be seen must not count as the largest, nor overflow.
    if triangle is not None:
        block = p[..., p.shape[-1] - triangle.shape[-1] :]
        block[...] = xp.where(triangle > 0, block, -xp.inf)
    if mask is not None and mask.dtype.kind == "b":
        p = xp.where(mask, p, q.dtype.type(-xp.inf))
    elif mask is not None:
        p += mask
    if shift is None:
        shift = p.max(axis=-1, keepdims=True)
        shift = xp.where(xp.isfinite(shift), shift, 0)
    p -= shift
    xp.exp(p, out=p)
    return p, shift


def _tiles(xp: Any, L: int, S: int, causal: bool, dtype: Any) -> list[tuple[int, int, int, Array | None]]:
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


def _groups(
    lead: tuple[int, ...], last: tuple[int, int, int, Any], itemsize: int
) -> Iterator[tuple[slice, ...]]:
    """Yield the parts of the leading dimensions that are computed together, so that tiles fit the cache."""
    i, j, c, _ = last
    return _parts(lead, max(1, _TILE_BYTES // ((j - i) * c * itemsize)))


def _parts(lead: tuple[int, ...], size: int) -> Iterator[tuple[slice, ...]]:
    """Yield indices that cut leading dimensions into parts of at most ``size`` matrices."""
    if not lead:
        yield ()
        return
    inner = math.prod(lead[1:])
    if inner > size:
        for i in range(lead[0]):
            for rest in _parts(lead[1:], size):
                yield (slice(i, i + 1), *rest)
    else:
        step = size // inner
        for i in range(0, lead[0], step):
            yield (slice(i, i + step),)


def _with_equal_leads(q: Array, k: Array, v: Array) -> tuple[Array, Array, Array, tuple[int, ...]]:
    """Return the three with their leading dimensions broadcast, and these."""
    lead = q.shape[:-2]
    if k.shape[:-2] == lead and v.shape[:-2] == lead:
        return q, k, v, lead
    xp = xp_of(q)
    lead = xp.broadcast_shapes(lead, k.shape[:-2], v.shape[:-2])
    q, k, v = (xp.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (q, k, v))
    return q, k, v, lead


def _aligned(mask: Array | None, ndim: int) -> Array | None:
    """Return a mask with dimensions of size 1 in front, up to ``ndim``."""
    return mask if mask is None else mask.reshape((1,) * (ndim - mask.ndim) + mask.shape)


def _part(mask: Array | None, g: tuple[slice, ...], i: int, j: int, c: int) -> Any:
    """Return the part of an aligned mask that belongs to a tile, a view."""
    if mask is None:
        return None
    index = [*g, *[slice(None)] * (mask.ndim - 2 - len(g)), slice(i, j), slice(0, c)]
    return mask[tuple(slice(None) if n == 1 else s for s, n in zip(index, mask.shape, strict=True))]


def _summed_to(x: Array, shape: tuple[int, ...]) -> Array:
    """Return x summed over the dimensions where ``shape`` has size 1."""
    dims = tuple(d for d, n in enumerate(shape) if n == 1 and x.shape[d] != 1)
    return x.sum(axis=dims, keepdims=True) if dims else x

