"""Sums of two arrays of one shape, as in residual connections and where gradients meet."""

from __future__ import annotations

from minillm.backend import Array

__all__ = ["add", "add_to"]


def add(a: Array, b: Array) -> Array:
    """Return a + b."""
    return a + b


def add_to(total: Array, x: Array) -> None:
    """Add x to ``total``, in its memory."""
    total += x
