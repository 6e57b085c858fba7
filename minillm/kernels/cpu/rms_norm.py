"""Root-mean-square normalisation of the rows of a matrix."""

from __future__ import annotations

from minillm.backend import Array, xp_of
from minillm.kernels.cpu.linear import column_sums


def rms_norm(x: Array, weight: Array | None, eps: float) -> tuple[Array, Array]:
    """Return (y, 1 / the root of the mean square of each row).

    Args:
        x: (rows, n).
        weight: (n,) or None.
        eps: added to the mean square.
    """
    xp = xp_of(x)
    rstd = 1 / xp.sqrt((x * x).mean(axis=1, keepdims=True) + eps)
    y = x * rstd
    if weight is not None:
        y *= weight
    return y, rstd


def rms_norm_backward(dy: Array, x: Array, weight: Array | None, rstd: Array) -> tuple[Array, Array]:
    """Return the gradients of x and weight."""
    xhat = x * rstd
    dxhat = dy if weight is None else dy * weight
    dx = dxhat - xhat * (dxhat * xhat).mean(axis=1, keepdims=True)
    dx *= rstd
    return dx, column_sums(dy * xhat)
