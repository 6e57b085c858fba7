"""Where a run stands, what came out of it, and that it failed."""

from __future__ import annotations

import dataclasses
import time

from minillm.training.evaluation import Evaluation


class DivergenceError(RuntimeError, ValueError):
    """The loss or the gradients are no longer numbers: training has failed and was stopped."""


@dataclasses.dataclass
class TrainingState:
    """Where a run stands; with weights, moments and settings it is all that resuming needs.

    Attributes:
        step: steps done.
        evaluated: steps done at the last evaluation, -1 before the first.
        best_loss: the lowest validation loss, None before the first evaluation.
        best_step: steps done then.
        waited: evaluations since then.
        loss_sum: of the steps since the last line of the log.
        loss_count: the number of these steps.
        tokens: trained on so far.
        seconds: that training took so far.
        log_lines: in the log.
    """

    step: int = 0
    evaluated: int = -1
    best_loss: float | None = None
    best_step: int | None = None
    waited: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    tokens: int = 0
    seconds: float = 0.0
    log_lines: int = 0


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What came out of a run.

    Attributes:
        step: steps done.
        kept_step: after which the weights were that the model has now: those of the lowest validation
            loss, or the last ones where there is no validation text.
        stopped_early: whether patience ended, before the last step.
        evaluation: of the whole validation text with these weights; None where there is none.
        tokens: trained on.
        seconds: that it took, of all sessions together.
    """

    step: int
    kept_step: int
    stopped_early: bool
    evaluation: Evaluation | None
    tokens: int
    seconds: float


class Clock:
    """Adds the time between ticks to the seconds of a run."""

    def __init__(self, state: TrainingState) -> None:
        self._state = state
        self._last = time.perf_counter()

    def tick(self) -> None:
        now = time.perf_counter()
        self._state.seconds += now - self._last
        self._last = now
