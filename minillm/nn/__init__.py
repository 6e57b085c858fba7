"""Modules: the parts that networks are built from."""

from __future__ import annotations

from minillm.nn import functional, init, utils
from minillm.nn.activation import (
    ELU,
    GELU,
    GLU,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from minillm.nn.container import ModuleDict, ModuleList, ParameterList, Sequential
from minillm.nn.dropout import Dropout
from minillm.nn.embedding import Embedding
from minillm.nn.linear import Flatten, Identity, Linear
from minillm.nn.module import Module
from minillm.nn.normalization import BatchNorm1d, LayerNorm, RMSNorm
from minillm.ops import Parameter

__all__ = [
    "ELU",
    "GELU",
    "GLU",
    "BatchNorm1d",
    "Dropout",
    "Embedding",
    "Flatten",
    "Identity",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Parameter",
    "ParameterList",
    "RMSNorm",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "functional",
    "init",
    "utils",
]
