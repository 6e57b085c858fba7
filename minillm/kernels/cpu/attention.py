"""Scaled dot-product attention by tiles of queries: never more scores at a time than fit the cache.

S = scale Q K^T,  P = exp(S),  l = the row sums of P,  O = P V / l.  Backwards, with dO' = dO / l:

    dV = P^T dO',  dP = dO' V^T,  dS = P (dP - rowsum(dO' O)),  dQ = scale dS K,  dK = scale dS^T Q.

Where there are many keys, P is not divided by its row sums: dividing O and dO, which are narrower, comes to the same.
The largest score of a row is taken off only where the sums show that exp left its range without it. Keys that a tile
of queries may not see under causality are not computed at all. Groups of matrices, batch and heads, are cut over the
threads.

Source: Dao, "FlashAttention-2", 2023, arXiv:2307.08691, equations of section 2.3, for the tiles and dS.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minillm.backend import Array, xp_of
from minillm.kernels.cpu.attention_tiles import (
    aligned,
    divides_weights,
    groups_of,
    in_groups,
    part_of,
    summed_to,
    tiles_of,
    with_equal_leads,
)
from minillm.kernels.cpu.half_precision import in_float32

# Up to here the weights are kept for backward; beyond, they are computed again, which takes a tenth longer.
_SAVED_BYTES = 1 << 23
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


class _Weights:
    """What is done to a tile of scores between the products, in passes over arrays.

    Args:
        like: an array of the dtype, on the device.
        longest: the number of keys.
        scale: of the scores.
    """

    def __init__(self, like: Array, longest: int, scale: float) -> None:
        self.scale = like.dtype.type(scale)
        self.ones = xp_of(like).ones((longest, 1), like.dtype)

    def forward(self, p: Array, mask: Any, triangle: Array | None, sums: Array | None) -> Array:
        """Write exp(scale p + mask), 0 for what may not be seen, in the place of p, and the sums of its rows; return p.

        Args:
            p: (..., rows, c), products of queries and keys.
            mask: broadcasts to it, or None.
            triangle: from :func:`~minillm.kernels.cpu.attention_tiles.tiles_of`.
            sums: (..., rows, 1), to write to, or None.
        """
        # It becomes 0 after exp: a product takes less time than a choice before.
        xp = xp_of(p)
        p *= self.scale
        if mask is not None and mask.dtype.kind == "f":
            p += mask
        xp.exp(p, out=p)
        if triangle is not None:
            block = p if triangle.shape[-1] == p.shape[-1] else p[..., p.shape[-1] - triangle.shape[-1] :]
            block *= triangle
        if mask is not None and mask.dtype.kind == "b":
            p *= mask.astype(p.dtype)
        if sums is not None:
            xp.matmul(p, self.ones[: p.shape[-1]], out=sums)  # by BLAS: a quarter of the time of sum()
        return p

    def backward(self, ds: Array, p: Array, dot: Array, dmask: Any) -> None:
        """Make dP, in ``ds``, into scale dS; add dS to ``dmask`` where there is one."""
        ds -= dot
        ds *= p
        if dmask is not None:
            dmask += summed_to(ds, dmask.shape)
        ds *= self.scale


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
    q, k, v, lead = with_equal_leads(q, k, v)
    L, S = q.shape[-2], k.shape[-2]
    if L == 1 and S and q.size and kept is None and not (save or causal):
        return _one_query(q, k, v, aligned(mask, q.ndim), scale), ()
    out = xp.empty_like(q, shape=(*lead, L, v.shape[-1]))
    sums = xp.empty((*lead, L, 1), q.dtype)
    if not S or not sums.size:
        out[...] = 0
        return out, (sums, None)
    mask = aligned(mask, len(lead) + 2)
    tiles, divided = tiles_of(xp, L, S, causal, q.dtype), divides_weights(S, v)
    num_bytes = math.prod(lead) * sum((j - i) * c for i, j, c, _ in tiles) * q.itemsize
    save = save and num_bytes <= _SAVED_BYTES
    kept_scale = q.dtype.type(kept_scale)
    groups = groups_of(lead, tiles[-1], q.itemsize)
    shifts = xp.zeros((*lead, L, 1), q.dtype)
    shifted: list[bool] = []
    saved: list[Any] = [None] * (len(groups) * len(tiles))

    def work(part: slice) -> None:
        weights = _Weights(q, S, scale)
        careful = False

        def attend(number: int) -> None:
            g = groups[number]
            q_g, k_g, v_g, out_g, sums_g = q[g], k[g], v[g], out[g], sums[g]
            for n, (i, j, c, triangle) in enumerate(tiles):
                mask_t, sums_t = part_of(mask, g, i, j, c), sums_g[..., i:j, :]
                p = xp.matmul(q_g[..., i:j, :], k_g[..., :c, :].mT)
                if careful:
                    shifts[g][..., i:j, :] = _shifted_weights(p, scale, mask_t, triangle)
                    xp.matmul(p, weights.ones[:c], out=sums_t)
                    sums_t += sums_t == 0  # a query without any key
                else:
                    weights.forward(p, mask_t, triangle, sums_t)
                if divided:
                    p *= 1 / sums_t
                if save:
                    saved[number * len(tiles) + n] = p
                if kept is not None:
                    p = p * kept[g][..., i:j, :c]
                    p *= kept_scale
                xp.matmul(p, v_g[..., :c, :], out=out_g[..., i:j, :])

        for number in range(part.start, part.stop):
            out_g, sums_g = out[groups[number]], sums[groups[number]]
            if not careful:
                attend(number)
                careful = not _in_range(sums_g)
            if careful:
                attend(number)
                shifted.append(True)
            if not divided:
                out_g *= 1 / sums_g

    in_groups(xp, work, len(groups), sums.size * S)
    return out, (sums, shifts if shifted else None, *(saved if save else ()))


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
    q, k, v, lead = with_equal_leads(q, k, v)
    L, S = q.shape[-2], k.shape[-2]
    dq, dk, dv = xp.empty_like(q), xp.empty_like(k), xp.empty_like(v)
    sums, shifts, *saved_weights = saved
    dmask = None
    if with_mask and mask is not None:
        dmask = xp.zeros(mask.shape, q.dtype)
    if not S or not sums.size:
        dq[...], dk[...], dv[...] = 0, 0, 0
        return dq, dk, dv, dmask
    mask, dmask_aligned = aligned(mask, len(lead) + 2), aligned(dmask, len(lead) + 2)
    tiles, divided = tiles_of(xp, L, S, causal, q.dtype), divides_weights(S, v)
    groups = groups_of(lead, tiles[-1], q.itemsize)
    kept_scale = q.dtype.type(kept_scale)

    def work(part: slice) -> None:
        weights = _Weights(q, S, scale)
        for number in range(part.start, part.stop):
            g = groups[number]
            q_g, k_g, v_g, dq_g = q[g], k[g], v[g], dq[g]
            dout_g = dout[g] if divided else dout[g] * (1 / sums[g])
            dot = _row_dots(dout_g, out[g])
            # Over several tiles, dk and dv are added up in arrays without gaps: half of the time of the sums.
            dk_g, dv_g = (dk[g], dv[g]) if len(tiles) == 1 else (xp.empty(x[g].shape, x.dtype) for x in (k, v))
            # The last tile comes first: it sees most keys and fills the arrays that the others add to.
            for n in range(len(tiles) - 1, -1, -1):
                i, j, c, triangle = tiles[n]
                q_t, k_t, dout_t = q_g[..., i:j, :], k_g[..., :c, :], dout_g[..., i:j, :]
                if saved_weights:
                    p = saved_weights[number * len(tiles) + n]
                else:
                    p, mask_t = xp.matmul(q_t, k_t.mT), part_of(mask, g, i, j, c)
                    if shifts is None:
                        weights.forward(p, mask_t, triangle, None)
                    else:
                        _shifted_weights(p, scale, mask_t, triangle, shifts[g][..., i:j, :])
                    if divided:
                        p *= 1 / sums[g][..., i:j, :]
                ds = xp.matmul(dout_t, v_g[..., :c, :].mT)
                dropped = p
                if kept is not None:
                    kept_t = kept[g][..., i:j, :c] * kept_scale
                    dropped = p * kept_t
                    ds *= kept_t
                dmask_t = None if dmask_aligned is None else part_of(dmask_aligned, g, i, j, c)
                weights.backward(ds, p, dot[..., i:j, :], dmask_t)
                xp.matmul(ds, k_t, out=dq_g[..., i:j, :])
                dv_t, dk_t = dv_g[..., :c, :], dk_g[..., :c, :]
                if n == len(tiles) - 1:
                    xp.matmul(dropped.mT, dout_t, out=dv_t)
                    xp.matmul(ds.mT, q_t, out=dk_t)
                    if c < S:
                        dv_g[..., c:, :], dk_g[..., c:, :] = 0, 0
                else:
                    dv_t += xp.matmul(dropped.mT, dout_t)
                    dk_t += xp.matmul(ds.mT, q_t)
            if len(tiles) > 1:
                dk[g], dv[g] = dk_g, dv_g

    if dmask is None:
        in_groups(xp, work, len(groups), sums.size * S)
    else:  # several groups may add to the same place of its gradient
        work(slice(0, len(groups)))
    return dq, dk, dv, dmask


def _one_query(q: Array, k: Array, v: Array, mask: Array | None, scale: float) -> Array:
    """Return attention for a single query, as in generation, where each call counts: a fifth off the time."""
    p = xp_of(q).matmul(q, k.mT)
    p *= q.dtype.type(scale)
    if mask is not None and mask.dtype.kind == "f":
        p += mask
    xp_of(q).exp(p, out=p)
    if mask is not None and mask.dtype.kind == "b":
        p *= mask.astype(q.dtype)
    sums = p.sum(axis=-1, keepdims=True)
    if not _in_range(sums):
        p = xp_of(q).matmul(q, k.mT)
        _shifted_weights(p, scale, mask, None)
        sums = p.sum(axis=-1, keepdims=True)
        sums += sums == 0
    y: Array = xp_of(q).matmul(p, v)
    y *= 1 / sums
    return y


def _in_range(sums: Array) -> bool:
    return bool(sums.min() >= 1 / _LARGE) and bool(sums.max() <= _LARGE)


def _row_dots(x: Array, y: Array) -> Array:
    """Return the product of each row of x with that of y, as (..., 1)."""
    if type(x) is np.ndarray:  # two thirds of the time
        return np.vecdot(x, y)[..., None]
    return xp_of(x).einsum("...d,...d->...", x, y)[..., None]


def _shifted_weights(
    p: Array, scale: float, mask: Array | None, triangle: Array | None, shift: Array | None = None
) -> Array:
    """Write exp(scale p + mask - shift) over p, and return the shift: by default, the largest score of each row."""
    xp = xp_of(p)
    p *= p.dtype.type(scale)
    # What may not be seen must not count as the largest, nor overflow.
    if triangle is not None:
        block = p[..., p.shape[-1] - triangle.shape[-1] :]
        block[...] = xp.where(triangle > 0, block, -xp.inf)
    if mask is not None and mask.dtype.kind == "b":
        p[...] = xp.where(mask, p, -xp.inf)
    elif mask is not None:
        p += mask
    if shift is None:
        shift = p.max(axis=-1, keepdims=True)
        shift = xp.where(xp.isfinite(shift), shift, 0)
    p -= shift
    xp.exp(p, out=p)
    return shift
