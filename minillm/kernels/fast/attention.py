"""Attention by tiles of queries, one matrix of them after the other, in machine code; each thread has its matrices.

The formulas are those of the plain form. What stands between the products of a tile is done while the tile is in the
cache, and scores that causality hides are not looked at. The largest score of a row is always taken off: here that
costs little, and no row has to be computed again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels import cpu
from minillm.kernels.cpu.attention_tiles import aligned, summed_to, with_equal_leads
from minillm.kernels.cpu.thirds import empty_thirds
from minillm.kernels.fast.elementary import exp, from_order, order, plus
from minillm.kernels.fast.pool import in_ranges
from minillm.kernels.fast.products import LEAST_PRODUCT, multiply_here
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["attention", "attention_backward"]

_SAVED_BYTES = 1 << 26  # up to here the weights are kept for backward; beyond, they are computed again
_LOWEST = np.int32(-(2**31))
_NO_SCORES = np.empty((0, 0, 0, 0), np.float32)
_ALL = np.empty((0, 0, 0, 0), np.uint8)
_NOTHING = np.empty((0, 0), np.float32)
_f = np.float32


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
) -> Any:
    """See the plain form."""
    if not _fits(q, k, v, scale) or (q.shape[-2] == 1 and not save):
        return cpu.attention(q, k, v, mask, causal, scale, kept, kept_scale, save)
    queries, keys, values, lead = _matrices(q, k, v)
    B, H, L, _ = queries.shape
    S = keys.shape[2]
    out = np.empty_like(queries, shape=(B, H, L, values.shape[3]))
    sums, shifts = np.empty((B * H, L), np.float32), np.empty((B * H, L), np.float32)
    rows = _rows(L, S, causal)
    size = _size(L, S, rows, causal)
    weights = np.empty((B * H, size), np.float32) if save and 4 * B * H * size <= _SAVED_BYTES else _NOTHING
    added, which = _added(mask, (B, H, L, S)), _which(kept, (B, H, L, S))
    _forward_all(
        queries, keys, values, added, which, _f(kept_scale), causal, _f(scale), rows, out, sums, shifts, weights
    )  # fmt: skip
    saved = (sums, shifts, weights) if weights.size else (sums, shifts)
    return out.reshape(*lead, *out.shape[2:]), saved


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
) -> Any:
    """See the plain form."""
    if not _fits(q, k, v, scale):
        return cpu.attention_backward(
            dout, q, k, v, mask, out, saved, causal, scale, kept, kept_scale, with_mask
        )  # fmt: skip
    queries, keys, values, lead = _matrices(q, k, v)
    sums, shifts, weights = saved if len(saved) == 3 else (*saved, _NOTHING)
    B, H, L, _ = queries.shape
    S = keys.shape[2]
    results, gradient = (_in_order(a.reshape(B, H, *a.shape[-2:])) for a in (out, dout))
    dq, dk, dv = (_in_order(a) for a in empty_thirds(queries, keys, values))  # not where all heads share a key
    dscores = np.zeros((B, H, L, S), np.float32) if with_mask and mask is not None else _NO_SCORES
    added, which = _added(mask, (B, H, L, S)), _which(kept, (B, H, L, S))
    _backward_all(
        gradient, queries, keys, values, added, results, sums, shifts, weights, which, _f(kept_scale), causal,
        _f(scale), _rows(L, S, causal), dq, dk, dv, dscores,
    )  # fmt: skip
    dmask = None
    if with_mask and mask is not None:
        full = aligned(mask, len(lead) + 2)
        assert full is not None
        dmask = summed_to(dscores.reshape(*lead, L, S), full.shape).reshape(mask.shape)
    return (*(a.reshape(*lead, *a.shape[2:]) for a in (dq, dk, dv)), dmask)


def _fits(q: Array, k: Array, v: Array, scale: float) -> bool:
    """Return whether the compiled form covers these; forward and backward have to come to the same."""
    arrays = (q, k, v)
    return scale > 0 and max(a.ndim for a in arrays) <= 4 and all(a.dtype == np.float32 and a.size for a in arrays)


def _matrices(q: Array, k: Array, v: Array) -> tuple[Array, Array, Array, tuple[int, ...]]:
    """Return the three as (B, H, rows, columns) with rows in order, and the leading dimensions that they stand for."""
    q, k, v, lead = with_equal_leads(q, k, v)
    fill = (1,) * (2 - len(lead))
    queries, keys, values = (_in_order(a.reshape(*fill, *a.shape)) for a in (q, k, v))
    return queries, keys, values, lead


def _in_order(a: Array) -> Array:
    """Return an array whose rows a product reads as they lie: numbers side by side, rows one after the other."""
    step = a.strides[2]
    return a if a.strides[3] == 4 and step % 4 == 0 and step >= 4 * a.shape[3] else np.ascontiguousarray(a)


def _added(mask: Array | None, shape: tuple[int, ...]) -> Array:
    """Return what is added to the scores: (B, H, L, S), which repeats what broadcasts, or (B, H, L, 0) for nothing."""
    if mask is None:
        return np.empty((*shape[:3], 0), np.float32)
    if mask.dtype.kind == "b":
        mask = np.where(mask, _f(0), _f(-np.inf))
    lead = mask.shape[:-2]
    mask = mask.reshape((1,) * max(2 - len(lead), 0) + mask.shape if mask.ndim > 1 else (1, 1, 1, *mask.shape))
    return np.broadcast_to(mask.astype(np.float32, copy=False), shape)


def _which(kept: Array | None, shape: tuple[int, ...]) -> Array:
    """Return 1 for each weight that dropout keeps and 0 for the others, (B, H, L, S)."""
    return _ALL if kept is None else np.broadcast_to(kept.view(np.uint8), shape).reshape(shape)


def _rows(L: int, S: int, causal: bool) -> int:
    """Return how many queries make a tile; see the plain form."""
    if causal:
        return min(L, 128 if 256 < S <= 1024 else 64)
    return min(L, max(64, (1 << 18) // S))


def _size(L: int, S: int, rows: int, causal: bool) -> int:
    """Return how many weights the tiles of a matrix hold."""
    bounds = [(i, min(i + rows, L)) for i in range(0, L, rows)]
    return sum((j - i) * (min(j, S) if causal else S) for i, j in bounds)


@njit(cache=True, nogil=True)
def _forward_all(
    q: Any, k: Any, v: Any, added: Any, kept: Any, kept_scale: Any, causal: bool, scale: Any, rows: int,
    out: Any, sums: Any, shifts: Any, weights: Any,
) -> None:  # fmt: skip
    count = q.shape[0] * q.shape[1]
    work = q.shape[2] * k.shape[2] * (q.shape[3] + v.shape[3])
    arguments = q, k, v, added, kept, kept_scale, causal, scale, rows, out, sums, shifts, weights
    in_ranges(_forward, arguments, count, LEAST_PRODUCT // work + 1)


@njit(cache=True, nogil=True)
def _forward(
    part: int, begin: int, end: int, q: Any, k: Any, v: Any, added: Any, kept: Any, kept_scale: Any, causal: bool,
    scale: Any, rows: int, out: Any, sums: Any, shifts: Any, weights: Any,
) -> None:  # fmt: skip
    H, L, S = q.shape[1], q.shape[2], k.shape[2]
    scratch = np.empty(rows * S, np.float32)
    dropped = np.empty(rows * S if kept.size else 0, np.float32)
    for m in range(begin, end):
        b, h = m // H, m % H
        at = 0
        for i in range(0, L, rows):
            j = min(i + rows, L)
            c = min(j, S) if causal else S
            size = (j - i) * c
            flat = weights[m, at : at + size] if weights.size else scratch[:size]
            at += size
            p = flat.reshape(j - i, c)
            multiply_here(q[b, h, i:j], k[b, h, :c].T, p, False)
            mask = added[b, h, i:j, :c]
            _weigh(p, mask, scale, i + 1 if causal else c, sums[m, i:j], shifts[m, i:j])
            if kept.size:
                less = dropped[:size].reshape(j - i, c)
                _drop(p, kept[b, h, i:j, :c], kept_scale, less)
                multiply_here(less, v[b, h, :c], out[b, h, i:j], False)
            else:
                multiply_here(p, v[b, h, :c], out[b, h, i:j], False)
            _divide(out[b, h, i:j], sums[m, i:j], out[b, h, i:j])


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _weigh(p: Any, mask: Any, scale: Any, limit: int, sums: Any, shifts: Any) -> None:
    """Make scores into exp(scale p + mask - shift), and write the sum of each row (1 for one of zeros) and its shift.

    ``limit`` is the number of keys that the first row sees; each row sees one more than that before it.
    """
    wide_vectors()
    for i in range(len(p)):
        row = p[i]
        seen = row[: min(row.size, limit + i)]
        top = _LOWEST
        if mask.size:
            added = mask[i]
            for j in range(seen.size):
                s = seen[j] * scale + added[j]
                seen[j] = s
                top = max(top, order(s))
            shift = from_order(top)
        else:
            for j in range(seen.size):
                top = max(top, order(seen[j]))
            shift = from_order(top) * scale
        if shift == -np.inf:  # no key may be seen
            row[:] = _f(0)
            sums[i], shifts[i] = _f(1), _f(0)
            continue
        shifts[i] = shift
        sums[i] = _exponentials(seen, _f(1) if mask.size else scale, shift)
        row[seen.size :] = _f(0)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _exponentials(row: Any, scale: Any, shift: Any) -> Any:
    wide_vectors()
    total = _f(0)
    for j in range(row.size):
        e = exp(row[j] * scale - shift)
        row[j] = e
        total = plus(total, e)
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _drop(p: Any, kept: Any, kept_scale: Any, out: Any) -> None:
    for i in range(len(p)):
        row, which, to = p[i], kept[i], out[i]
        for j in range(row.size):
            to[j] = row[j] * kept_scale if which[j] else _f(0)


@njit(cache=True, nogil=True, error_model="numpy")
def _divide(x: Any, sums: Any, out: Any) -> None:
    """Write the rows of x divided by their sums."""
    wide_vectors()
    for i in range(len(x)):
        row, to, share = x[i], out[i], _f(1) / sums[i]
        for j in range(row.size):
            to[j] = row[j] * share


@njit(cache=True, nogil=True)
def _backward_all(
    dout: Any, q: Any, k: Any, v: Any, added: Any, out: Any, sums: Any, shifts: Any, weights: Any, kept: Any,
    kept_scale: Any, causal: bool, scale: Any, rows: int, dq: Any, dk: Any, dv: Any, dscores: Any,
) -> None:  # fmt: skip
    count = q.shape[0] * q.shape[1]
    work = q.shape[2] * k.shape[2] * (q.shape[3] + v.shape[3])
    arguments = (
        dout, q, k, v, added, out, sums, shifts, weights, kept, kept_scale, causal, scale, rows, dq, dk, dv, dscores
    )  # fmt: skip
    in_ranges(_backward, arguments, count, LEAST_PRODUCT // work + 1)


@njit(cache=True, nogil=True)
def _backward(
    part: int, begin: int, end: int, dout: Any, q: Any, k: Any, v: Any, added: Any, out: Any, sums: Any, shifts: Any,
    weights: Any, kept: Any, kept_scale: Any, causal: bool, scale: Any, rows: int, dq: Any, dk: Any, dv: Any,
    dscores: Any,
) -> None:  # fmt: skip
    H, L, S = q.shape[1], q.shape[2], k.shape[2]
    scratch = np.empty(rows * S, np.float32)
    slopes = np.empty(rows * S, np.float32)
    dropped = np.empty(rows * S if kept.size else 0, np.float32)
    scaled = np.empty((rows, v.shape[3]), np.float32)
    dots = np.empty(rows, np.float32)
    for m in range(begin, end):
        b, h = m // H, m % H
        at = weights.shape[1]
        last = (L - 1) // rows * rows
        for i in range(last, -1, -rows):  # from the tile that sees most, which begins the sums
            j = min(i + rows, L)
            c = min(j, S) if causal else S
            size = (j - i) * c
            mask = added[b, h, i:j, :c]
            limit = i + 1 if causal else c
            keys, values = k[b, h, :c], v[b, h, :c]
            if weights.size:
                at -= size
                p = weights[m, at : at + size].reshape(j - i, c)
            else:
                p = scratch[:size].reshape(j - i, c)
                multiply_here(q[b, h, i:j], keys.T, p, False)
                _weigh_again(p, mask, scale, limit, shifts[m, i:j])
            dout_t = scaled[: j - i]
            _divide(dout[b, h, i:j], sums[m, i:j], dout_t)
            _multiply_rows(dout_t, out[b, h, i:j], dots)
            ds = slopes[:size].reshape(j - i, c)
            multiply_here(dout_t, values.T, ds, False)
            begun = i != last
            if kept.size:
                less = dropped[:size].reshape(j - i, c)
                _drop(p, kept[b, h, i:j, :c], kept_scale, less)
                _drop(ds, kept[b, h, i:j, :c], kept_scale, ds)
                multiply_here(less.T, dout_t, dv[b, h, :c], begun)
            else:
                multiply_here(p.T, dout_t, dv[b, h, :c], begun)
            _slopes(ds, p, dots, limit)
            if dscores.size:
                _copy(ds, dscores[b, h, i:j, :c])
            _scale(slopes[:size], scale)
            multiply_here(ds, keys, dq[b, h, i:j], False)
            multiply_here(ds.T, q[b, h, i:j], dk[b, h, :c], begun)
            if i == last:
                dk[b, h, c:] = _f(0)
                dv[b, h, c:] = _f(0)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _weigh_again(p: Any, mask: Any, scale: Any, limit: int, shifts: Any) -> None:
    """Make scores into the weights that they were made into before."""
    wide_vectors()
    for i in range(len(p)):
        row, shift = p[i], shifts[i]
        seen = row[: min(row.size, limit + i)]
        if mask.size:
            added = mask[i]
            for j in range(seen.size):
                seen[j] = exp(seen[j] * scale + added[j] - shift)
        else:
            for j in range(seen.size):
                seen[j] = exp(seen[j] * scale - shift)
        row[seen.size :] = _f(0)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _multiply_rows(x: Any, y: Any, dots: Any) -> None:
    """Write the product of each row of x with that of y."""
    wide_vectors()
    for i in range(len(x)):
        a, b, total = x[i], y[i], _f(0)
        for j in range(a.size):
            total = plus(total, a[j] * b[j])
        dots[i] = total


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _slopes(ds: Any, p: Any, dots: Any, limit: int) -> None:
    """Make dP into dS = P (dP - dot), 0 for what may not be seen."""
    wide_vectors()
    for i in range(len(ds)):
        row, weights, dot = ds[i], p[i], dots[i]
        seen = row[: min(row.size, limit + i)]
        for j in range(seen.size):
            seen[j] = (seen[j] - dot) * weights[j]
        row[seen.size :] = _f(0)


@njit(cache=True, nogil=True, error_model="numpy")
def _copy(x: Any, out: Any) -> None:
    for i in range(len(x)):  # out[...] = x brings the text of its errors with it, which takes a second to compile
        for j in range(x.shape[1]):
            out[i, j] = x[i, j]


@njit(cache=True, nogil=True, error_model="numpy")
def _scale(x: Any, scale: Any) -> None:
    wide_vectors()
    for i in range(x.size):
        x[i] *= scale
