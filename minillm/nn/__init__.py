"""Modules: the parts that networks are built from."""

from __future__ import annotations

from minillm.nn import utils
from minillm.nn.module import Module
from minillm.ops import Parameter

__all__ = ["Module", "Parameter", "utils"]
