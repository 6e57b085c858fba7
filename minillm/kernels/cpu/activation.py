"""SiLU: x times its own sigmoid."""

from __future__ import annotations

from minillm.backend import Array, xp_of


def silu(x: Array) -> Array:
    """Return x sigmoid(x)."""
    half = x * 0.5
    return half * (1 + xp_of(x).tanh(half))


def silu_backward(dy: Array, x: Array) -> Array:
    """Return dy times the derivative of silu at x."""
    s = 0.5 + 0.5 * xp_of(x).tanh(x * 0.5)
    return dy * (s * (1 + x * (1 - s)))
