"""The compiled set of kernels: loops over NumPy's arrays that numba turns into machine code, kept on disk.

Every kernel has the name, the arguments and the results of its plain form in ``kernels/cpu``, which it calls for
what it does not cover (float16, say). A file is imported when one of its kernels is first asked for, so a program
waits for the machine code that it needs and no more.
"""

from __future__ import annotations

import atexit
import importlib
import sys
import tempfile
from types import ModuleType
from typing import Any

from minillm.kernels import cpu

# Which file holds a kernel; the others are those of the plain set.
_FILES: dict[str, str] = {
    "adagrad": "more_optimizers",
    "adam": "optimizers",
    "add": "sums",
    "add_to": "sums",
    "attention": "attention",
    "attention_backward": "attention",
    "cross_entropy": "cross_entropy",
    "dropout": "dropout",
    "embedding_backward": "embedding",
    "erf": "erf",
    "gelu": "gelu",
    "gelu_backward": "gelu",
    "gelu_tanh": "gelu",
    "gelu_tanh_backward": "gelu",
    "gru_backward": "gru",
    "gru_forward": "gru",
    "layer_norm": "layer_norm",
    "layer_norm_backward": "layer_norm",
    "linear": "linear",
    "linear_backward": "linear",
    "linear_gelu": "linear",
    "log_softmax": "softmax",
    "log_softmax_backward": "softmax",
    "lstm_backward": "lstm",
    "lstm_forward": "lstm",
    "matmul": "matmul",
    "quantized_linear": "quantized",
    "nadam": "more_optimizers",
    "radam": "more_optimizers",
    "rms_norm": "rms_norm",
    "rms_norm_backward": "rms_norm",
    "rmsprop": "more_optimizers",
    "rnn_backward": "rnn",
    "rnn_forward": "rnn",
    "rotary": "rotary",
    "rotary_backward": "rotary",
    "sgd": "optimizers",
    "silu": "activation",
    "silu_backward": "activation",
    "softmax": "softmax",
    "softmax_backward": "softmax",
    "token_attention": "decode",
    "token_layer_norm": "decode",
    "token_linear": "decode",
    "token_rms_norm": "decode",
}


class _Set(ModuleType):
    """A package in which the name of a kernel is the kernel, also where a file has the same name.

    Whoever imports such a file lets Python bind it in this package, over the kernel.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in cpu.__all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Set


def __getattr__(name: str) -> Any:
    if name in _FILES:
        kernel = getattr(_import(_FILES[name]), name)
    elif name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    else:
        kernel = getattr(cpu, name)
    globals()[name] = kernel  # the next call finds it without asking here
    return kernel


def _import(file: str) -> ModuleType:
    """Import a file of kernels, also where no machine code can be kept for the next process."""
    path = f"{__name__}.{file}"
    try:
        return importlib.import_module(path)
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
    # Neither this folder nor that of the user may be written to. numba insists on one, so it gets one for a while.
    folder = tempfile.TemporaryDirectory(prefix="minillm-kernels-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    importlib.import_module("numba").config.CACHE_DIR = folder.name
    return importlib.import_module(path)
