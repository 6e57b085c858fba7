"""Layers that backward runs again, where a model is asked to save memory.

Each layer keeps its input alone; see :mod:`minillm.nn.utils.checkpoint`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from minillm import nn
from minillm.nn.utils.checkpoint import checkpoint


class Stack(nn.Module):
    """Base of modules that run one layer after another.

    Attributes:
        gradient_checkpointing: run the layers again in backward instead of keeping their activations.
    """

    gradient_checkpointing = False

    def caller(self, layer: Any, plain: bool = True) -> Callable[..., Any]:
        """Return what to call in place of a layer: itself, unless it shall be run again in backward.

        Args:
            layer: of this stack.
            plain: whether it does nothing but compute: no cache is written, no attention is noted.
        """
        if self.gradient_checkpointing and self.training and plain:
            return functools.partial(checkpoint, layer)
        return layer
