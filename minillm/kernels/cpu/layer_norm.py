"""Layer normalisation of the rows of a matrix: y = (x - mean) rstd w + b, rstd = 1 / sqrt(var + eps).

With g = dy w, the mean over a row written as <.>, and xhat = (x - mean) rstd,

    dx = rstd (g - <g> - xhat <g xhat>),  dw = sum of dy xhat,  db = sum of dy  (over the rows).

All sums are products with vectors, which BLAS does at the speed of memory. xhat is not formed: dx is
rstd g + beta x + alpha with two numbers a row, and the sums with xhat follow from those with x, as in
PyTorch's own CPU kernel.
"""

from __future__ import annotations

from typing import Any

from minillm.backend import Array, xp_of
from minillm.kernels.cpu.rows import ones_for, row_dots, row_sums, rows_of_tile, whole_rows
from minillm.kernels.cpu.tiles import aligned_empty, tiles


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
    if x.dtype.itemsize == 2:
        y, mean, rstd = layer_norm(widened(x), widened(weight), widened(bias), eps)
        return y.astype(x.dtype), mean, rstd
    rows, n = x.shape
    y, mean, rstd = xp.empty(x.shape, x.dtype), xp.empty(rows, x.dtype), xp.empty(rows, x.dtype)
    if not x.size:
        return y, mean, rstd
    with whole_rows(n):
        for part in tiles(xp, rows, rows_of_tile(xp, n, rows)):
            xs, ys = x[part], y[part]
            m = mean[part] = row_sums(xs) / n
            xp.subtract(xs, m[:, None], out=ys)
            r = rstd[part] = 1 / xp.sqrt(row_dots(ys, ys) / n + eps)
            ys *= r[:, None]
            if weight is not None:
                ys *= weight
            if bias is not None:
                ys += bias
    return y, mean, rstd


def layer_norm_backward(
    dy: Array, x: Array, weight: Array | None, mean: Array, rstd: Array, affine: bool
) -> tuple[Array, Array | None, Array | None]:
    """Return the gradients of x, weight and bias; the last two are None unless ``affine``.

    Args:
        dy: (rows, n).
        x: (rows, n).
        weight: (n,) or None.
        mean: (rows,), from the forward.
        rstd: (rows,), from the forward.
        affine: whether the gradients of weight and bias are asked for.
    """
    xp = xp_of(dy)
    if dy.dtype.itemsize == 2:
        wide = layer_norm_backward(widened(dy), widened(x), widened(weight), mean, rstd, affine)
        dx, dweight, dbias = (None if g is None else g.astype(dy.dtype) for g in wide)
        return dx, dweight, dbias
    rows, n = x.shape
    dx = xp.empty(x.shape, dy.dtype)
    sums = xp.zeros((3, n), dy.dtype)  # over the rows: of dy, of dy mean rstd, of dy x rstd
    if not x.size:
        return dx, sums[2] if affine else None, sums[0] if affine else None
    factor = ones_for(x, n) if weight is None else weight
    step = rows_of_tile(xp, n, rows)
    buffer = aligned_empty(xp, (step, n), dy.dtype)
    of_dy = xp.ones((2, rows), dy.dtype)
    xp.multiply(mean, rstd, out=of_dy[1])
    with whole_rows(n):
        for part in tiles(xp, rows, step):
            xs, dys, dxs, r, m = x[part], dy[part], dx[part], rstd[part], mean[part]
            products = buffer[: len(xs)]
            xp.multiply(dys, xs, out=products)
            if affine:
                sums[:2] += of_dy[:, part].dot(dys)
                sums[2] += r.dot(products)
            g = dys.dot(factor)
            beta = (m * g - products.dot(factor)) * (r * r * r / n)
            alpha = -m * beta - g * r / n
            xp.multiply(dys, r[:, None], out=dxs)
            if weight is not None:
                dxs *= weight
            xp.multiply(xs, beta[:, None], out=products)
            dxs += products
            dxs += alpha[:, None]
    return dx, sums[2] - sums[1] if affine else None, sums[0] if affine else None


def widened(x: Array | None) -> Any:
    """Return x in float32: float16 is too coarse to add up in."""
    return None if x is None else x.astype("float32")
