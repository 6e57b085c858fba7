"""Several schedules on one optimizer: one after another, or all at once."""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from minillm.optim.lr_scheduler.base import LRScheduler, learning_rates, set_learning_rate
from minillm.optim.lr_scheduler.plateau import ReduceLROnPlateau
from minillm.optim.optimizer import Optimizer


class _Combined(LRScheduler):
    """Base of both: holds the schedules, and their states in its own."""

    _schedulers: list[Any]

    def _check(self, schedulers: Sequence[Any], optimizer: Any) -> None:
        name = type(self).__name__
        for i, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                raise TypeError(f"{name} at index {i} should have `optimizer` as its attribute.")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{name} does not support `ReduceLROnPlateau` scheduler as it requires additional kwargs "
                    f"to be specified when calling `step`, but got one at index {i} in the given schedulers "
                    "sequence."
                )
            if scheduler.optimizer is not optimizer:
                raise ValueError(
                    f"{name} expects all schedulers to belong to the same optimizer, but got scheduler "
                    f"{type(scheduler).__name__} at index {i}, which has another one."
                )

    def state_dict(self) -> dict[str, Any]:
        """Return all that the schedules remember."""
        state = {
            key: copy.deepcopy(value)
            for key, value in vars(self).items()
            if key not in ("optimizer", "_schedulers")
        }
        state["_schedulers"] = [scheduler.state_dict() for scheduler in self._schedulers]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state that :meth:`state_dict` returned, here or in PyTorch."""
        state = dict(state_dict)
        for scheduler, values in zip(self._schedulers, state.pop("_schedulers"), strict=True):
            scheduler.load_state_dict(values)
        self.__dict__.update(copy.deepcopy(state))


class SequentialLR(_Combined):
    """One schedule after another.

    Args:
        optimizer: whose learning rates are set.
        schedulers: schedules of this optimizer, in order.
        milestones: the numbers of steps at which the next schedule takes over; one fewer than schedules.
        last_epoch: how often ``step`` was called before; -1 for a new run.

    Raises:
        ValueError: no schedules, one of another optimizer, or another number of milestones.

    Example:
        >>> import minillm
        >>> from minillm.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
        >>> optimizer = minillm.optim.SGD([minillm.ones(1)], lr=1.0)
        >>> warmup = LinearLR(optimizer, start_factor=0.5, total_iters=2)
        >>> scheduler = SequentialLR(optimizer, [warmup, CosineAnnealingLR(optimizer, 2)], milestones=[2])
        >>> rates = []
        >>> for step in range(5):
        ...     rates += scheduler.get_last_lr()
        ...     optimizer.step(); scheduler.step()
        >>> [round(rate, 3) for rate in rates]
        [0.5, 0.75, 1.0, 0.5, 0.0]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: list[Any], milestones: list[int], last_epoch: int = -1
    ) -> None:
        if len(schedulers) < 1:
            raise ValueError("SequentialLR expects at least one scheduler, but got no scheduler.")
        self._check(schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "Sequential Schedulers expects number of schedulers provided to be one more than the number "
                f"of milestone points, but got number of schedulers {len(schedulers)} and the number of "
                f"milestones to be equal to {len(milestones)}"
            )
        self.optimizer = optimizer
        self._schedulers = schedulers
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        # Each schedule has set its first learning rate already: undo that, and start the first alone.
        for group in optimizer.param_groups:
            set_learning_rate(group, float(group["initial_lr"]))
        _undo_first_step(self)
        first = schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def step(self, epoch: int | None = None) -> None:
        """Set the next learning rates; call it after the optimizer's ``step``."""
        self.last_epoch += 1
        i = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[i]
        if i > 0 and self._milestones[i - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


def _undo_first_step(scheduler: Any) -> None:
    if hasattr(scheduler, "_schedulers"):
        for inner in scheduler._schedulers:
            _undo_first_step(inner)
    else:
        scheduler.last_epoch -= 1


class ChainedScheduler(_Combined):
    """All schedules at once: each step of it is a step of each, and the factors multiply.

    Args:
        schedulers: schedules of one optimizer.
        optimizer: theirs; that of the first by default.

    Raises:
        ValueError: no schedules, or one of another optimizer.

    Example:
        >>> import minillm
        >>> from minillm.optim.lr_scheduler import ChainedScheduler, ConstantLR, ExponentialLR
        >>> optimizer = minillm.optim.SGD([minillm.ones(1)], lr=1.0)
        >>> parts = [ConstantLR(optimizer, factor=0.5, total_iters=4), ExponentialLR(optimizer, gamma=0.5)]
        >>> scheduler = ChainedScheduler(parts)
        >>> optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.25]
    """

    def __init__(self, schedulers: Sequence[Any], optimizer: Optimizer | None = None) -> None:
        if len(schedulers) < 1:
            raise ValueError(
                "ChainedScheduler expects at least one scheduler to be chained, but got no scheduler."
            )
        optimizer = optimizer or getattr(schedulers[0], "optimizer", None)
        self._check(schedulers, optimizer)
        assert optimizer is not None
        self.optimizer = optimizer
        self._schedulers = list(schedulers)
        self._last_lr = learning_rates(optimizer)

    def step(self, epoch: int | None = None) -> None:
        """Make a step of each schedule; call it after the optimizer's ``step``."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = learning_rates(self.optimizer)
