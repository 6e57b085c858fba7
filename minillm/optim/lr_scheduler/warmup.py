"""The schedules of language models: the learning rate rises from zero in a straight line, then falls.

The names and arguments are those of Hugging Face's transformers.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from minillm.optim.lr_scheduler.factor import LambdaLR
from minillm.optim.optimizer import Optimizer


def _after_warmup(num_warmup_steps: int, factor: Callable[[int], float]) -> Callable[[int], float]:
    """Return the factor that rises to 1 in ``num_warmup_steps``, and is ``factor(step)`` from there on."""

    def with_warmup(step: int) -> float:
        if step < num_warmup_steps:
            return step / max(1, num_warmup_steps)
        return factor(step)

    return with_warmup


def get_constant_schedule(optimizer: Optimizer, last_epoch: int = -1) -> LambdaLR:
    """Return a schedule that leaves the learning rate as it is.

    Args:
        optimizer: whose learning rates are set.
        last_epoch: how often ``step`` was called before; -1 for a new run.

    Example:
        >>> import minillm
        >>> optimizer = minillm.optim.SGD([minillm.ones(1)], lr=1.0)
        >>> minillm.optim.lr_scheduler.get_constant_schedule(optimizer).get_last_lr()
        [1.0]
    """
    return LambdaLR(optimizer, lambda step: 1.0, last_epoch)


def get_constant_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, last_epoch: int = -1
) -> LambdaLR:
    """Return a schedule that rises from zero, and stays.

    Args:
        optimizer: whose learning rates are set.
        num_warmup_steps: steps until the full learning rate.
        last_epoch: how often ``step`` was called before; -1 for a new run.

    Example:
        >>> import minillm
        >>> optimizer = minillm.optim.SGD([minillm.ones(1)], lr=1.0)
        >>> scheduler = minillm.optim.lr_scheduler.get_constant_schedule_with_warmup(optimizer, 4)
        >>> optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.25]
    """
    return LambdaLR(optimizer, _after_warmup(num_warmup_steps, lambda step: 1.0), last_epoch)


def get_linear_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, last_epoch: int = -1
) -> LambdaLR:
    """Return a schedule that rises from zero, and falls to zero in a straight line.

    Args:
        optimizer: whose learning rates are set.
        num_warmup_steps: steps until the full learning rate.
        num_training_steps: steps until zero.
        last_epoch: how often ``step`` was called before; -1 for a new run.

    Example:
        >>> import minillm
        >>> optimizer = minillm.optim.SGD([minillm.ones(1)], lr=1.0)
        >>> scheduler = minillm.optim.lr_scheduler.get_linear_schedule_with_warmup(optimizer, 2, 6)
        >>> for step in range(3):
        ...     optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.75]
    """

    def fall(step: int) -> float:
        return max(0.0, (num_training_steps - step) / max(1, num_training_steps - num_warmup_steps))

    return LambdaLR(optimizer, _after_warmup(num_warmup_steps, fall), last_epoch)


def get_cosine_schedule_with_warmup(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_training_steps: int,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
) -> LambdaLR:
    """Return a schedule that rises from zero, and falls to zero along the cosine.

    Args:
        optimizer: whose learning rates are set.
        num_warmup_steps: steps until the full learning rate.
        num_training_steps: steps in all.
        num_cycles: waves of the cosine; half a wave falls to zero once.
        last_epoch: how often ``step`` was called before; -1 for a new run.

    Example:
        >>> import minillm
        >>> optimizer = minillm.optim.SGD([minillm.ones(1)], lr=1.0)
        >>> scheduler = minillm.optim.lr_scheduler.get_cosine_schedule_with_warmup(optimizer, 2, 6)
        >>> for step in range(4):
        ...     optimizer.step(); scheduler.step()
        >>> round(scheduler.get_last_lr()[0], 6)
        0.5
    """
    return get_cosine_with_min_lr_schedule_with_warmup(
        optimizer, num_warmup_steps, num_training_steps, num_cycles, last_epoch, min_lr_rate=0.0
    )


def get_cosine_with_min_lr_schedule_with_warmup(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_training_steps: int,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
) -> LambdaLR:
    """Return a schedule that rises from zero, and falls to a least learning rate along the cosine.

    Args:
        optimizer: whose learning rates are set.
        num_warmup_steps: steps until the full learning rate.
        num_training_steps: steps in all.
        num_cycles: waves of the cosine; half a wave falls once.
        last_epoch: how often ``step`` was called before; -1 for a new run.
        min_lr: the least learning rate; or give
        min_lr_rate: the least learning rate by the full one.

    Raises:
        ValueError: both of the last two are given, or neither.

    Example:
        >>> import minillm
        >>> from minillm.optim.lr_scheduler import get_cosine_with_min_lr_schedule_with_warmup
        >>> optimizer = minillm.optim.SGD([minillm.ones(1)], lr=1.0)
        >>> scheduler = get_cosine_with_min_lr_schedule_with_warmup(optimizer, 1, 2, min_lr=0.25)
        >>> for step in range(2):
        ...     optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.25]
    """
    if min_lr is not None and min_lr_rate is not None:
        raise ValueError("Only one of min_lr or min_lr_rate should be set")
    if min_lr is not None:
        least = min_lr / float(optimizer.defaults["lr"])
    elif min_lr_rate is not None:
        least = min_lr_rate
    else:
        raise ValueError("One of min_lr or min_lr_rate should be set")

    def fall(step: int) -> float:
        part = (step - num_warmup_steps) / max(1, num_training_steps - num_warmup_steps)
        height = 0.5 * (1.0 + math.cos(math.pi * num_cycles * 2.0 * part))
        return max(0.0, height * (1 - least) + least)

    return LambdaLR(optimizer, _after_warmup(num_warmup_steps, fall), last_epoch)


def get_inverse_sqrt_schedule(
    optimizer: Optimizer, num_warmup_steps: int, timescale: int | None = None, last_epoch: int = -1
) -> LambdaLR:
    """Return a schedule that rises from zero, and falls with the square root of the steps.

    Source: Vaswani et al., "Attention Is All You Need", NeurIPS 2017, equation 3.

    Args:
        optimizer: whose learning rates are set.
        num_warmup_steps: steps until the full learning rate.
        timescale: how slowly it falls; ``num_warmup_steps``, or 10,000 without warm-up, by default.
        last_epoch: how often ``step`` was called before; -1 for a new run.

    Example:
        >>> import minillm
        >>> optimizer = minillm.optim.SGD([minillm.ones(1)], lr=1.0)
        >>> scheduler = minillm.optim.lr_scheduler.get_inverse_sqrt_schedule(optimizer, 1)
        >>> for step in range(4):
        ...     optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.5]
    """
    scale = timescale or num_warmup_steps or 10_000

    def fall(step: int) -> float:
        return 1.0 / math.sqrt((step + scale - num_warmup_steps) / scale)

    return LambdaLR(optimizer, _after_warmup(num_warmup_steps, fall), last_epoch)
