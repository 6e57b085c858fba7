"""Schedules that multiply the learning rate by a factor that a user's function returns."""

from __future__ import annotations

import copy
import types
from collections.abc import Callable, Sequence
from typing import Any

from minillm.optim.lr_scheduler.base import LRScheduler, check_optimizer
from minillm.optim.optimizer import Optimizer


class LambdaLR(LRScheduler):
    """The first learning rate times a function of the step.

    Args:
        optimizer: whose learning rates are set.
        lr_lambda: takes the number of steps so far and returns the factor; or a list with one for each group.
        last_epoch: how often ``step`` was called before; -1 for a new run.

    Raises:
        ValueError: a list of another length than the groups.

    Example:
        >>> import minillm
        >>> optimizer = minillm.optim.SGD([minillm.ones(1)], lr=0.5)
        >>> scheduler = minillm.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
        >>> optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.25]
    """

    lr_lambdas: list[Callable[[int], float]]

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        groups = len(optimizer.param_groups)
        if isinstance(lr_lambda, (list, tuple)):
            if len(lr_lambda) != groups:
                raise ValueError(f"Expected {groups} lr_lambdas, but got {len(lr_lambda)}")
            self.lr_lambdas = list(lr_lambda)
        else:
            self.lr_lambdas = [lr_lambda] * groups  # type: ignore[list-item]
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"lr_lambda should be a function, but got {type(function).__name__}")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        self._current()
        return [lr * f(self.last_epoch) for lr, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Return all that the schedule remembers; of functions only the attributes of callable objects."""
        state = {
            key: copy.deepcopy(value)
            for key, value in vars(self).items()
            if key not in ("optimizer", "lr_lambdas")
        }
        state["lr_lambdas"] = [
            None if isinstance(f, types.FunctionType) else copy.deepcopy(vars(f)) for f in self.lr_lambdas
        ]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state that :meth:`state_dict` returned; functions stay as they are."""
        state = copy.deepcopy(state_dict)
        attributes = state.pop("lr_lambdas")
        self.__dict__.update(state)
        for function, values in zip(self.lr_lambdas, attributes, strict=True):
            if values:
                function.__dict__.update(values)


class MultiplicativeLR(LambdaLR):
    """The current learning rate times a function of the step.

    Args:
        optimizer: whose learning rates are set.
        lr_lambda: takes the number of steps so far and returns the factor; or a list with one for each group.
        last_epoch: how often ``step`` was called before; -1 for a new run.

    Example:
        >>> import minillm
        >>> optimizer = minillm.optim.SGD([minillm.ones(1)], lr=1.0)
        >>> scheduler = minillm.optim.lr_scheduler.MultiplicativeLR(optimizer, lambda step: 0.5)
        >>> for epoch in range(3):
        ...     optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.125]
    """

    def get_lr(self) -> list[float]:
        rates = self._current()
        if self._is_initial:
            return rates
        return [lr * f(self.last_epoch) for lr, f in zip(rates, self.lr_lambdas, strict=True)]
