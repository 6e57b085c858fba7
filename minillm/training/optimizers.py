"""The optimizer of a run: weight decay for matrices, none for vectors, nothing for what is frozen.

Decay pulls weights towards 0 so that no single input weighs too much. The scale of a layer norm and the
offset of a bias have no such reason to be small (Loshchilov and Hutter, "Decoupled weight decay
regularization", 2019; the two groups are those of GPT-3's code and of nanoGPT).
"""

from __future__ import annotations

from typing import Any

from minillm import nn, optim
from minillm.training.config import TrainingConfig


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return the trainable parameters in two groups: matrices with weight decay, vectors without.

    Raises:
        ValueError: there is nothing to train.

    Example:
        >>> from minillm import nn
        >>> [(len(g["params"]), g["weight_decay"]) for g in parameter_groups(nn.Linear(2, 3), 0.1)]
        [(1, 0.1), (1, 0.0)]
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    if not trainable:
        raise ValueError(f"{type(model).__name__}: no parameter is trainable; each has requires_grad = False")
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def make_optimizer(model: nn.Module, config: TrainingConfig) -> optim.Optimizer:
    """Return the optimizer that the settings ask for, over the trainable parameters of a model."""
    groups = parameter_groups(model, config.weight_decay)
    if config.optimizer == "adamw":
        return optim.AdamW(groups, lr=config.lr, betas=config.betas)
    if config.optimizer == "adam":
        return optim.Adam(groups, lr=config.lr, betas=config.betas)
    return optim.SGD(groups, lr=config.lr, momentum=config.momentum)
