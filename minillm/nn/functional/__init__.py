"""The functions that the modules call: layers without parameters of their own, with PyTorch's names.

>>> import minillm
>>> import minillm.nn.functional as F
>>> F.linear(minillm.ones(1, 2), minillm.ones(3, 2)).shape
(1, 3)
"""

from __future__ import annotations

# Several names a line:
# isort: off
from minillm.nn.functional.activation import (
    elu, gelu, glu, leaky_relu, log_softmax, logsigmoid, relu, silu, softmax, softplus,
)  # fmt: skip
from minillm.nn.functional.attention import scaled_dot_product_attention
from minillm.nn.functional.convolution import conv1d, conv2d
from minillm.nn.functional.cross_entropy import cross_entropy, nll_loss
from minillm.nn.functional.dropout import dropout
from minillm.nn.functional.embedding import embedding, one_hot
from minillm.nn.functional.linear import linear, linear_gelu
from minillm.nn.functional.loss import (
    binary_cross_entropy, binary_cross_entropy_with_logits, cosine_embedding_loss, cosine_similarity, huber_loss,
    kl_div, l1_loss, mse_loss, smooth_l1_loss,
)  # fmt: skip
from minillm.nn.functional.multi_head_attention import multi_head_attention_forward
from minillm.nn.functional.normalization import batch_norm, layer_norm, normalize, rms_norm
from minillm.nn.functional.padding import pad
from minillm.nn.functional.pooling import avg_pool1d, avg_pool2d, max_pool1d, max_pool2d
from minillm.ops import sigmoid, tanh

__all__ = [
    "avg_pool1d", "avg_pool2d", "batch_norm", "binary_cross_entropy", "binary_cross_entropy_with_logits", "conv1d",
    "conv2d", "cosine_embedding_loss", "cosine_similarity", "cross_entropy", "dropout", "elu", "embedding", "gelu",
    "glu", "huber_loss", "kl_div", "l1_loss", "layer_norm", "leaky_relu", "linear", "linear_gelu", "log_softmax",
    "logsigmoid", "max_pool1d", "max_pool2d", "mse_loss", "multi_head_attention_forward", "nll_loss", "normalize",
    "one_hot", "pad", "relu", "rms_norm", "scaled_dot_product_attention", "sigmoid", "silu", "smooth_l1_loss",
    "softmax", "softplus", "tanh",
]  # fmt: skip
