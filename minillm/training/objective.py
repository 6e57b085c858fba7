"""The objective of language models: the mean cross-entropy of each next token, -log p(y | x) in nats.

A model that guesses evenly among V tokens has the loss log V; 0 would be to know each next token.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minillm import nn
from minillm.backend import Array
from minillm.ops import Tensor

#: Takes a model, what it reads (B, T) and what it should predict (B, T); returns the mean loss.
Objective = Callable[[nn.Module, Tensor, Tensor], Tensor]

IGNORED = -100  # a target that does not count, as in PyTorch's cross-entropy


def next_token_loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the mean cross-entropy of the targets y, (B, T), given the tokens x, (B, T).

    Args:
        model: returns an output with ``loss`` when it is given ``targets``, as minillm's language models do.
        x: tokens.
        y: the token that follows at each place; -100 is left out.
    """
    loss: Tensor = model(x, targets=y).loss
    return loss


def device_of_model(model: nn.Module) -> Any:
    """Return where the parameters of a model lie."""
    return next(iter(model.parameters())).device


def count_targets(y: Array) -> int:
    """Return how many targets of an array count."""
    return int((y != IGNORED).sum())
