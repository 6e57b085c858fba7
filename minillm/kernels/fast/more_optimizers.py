"""The updates of NAdam, RAdam, RMSprop and Adagrad in one pass over all numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels import cpu
from minillm.kernels.fast.elementwise import LEAST
from minillm.kernels.fast.optimizers import as_vectors
from minillm.kernels.fast.pool import in_parts
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["adagrad", "nadam", "radam", "rmsprop"]

_SMALL = 1 << 13  # numbers up to which NumPy's passes are as fast as a call of the loop


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
    arrays = as_vectors(param, grad, exp_avg, exp_avg_sq) if param.size > _SMALL else None
    if arrays is None:
        cpu.nadam(
            param, grad, exp_avg, exp_avg_sq, correction2=correction2, grad_size=grad_size,
            momentum_size=momentum_size, beta1=beta1, beta2=beta2, eps=eps, lr=lr, weight_decay=weight_decay,
            decoupled=decoupled, maximize=maximize,
        )  # fmt: skip
        return
    p, g, m, v = arrays
    decays = _decays(lr, weight_decay, decoupled)
    sizes = 1 - beta1, beta2, 1 - beta2, 1 / correction2, eps, grad_size, momentum_size
    numbers = np.array([-1 if maximize else 1, *decays, *sizes], p.dtype)
    _nadam_in_parts(p, g, m, v, numbers)


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
    arrays = as_vectors(param, grad, exp_avg, exp_avg_sq) if param.size > _SMALL else None
    if arrays is None:
        cpu.radam(
            param, grad, exp_avg, exp_avg_sq, size=size, rectified=rectified, beta1=beta1, beta2=beta2, eps=eps,
            lr=lr, weight_decay=weight_decay, decoupled=decoupled, maximize=maximize,
        )  # fmt: skip
        return
    p, g, m, v = arrays
    decays = _decays(lr, weight_decay, decoupled)
    numbers = np.array([-1 if maximize else 1, *decays, 1 - beta1, beta2, 1 - beta2, eps, size], p.dtype)
    _radam_in_parts(p, g, m, v, numbers, rectified)


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
    """Take a step scaled by the running average of the squared gradient; the plain form with other averages."""
    arrays = None
    if param.size > _SMALL and momentum_buffer is None and grad_avg is None:
        arrays = as_vectors(param, grad, square_avg)
    if arrays is None:
        cpu.rmsprop(
            param, grad, square_avg, momentum_buffer, grad_avg, lr=lr, alpha=alpha, eps=eps,
            weight_decay=weight_decay, momentum=momentum, maximize=maximize,
        )  # fmt: skip
        return
    p, g, v = arrays
    numbers = np.array([-1 if maximize else 1, weight_decay, alpha, 1 - alpha, lr, eps], p.dtype)
    _by_squares_in_parts(p, g, v, numbers)


def adagrad(
    param: Array, grad: Array, sum: Array, *, lr: float, eps: float, weight_decay: float, maximize: bool
) -> None:
    """Take a step scaled by the sum of all squared gradients so far."""
    arrays = as_vectors(param, grad, sum) if param.size > _SMALL else None
    if arrays is None:
        cpu.adagrad(param, grad, sum, lr=lr, eps=eps, weight_decay=weight_decay, maximize=maximize)
        return
    p, g, v = arrays
    numbers = np.array([-1 if maximize else 1, weight_decay, 1, 1, lr, eps], p.dtype)
    _by_squares_in_parts(p, g, v, numbers)


def _decays(lr: float, weight_decay: float, decoupled: bool) -> tuple[float, float]:
    """Return the L2 penalty, and what is kept of a parameter."""
    return (0.0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1.0)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _nadam(param: Any, grad: Any, exp_avg: Any, exp_avg_sq: Any, numbers: Any) -> None:
    wide_vectors()
    sign, penalty, kept, new, kept_square = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    new_square, correction, eps, of_grad, of_momentum = numbers[5], numbers[6], numbers[7], numbers[8], numbers[9]
    for i in range(param.size):
        p = kept * param[i]
        g = sign * grad[i]
        if penalty != 0:
            g += penalty * p
        m = exp_avg[i] + new * (g - exp_avg[i])
        v = kept_square * exp_avg_sq[i] + new_square * (g * g)
        exp_avg[i] = m
        exp_avg_sq[i] = v
        param[i] = p - (of_grad * g + of_momentum * m) / (np.sqrt(v * correction) + eps)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _radam(param: Any, grad: Any, exp_avg: Any, exp_avg_sq: Any, numbers: Any, rectified: Any) -> None:
    wide_vectors()
    sign, penalty, kept, new, kept_square = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    new_square, eps, size = numbers[5], numbers[6], numbers[7]
    for i in range(param.size):
        p = kept * param[i]
        g = sign * grad[i]
        if penalty != 0:
            g += penalty * p
        m = exp_avg[i] + new * (g - exp_avg[i])
        v = kept_square * exp_avg_sq[i] + new_square * (g * g)
        exp_avg[i] = m
        exp_avg_sq[i] = v
        step = size * m
        param[i] = p - (step / (np.sqrt(v) + eps) if rectified else step)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _by_squares(param: Any, grad: Any, squares: Any, numbers: Any) -> None:
    wide_vectors()
    sign, penalty, kept, new, lr, eps = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
    for i in range(param.size):
        g = sign * grad[i]
        if penalty != 0:
            g += penalty * param[i]
        v = kept * squares[i] + new * (g * g)
        squares[i] = v
        param[i] -= lr * (g / (np.sqrt(v) + eps))


@njit(cache=True, nogil=True)
def _nadam_in_parts(param: Any, grad: Any, exp_avg: Any, exp_avg_sq: Any, numbers: Any) -> None:
    in_parts(_nadam, (param, grad, exp_avg, exp_avg_sq), (numbers,), LEAST)


@njit(cache=True, nogil=True)
def _radam_in_parts(param: Any, grad: Any, exp_avg: Any, exp_avg_sq: Any, numbers: Any, rectified: Any) -> None:
    in_parts(_radam, (param, grad, exp_avg, exp_avg_sq), (numbers, rectified), LEAST)


@njit(cache=True, nogil=True)
def _by_squares_in_parts(param: Any, grad: Any, squares: Any, numbers: Any) -> None:
    in_parts(_by_squares, (param, grad, squares), (numbers,), LEAST)
