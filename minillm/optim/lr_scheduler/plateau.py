"""``ReduceLROnPlateau``: lower the learning rate when a metric has stopped to improve."""

from __future__ import annotations

import math
import warnings
from typing import Any, SupportsFloat

from minillm.optim.lr_scheduler.base import (
    _EPOCH_IS_DEPRECATED,
    LRScheduler,
    check_optimizer,
    learning_rates,
    set_learning_rate,
)
from minillm.optim.optimizer import Optimizer


class ReduceLROnPlateau(LRScheduler):
    """Multiply by ``factor`` when a metric has not improved for more than ``patience`` steps.

    Args:
        optimizer: whose learning rates are set.
        mode: "min" for a metric that shall fall, such as the loss; "max" for one that shall rise.
        factor: less than 1.
        patience: steps without improvement that are tolerated.
        threshold: what counts as an improvement.
        threshold_mode: "rel" for a threshold relative to the best value so far, "abs" for a difference.
        cooldown: steps after a reduction that do not count.
        min_lr: the least learning rate, or a list with one for each group.
        eps: a reduction by less is not made.

    Raises:
        ValueError: a factor of 1 or more, an unknown mode, or a list of another length than the groups.

    Example:
        >>> import minillm
        >>> optimizer = minillm.optim.SGD([minillm.ones(1)], lr=1.0)
        >>> scheduler = minillm.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
        >>> for loss in [3.0, 2.0, 2.0, 2.0]:
        ...     scheduler.step(loss)
        >>> scheduler.get_last_lr()
        [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: list[float] | float = 0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1.0:
            raise ValueError(f"Factor should be < 1.0, but got {factor}.")
        check_optimizer(optimizer)
        if mode not in ("min", "max"):
            raise ValueError(f"mode {mode} is unknown! It needs to be 'min' or 'max'")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold mode {threshold_mode} is unknown! It needs to be 'rel' or 'abs'")
        groups = len(optimizer.param_groups)
        self.default_min_lr: float | None = None
        if isinstance(min_lr, (list, tuple)):
            if len(min_lr) != groups:
                raise ValueError(f"expected {groups} min_lrs, got {len(min_lr)}")
            self.min_lrs = list(min_lr)
        else:
            self.default_min_lr = min_lr
            self.min_lrs = [min_lr] * groups
        self.optimizer = optimizer
        self.mode, self.threshold, self.threshold_mode = mode, threshold, threshold_mode
        self.factor, self.patience, self.cooldown, self.eps = factor, patience, cooldown, eps
        self.last_epoch = 0
        self._last_lr = learning_rates(optimizer)
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self._reset()

    def _reset(self) -> None:
        """Forget the best value, and count anew."""
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0

    def step(self, metrics: SupportsFloat, epoch: int | None = None) -> None:  # type: ignore[override]
        """Take note of the metric, and lower the learning rates where it is time.

        Args:
            metrics: the value of the metric.
            epoch: deprecated: the number of this step.
        """
        current = float(metrics)
        if epoch is not None:
            warnings.warn(_EPOCH_IS_DEPRECATED, UserWarning, stacklevel=2)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(current, self.best):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce_lr()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = learning_rates(self.optimizer)

    @property
    def in_cooldown(self) -> bool:
        """Whether the last reduction was so near that this step does not count."""
        return self.cooldown_counter > 0

    def _is_better(self, value: float, best: float) -> bool:
        change = self.threshold if self.mode == "max" else -self.threshold
        bound = best * (1 + change) if self.threshold_mode == "rel" else best + change
        return value > bound if self.mode == "max" else value < bound

    def _reduce_lr(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise RuntimeError(
                    f"The number of param groups in the `optimizer` ({len(groups)}) differs from when "
                    f"`ReduceLROnPlateau` was initialized ({len(self.min_lrs)}), usually due to a new param "
                    "group being added to the optimizer. Please modify the `min_lrs` field to match the "
                    "length of the `optimizer` param groups."
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, least in zip(groups, self.min_lrs, strict=True):
            old = float(group["lr"])
            new = max(old * self.factor, least)
            if old - new > self.eps:
                set_learning_rate(group, new)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state that ``state_dict`` returned, here or in PyTorch."""
        super().load_state_dict(state_dict)
        self.mode_worse = math.inf if self.mode == "min" else -math.inf
