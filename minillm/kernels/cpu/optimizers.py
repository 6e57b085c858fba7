"""The updates of the optimizers that treat each number alike: in place, in tiles that stay in the cache.

Each function changes ``param`` and the running averages; the formula stands in the module of its optimizer.
Large arrays are walked in tiles: the dozen passes of Adam over 0.8 million numbers in one array then take
half the time, over 10 million a third (of tiles from 8 KiB to 512 KiB, 256 KiB did best; one thread).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from minillm.backend import Array, xp_of

TILE_BYTES = 256 * 1024  # of each array


def tiles(param: Array, *others: Array | None) -> Iterable[tuple[Array, ...]]:
    """Return arrays of one shape in pieces that fit into the cache together; None stays None.

    On a GPU, where each call costs more than cached memory brings, the arrays stay whole.
    """
    arrays = (param, *others)
    if param.nbytes <= TILE_BYTES or xp_of(param) is not np:
        return (arrays,)
    return _pieces(arrays)


def _pieces(arrays: tuple[Array, ...]) -> Iterable[tuple[Array, ...]]:
    if all(a is None or a.flags.c_contiguous for a in arrays):
        arrays = tuple(None if a is None else a.reshape(-1) for a in arrays)
    param = arrays[0]
    step = max(1, TILE_BYTES * len(param) // param.nbytes)
    for start in range(0, len(param), step):
        yield tuple(None if a is None else a[start : start + step] for a in arrays)


def _descent(param: Array, grad: Array, weight_decay: float, maximize: bool) -> Array:
    """Return the gradient of what is made small: of the loss or of its negative, with the L2 penalty's."""
    if weight_decay:
        decay = param * weight_decay
        if maximize:
            decay -= grad
        else:
            decay += grad
        return decay
    return -grad if maximize else grad


def sgd(
    param: Array,
    grad: Array,
    momentum_buffer: Array | None,
    *,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
    first: bool,
) -> None:
    """Take a step of gradient descent; on the ``first``, the momentum is the gradient."""
    for p, g, b in tiles(param, grad, momentum_buffer):
        g = _descent(p, g, weight_decay, maximize)
        if b is None:
            p -= g * lr
            continue
        if first:
            b[...] = g
        else:
            b *= momentum
            b += g if dampening == 0 else g * (1 - dampening)
        step = b * (lr * momentum if nesterov else lr)
        if nesterov:
            step += g * lr
        p -= step


def adam(
    param: Array,
    grad: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    max_exp_avg_sq: Array | None,
    *,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> None:
    """Take a step of Adam, or of AdamW where the weight decay is ``decoupled``.

    With r = sqrt(1 - beta2^step) taken out of the fraction, a pass over the numbers is saved:
    m / (sqrt(v) / r + eps) = r m / (sqrt(v) + r eps).
    """
    root = math.sqrt(1 - beta2**step)
    size, least = lr / (1 - beta1**step) * root, eps * root
    decay = 1 - lr * weight_decay if decoupled else 1.0
    xp = xp_of(param)
    subtract, multiply = xp.subtract, xp.multiply
    size, least = _for(param, size), _for(param, least)
    new1, old2, new2 = _kept_for(param, 1 - beta1), _kept_for(param, beta2), _kept_for(param, 1 - beta2)
    scratch = None
    for p, g, m, v, top in tiles(param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq):
        if maximize or (weight_decay and not decoupled):
            g = _descent(p, g, 0 if decoupled else weight_decay, maximize)
        # Outputs are given by position, which small arrays feel.
        a = subtract(g, m) if scratch is None else subtract(g, m, scratch[: len(g)])
        scratch = a if scratch is None else scratch
        a *= new1
        m += a
        multiply(g, g, a)
        a *= new2
        v *= old2
        v += a
        if top is not None:
            xp.maximum(top, v, out=top)
            v = top
        xp.sqrt(v, a)
        a += least
        xp.divide(m, a, a)
        a *= size
        if decay != 1.0:
            p *= decay
        p -= a


def _for(array: Array, value: Any) -> Any:
    """Return a number in the form that combines with an array fastest.

    An array without dimensions takes half the time of a Python number, which NumPy turns into one each time.
    """
    return np.array(value, array.dtype) if type(array) is np.ndarray else value


def _kept_for(array: Array, value: float) -> Any:
    return _on_host(value, array.dtype) if type(array) is np.ndarray else value


@functools.lru_cache(maxsize=64)
def _on_host(value: float, dtype: Any) -> Array:
    return np.array(value, dtype)


def nadam(
    param: Array,
    grad: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    *,
    correction2: float,
    grad_size: float,
    momentum_size: float,
    beta1: float,
    beta2: float,
    eps: float,
    lr: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> None:
    """Take a step of Adam with Nesterov's momentum: grad_size g + momentum_size m in the place of m."""
    sqrt = xp_of(param).sqrt
    for p, g, m, v in tiles(param, grad, exp_avg, exp_avg_sq):
        if decoupled and weight_decay:
            p *= 1 - lr * weight_decay
        g = _descent(p, g, 0 if decoupled else weight_decay, maximize)
        a = g - m
        a *= 1 - beta1
        m += a
        a = g * g
        a *= 1 - beta2
        v *= beta2
        v += a
        a = v / correction2
        sqrt(a, out=a)
        a += eps
        b = g * grad_size
        b += m * momentum_size
        b /= a
        p -= b


def radam(
    param: Array,
    grad: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    *,
    size: float,
    rectified: bool,
    beta1: float,
    beta2: float,
    eps: float,
    lr: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> None:
    """Take a step of ``size`` along the running average, scaled by the squares where ``rectified``."""
    sqrt = xp_of(param).sqrt
    for p, g, m, v in tiles(param, grad, exp_avg, exp_avg_sq):
        if decoupled and weight_decay:
            p *= 1 - lr * weight_decay
        g = _descent(p, g, 0 if decoupled else weight_decay, maximize)
        a = g - m
        a *= 1 - beta1
        m += a
        a = g * g
        a *= 1 - beta2
        v *= beta2
        v += a
        b = m * size
        if rectified:
            sqrt(v, out=a)
            a += eps
            b /= a
        p -= b


def rmsprop(
    param: Array,
    grad: Array,
    square_avg: Array,
    momentum_buffer: Array | None,
    grad_avg: Array | None,
    *,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    maximize: bool,
) -> None:
    """Take a step scaled by the running average of the squared gradient, about its mean with ``grad_avg``."""
    sqrt = xp_of(param).sqrt
    for p, g, v, b, mean in tiles(param, grad, square_avg, momentum_buffer, grad_avg):
        g = _descent(p, g, weight_decay, maximize)
        a = g * g
        a *= 1 - alpha
        v *= alpha
        v += a
        if mean is None:
            sqrt(v, out=a)
        else:
            a = g - mean
            a *= 1 - alpha
            mean += a
            a = mean * mean
            xp_of(v).subtract(v, a, out=a)
            sqrt(a, out=a)
        a += eps
        a = g / a
        if b is not None:
            b *= momentum
            b += a
            a = b * lr
        else:
            a *= lr
        p -= a


def adagrad(
    param: Array, grad: Array, sum: Array, *, lr: float, eps: float, weight_decay: float, maximize: bool
) -> None:
    """Take a step scaled by the sum of all squared gradients so far."""
    sqrt = xp_of(param).sqrt
    for p, g, v in tiles(param, grad, sum):
        g = _descent(p, g, weight_decay, maximize)
        v += g * g
        a = sqrt(v)
        a += eps
        a = g / a
        a *= lr
        p -= a
