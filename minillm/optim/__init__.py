"""Optimizers and schedules of the learning rate."""

from __future__ import annotations

from minillm.optim.adam import Adam, AdamW
from minillm.optim.optimizer import Optimizer
from minillm.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]
