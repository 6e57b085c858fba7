"""``quantize_dynamic``: a model for inference whose linear layers read a quarter or half of the memory.

A model that writes one token at a time is bound by the reading of its weights. The rounded weights change some
tokens, so it is asked for. The compiled kernels (numba) widen the weights in registers; without them a token takes
longer than with float32, and the weights still take a quarter or half of the memory.
"""

from __future__ import annotations

import copy
from typing import Any

from minillm import nn
from minillm.nn.quantized_linear import QuantizedLinear

__all__ = ["quantize_dynamic"]


def quantize_dynamic(model: Any, dtype: Any = "int8", inplace: bool = False) -> Any:
    """Return a model in evaluation mode whose linear layers are :class:`~minillm.nn.QuantizedLinear`.

    Embeddings, norms, :class:`~minillm.nn.MultiheadAttention` and the activations stay as they are; a head that shares
    its weight with the embedding gets a quantised copy of it. PyTorch's function of this name does the same for
    ``{nn.Linear}``.

    Args:
        model: a module.
        dtype: ``"int8"`` (a scale for each output; also ``minillm.int8``) or ``"bfloat16"``.
        inplace: change ``model`` itself, instead of a copy.

    Raises:
        ValueError: another dtype; a weight of float16.

    Example:
        >>> from minillm.models import GPT2Config, GPT2LMHeadModel
        >>> config = GPT2Config(vocab_size=65, n_positions=16, n_embd=32, n_layer=1, n_head=2)
        >>> model = quantize_dynamic(GPT2LMHeadModel(config), "int8")
        >>> model.lm_head
        QuantizedLinear(in_features=32, out_features=65, bias=False, dtype=int8)
    """
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", str(dtype))
    if not inplace:
        model = copy.deepcopy(model)
    if isinstance(model, nn.Linear):
        return QuantizedLinear(model, name).eval()
    done: dict[int, QuantizedLinear] = {}  # a layer that stands in several places stays one
    for module in list(model.modules()):
        if isinstance(module, nn.MultiheadAttention):
            continue  # it hands the weight of its linear layer to a function
        for child_name, child in list(module._modules.items()):
            if isinstance(child, nn.Linear):
                if id(child) not in done:
                    done[id(child)] = QuantizedLinear(child, name)
                setattr(module, child_name, done[id(child)])
    return model.eval()
