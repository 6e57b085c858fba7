"""The activation functions by the names that ``config.json`` gives them."""

from __future__ import annotations

from collections.abc import Callable

from minillm import nn
from minillm.nn import functional as F
from minillm.ops import Tensor


def gelu_tanh(x: Tensor) -> Tensor:
    """Return GELU in its tanh form, as the authors of GPT-2 computed it."""
    return F.gelu(x, approximate="tanh")


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": gelu_tanh,
    "gelu_fast": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "relu": F.relu,
    "silu": F.silu,
    "swish": F.silu,
    "tanh": F.tanh,
}


def activated_linear(act: Callable[[Tensor], Tensor], layer: nn.Module, x: Tensor) -> Tensor:
    """Return act(layer(x)): in one operation where the layer is a linear one without hooks, and ``act`` is GELU."""
    if isinstance(layer, nn.Linear) and type(layer).forward is nn.Linear.forward and layer._call_hooks is None:
        if act is F.gelu:
            return F.linear_gelu(x, layer.weight, layer.bias)
        if act is gelu_tanh:
            return F.linear_gelu(x, layer.weight, layer.bias, "tanh")
    return act(layer(x))
