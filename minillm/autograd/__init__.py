"""The autograd engine: tensors that remember, operations that know their derivative, and the walk back."""

from __future__ import annotations

from minillm.autograd.engine import backward, grad
from minillm.autograd.function import Function
from minillm.autograd.grad_mode import (
    detect_anomaly,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_detect_anomaly,
    set_grad_enabled,
)

__all__ = [
    "Function",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]
