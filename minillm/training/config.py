"""``TrainingConfig``: the settings of a run, checked when they are made, and its learning-rate schedule.

Source of the schedule: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017),
without restarts, after the linear warm-up of Goyal et al. (2017)::

    warm-up   lr (step + 1) / (warmup + 1)
    cosine    min_lr + (lr - min_lr) (1 + cos(pi done)) / 2,   done from 0 to 1 over the steps after it
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

SCHEDULES = ("cosine", "linear", "step", "constant")
OPTIMIZERS = ("adamw", "adam", "sgd")


@dataclasses.dataclass
class TrainingConfig:
    """The settings of a training run.

    Attributes:
        steps: optimizer steps.
        batch_size: windows in a batch, B.
        block_size: tokens in a window, T.
        grad_accumulation: batches whose gradients are averaged in each step: the memory of one batch,
            the gradient of ``batch_size * grad_accumulation`` windows.
        batch_threads: threads that share each batch, see :class:`~minillm.training.batch_split.BatchSplit`: a
            run repeats bit for bit with the same number. 1 computes the batch in one piece.
        optimizer: ``adamw``, ``adam`` or ``sgd``.
        lr: the highest learning rate.
        min_lr: the rate that the schedule ends at.
        schedule: ``cosine``, ``linear`` (both from lr to min_lr), ``step`` (a tenth after each third,
            down to min_lr) or ``constant``.
        warmup: steps over which the rate rises from near 0.
        betas: decay of the two moments of Adam and AdamW.
        momentum: of SGD.
        weight_decay: of matrices; vectors (biases, norms) have none.
        grad_clip: the largest norm of all gradients together; 0 for no clipping.
        freeze: patterns of parameter names that are not trained, as in ``transformer.h.[01].*``.
        eval_interval: steps between evaluations on the validation text, the first before any step; 0 for
            none but the last.
        eval_windows: windows that each evaluation reads, at equal distances; after the last step the
            whole text is read.
        patience: stop after so many evaluations without a lower loss; 0 for never.
        checkpoint_interval: steps between checkpoints; 0 for none but the first, the best and the last.
        log_interval: steps between lines of the log.
        seed: of everything random.

    Raises:
        ValueError: a setting that makes no sense; the message names it, what it is, and what it needs.
    """

    steps: int = 1000
    batch_size: int = 16
    block_size: int = 64
    grad_accumulation: int = 1
    batch_threads: int = 1
    optimizer: str = "adamw"
    lr: float = 1e-3
    min_lr: float = 1e-4
    schedule: str = "cosine"
    warmup: int = 100
    betas: tuple[float, float] = (0.9, 0.99)
    momentum: float = 0.9
    weight_decay: float = 0.1
    grad_clip: float = 1.0
    freeze: tuple[str, ...] = ()
    eval_interval: int = 250
    eval_windows: int = 256
    patience: int = 0
    checkpoint_interval: int = 500
    log_interval: int = 10
    seed: int = 1337

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "block_size", "grad_accumulation"):
            self._check_count(name, 1)
        for name in ("log_interval", "eval_windows", "batch_threads"):
            self._check_count(name, 1)
        for name in ("warmup", "eval_interval", "patience", "checkpoint_interval", "seed"):
            self._check_count(name, 0)
        for name in ("lr", "min_lr", "momentum", "weight_decay", "grad_clip"):
            self._check_number(name, getattr(self, name))
        if not self.lr:
            raise ValueError("lr is 0; it needs to be positive")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule is {self.schedule!r}; known are {', '.join(SCHEDULES)}")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer is {self.optimizer!r}; known are {', '.join(OPTIMIZERS)}")
        betas: Any = self.betas
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ValueError(f"betas are {betas!r}; they need to be two numbers")
        for beta in betas:
            self._check_number("a beta", beta)
        self.betas = (float(betas[0]), float(betas[1]))
        if max(self.betas) >= 1:
            raise ValueError(f"betas are {self.betas}; they need to lie in [0, 1)")
        patterns: Any = self.freeze
        if not isinstance(patterns, (tuple, list)) or not all(isinstance(p, str) for p in patterns):
            raise ValueError(f"freeze is {patterns!r}; it needs a list of patterns")
        self.freeze = tuple(patterns)

    def _check_count(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} is {value!r}; it needs a whole number, {least} or more")

    @staticmethod
    def _check_number(name: str, value: object) -> None:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (number and math.isfinite(value) and value >= 0):  # type: ignore[arg-type, operator]
            raise ValueError(f"{name} is {value!r}; it needs a finite number, 0 or more")

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0.

        Example:
            >>> config = TrainingConfig(steps=100, lr=1.0, min_lr=0.1, warmup=10)
            >>> [round(config.learning_rate(step), 3) for step in (0, 9, 10, 55, 100)]
            [0.091, 0.909, 1.0, 0.55, 0.1]
        """
        if step < self.warmup:
            return self.lr * (step + 1) / (self.warmup + 1)
        done = min((step - self.warmup) / max(self.steps - self.warmup, 1), 1.0)
        low = min(self.min_lr, self.lr)
        if self.schedule == "cosine":
            return low + (self.lr - low) * 0.5 * (1 + math.cos(math.pi * done))
        if self.schedule == "linear":
            return low + (self.lr - low) * (1 - done)
        if self.schedule == "step":
            return max(self.lr * 0.1 ** min(int(3 * done), 2), low)
        return self.lr

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON holds them."""
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingConfig:
        """Return the settings from JSON.

        Raises:
            ValueError: a name that is no setting, or a value that does not fit.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"training settings: unknown names {', '.join(unknown)}")
        return cls(**values)
