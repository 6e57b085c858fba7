"""Callbacks that watch one number: early stopping, checkpoints, and a learning rate that falls on a plateau."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minillm.keras.callbacks.callback import Callback


class Monitor(Callback):
    """Base of callbacks that watch one number.

    Args:
        monitor: its name in the logs.
        mode: ``"min"``, ``"max"``, or ``"auto"``: by the metric.
        min_delta: a smaller change is no improvement.
    """

    def __init__(self, monitor: str = "val_loss", mode: str = "auto", min_delta: float = 0.0) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            kind = type(self).__name__
            warnings.warn(f"{kind} mode '{mode}' is unknown, fallback to auto mode.", stacklevel=3)
            mode = "auto"
        self.monitor, self.mode, self.min_delta = monitor, mode, abs(min_delta)
        self.best: float | None = None
        self._rises: bool | None = None

    def _find_direction(self) -> bool:
        """Return whether more is better.

        Raises:
            ValueError: neither ``mode`` nor the metric tells.
        """
        if self._rises is None:
            name = self.monitor.removeprefix("val_")
            known = [metric.rises for metric in self.model.metrics if metric.name == name]
            rises = self.mode == "max" if self.mode != "auto" else known[0] if known else None
            if rises is None:
                raise ValueError(
                    f"{type(self).__name__}: got monitor={self.monitor!r}, of which is not known whether more is "
                    "better; give mode='min' or mode='max'"
                )
            self._rises = rises
        return self._rises

    def _improves(self, value: float, best: float | None) -> bool:
        if best is None:
            return True
        return value - self.min_delta > best if self._find_direction() else value + self.min_delta < best

    def _watched(self, logs: Mapping[str, float] | None, what: str) -> float | None:
        """Return the number, or warn that it is not there."""
        logs = logs or {}
        if self.monitor not in logs:
            warnings.warn(
                f"{what} `{self.monitor}` which is not available. Available metrics are: {','.join(logs)}",
                stacklevel=5,
            )
        return logs.get(self.monitor)


class EarlyStopping(Monitor):
    """Stops training when a number has not improved for some epochs.

    Args:
        monitor: its name in the logs.
        min_delta: a smaller change is no improvement.
        patience: epochs without improvement.
        verbose: 1 tells when it stops.
        mode: ``"min"``, ``"max"``, or ``"auto"``: by the metric.
        baseline: a value that has to be improved on.
        restore_best_weights: go back to the weights of the best epoch.
        start_from_epoch: epochs before it are not looked at.

    Attributes:
        stopped_epoch: the epoch at which it stopped, 0 if it did not.
        best_epoch: the best one.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best, self.best_weights = None, None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._find_direction()
        value = self._watched(logs, "Early stopping conditioned on metric")
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self._improves(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._improves(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class ModelCheckpoint(Monitor):
    """Saves the model after each epoch, or the best one so far.

    Args:
        filepath: ends in ``.keras``, or with ``save_weights_only`` in ``.weights.h5`` or ``.safetensors``;
            ``{epoch}`` and names in the logs are filled in.
        monitor: what is compared.
        verbose: 1 tells what is saved.
        save_best_only: save where the number has improved.
        save_weights_only: save weights without the rest.
        mode: ``"min"``, ``"max"``, or ``"auto"``: by the metric.
        save_freq: ``"epoch"``, or a number of batches.
        initial_value_threshold: what the first value has to improve on.
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        self.filepath = str(filepath)
        endings = (".weights.h5", ".safetensors") if save_weights_only else (".keras",)
        if not self.filepath.endswith(endings):
            raise ValueError(f"ModelCheckpoint: got filepath={self.filepath!r}; it needs to end in {endings[0]}")
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise ValueError(f"ModelCheckpoint: got save_freq={save_freq!r}; it needs 'epoch' or a number of batches")
        self.verbose, self.save_best_only, self.save_weights_only = verbose, save_best_only, save_weights_only
        self.save_freq, self.best = save_freq, initial_value_threshold
        self._epoch = self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batches += 1
        if isinstance(self.save_freq, int) and self._batches % self.save_freq == 0:
            self._save(self._epoch, {"batch": batch + 1, **(logs or {})})

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, logs or {})

    def _save(self, epoch: int, logs: Mapping[str, float]) -> None:
        try:
            path = Path(self.filepath.format(epoch=epoch + 1, **logs))
        except KeyError as error:
            raise KeyError(f"ModelCheckpoint: {self.filepath!r} names {error}; there are: {', '.join(logs)}") from error
        if not self._wanted(epoch, logs, path):
            return
        (self.model.save_weights if self.save_weights_only else self.model.save)(path)

    def _wanted(self, epoch: int, logs: Mapping[str, float], path: Path) -> bool:
        value = self._watched(logs, "Can save best model only with metric") if self.save_best_only else None
        if value is None:
            if self.verbose > 0:
                print(f"\nEpoch {epoch + 1}: saving model to {path}")
            return True
        before = "None" if self.best is None else f"{self.best:.5f}"
        better = self._improves(value, self.best)
        if better:
            self.best = value
        if self.verbose > 0:
            news = f"improved from {before} to {value:.5f}, saving model to {path}"
            print(f"\nEpoch {epoch + 1}: {self.monitor} {news if better else f'did not improve from {before}'}")
        return better


class ReduceLROnPlateau(Monitor):
    """Makes the learning rate smaller when a number has not improved for some epochs.

    Args:
        monitor: its name in the logs.
        factor: of the learning rate; below 1.
        patience: epochs without improvement.
        verbose: 1 tells of it.
        mode: ``"min"``, ``"max"``, or ``"auto"``: by the metric.
        min_delta: a smaller change is no improvement.
        cooldown: epochs that are not counted after a change.
        min_lr: the least learning rate.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if not 0 < factor < 1:
            raise ValueError(f"ReduceLROnPlateau: got factor={factor!r}; it needs a number between 0 and 1")
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self.wait = self._cooling = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self.best, self.wait, self._cooling = None, 0, 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._find_direction()
        optimizer = self.model.optimizer
        rate = optimizer.learning_rate
        logs["learning_rate"] = rate
        value = self._watched(logs, "Learning rate reduction is conditioned on metric")
        if value is None:
            return
        if self._cooling:
            self._cooling -= 1
            self.wait = 0
        if self._improves(value, self.best):
            self.best, self.wait = value, 0
        elif not self._cooling:
            self.wait += 1
            if self.wait >= self.patience and rate > np.float32(self.min_lr):
                optimizer.learning_rate = max(rate * self.factor, self.min_lr)
                self._cooling, self.wait = self.cooldown, 0
                if self.verbose > 0:
                    new = optimizer.learning_rate
                    print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
