"""What a fine-tuning shows while it goes: a bar on a terminal, and a line for each epoch."""

from __future__ import annotations

import math
from typing import Any

from minillm.training.progress import ProgressBar


class EpochBar(ProgressBar):
    """A bar ``120/2000 steps, loss 0.31``, and a line for each epoch.

    Args:
        metric: the score that is shown first.
        epochs: in all.
    """

    def __init__(self, metric: str, epochs: int) -> None:
        super().__init__()
        self.metric, self.epochs = metric, epochs

    def done(self, step: int, steps: int, loss: float) -> None:
        """Show that so many steps of all are done, and the mean loss of the epoch."""
        if self._bar is None:
            self.start(step - 1, steps)
        if not self._bar.disable:
            self._bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
            self._bar.update()
            if step == steps:
                self._bar.refresh()

    def epoch(self, record: dict[str, Any]) -> None:
        """Show what is known after an epoch."""
        parts = [f"epoch {record['epoch']}/{self.epochs}: loss {record['loss']:.4f}"]
        scores = {k: v for k, v in record.items() if k not in ("epoch", "step", "loss", "seconds", "best")}
        if scores:
            order = sorted(scores, key=lambda name: name != self.metric)
            parts.append(scores_line({name: scores[name] for name in order}))
            parts.append("best so far" if record["best"] else "not the best")
        self._line(", ".join(parts))


def scores_line(scores: dict[str, Any]) -> str:
    """Return scores in a line.

    Example:
        >>> scores_line({"accuracy": 0.875, "f1": 0.5})
        'accuracy 0.8750, f1 0.5000'
    """
    shown = []
    for name, value in scores.items():
        number = isinstance(value, (int, float)) and math.isfinite(value)
        shown.append(f"{name} {value:.4f}" if number and abs(value) < 1e5 else f"{name} {value}")
    return ", ".join(shown)
