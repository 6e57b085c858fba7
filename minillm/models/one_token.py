"""The parts of a decoder for one new token a row, on plain arrays: what generation spends its time in.

A token at a time, a decoder is a chain of matrix-vector products, bound by the reading of the weights, and
what stands between them counts: a tensor, a node and a module call for each operation took a fifth of the
time of GPT-2 with 124 M parameters, on two threads. So where nothing is recorded, models run their blocks
through these functions. The same formulas as in the modules, which are their twins in the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minillm import nn
from minillm.autograd.function import wrap
from minillm.backend import Array
from minillm.kernels import kernels_of
from minillm.models.activations import gelu_tanh


def plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Return whether a module does what its class says: no other class in its place, and no hooks."""
    return type(module) is kind and module._call_hooks is None and "forward" not in module.__dict__


def array_of(module: nn.Module, name: str) -> Any:
    """Return the array of a parameter, None where there is none."""
    parameter = module._parameters[name]
    return None if parameter is None else parameter.array


def plain_linear(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Return whether a module is such a linear layer, or a quantised one, without hooks."""
    return plain(module, nn.QuantizedLinear if type(module) is nn.QuantizedLinear else kind)


def through(layer: nn.Module, x: Array) -> Array:
    """Return x W^T + b of a linear layer, plain or quantised: (B, in) -> (B, out)."""
    kernels = kernels_of(x)
    if type(layer) is nn.QuantizedLinear:
        return kernels.quantized_linear(x, *layer.arrays())
    return kernels.token_linear(x, array_of(layer, "weight"), array_of(layer, "bias"))


def normalized(layer: nn.Module, x: Array) -> Array:
    """Return the rows of x, (B, C), through a layer norm or an RMS norm."""
    kernels, weight = kernels_of(x), array_of(layer, "weight")
    if type(layer) is nn.LayerNorm:
        return kernels.token_layer_norm(x, weight, array_of(layer, "bias"), layer.eps)
    return kernels.token_rms_norm(x, weight, layer.eps)


def activated(act: Callable[[Any], Any], x: Array) -> Array:
    """Return an activation of a model on an array."""
    if act is gelu_tanh:
        return kernels_of(x).gelu_tanh(x, False)[0]
    return act(wrap(x)).array


def attend(
    q: Array, keys: Array, values: Array, length: int, scale: float, mask: Array | None
) -> Array:
    """Return softmax(scale q K^T) V for one query a row; zeros for a row that may look nowhere.

    Args:
        q: (B, H, G, D): G queries share a head of keys and values.
        keys: (B, H, S, D), of which the first ``length`` along S count.
        values: (B, H, S, D), likewise.
        length: the number of tokens.
        scale: of the scores.
        mask: (B, 1, 1, length), False for keys that are left out; or None.

    Returns:
        (B, H, G, D).
    """
    return kernels_of(q).token_attention(q, keys, values, length, scale, mask)
