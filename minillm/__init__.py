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

from minillm import autograd
from minillm.autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from minillm.backend import Device as device
from minillm.backend import (
    Generator,
    default_generator,
    get_default_device,
    get_default_dtype,
    get_rng_state,
    manual_seed,
    set_default_device,
    set_default_dtype,
    set_rng_state,
)
from minillm.ops import *  # noqa: F403
from minillm.ops import Tensor

__version__ = "0.1.0"
