"""Cross-entropy of rows of logits with class numbers, and its gradient, a row at a time.

The formulas are those of the plain form. A row of logits is read from memory once and stays in the cache; the
gradient is written over the probabilities, so there is one array beside the logits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels import cpu
from minillm.kernels.fast.elementary import exp, from_order, order, plus
from minillm.kernels.fast.elementwise import LEAST
from minillm.kernels.fast.pool import in_parts
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["cross_entropy"]

_LOWEST = np.int32(-(2**31))
_NEARLY_SURE = np.float32(1.1)  # of the sum: the 1 of the right class in it takes the last digits of the others


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
    if x.dtype != np.float32 or not x.size or (weight is not None and weight.dtype != np.float32):
        return cpu.cross_entropy(x, target, weight, ignore_index, label_smoothing, mean, with_gradient)
    x, target = np.ascontiguousarray(x), np.ascontiguousarray(target)
    num_rows, num_classes = x.shape
    weights = np.empty(0, np.float32) if weight is None else np.ascontiguousarray(weight)
    losses, shares = np.empty(num_rows, np.float32), np.empty(num_rows, np.float32)
    gradient = np.empty(x.shape if with_gradient else (num_rows, 0), np.float32)
    total, wrong = _find_shares(target, weights, num_classes, ignore_index, shares)
    if wrong:
        raise IndexError(f"cross_entropy: a target is none of the {num_classes} classes")
    scale = np.float32(np.divide(1, total) if mean else 1)  # infinite where no row counts
    smooth = np.float32(label_smoothing / num_classes)
    total_weight = np.float32(num_classes if weight is None else weight.sum())
    numbers = ignore_index, np.float32(1 - label_smoothing), smooth, total_weight, scale
    _rows_in_parts((x, target, shares, losses, gradient), (weights, *numbers))
    return losses, shares, gradient if with_gradient else None


@njit(cache=True, nogil=True, error_model="numpy")
def _find_shares(target: Any, weights: Any, num_classes: Any, ignore_index: Any, shares: Any) -> Any:
    """Write the share of each row in the mean; return their sum, and how many targets are no class."""
    total, wrong = 0.0, 0
    for i in range(target.size):
        c = target[i]
        share = np.float32(0)
        if c != ignore_index:
            if 0 <= c < num_classes:
                share = weights[c] if weights.size else np.float32(1)
            else:
                wrong += 1
        shares[i] = share
        total += share
    return total, wrong


@njit(forceinline=True)
def _sum_of_others(x: Any, c: Any, shift: Any) -> Any:
    """Return the sum of exp(x - shift) without class c."""
    total = np.float32(0)
    for j in range(c):
        total = plus(total, exp(x[j] - shift))
    for j in range(c + 1, x.size):
        total = plus(total, exp(x[j] - shift))
    return total


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _rows(
    x: Any,
    target: Any,
    shares: Any,
    losses: Any,
    gradient: Any,
    weights: Any,
    ignore_index: Any,
    sure: Any,
    smooth: Any,
    total_weight: Any,
    scale: Any,
) -> None:
    wide_vectors()
    rows, n = x.shape
    with_gradient = gradient.size > 0
    for i in range(rows):
        c = target[i]
        if c == ignore_index:
            losses[i] = 0
            if with_gradient:
                gradient[i] = 0
            continue
        top = _LOWEST
        for j in range(n):
            top = max(top, order(x[i, j]))
        shift = from_order(top)
        total = np.float32(0)
        if with_gradient:
            for j in range(n):
                e = exp(x[i, j] - shift)
                gradient[i, j] = e
                total = plus(total, e)
        else:
            for j in range(n):
                total = plus(total, exp(x[i, j] - shift))
        if x[i, c] == shift and total < _NEARLY_SURE:
            log_total = np.log1p(_sum_of_others(x[i], c, shift))
        else:
            log_total = np.log(total)
        a = shares[i] * sure
        loss = a * (log_total - (x[i, c] - shift))
        whole = a
        if smooth > 0:
            spread = np.float32(0)
            if weights.size:
                for j in range(n):
                    spread = plus(spread, weights[j] * (x[i, j] - shift))
            else:
                for j in range(n):
                    spread = plus(spread, x[i, j] - shift)
            loss += smooth * (total_weight * log_total - spread)
            whole += smooth * total_weight
        losses[i] = loss
        if with_gradient:
            factor = whole * scale / total
            less = smooth * scale
            if smooth == 0:
                for j in range(n):
                    gradient[i, j] *= factor
            elif weights.size:
                for j in range(n):
                    gradient[i, j] = gradient[i, j] * factor - less * weights[j]
            else:
                for j in range(n):
                    gradient[i, j] = gradient[i, j] * factor - less
            gradient[i, c] -= a * scale


@njit(cache=True, nogil=True)
def _rows_in_parts(arrays: Any, others: Any) -> None:
    in_parts(_rows, arrays, others, LEAST // arrays[0].shape[1])
