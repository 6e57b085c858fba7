"""Root-mean-square normalisation of the rows of a matrix: y = x rstd w, rstd = 1 / sqrt(<x^2> + eps).

With g = dy w and the mean over a row written as <.>,

    dx = rstd g - x rstd^3 <g x>,  dw = sum of dy x rstd  (over the rows).
"""

from __future__ import annotations

from minillm.backend import Array, xp_of
from minillm.kernels.cpu.layer_norm import widened
from minillm.kernels.cpu.rows import row_dots, rows_of_tile, whole_rows
from minillm.kernels.cpu.tiles import aligned_empty, tiles


def rms_norm(x: Array, weight: Array | None, eps: float) -> tuple[Array, Array]:
    """Return (y, 1 / the root of the mean square of each row).

    Args:
        x: (rows, n).
        weight: (n,) or None.
        eps: added to the mean square.
    """
    xp = xp_of(x)
    if x.dtype.itemsize == 2:
        y, rstd = rms_norm(widened(x), widened(weight), eps)
        return y.astype(x.dtype), rstd
    rows, n = x.shape
    y, rstd = xp.empty(x.shape, x.dtype), xp.empty(rows, x.dtype)
    if not x.size:
        return y, rstd
    with whole_rows(n):
        for part in tiles(xp, rows, rows_of_tile(xp, n, rows)):
            xs, ys = x[part], y[part]
            r = rstd[part] = 1 / xp.sqrt(row_dots(xs, xs) / n + eps)
            xp.multiply(xs, r[:, None], out=ys)
            if weight is not None:
                ys *= weight
    return y, rstd


def rms_norm_backward(
    dy: Array, x: Array, weight: Array | None, rstd: Array, affine: bool
) -> tuple[Array, Array | None]:
    """Return the gradients of x and weight; the second is None unless ``affine``.

    Args:
        dy: (rows, n).
        x: (rows, n).
        weight: (n,) or None.
        rstd: (rows,), from the forward.
        affine: whether the gradient of the weight is asked for.
    """
    xp = xp_of(dy)
    if dy.dtype.itemsize == 2:
        dx, dweight = rms_norm_backward(widened(dy), widened(x), widened(weight), rstd, affine)
        return dx.astype(dy.dtype), None if dweight is None else dweight.astype(dy.dtype)
    rows, n = x.shape
    dx = xp.empty(x.shape, dy.dtype)
    dweight = xp.zeros(n, dy.dtype)
    if not x.size:
        return dx, dweight if affine else None
    factor = xp.ones(n, dy.dtype) if weight is None else weight
    step = rows_of_tile(xp, n, rows)
    buffer = aligned_empty(xp, (step, n), dy.dtype)
    with whole_rows(n):
        for part in tiles(xp, rows, step):
            xs, dys, dxs, r = x[part], dy[part], dx[part], rstd[part]
            products = buffer[: len(xs)]
            xp.multiply(dys, xs, out=products)
            if affine:
                dweight += r.dot(products)
            beta = products.dot(factor) * (r * r * r / -n)
            xp.multiply(dys, r[:, None], out=dxs)
            if weight is not None:
                dxs *= weight
            xp.multiply(xs, beta[:, None], out=products)
            dxs += products
    return dx, dweight if affine else None
