"""The primitive operations, by families; each is a function here and most are methods of ``Tensor``."""

from __future__ import annotations

# Several names a line:
# isort: off
from minillm.ops import linalg
from minillm.ops._tensor import Parameter, Tensor
from minillm.ops.arithmetic import add, div, floor_divide, lerp, mul, pow, remainder, sub, true_divide
from minillm.ops.choice import clamp, clamp_max, clamp_min, maximum, minimum, where
from minillm.ops.comparison import (
    allclose, eq, equal, ge, gt, isclose, isfinite, isinf, isnan, le, logical_and, logical_not, logical_or,
    logical_xor, lt, ne,
)  # fmt: skip
from minillm.ops.creation import (
    arange, as_tensor, empty, empty_like, eye, from_numpy, full, full_like, linspace, ones, ones_like, tensor,
    zeros, zeros_like,
)  # fmt: skip
from minillm.ops.diagonal import diag, diagonal, tril, triu
from minillm.ops.einsum import einsum
from minillm.ops.gathering import gather, index_add, index_select, scatter, scatter_add, take_along_dim
from minillm.ops.indexing import getitem, index_put, masked_fill, masked_select, nonzero
from minillm.ops.linalg import norm_of as norm
from minillm.ops.matmul import addmm, bmm, dot, matmul, mm, mv, outer
from minillm.ops.pieces import cat, chunk, flip, narrow, roll, select, split, stack, unbind
from minillm.ops.pointwise import (
    abs, cos, erf, exp, expm1, log, log1p, log2, neg, reciprocal, relu, rsqrt, sigmoid, sin, sqrt, square, tanh,
)  # fmt: skip
from minillm.ops.promotion import cast
from minillm.ops.random import multinomial, normal, rand, rand_like, randint, randn, randn_like, randperm
from minillm.ops.reduction import all, any, count_nonzero, cumsum, mean, nansum, prod, std, sum, var, var_mean
from minillm.ops.repetition import broadcast_to, expand, meshgrid, repeat_interleave, tile
from minillm.ops.rounding import ceil, floor, round, sign, trunc
from minillm.ops.search import amax, amin, argmax, argmin, argsort, bincount, max, median, min, sort, topk, unique
from minillm.ops.shape import (
    clone, contiguous, flatten, movedim, numel, permute, reshape, squeeze, t, transpose, unflatten, unsqueeze, view,
)  # fmt: skip
from minillm.ops.softmax import log_softmax, logsumexp, softmax

__all__ = [
    "Parameter", "Tensor", "abs", "add", "addmm", "all", "allclose", "amax", "amin", "any", "arange", "argmax",
    "argmin", "argsort", "as_tensor", "bincount", "bmm", "broadcast_to", "cast", "cat", "ceil", "chunk", "clamp",
    "clamp_max", "clamp_min", "clone", "contiguous", "cos", "count_nonzero", "cumsum", "diag", "diagonal", "div",
    "dot", "einsum", "empty", "empty_like", "eq", "equal", "erf", "exp", "expand", "expm1", "eye", "flatten",
    "flip", "floor", "floor_divide", "from_numpy", "full", "full_like", "gather", "ge", "getitem", "gt",
    "index_add", "index_put", "index_select", "isclose", "isfinite", "isinf", "isnan", "le", "lerp", "linalg",
    "linspace", "log", "log1p", "log2", "log_softmax", "logical_and", "logical_not", "logical_or", "logical_xor",
    "logsumexp", "lt", "masked_fill", "masked_select", "matmul", "max", "maximum", "mean", "median", "meshgrid",
    "min", "minimum", "mm", "movedim", "mul", "multinomial", "mv", "nansum", "narrow", "ne", "neg", "nonzero",
    "norm", "normal", "numel", "ones", "ones_like", "outer", "permute", "pow", "prod", "rand", "rand_like",
    "randint", "randn", "randn_like", "randperm", "reciprocal", "relu", "remainder", "repeat_interleave", "reshape",
    "roll", "round", "rsqrt", "scatter", "scatter_add", "select", "sigmoid", "sign", "sin", "softmax", "sort",
    "split", "sqrt", "square", "squeeze", "stack", "std", "sub", "sum", "t", "take_along_dim", "tanh", "tensor",
    "tile", "topk", "transpose", "tril", "triu", "true_divide", "trunc", "unbind", "unflatten", "unique",
    "unsqueeze", "var", "var_mean", "view", "where", "zeros", "zeros_like",
]  # fmt: skip
