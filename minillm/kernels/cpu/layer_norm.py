"""Layer normalisation of the rows of a matrix."""

from __future__ import annotations

from minillm.backend import Array, xp_of
from minillm.kernels.cpu.linear import column_sums


def layer_norm(
    x: Array, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """Return (y, the mean of each row, 1 / the standard deviation of each row).

    Args:
        x: (rows, n).
        weight: (n,) or None.
        bias: (n,) or None.
        eps: added to the variance.
    """
    xp = xp_of(x)
    mean = x.mean(axis=1, keepdims=True)
    y = x - mean
    rstd = 1 / xp.sqrt((y * y).mean(axis=1, keepdims=True) + eps)
    y *= rstd
    if weight is not None:
        y *= weight
    if bias is not None:
        y += bias
    return y, mean, rstd


def layer_norm_backward(
    dy: Array, x: Array, weight: Array | None, mean: Array, rstd: Array
) -> tuple[Array, Array, Array]:
    """Return the gradients of x, weight and bias."""
    xhat = (x - mean) * rstd
    dxhat = dy if weight is None else dy * weight
    dx = dxhat - dxhat.mean(axis=1, keepdims=True)
    dx -= xhat * (dxhat * xhat).mean(axis=1, keepdims=True)
    dx *= rstd
    return dx, column_sums(dy * xhat), column_sums(dy)
