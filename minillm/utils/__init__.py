"""Where programs written for PyTorch look for its data loading: `minillm.utils.data`."""

from __future__ import annotations

from minillm.utils import data

__all__ = ["data"]
