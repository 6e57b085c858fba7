"""Schedules that let the learning rate fall (or rise) along a curve.

Each is written as PyTorch has it: from one learning rate to the next, so that several can be chained on one
optimizer, and in closed form, for schedules that run one after another.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from typing import Any

from minillm.optim.lr_scheduler.base import LRScheduler
from minillm.optim.optimizer import Optimizer


class StepLR(LRScheduler):
    """Multiply by ``gamma`` every ``step_size`` steps.

    Args:
        optimizer: whose learning rates are set.
        step_size: steps from one fall to the next.
        gamma: the factor.
        last_epoch: how often ``step`` was called before; -1 for a new run.

    Example:
        >>> import minillm
        >>> optimizer = minillm.optim.SGD([minillm.ones(1)], lr=1.0)
        >>> scheduler = minillm.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
        >>> for epoch in range(5):
        ...     optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.25]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        if step_size < 1:
            raise ValueError(f"StepLR: step_size needs to be at least 1, got {step_size}")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        rates = self._current()
        if self.last_epoch == 0 or self.last_epoch % self.step_size:
            return rates
        return [lr * self.gamma for lr in rates]

    def _get_closed_form_lr(self) -> list[float]:
        return [lr * self.gamma ** (self.last_epoch // self.step_size) for lr in self.base_lrs]


class MultiStepLR(LRScheduler):
    """Multiply by ``gamma`` at each milestone.

    Args:
        optimizer: whose learning rates are set.
        milestones: numbers of steps.
        gamma: the factor.
        last_epoch: how often ``step`` was called before; -1 for a new run.

    Example:
        >>> import minillm
        >>> optimizer = minillm.optim.SGD([minillm.ones(1)], lr=1.0)
        >>> scheduler = minillm.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 4], gamma=0.5)
        >>> for epoch in range(4):
        ...     optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.25]
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return [lr * self.gamma ** self.milestones[self.last_epoch] for lr in self._current()]

    def _get_closed_form_lr(self) -> list[float]:
        passed = bisect_right(sorted(self.milestones.elements()), self.last_epoch)
        return [lr * self.gamma**passed for lr in self.base_lrs]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state that :meth:`state_dict` returned, from JSON too, whose keys are texts."""
        super().load_state_dict(state_dict)
        self.milestones = Counter({int(step): times for step, times in self.milestones.items()})


class ConstantLR(LRScheduler):
    """Multiply by ``factor`` for the first ``total_iters`` steps.

    Args:
        optimizer: whose learning rates are set.
        factor: from 0 to 1.
        total_iters: steps until the learning rate is the full one.
        last_epoch: how often ``step`` was called before; -1 for a new run.

    Raises:
        ValueError: a factor that is out of range.

    Example:
        >>> import minillm
        >>> optimizer = minillm.optim.SGD([minillm.ones(1)], lr=1.0)
        >>> scheduler = minillm.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
        >>> scheduler.get_last_lr()
        [0.5]
        >>> for epoch in range(2):
        ...     optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [1.0]
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        if factor > 1.0 or factor < 0:
            raise ValueError(
                f"Constant multiplicative factor expected to be between 0 and 1, but got {factor}."
            )
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        rates = self._current()
        if self.last_epoch == 0:
            return [lr * self.factor for lr in rates]
        if self.last_epoch == self.total_iters:
            return [lr * (1.0 / self.factor) for lr in rates]
        return rates

    def _get_closed_form_lr(self) -> list[float]:
        factor = 1.0 if self.last_epoch >= self.total_iters else self.factor
        return [lr * factor for lr in self.base_lrs]


class LinearLR(LRScheduler):
    """Multiply by a factor that goes from ``start_factor`` to ``end_factor`` in ``total_iters`` steps.

    Args:
        optimizer: whose learning rates are set.
        start_factor: more than 0, at most 1.
        end_factor: from 0 to 1.
        total_iters: steps from one to the other.
        last_epoch: how often ``step`` was called before; -1 for a new run.

    Raises:
        ValueError: a factor that is out of range.

    Example:
        >>> import minillm
        >>> optimizer = minillm.optim.SGD([minillm.ones(1)], lr=1.0)
        >>> scheduler = minillm.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=4)
        >>> for epoch in range(2):
        ...     optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.75]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if start_factor > 1.0 or start_factor <= 0:
            raise ValueError(
                "Starting multiplicative factor expected to be greater than 0 and less or equal to 1, "
                f"but got {start_factor}."
            )
        if end_factor > 1.0 or end_factor < 0:
            raise ValueError(
                f"Ending multiplicative factor expected to be between 0 and 1, but got {end_factor}."
            )
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        rates = self._current()
        if self.last_epoch == 0:
            return [lr * self.start_factor for lr in rates]
        if self._is_initial or self.last_epoch > self.total_iters:
            return rates
        rise = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return [lr * (1.0 + rise / before) for lr in rates]

    def _get_closed_form_lr(self) -> list[float]:
        rise = self.end_factor - self.start_factor
        factor = self.start_factor + rise * min(self.total_iters, self.last_epoch) / self.total_iters
        return [lr * factor for lr in self.base_lrs]


class ExponentialLR(LRScheduler):
    """Multiply by ``gamma`` at each step.

    Args:
        optimizer: whose learning rates are set.
        gamma: the factor.
        last_epoch: how often ``step`` was called before; -1 for a new run.

    Example:
        >>> import minillm
        >>> optimizer = minillm.optim.SGD([minillm.ones(1)], lr=1.0)
        >>> scheduler = minillm.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        >>> for epoch in range(3):
        ...     optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.125]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        rates = self._current()
        return rates if self._is_initial else [lr * self.gamma for lr in rates]

    def _get_closed_form_lr(self) -> list[float]:
        return [lr * self.gamma**self.last_epoch for lr in self.base_lrs]


class PolynomialLR(LRScheduler):
    """Fall to zero as a power of the steps that are left: (1 - step / total_iters) ** power.

    Args:
        optimizer: whose learning rates are set.
        total_iters: steps until zero.
        power: the power.
        last_epoch: how often ``step`` was called before; -1 for a new run.

    Example:
        >>> import minillm
        >>> optimizer = minillm.optim.SGD([minillm.ones(1)], lr=1.0)
        >>> scheduler = minillm.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=4, power=2)
        >>> for epoch in range(2):
        ...     optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.25]
    """

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ) -> None:
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        rates = self._current()
        if self._is_initial or self.last_epoch > self.total_iters:
            return rates
        left = 1.0 - self.last_epoch / self.total_iters
        left_before = 1.0 - (self.last_epoch - 1) / self.total_iters
        return [lr * (left / left_before) ** self.power for lr in rates]

    def _get_closed_form_lr(self) -> list[float]:
        left = 1.0 - min(self.total_iters, self.last_epoch) / self.total_iters
        return [lr * left**self.power for lr in self.base_lrs]


class CosineAnnealingLR(LRScheduler):
    """Fall to ``eta_min`` along half a wave of the cosine, in ``T_max`` steps; then rise again, and so on.

    lr = eta_min + (lr_0 - eta_min) (1 + cos(pi t / T_max)) / 2.

    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017,
    equation 5.

    Args:
        optimizer: whose learning rates are set.
        T_max: steps of half a wave.
        eta_min: the least learning rate.
        last_epoch: how often ``step`` was called before; -1 for a new run.

    Example:
        >>> import minillm
        >>> optimizer = minillm.optim.SGD([minillm.ones(1)], lr=1.0)
        >>> scheduler = minillm.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4, eta_min=0.5)
        >>> for epoch in range(4):
        ...     optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        rates = self._current()
        if self._is_initial:
            return rates
        if self._step_count == 1 and self.last_epoch > 0:  # after schedules that ran before this one
            return self._get_closed_form_lr()
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:  # at the bottom: nothing to multiply
            rise = (1 - math.cos(math.pi / self.T_max)) / 2
            pairs = zip(rates, self.base_lrs, strict=True)
            return [lr + (base - self.eta_min) * rise for lr, base in pairs]
        height = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        height_before = 1 + math.cos(math.pi * (self.last_epoch - 1) / self.T_max)
        return [height / height_before * (lr - self.eta_min) + self.eta_min for lr in rates]

    def _get_closed_form_lr(self) -> list[float]:
        height = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (lr - self.eta_min) * height for lr in self.base_lrs]
