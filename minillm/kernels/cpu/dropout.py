"""Dropout: some elements become zero, the others grow by the same factor."""

from __future__ import annotations

from minillm.backend import Array, xp_of


def dropout(x: Array, keep: Array, scale: float) -> Array:
    """Return x * scale where ``keep`` is true, else zero."""
    y: Array = xp_of(x).multiply(x, keep)
    y *= scale
    return y
