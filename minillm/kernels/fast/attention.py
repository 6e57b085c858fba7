"""Attention by tiles of queries: the plain form, with what is done to a tile between the products in one loop each way.

A score is scaled, goes through exp and is added up while it is in a register, and scores that causality hides are
not looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels.cpu.attention import Weights as PlainWeights
from minillm.kernels.cpu.attention import backward, forward
from minillm.kernels.fast.elementary import exp, plus
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["attention", "attention_backward"]


class Weights(PlainWeights):
    """The compiled form of the plain set's ``Weights``; masks that differ by query, it leaves to that."""

    saved_bytes = 1 << 26  # more than in the plain set, whose GELU and SiLU keep their derivatives

    def forward(self, p: Array, mask: Any, triangle: Array | None, sums: Array | None, first: int) -> Array:
        """Write exp(scale p + mask), 0 for what may not be seen, in the place of p, and the sums of its rows."""
        rows, c = p.shape[-2:]
        if mask is not None and mask.shape[-2] != 1:
            return super().forward(p, mask, triangle, sums, first)
        matrices = p.reshape(-1, rows, c)
        if mask is None:
            added = np.empty((0, 0), np.float32)
        else:
            if mask.dtype.kind == "b":
                mask = np.where(mask, np.float32(0), np.float32(-np.inf))
            added = np.broadcast_to(mask, (*p.shape[:-2], 1, c)).reshape(-1, c)
        totals = np.empty((len(matrices), rows), np.float32)
        _forward(matrices, self.scale, added, c if triangle is None else first + 1, totals)
        if sums is not None:
            sums[...] = totals.reshape(sums.shape)
        return p

    def backward(
        self, ds: Array, p: Array, dot: Array, triangle: Array | None, first: int, dmask: Any
    ) -> None:
        """Make dP, in ``ds``, into scale dS; add dS to ``dmask`` where there is one."""
        if dmask is not None:
            super().backward(ds, p, dot, triangle, first, dmask)
            return
        rows, c = ds.shape[-2:]
        matrices, limit = ds.reshape(-1, rows, c), c if triangle is None else first + 1
        _backward(matrices, p.reshape(-1, rows, c), dot.reshape(-1, rows), self.scale, limit)


def attention(q: Array, *arguments: Any) -> Any:
    """See the plain form."""
    return forward(q, *arguments, Weights if q.dtype == np.float32 else PlainWeights)


def attention_backward(dout: Array, *arguments: Any) -> Any:
    """See the plain form."""
    return backward(dout, *arguments, Weights if dout.dtype == np.float32 else PlainWeights)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _forward(p: Any, scale: Any, added: Any, limit: Any, sums: Any) -> None:
    """``limit`` is the number of keys that the first row sees; each row sees one more than that before it."""
    wide_vectors()
    matrices, rows, c = p.shape
    zero = np.float32(0)
    for m in range(matrices):
        for i in range(rows):
            row = p[m, i]
            seen = row[: min(c, limit + i)]
            total = zero
            if added.size:
                mask = added[m]
                for j in range(seen.size):
                    e = exp(seen[j] * scale + mask[j])
                    seen[j] = e
                    total = plus(total, e)
            else:
                for j in range(seen.size):
                    e = exp(seen[j] * scale)
                    seen[j] = e
                    total = plus(total, e)
            row[seen.size :] = zero
            sums[m, i] = total


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _backward(ds: Any, p: Any, dot: Any, scale: Any, limit: Any) -> None:
    wide_vectors()
    matrices, rows, c = p.shape
    for m in range(matrices):
        for i in range(rows):
            row, weights, less = ds[m, i], p[m, i], dot[m, i]
            seen = row[: min(c, limit + i)]
            for j in range(seen.size):
                seen[j] = (seen[j] - less) * weights[j] * scale
            row[seen.size :] = np.float32(0)
