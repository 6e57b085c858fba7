"""``OneCycleLR``: the learning rate rises and falls once, and the momentum falls and rises.

Source: Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
Rates", arXiv:1708.07120; the form with two phases is that of fastai.
"""

from __future__ import annotations

import math
from typing import Any

from minillm.optim.lr_scheduler.base import LRScheduler, check_optimizer, for_each_group
from minillm.optim.optimizer import Optimizer


class OneCycleLR(LRScheduler):
    """From ``max_lr / div_factor`` up to ``max_lr`` and down to ``max_lr / div_factor / final_div_factor``.

    Args:
        optimizer: whose learning rates are set.
        max_lr: the highest learning rate, or a list with one for each group.
        total_steps: the steps of the cycle; or give ``epochs`` and ``steps_per_epoch``.
        epochs: epochs of the cycle.
        steps_per_epoch: steps of an epoch.
        pct_start: the part of the cycle in which the learning rate rises, a float.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: whether the momentum (of Adam: the first beta) goes the other way.
        base_momentum: the least momentum, or a list.
        max_momentum: the highest, or a list.
        div_factor: the highest learning rate by the first.
        final_div_factor: the first learning rate by the last.
        three_phase: come down to the first learning rate as slowly as it rose, and only then to the last.
        last_epoch: how often ``step`` was called before; -1 for a new run.

    Raises:
        ValueError: a setting that is out of range, no number of steps, an optimizer without momentum, or
            more steps than ``total_steps``.

    Example:
        >>> import minillm
        >>> optimizer = minillm.optim.SGD([minillm.ones(1)], lr=1.0, momentum=0.9)
        >>> scheduler = minillm.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
        >>> rates = []
        >>> for step in range(9):
        ...     rates += scheduler.get_last_lr()
        ...     optimizer.step(); scheduler.step()
        >>> [round(rate, 2) for rate in rates]
        [0.04, 0.52, 1.0, 0.95, 0.81, 0.61, 0.39, 0.19, 0.05]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: Any = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        if total_steps is not None:
            self.total_steps = _positive("total_steps", total_steps)
        elif epochs is not None and steps_per_epoch is not None:
            self.total_steps = _positive("epochs", epochs) * _positive("steps_per_epoch", steps_per_epoch)
        else:
            raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        self._anneal_func_type = anneal_strategy
        self._schedule_phases = _phases(pct_start, self.total_steps, three_phase)

        fresh = last_epoch == -1
        groups = optimizer.param_groups
        for group, highest in zip(groups, for_each_group("max_lr", optimizer, max_lr), strict=True):
            if fresh:
                group["initial_lr"] = highest / div_factor
                group["max_lr"] = highest
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        self.use_beta1 = "betas" in optimizer.defaults
        if cycle_momentum:
            if "momentum" not in optimizer.defaults and not self.use_beta1:
                raise ValueError(
                    "optimizer must support momentum or beta1 with `cycle_momentum` option enabled"
                )
            most = for_each_group("max_momentum", optimizer, max_momentum)
            least = for_each_group("base_momentum", optimizer, base_momentum)
            for group, high, low in zip(groups, most, least, strict=True):
                if fresh:
                    group["max_momentum"], group["base_momentum"] = high, low
                    self._set_momentum(group, high)
        super().__init__(optimizer, last_epoch)

    def _set_momentum(self, group: dict[str, Any], value: float) -> None:
        if self.use_beta1:
            group["betas"] = (value, *group["betas"][1:])
        else:
            group["momentum"] = value

    def _between(self, start: float, end: float, part: float) -> float:
        """Return the value that stands at ``part`` of the way from ``start`` to ``end``."""
        if self._anneal_func_type == "cos":
            return end + (start - end) / 2.0 * (math.cos(math.pi * part) + 1)
        return (end - start) * part + start

    def get_lr(self) -> list[float]:
        self._current()
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"Tried to step {self.last_epoch} times. The specified number of total steps is "
                f"{self.total_steps}"
            )
        rates = []
        start = 0.0
        for phase in self._schedule_phases:
            if self.last_epoch <= phase["end_step"] or phase is self._schedule_phases[-1]:
                break
            start = phase["end_step"]
        part = (self.last_epoch - start) / (phase["end_step"] - start)
        for group in self.optimizer.param_groups:
            rates.append(self._between(group[phase["start_lr"]], group[phase["end_lr"]], part))
            if self.cycle_momentum:
                ends = group[phase["start_momentum"]], group[phase["end_momentum"]]
                self._set_momentum(group, self._between(*ends, part))
        return rates


def _positive(name: str, value: Any) -> int:
    if not isinstance(value, int) or value <= 0:
        raise ValueError(f"Expected positive integer {name}, but got {value}")
    return value


def _phases(pct_start: float, total_steps: int, three_phase: bool) -> list[dict[str, Any]]:
    """Return the phases of the cycle: where each ends, and between which settings of a group it goes."""
    rise = {
        "end_step": float(pct_start * total_steps) - 1,
        "start_lr": "initial_lr",
        "end_lr": "max_lr",
        "start_momentum": "max_momentum",
        "end_momentum": "base_momentum",
    }
    fall = {
        "end_step": total_steps - 1,
        "start_lr": "max_lr",
        "end_lr": "min_lr",
        "start_momentum": "base_momentum",
        "end_momentum": "max_momentum",
    }
    if not three_phase:
        return [rise, fall]
    return [
        rise,
        {**fall, "end_step": float(2 * pct_start * total_steps) - 2, "end_lr": "initial_lr"},
        {**fall, "start_lr": "initial_lr", "start_momentum": "max_momentum"},
    ]
