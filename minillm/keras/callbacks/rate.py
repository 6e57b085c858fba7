"""Callbacks that set the learning rate, write a table of the epochs, or stop at a loss that is no number."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minillm.keras.callbacks.callback import Callback


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch.

    Args:
        schedule: a function of the epoch and the learning rate, or of the epoch.
        verbose: 1 tells of it.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        optimizer = self.model.optimizer
        try:
            rate = self.schedule(epoch, optimizer.learning_rate)
        except TypeError:  # as in old programs
            rate = self.schedule(epoch)
        optimizer.learning_rate = float(rate)
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["learning_rate"] = self.model.optimizer.learning_rate


class CSVLogger(Callback):
    """Writes a line of a table for each epoch.

    Args:
        filename: of the file.
        separator: between two columns.
        append: go on with the file that is there.
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.path, self.separator, self.append = Path(filename), separator, append
        self._names: list[str] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self._names = []
        if not self.append:
            self.path.write_text("", encoding="utf-8")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        first = not self.path.exists() or not self.path.stat().st_size
        if not self._names:
            self._names = sorted(logs)
            if not any(name.startswith("val_") for name in logs):  # validation may come in a later epoch
                self._names += [f"val_{name}" for name in self._names]
        with open(self.path, "a", newline="", encoding="utf-8") as file:
            table = csv.writer(file, delimiter=self.separator)
            if first:
                table.writerow(["epoch", *self._names])
            table.writerow([epoch, *(logs.get(name, "NA") for name in self._names)])


class TerminateOnNaN(Callback):
    """Stops training when the loss is no number."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            print(f"Batch {batch}: Invalid loss, terminating training")
            self.model.stop_training = True
