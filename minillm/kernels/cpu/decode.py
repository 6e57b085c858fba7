"""The parts of a decoder for one new token a row; generation is a chain of them, and each call of NumPy counts.

The weights of a layer have just gone through the cache, so all that comes next is read from memory anew, NumPy's own
code too: a call costs 2 to 5 microseconds, however few its numbers. One row takes a shorter way with plain numbers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minillm.backend import Array, xp_of
from minillm.kernels.cpu.rows import ones_for


def token_linear(x: Array, weight: Array, bias: Array | None) -> Array:
    """Return x W^T + b: (B, in) -> (B, out)."""
    if len(x) == 1:
        # W x reads the rows of W one after the other: 1.1 to 1.3 times as many bytes a second as x W^T on two threads.
        row = weight.dot(x[0])
        if bias is not None:
            row += bias
        return row[None]
    y = x.dot(weight.T)
    if bias is not None:
        y += bias
    return y


def token_layer_norm(x: Array, weight: Array, bias: Array | None, eps: float) -> Array:
    """Return the rows of x, (B, C), with mean 0 and variance 1, scaled and shifted."""
    size = x.shape[1]
    if len(x) == 1 and type(x) is np.ndarray and x.itemsize > 2:
        row = x[0] - x[0].dot(ones_for(x, size)) / size
        row *= 1 / np.sqrt(row.dot(row) / size + eps)
        row *= weight
        if bias is not None:
            row += bias
        return row[None]
    y = x - x.sum(axis=1, keepdims=True) / size
    y *= 1 / xp_of(x).sqrt((y * y).sum(axis=1, keepdims=True) / size + eps)
    y *= weight
    if bias is not None:
        y += bias
    return y


def token_rms_norm(x: Array, weight: Array, eps: float) -> Array:
    """Return the rows of x, (B, C), with mean square 1, scaled."""
    if len(x) == 1 and type(x) is np.ndarray and x.itemsize > 2:
        row = x[0] * (1 / np.sqrt(x[0].dot(x[0]) / x.shape[1] + eps))
        row *= weight
        return row[None]
    y = x * (1 / xp_of(x).sqrt((x * x).sum(axis=1, keepdims=True) / x.shape[1] + eps))
    y *= weight
    return y


def token_attention(
    q: Array, keys: Array, values: Array, length: int, scale: float, mask: Array | None
) -> Array:
    """Return softmax(scale q K^T) V for one query a row; zeros for a row that may look nowhere.

    Args:
        q: (B, H, G, D): G queries share a head of keys and values.
        keys: (B, H, S, D), of which the first ``length`` along S count; what lies behind is not looked at.
        values: (B, H, S, D), likewise.
        length: the number of tokens.
        scale: of the scores.
        mask: (B or 1, 1, 1, length), False for keys that are left out; or None.

    Returns:
        (B, H, G, D).
    """
    xp = xp_of(q)
    keys, values = keys[:, :, :length], values[:, :, :length]
    p = xp.matmul(q, keys.swapaxes(2, 3))  # (B, H, G, length)
    p *= scale
    if mask is not None:
        p = xp.where(mask, p, -math.inf)
    # The methods of an array are Python around these: a seventh more for all.
    largest, total_of = (np.maximum.reduce, np.add.reduce) if xp is np else (xp.max, xp.sum)
    top = largest(p, axis=3, keepdims=True)
    if mask is not None:
        top = xp.where(top == -math.inf, 0, top)
    p -= top
    xp.exp(p, out=p)
    y: Any = xp.matmul(p, values)
    total = total_of(p, axis=3, keepdims=True)
    y /= total if mask is None else xp.where(total == 0, 1, total)
    return y
