"""The functions that the modules call: layers without parameters of their own, with PyTorch's names.

    >>> import minillm
    >>> import minillm.nn.functional as F
    >>> F.linear(minillm.ones(1, 2), minillm.ones(3, 2)).shape
    (1, 3)
"""

from __future__ import annotations

from minillm.nn.functional.activation import (
    elu,
    gelu,
    glu,
    leaky_relu,
    log_softmax,
    logsigmoid,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from minillm.nn.functional.dropout import dropout
from minillm.nn.functional.embedding import embedding, one_hot
from minillm.nn.functional.linear import linear
from minillm.nn.functional.normalization import batch_norm, layer_norm, normalize, rms_norm
from minillm.nn.functional.padding import pad

__all__ = [
    "batch_norm",
    "dropout",
    "elu",
    "embedding",
    "gelu",
    "glu",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "normalize",
    "one_hot",
    "pad",
    "relu",
    "rms_norm",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]
