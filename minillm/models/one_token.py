"""The parts of a decoder for one new token a row, on plain arrays: what generation spends its time in.

A token at a time, a decoder is a chain of matrix-vector products, bound by the reading of the weights, and
what stands between them counts: a tensor, a node and a module call for each operation took a fifth of the
time of GPT-2 with 124 M parameters, on two threads. So where nothing is recorded, models run their blocks
through these functions. The same formulas as in the modules, which are their twins in the tests.
"""

from __future__ import annotations

import math
from typing import Any

from minillm import nn
from minillm.backend import Array, xp_of


def plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Return whether a module does what its class says: no other class in its place, and no hooks."""
    return type(module) is kind and module._call_hooks is None and "forward" not in module.__dict__


def array_of(module: nn.Module, name: str) -> Any:
    """Return the array of a parameter, None where there is none."""
    parameter = module._parameters[name]
    return None if parameter is None else parameter.array


def linear(x: Array, weight: Array, bias: Array | None) -> Array:
    """Return x W^T + b: (B, in) -> (B, out)."""
    y = x.dot(weight.T)
    if bias is not None:
        y += bias
    return y


def layer_norm(x: Array, weight: Array, bias: Array | None, eps: float) -> Array:
    """Return the rows of x, (B, C), with mean 0 and variance 1, scaled and shifted."""
    size = x.shape[1]
    y = x - x.sum(axis=1, keepdims=True) / size
    y *= 1 / xp_of(x).sqrt((y * y).sum(axis=1, keepdims=True) / size + eps)
    y *= weight
    if bias is not None:
        y += bias
    return y


def rms_norm(x: Array, weight: Array, eps: float) -> Array:
    """Return the rows of x, (B, C), with mean square 1, scaled."""
    y = x * (1 / xp_of(x).sqrt((x * x).sum(axis=1, keepdims=True) / x.shape[1] + eps))
    y *= weight
    return y


def attend(q: Array, keys: Array, values: Array, scale: float, mask: Array | None) -> Array:
    """Return softmax(scale q K^T) V for one query a row.

    Args:
        q: (B, H, G, D): G queries share a head of keys and values.
        keys: (B, H, S, D).
        values: (B, H, S, D).
        scale: of the scores.
        mask: (B, 1, 1, S), False for keys that are left out; or None.

    Returns:
        (B, H, G, D).
    """
    xp = xp_of(q)
    p = xp.matmul(q, keys.swapaxes(2, 3))  # (B, H, G, S)
    p *= scale
    if mask is not None:
        p = xp.where(mask, p, -math.inf)
    p -= p.max(axis=3, keepdims=True)
    xp.exp(p, out=p)
    y = xp.matmul(p, values)
    y /= p.sum(axis=3, keepdims=True)
    return y
