"""The parts of a decoder for one new token a row, each in one call; products and attention on all threads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels import cpu
from minillm.kernels.fast.elementary import exp, plus
from minillm.kernels.fast.few_rows import few_rows
from minillm.kernels.fast.linear import linear
from minillm.kernels.fast.pool import in_ranges
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["token_attention", "token_layer_norm", "token_linear", "token_rms_norm"]

_LEAST = 1 << 14  # numbers of keys that are worth a thread: two to three microseconds
_f = np.float32


def token_linear(x: Array, weight: Array, bias: Array | None) -> Array:
    """Return x W^T + b: (B, in) -> (B, out)."""
    if len(x) == 1 and _ready(x) and _ready(weight) and _ready(bias):
        return few_rows(x, weight, None, bias)
    return linear(x, weight, bias)


def token_layer_norm(x: Array, weight: Array, bias: Array | None, eps: float) -> Array:
    """Return the rows of x, (B, C), with mean 0 and variance 1, scaled and shifted."""
    if not (_ready(x) and _ready(weight) and _ready(bias)):
        return cpu.token_layer_norm(x, weight, bias, eps)
    y = np.empty_like(x)
    _layer_norm(x, weight, _NONE if bias is None else bias, _f(eps), y)
    return y


def token_rms_norm(x: Array, weight: Array, eps: float) -> Array:
    """Return the rows of x, (B, C), with mean square 1, scaled."""
    if not (_ready(x) and _ready(weight)):
        return cpu.token_rms_norm(x, weight, eps)
    y = np.empty_like(x)
    _rms_norm(x, weight, _f(eps), y)
    return y


def token_attention(
    q: Array, keys: Array, values: Array, length: int, scale: float, mask: Array | None
) -> Array:
    """Return softmax(scale q K^T) V for one query a row; see the plain form."""
    if not length or not (_ready(keys) and _ready(values)) or q.dtype != keys.dtype:
        return cpu.token_attention(q, keys, values, length, scale, mask)
    seen = _ALL if mask is None else np.ascontiguousarray(np.broadcast_to(mask[:, 0, 0], (len(q), length)))
    y = np.empty(q.shape, q.dtype)
    _attention(np.ascontiguousarray(q), keys, values, length, _f(scale), seen, y)
    return y


_FLOAT32 = np.dtype(np.float32)
_NONE, _ALL = np.empty(0, np.float32), np.empty((0, 0), bool)


def _ready(array: Array | None) -> bool:
    return array is None or (array.dtype == _FLOAT32 and array.flags.c_contiguous)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _layer_norm(x: Any, weight: Any, bias: Any, eps: Any, y: Any) -> None:
    wide_vectors()
    rows, n = x.shape
    share = _f(1) / _f(n)
    for i in range(rows):
        x_i, y_i = x[i], y[i]
        total = squares = _f(0)
        for j in range(n):
            total = plus(total, x_i[j])
        mean = total * share
        for j in range(n):
            d = x_i[j] - mean
            squares = plus(squares, d * d)
        r = _f(1) / np.sqrt(squares * share + eps)
        for j in range(n):
            y_i[j] = (x_i[j] - mean) * r * weight[j]
        for j in range(bias.size):
            y_i[j] += bias[j]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _rms_norm(x: Any, weight: Any, eps: Any, y: Any) -> None:
    wide_vectors()
    rows, n = x.shape
    for i in range(rows):
        x_i, y_i = x[i], y[i]
        squares = _f(0)
        for j in range(n):
            squares = plus(squares, x_i[j] * x_i[j])
        r = _f(1) / np.sqrt(squares * (_f(1) / _f(n)) + eps)
        for j in range(n):
            y_i[j] = x_i[j] * r * weight[j]


@njit(cache=True, nogil=True)
def _attention(q: Any, keys: Any, values: Any, length: int, scale: Any, seen: Any, y: Any) -> None:
    batch, heads, group, size = q.shape
    least = _LEAST // (group * length * size + 1) + 1
    in_ranges(_heads, (q, keys, values, length, scale, seen, y), batch * heads, least)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _heads(
    part: int, begin: int, end: int, q: Any, keys: Any, values: Any, length: int, scale: Any, seen: Any, y: Any
) -> None:
    wide_vectors()
    heads, group = keys.shape[1], q.shape[2]
    p = np.empty(length, np.float32)
    for i in range(begin, end):
        b, h = i // heads, i % heads
        for g in range(group):
            _scores(q[b, h, g], keys[b, h, :length], scale, p)
            if seen.size:
                for s in range(length):
                    p[s] = p[s] if seen[b, s] else _f(-np.inf)
            _average(values[b, h, :length], p, y[b, h, g])


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def _scores(query: Any, keys: Any, scale: Any, p: Any) -> None:
    for s in range(len(keys)):
        key = keys[s]
        score = _f(0)
        for d in range(query.size):
            score = plus(score, query[d] * key[d])
        p[s] = score * scale


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def _average(values: Any, p: Any, result: Any) -> None:
    """Average values with the weights softmax(p)."""
    top = _f(-np.inf)
    for s in range(p.size):
        top = p[s] if p[s] > top or p[s] != p[s] else top
    if top == _f(-np.inf):
        top = _f(0)
    for s in range(p.size):
        p[s] = exp(p[s] - top)
    total = _f(0)
    for s in range(p.size):
        total = plus(total, p[s])
    factor = _f(1) / total if total != _f(0) else _f(0)
    for d in range(result.size):
        result[d] = 0
    for s in range(p.size):
        value = values[s]
        weight = p[s] * factor
        for d in range(result.size):
            result[d] += weight * value[d]
