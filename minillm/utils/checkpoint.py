"""The names of `torch.utils.checkpoint`, for programs written for it: see `minillm.nn.utils.checkpoint`."""

from __future__ import annotations

from minillm.nn.utils.checkpoint import checkpoint, checkpoint_sequential

__all__ = ["checkpoint", "checkpoint_sequential"]
