"""The plain set of kernels: array operations alone, on every device."""

from __future__ import annotations

from minillm.kernels.cpu.erf import erf
from minillm.kernels.cpu.softmax import log_softmax, softmax

__all__ = ["erf", "log_softmax", "softmax"]
