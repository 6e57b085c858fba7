"""Cross-entropy of rows of logits with class numbers, and its gradient, in one pass.

    loss = a (lse - x_y) + b (s lse - sum_c w_c x_c),    lse = log sum_c exp(x_c),
    dx_c = p_c (a + b s) - a [c = y] - b w_c,             p_c = exp(x_c - lse),

where w_c is the weight of class c, a = (1 - label_smoothing) w_y, b = label_smoothing / V and s = sum_c w_c. The
gradient is written over the probabilities: besides the logits there is one array of their size, and none where no
gradient is asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minillm.backend import Array, xp_of
from minillm.kernels.cpu.rows import row_sums, rows_of_tile, whole_rows
from minillm.kernels.cpu.tiles import tiles

# exp of logits up to here, and sums and quotients of them, are far from the ends of float32.
_SAFE = 30.0


@np.errstate(all="ignore")  # infinite logits and a mean over no rows come without a word, as in PyTorch
def cross_entropy(
    x: Array,
    target: Array,
    weight: Array | None,
    ignore_index: int,
    label_smoothing: float,
    mean: bool,
    with_gradient: bool,
) -> tuple[Array, Array, Array | None]:
    """Return (the loss of each row, the share of each row in the mean, the gradient of the logits or None).

    Args:
        x: (N, V) logits.
        target: (N,) class numbers, each below V or ``ignore_index``.
        weight: (V,) of the classes, or None.
        ignore_index: the target of rows that do not count.
        label_smoothing: how much of the target is spread over all classes.
        mean: scale the gradient as that of the mean (over the weights of the targets), not of the sum.
        with_gradient: whether the gradient is asked for.
    """
    xp = xp_of(x)
    if x.dtype.itemsize == 2:
        wide = None if weight is None else weight.astype("float32")
        losses, shares, gradient = cross_entropy(
            x.astype("float32"), target, wide, ignore_index, label_smoothing, mean, with_gradient
        )
        return losses, shares, None if gradient is None else gradient.astype(x.dtype)
    num_rows, num_classes = x.shape
    counts = target != ignore_index
    all_count = xp is np and bool(counts.all())  # on a GPU, to ask would be to wait
    classes = target if all_count else xp.where(counts, target, 0)
    shares = counts.astype(x.dtype)
    if weight is not None:
        shares *= weight[classes]
    scale = 1 / shares.sum() if mean else x.dtype.type(1)
    a = shares * (1 - label_smoothing) if label_smoothing else shares
    b = counts * x.dtype.type(label_smoothing / max(num_classes, 1))
    total_weight = x.dtype.type(num_classes) if weight is None else weight.sum()
    losses = xp.empty(num_rows, x.dtype)
    gradient = xp.empty(x.shape, x.dtype) if with_gradient else None
    if not x.size:
        return losses, shares, gradient
    step = rows_of_tile(xp, num_classes, num_rows)
    buffer = None if with_gradient else xp.empty((step, num_classes), x.dtype)
    numbers = xp.arange(step)
    with whole_rows(num_classes):
        for part in tiles(xp, num_rows, step):
            xs, some, a_part, b_part = x[part], classes[part], a[part], b[part]
            p: Any = gradient[part] if gradient is not None else buffer[: len(xs)]  # type: ignore[index]
            rows = numbers[: len(xs)]
            if xp is np and xs.max() <= _SAFE and xs.min() >= -_SAFE:
                # Nothing to take off: a third less time.
                xp.exp(xs, out=p)
                sums = row_sums(p)
                lse = xp.log(sums)
                loss = a_part * xp.log(sums / p[rows, some])
            else:
                top = xs.max(axis=1)
                xp.subtract(xs, top[:, None], out=p)
                xp.exp(p, out=p)
                sums = row_sums(p)
                lse = xp.log(sums)
                loss = a_part * (lse - (xs[rows, some] - top))
                lse += top
            if label_smoothing:
                spread = row_sums(xs) if weight is None else xs.dot(weight)
                loss += b_part * (total_weight * lse - spread)
            # An ignored row of NaN does not count either.
            losses[part] = loss if all_count else xp.where(counts[part], loss, 0)
            if gradient is None:
                continue
            whole = a_part + b_part * total_weight if label_smoothing else a_part
            p *= (whole * scale / sums)[:, None]
            p[rows, some] -= a_part * scale
            if label_smoothing:
                smooth = (b_part * scale)[:, None]
                p -= smooth if weight is None else smooth * weight
            if not all_count:
                p[~counts[part]] = 0
    return losses, shares, gradient
