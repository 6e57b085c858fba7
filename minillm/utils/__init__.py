"""Where programs written for PyTorch look for `utils.data` and `utils.checkpoint`."""

from __future__ import annotations

from minillm.utils import checkpoint, data

__all__ = ["checkpoint", "data"]
