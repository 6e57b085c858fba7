"""Rotary position embedding: pairs of numbers, half a head apart, turned by the angle of their token's place.

    y_1 = x_1 cos - x_2 sin,  y_2 = x_2 cos + x_1 sin;   backwards the same with -sin.

Source: Su et al., "RoFormer", 2021, arXiv:2104.09864; the two halves of a head are paired, as in Llama.
"""

from __future__ import annotations

from minillm.backend import Array, xp_of


def rotary(x: Array, cos: Array, sin: Array) -> Array:
    """Return x turned.

    Args:
        x: (B, T, H, D).
        cos: (B or 1, T, 1, D / 2).
        sin: likewise.
    """
    half = x.shape[-1] // 2
    x1, x2 = x[..., :half], x[..., half:]
    y = xp_of(x).empty(x.shape, x.dtype)
    y1, y2 = y[..., :half], y[..., half:]
    xp_of(x).multiply(x1, cos, out=y1)
    xp_of(x).multiply(x2, cos, out=y2)
    y1 -= x2 * sin
    y2 += x1 * sin
    return y


def rotary_backward(dy: Array, cos: Array, sin: Array) -> Array:
    """Return the gradient of x, dy turned back; arguments as for :func:`rotary`."""
    return rotary(dy, cos, -sin)
