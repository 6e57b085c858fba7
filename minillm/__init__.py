"""minillm: a deep-learning framework for language models that you can read, check and use.

NumPy computes on the CPU, CuPy on the GPU, from one source. The names are PyTorch's.

Example:
    >>> import minillm
    >>> x = minillm.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x ** 2).sum().backward()
    >>> x.grad
    tensor([2., 4., 6.])
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from minillm import autograd
from minillm.autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from minillm.backend import Device as device
from minillm.backend import DType as dtype
from minillm.backend import (
    Generator,
    bool,
    default_generator,
    double,
    float,
    float16,
    float32,
    float64,
    get_default_device,
    get_default_dtype,
    get_num_threads,
    get_rng_state,
    half,
    initial_seed,
    int,
    int8,
    int16,
    int32,
    int64,
    long,
    manual_seed,
    promote_types,
    result_type,
    seed,
    set_default_device,
    set_default_dtype,
    set_num_threads,
    set_rng_state,
    short,
    uint8,
)
from minillm.kernels import get_kernels, set_kernels
from minillm.ops import *
from minillm.ops import Tensor
from minillm.ops.typed import (
    BoolTensor,
    ByteTensor,
    CharTensor,
    DoubleTensor,
    FloatTensor,
    HalfTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
    is_tensor,
)

if TYPE_CHECKING:
    from minillm import data, nn, optim, utils
    from minillm.interop.saving import load, save

__version__ = "0.1.0"

Size: type = tuple  # a tensor's shape is a plain tuple

# Imported at first use: `import minillm` is quick, and `minillm.nn.Linear` works all the same.
_FOLDERS = {
    "cuda", "data", "inference", "interop", "keras", "metrics", "models", "nn", "optim", "serve", "testing",
    "tokenizers", "training", "transformers", "utils", "viz",
}  # fmt: skip
_SAVING = {"load", "save"}


def __getattr__(name: str) -> Any:
    if name in _FOLDERS:
        try:
            return importlib.import_module(f"minillm.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"minillm.{name}":
                raise
    if name in _SAVING:
        return getattr(importlib.import_module("minillm.interop.saving"), name)
    raise AttributeError(f"module 'minillm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_FOLDERS, *_SAVING})
