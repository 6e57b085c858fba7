"""Softmax and its logarithm along the last dimension, a row at a time; in float32, the plain form elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels import cpu
from minillm.kernels.fast.elementary import exp, from_order, order, plus
from minillm.kernels.fast.elementwise import LEAST
from minillm.kernels.fast.pool import in_parts
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["log_softmax", "log_softmax_backward", "softmax", "softmax_backward"]

_LOWEST = np.int32(-(2**31))


def softmax(x: Array, dim: int) -> Array:
    """Return exp(x) / sum(exp(x)) along ``dim``."""
    if x.dtype != np.float32 or not x.size or dim % max(x.ndim, 1) != x.ndim - 1:
        return cpu.softmax(x, dim)
    return _by_rows(x, _softmax_in_parts)


def log_softmax(x: Array, dim: int) -> Array:
    """Return x - log(sum(exp(x))) along ``dim``."""
    if x.dtype != np.float32 or not x.size or dim % max(x.ndim, 1) != x.ndim - 1:
        return cpu.log_softmax(x, dim)
    return _by_rows(x, _log_softmax_in_parts)


def softmax_backward(dy: Array, y: Array, dim: int) -> Array:
    """Return y (dy - sum(dy y)) along ``dim``, the gradient of x where y = softmax(x)."""
    if dy.dtype != np.float32 or y.dtype != np.float32 or not dy.size or dim % max(dy.ndim, 1) != dy.ndim - 1:
        return cpu.softmax_backward(dy, y, dim)
    return _by_rows(dy, _softmax_backward_in_parts, y)


def log_softmax_backward(dy: Array, y: Array, dim: int) -> Array:
    """Return dy - exp(y) sum(dy) along ``dim``, the gradient of x where y = log_softmax(x)."""
    if dy.dtype != np.float32 or y.dtype != np.float32 or not dy.size or dim % max(dy.ndim, 1) != dy.ndim - 1:
        return cpu.log_softmax_backward(dy, y, dim)
    return _by_rows(dy, _log_softmax_backward_in_parts, y)


def _by_rows(x: Array, compute: Callable[..., None], *others: Array) -> Array:
    n = x.shape[-1]
    arrays = [np.ascontiguousarray(a).reshape(-1, n) for a in (x, *others)]
    out = np.empty(arrays[0].shape, x.dtype)
    arrays.append(out)
    compute(*arrays)
    return out.reshape(x.shape)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _softmax(x: Any, y: Any) -> None:
    wide_vectors()
    rows, n = x.shape
    for i in range(rows):
        top = _LOWEST
        for j in range(n):
            top = max(top, order(x[i, j]))
        shift = from_order(top)
        total = np.float32(0)
        for j in range(n):
            e = exp(x[i, j] - shift)
            y[i, j] = e
            total = plus(total, e)
        factor = np.float32(1) / total
        for j in range(n):
            y[i, j] *= factor


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _log_softmax(x: Any, y: Any) -> None:
    wide_vectors()
    rows, n = x.shape
    for i in range(rows):
        top = _LOWEST
        for j in range(n):
            top = max(top, order(x[i, j]))
        shift = from_order(top)
        total = np.float32(0)
        for j in range(n):
            total = plus(total, exp(x[i, j] - shift))
        log_total = np.log(total)
        for j in range(n):  # in this order: the difference of the largest is exact
            y[i, j] = (x[i, j] - shift) - log_total


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _softmax_backward(dy: Any, y: Any, dx: Any) -> None:
    wide_vectors()
    rows, n = y.shape
    for i in range(rows):
        total = np.float32(0)
        for j in range(n):
            total = plus(total, dy[i, j] * y[i, j])
        for j in range(n):
            dx[i, j] = y[i, j] * (dy[i, j] - total)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _log_softmax_backward(dy: Any, y: Any, dx: Any) -> None:
    wide_vectors()
    rows, n = y.shape
    for i in range(rows):
        total = np.float32(0)
        for j in range(n):
            total = plus(total, dy[i, j])
        for j in range(n):
            dx[i, j] = dy[i, j] - exp(y[i, j]) * total


@njit(cache=True, nogil=True)
def _softmax_in_parts(x: Any, y: Any) -> None:
    in_parts(_softmax, (x, y), (), LEAST // x.shape[1])


@njit(cache=True, nogil=True)
def _log_softmax_in_parts(x: Any, y: Any) -> None:
    in_parts(_log_softmax, (x, y), (), LEAST // x.shape[1])


@njit(cache=True, nogil=True)
def _softmax_backward_in_parts(dy: Any, y: Any, dx: Any) -> None:
    in_parts(_softmax_backward, (dy, y, dx), (), LEAST // y.shape[1])


@njit(cache=True, nogil=True)
def _log_softmax_backward_in_parts(dy: Any, y: Any, dx: Any) -> None:
    in_parts(_log_softmax_backward, (dy, y, dx), (), LEAST // y.shape[1])
