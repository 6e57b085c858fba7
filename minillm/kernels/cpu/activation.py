"""SiLU: x times its own sigmoid, s(x) = 1 / (1 + e^-x) = (1 + tanh(x / 2)) / 2.

The derivative comes with the value: they share most of the work, and backward is one product.
"""

from __future__ import annotations

from typing import Any

from minillm.backend import Array
from minillm.kernels.cpu.tiles import value_and_slope


def silu(x: Array, with_slope: bool) -> tuple[Array, Array | None]:
    """Return x s, s = sigmoid(x) = (1 + tanh(x / 2)) / 2, and what :func:`silu_backward` needs."""

    def compute(xp: Any, x: Array, y: Array, slope: Array | None, buffers: Array) -> None:
        (half,) = buffers
        xp.multiply(x, 0.5, out=half)
        xp.tanh(half, out=y)
        if slope is None:
            y += 1
            y *= half
        else:  # s + x s (1 - s)
            halfway(xp, y, slope)
            y *= half
            times_one_minus(xp, y, slope, half)
            slope += half

    return value_and_slope(x, compute, 1, with_slope)


def slope_backward(dy: Array, slope: Array) -> Array:
    """Return dy times the derivative that came with the value."""
    return dy * slope


silu_backward = slope_backward


def halfway(xp: Any, x: Array, out: Array) -> None:
    """Write (1 + x) / 2; x, which may be ``out``, becomes 1 + x."""
    x += 1
    xp.multiply(x, 0.5, out=out)


def times_one_minus(xp: Any, y: Array, s: Array, out: Array) -> None:
    """Write y (1 - s)."""
    xp.multiply(y, s, out=out)
    xp.subtract(y, out, out=out)
