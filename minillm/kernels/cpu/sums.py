"""Sums of two arrays of one shape, as in residual connections and where gradients meet."""

from __future__ import annotations

from minillm.backend import Array, xp_of
from minillm.kernels.cpu.tiles import of_two

__all__ = ["add", "add_to"]


def add(a: Array, b: Array) -> Array:
    """Return a + b."""
    return of_two(xp_of(a).add, a, b)


def add_to(total: Array, x: Array) -> None:
    """Add x to ``total``, in its memory."""
    of_two(xp_of(total).add, total, x, total)
