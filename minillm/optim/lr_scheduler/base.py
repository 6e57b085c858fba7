"""``LRScheduler``: sets the learning rates of an optimizer anew after each step or epoch."""

from __future__ import annotations

import copy
import warnings
from typing import Any

from minillm.ops import Tensor
from minillm.optim.optimizer import Optimizer

_WRONG_ORDER = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`: the first learning rate of the "
    "schedule is skipped. Call `optimizer.step()` first"
)
_EPOCH_IS_DEPRECATED = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. "
    "Please use `scheduler.step()` to step the scheduler"
)


def learning_rates(optimizer: Optimizer, key: str = "lr") -> list[float]:
    """Return the learning rate, or another number among the settings, of each group."""
    return [float(group[key]) for group in optimizer.param_groups]


def set_learning_rate(group: dict[str, Any], value: float) -> None:
    """Set the learning rate of a group; a tensor stays the same tensor."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(value)
    else:
        group["lr"] = value


class LRScheduler:
    """Base of all schedules; subclass it with ``get_lr``, which returns a learning rate for each group.

    Args:
        optimizer: whose learning rates are set.
        last_epoch: how often ``step`` was called before, when a run goes on; -1 for a new one.

    Attributes:
        last_epoch: how often ``step`` was called.
        base_lrs: the learning rate that each group had at first.

    Raises:
        TypeError: ``optimizer`` is none.
        KeyError: ``last_epoch`` is given, but the groups do not know their first learning rate.

    Example:
        >>> import minillm
        >>> from minillm.optim.lr_scheduler import LRScheduler
        >>> class Halving(LRScheduler):
        ...     def get_lr(self):
        ...         return [lr / 2**self.last_epoch for lr in self.base_lrs]
        >>> optimizer = minillm.optim.SGD([minillm.ones(1)], lr=1.0)
        >>> scheduler = Halving(optimizer)
        >>> for epoch in range(3):
        ...     optimizer.step()
        ...     scheduler.step()
        >>> scheduler.get_last_lr()
        [0.125]
    """

    _get_lr_called_within_step = False
    _is_initial = False
    _step_count: int
    _last_lr: list[float]

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                lr = group["lr"]
                group.setdefault("initial_lr", lr.clone() if isinstance(lr, Tensor) else lr)
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with "
                    "last_epoch >= 0: load the state of the optimizer first, or leave last_epoch out"
                )
        self.base_lrs = learning_rates(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        """Set the first learning rates."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def get_lr(self) -> list[float]:
        """Return the learning rate of each group for the step number ``last_epoch``."""
        raise NotImplementedError(f"{type(self).__name__} needs a method get_lr(self)")

    def get_last_lr(self) -> list[float]:
        """Return the learning rate of each group that was set last."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Set the next learning rates; call it after the optimizer's ``step``.

        Args:
            epoch: deprecated: go to this step.
        """
        if self._step_count == 1 and not self.optimizer._opt_called:
            warnings.warn(_WRONG_ORDER, UserWarning, stacklevel=2)
        self._step_count += 1
        if epoch is not None:
            warnings.warn(_EPOCH_IS_DEPRECATED, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        """Set the learning rates of the next step, or of step number ``epoch``."""
        closed_form = getattr(self, "_get_closed_form_lr", self.get_lr)
        self._get_lr_called_within_step = True
        try:
            if epoch is None:
                self.last_epoch += 1
                values = self.get_lr()
            else:
                self.last_epoch = epoch
                values = closed_form()
        finally:
            self._get_lr_called_within_step = False
        for group, value in zip(self.optimizer.param_groups, values, strict=True):
            set_learning_rate(group, value)
        self._last_lr = learning_rates(self.optimizer)

    def _current(self) -> list[float]:
        """Return the learning rates as they are; ``get_lr`` starts from them."""
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
                UserWarning,
                stacklevel=3,
            )
        return learning_rates(self.optimizer)

    def state_dict(self) -> dict[str, Any]:
        """Return all that the schedule remembers but the optimizer, as a copy."""
        return {key: copy.deepcopy(value) for key, value in vars(self).items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state that :meth:`state_dict` returned, here or in PyTorch.

        The learning rates stand in the state of the optimizer: load that too.
        """
        self.__dict__.update(copy.deepcopy(state_dict))


def check_optimizer(optimizer: Any) -> None:
    """Raise an error unless it is an optimizer.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def for_each_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """Return a setting for each group: one that is given for all, or a list with one for each.

    Raises:
        ValueError: a list of another length.
    """
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * groups
    if len(value) != groups:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. "
            f"{name} has {len(value)} values, param_groups has {groups}."
        )
    return list(value)
