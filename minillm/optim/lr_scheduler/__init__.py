"""Schedules of the learning rate; the names are those of PyTorch's ``torch.optim.lr_scheduler``."""

from __future__ import annotations

from minillm.optim.lr_scheduler.base import LRScheduler
from minillm.optim.lr_scheduler.combined import ChainedScheduler, SequentialLR
from minillm.optim.lr_scheduler.decay import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from minillm.optim.lr_scheduler.factor import LambdaLR, MultiplicativeLR
from minillm.optim.lr_scheduler.one_cycle import OneCycleLR
from minillm.optim.lr_scheduler.plateau import ReduceLROnPlateau
from minillm.optim.lr_scheduler.warmup import (
    get_constant_schedule,
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_cosine_with_min_lr_schedule_with_warmup,
    get_inverse_sqrt_schedule,
    get_linear_schedule_with_warmup,
)

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
    "get_constant_schedule",
    "get_constant_schedule_with_warmup",
    "get_cosine_schedule_with_warmup",
    "get_cosine_with_min_lr_schedule_with_warmup",
    "get_inverse_sqrt_schedule",
    "get_linear_schedule_with_warmup",
]
