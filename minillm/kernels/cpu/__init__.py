"""The plain set of kernels: array operations alone, on every device."""

from __future__ import annotations

from minillm.kernels.cpu.activation import silu, silu_backward
from minillm.kernels.cpu.attention import attention, attention_backward
from minillm.kernels.cpu.cross_entropy import cross_entropy
from minillm.kernels.cpu.decode import token_attention, token_layer_norm, token_linear, token_rms_norm
from minillm.kernels.cpu.dropout import dropout
from minillm.kernels.cpu.embedding import embedding, embedding_backward
from minillm.kernels.cpu.erf import erf
from minillm.kernels.cpu.gelu import gelu, gelu_backward, gelu_tanh, gelu_tanh_backward
from minillm.kernels.cpu.gru import gru_backward, gru_forward
from minillm.kernels.cpu.layer_norm import layer_norm, layer_norm_backward
from minillm.kernels.cpu.linear import linear, linear_backward, linear_gelu
from minillm.kernels.cpu.lstm import lstm_backward, lstm_forward
from minillm.kernels.cpu.matmul import matmul
from minillm.kernels.cpu.optimizers import adagrad, adam, nadam, radam, rmsprop, sgd
from minillm.kernels.cpu.quantized import quantize, quantized_linear
from minillm.kernels.cpu.rms_norm import rms_norm, rms_norm_backward
from minillm.kernels.cpu.rnn import rnn_backward, rnn_forward
from minillm.kernels.cpu.rotary import rotary, rotary_backward
from minillm.kernels.cpu.softmax import log_softmax, log_softmax_backward, softmax, softmax_backward
from minillm.kernels.cpu.sums import add, add_to

__all__ = [
    "adagrad",
    "adam",
    "add",
    "add_to",
    "attention",
    "attention_backward",
    "cross_entropy",
    "dropout",
    "embedding",
    "embedding_backward",
    "erf",
    "gelu",
    "gelu_backward",
    "gelu_tanh",
    "gelu_tanh_backward",
    "gru_backward",
    "gru_forward",
    "layer_norm",
    "layer_norm_backward",
    "linear",
    "linear_backward",
    "linear_gelu",
    "log_softmax",
    "log_softmax_backward",
    "lstm_backward",
    "lstm_forward",
    "matmul",
    "nadam",
    "quantize",
    "quantized_linear",
    "radam",
    "rms_norm",
    "rms_norm_backward",
    "rmsprop",
    "rnn_backward",
    "rnn_forward",
    "rotary",
    "rotary_backward",
    "sgd",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_backward",
    "token_attention",
    "token_layer_norm",
    "token_linear",
    "token_rms_norm",
]
