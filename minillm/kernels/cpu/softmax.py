"""Softmax along a dimension: one buffer, written to in place."""

from __future__ import annotations

from minillm.backend import Array, xp_of


def _shifted(x: Array, dim: int) -> Array:
    """Return x less its largest along ``dim``, in a new buffer; a row of -inf stays so (no NaN yet)."""
    xp = xp_of(x)
    if not x.ndim or not x.shape[dim]:
        return x * 0 if not x.ndim else x.copy()
    top = x.max(axis=dim, keepdims=True)
    return xp.subtract(x, top)


def softmax(x: Array, dim: int) -> Array:
    """Return exp(x) / sum(exp(x)) along ``dim``."""
    xp = xp_of(x)
    y = _shifted(x, dim)
    if not x.ndim:
        return xp.exp(y)
    xp.exp(y, out=y)
    y /= y.sum(axis=dim, keepdims=True)
    return y


def log_softmax(x: Array, dim: int) -> Array:
    """Return x - log(sum(exp(x))) along ``dim``."""
    xp = xp_of(x)
    y = _shifted(x, dim)
    if not x.ndim:
        return y
    y -= xp.log(xp.exp(y).sum(axis=dim, keepdims=True))
    return y
