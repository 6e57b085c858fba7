"""The updates of SGD and Adam in one pass over all numbers.

An update of Adam in array operations reads and writes each array several times; here each number is read once and
written once, and the arithmetic hides behind that.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels import cpu
from minillm.kernels.fast.elementwise import LEAST
from minillm.kernels.fast.pool import in_parts
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["adam", "as_vectors", "sgd"]

# Numbers up to which two passes of NumPy's are as fast as a call of the loop; a dozen of Adam's never are.
_SMALL_FOR_SGD = 1 << 15


def as_vectors(param: Array, *others: Array | None) -> list[Array] | None:
    """Return views with one dimension on arrays of one dtype, shape and order; None where there are none."""
    arrays, dtype, shape, strides = [param], param.dtype, param.shape, param.strides
    if dtype.char not in "fd":
        return None
    are_vectors = strides == (dtype.itemsize,)
    for a in others:
        if a is not None:
            if (a.dtype is not dtype and a.dtype != dtype) or a.shape != shape:
                return None
            are_vectors = are_vectors and a.strides == strides
            arrays.append(a)
    if are_vectors:  # as small parameters are that lie together
        return arrays
    if all(a.flags.c_contiguous for a in arrays) or all(a.flags.f_contiguous for a in arrays):
        return [a.reshape(-1, order="A") for a in arrays]
    return None


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
    arrays = as_vectors(param, grad, momentum_buffer) if param.size > _SMALL_FOR_SGD else None
    if arrays is None:
        cpu.sgd(
            param, grad, momentum_buffer, lr=lr, momentum=momentum, dampening=dampening,
            weight_decay=weight_decay, nesterov=nesterov, maximize=maximize, first=first,
        )  # fmt: skip
        return
    p, g, *_ = arrays
    sign = -1 if maximize else 1
    if momentum_buffer is None:
        numbers = np.array([sign, weight_decay, lr], p.dtype)
        _descend_in_parts(p, g, numbers)
        return
    # Of the momentum and of the gradient: what is kept or added, and what the step takes of each.
    kept, added = (0, 1) if first else (momentum, 1 - dampening)
    of_momentum, of_grad = (lr * momentum, lr) if nesterov else (lr, 0)
    numbers = np.array([sign, weight_decay, kept, added, of_momentum, of_grad], p.dtype)
    b = arrays[2]
    _descend_with_momentum_in_parts(p, g, b, numbers)


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
    """Take a step of Adam, or of AdamW where the weight decay is ``decoupled``; see the plain form."""
    arrays = as_vectors(param, grad, exp_avg, exp_avg_sq) if max_exp_avg_sq is None else None
    if arrays is None:
        cpu.adam(
            param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq, step=step, lr=lr, beta1=beta1, beta2=beta2,
            eps=eps, weight_decay=weight_decay, decoupled=decoupled, maximize=maximize,
        )  # fmt: skip
        return
    root = math.sqrt(1 - beta2**step)
    size, eps = lr / (1 - beta1**step) * root, eps * root
    sign, penalty = -1 if maximize else 1, 0 if decoupled else weight_decay
    decay = 1 - lr * weight_decay if decoupled else 1
    p, g, m, v = arrays
    numbers = np.array([sign, penalty, 1 - beta1, beta2, 1 - beta2, size, eps, decay], p.dtype)
    _adam_in_parts(p, g, m, v, numbers)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _descend(param: Any, grad: Any, numbers: Any) -> None:
    wide_vectors()
    sign, decay, lr = numbers[0], numbers[1], numbers[2]
    if decay == 0:
        for i in range(param.size):
            param[i] -= lr * (sign * grad[i])
    else:
        for i in range(param.size):
            param[i] -= lr * (sign * grad[i] + decay * param[i])


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _descend_with_momentum(param: Any, grad: Any, buffer: Any, numbers: Any) -> None:
    wide_vectors()
    sign, decay, kept = numbers[0], numbers[1], numbers[2]
    added, of_momentum, of_grad = numbers[3], numbers[4], numbers[5]
    for i in range(param.size):
        g = sign * grad[i]
        if decay != 0:
            g += decay * param[i]
        b = added * g
        if kept != 0:
            b += kept * buffer[i]
        buffer[i] = b
        step = of_momentum * b
        if of_grad != 0:
            step += of_grad * g
        param[i] -= step


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _adam(param: Any, grad: Any, exp_avg: Any, exp_avg_sq: Any, numbers: Any) -> None:
    wide_vectors()
    sign, penalty, new, kept_square = numbers[0], numbers[1], numbers[2], numbers[3]
    new_square, size, eps, decay = numbers[4], numbers[5], numbers[6], numbers[7]
    for i in range(param.size):
        g = sign * grad[i]
        if penalty != 0:
            g += penalty * param[i]
        m = exp_avg[i] + new * (g - exp_avg[i])
        v = kept_square * exp_avg_sq[i] + new_square * (g * g)
        exp_avg[i] = m
        exp_avg_sq[i] = v
        param[i] = decay * param[i] - size * (m / (np.sqrt(v) + eps))


@njit(cache=True, nogil=True)
def _descend_in_parts(param: Any, grad: Any, numbers: Any) -> None:
    in_parts(_descend, (param, grad), (numbers,), LEAST)


@njit(cache=True, nogil=True)
def _descend_with_momentum_in_parts(param: Any, grad: Any, buffer: Any, numbers: Any) -> None:
    in_parts(_descend_with_momentum, (param, grad, buffer), (numbers,), LEAST)


@njit(cache=True, nogil=True)
def _adam_in_parts(param: Any, grad: Any, exp_avg: Any, exp_avg_sq: Any, numbers: Any) -> None:
    in_parts(_adam, (param, grad, exp_avg, exp_avg_sq), (numbers,), LEAST)
