"""The activation functions by the names that ``config.json`` gives them."""

from __future__ import annotations

from collections.abc import Callable

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
