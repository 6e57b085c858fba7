"""Modules: the parts that networks are built from."""

from __future__ import annotations

# Several names a line:
# isort: off
from minillm.nn import functional, init, utils
from minillm.nn.activation import (
    ELU, GELU, GLU, LeakyReLU, LogSigmoid, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh,
)  # fmt: skip
from minillm.nn.attention import MultiheadAttention
from minillm.nn.container import ModuleDict, ModuleList, ParameterList, Sequential
from minillm.nn.convolution import Conv1d, Conv2d
from minillm.nn.dropout import Dropout
from minillm.nn.embedding import Embedding
from minillm.nn.gru import GRU
from minillm.nn.linear import Flatten, Identity, Linear
from minillm.nn.loss import (
    BCELoss, BCEWithLogitsLoss, CosineEmbeddingLoss, CosineSimilarity, CrossEntropyLoss, HuberLoss, KLDivLoss,
    L1Loss, MSELoss, NLLLoss, SmoothL1Loss,
)  # fmt: skip
from minillm.nn.lstm import LSTM
from minillm.nn.module import Module
from minillm.nn.normalization import BatchNorm1d, LayerNorm, RMSNorm
from minillm.nn.pooling import AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d
from minillm.nn.quantized_linear import QuantizedLinear
from minillm.nn.recurrent import RNNBase
from minillm.nn.rnn import RNN
from minillm.nn.rnn_cells import GRUCell, LSTMCell, RNNCell, RNNCellBase
from minillm.nn.transformer import (
    Transformer, TransformerDecoder, TransformerDecoderLayer, TransformerEncoder, TransformerEncoderLayer,
)  # fmt: skip
from minillm.ops import Parameter

__all__ = [
    "ELU", "GELU", "GLU", "GRU", "LSTM", "RNN", "AvgPool1d", "AvgPool2d", "BCELoss", "BCEWithLogitsLoss",
    "BatchNorm1d", "Conv1d", "Conv2d", "CosineEmbeddingLoss", "CosineSimilarity", "CrossEntropyLoss", "Dropout",
    "Embedding", "Flatten", "GRUCell", "HuberLoss", "Identity", "KLDivLoss", "L1Loss", "LSTMCell", "LayerNorm",
    "LeakyReLU", "Linear", "LogSigmoid", "LogSoftmax", "MSELoss", "MaxPool1d", "MaxPool2d", "Module", "ModuleDict",
    "ModuleList", "MultiheadAttention", "NLLLoss", "Parameter", "ParameterList", "QuantizedLinear", "RMSNorm",
    "RNNBase", "RNNCell", "RNNCellBase", "ReLU", "Sequential", "SiLU", "Sigmoid", "SmoothL1Loss", "Softmax",
    "Softplus", "Tanh", "Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder",
    "TransformerEncoderLayer",
    "functional", "init", "utils",
]  # fmt: skip
