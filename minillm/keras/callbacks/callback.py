"""Callbacks: what ``fit`` calls while it trains, and those that keep, show or do something at each event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minillm.keras.progress import Progress


class Callback:
    """Base of all callbacks; write the methods that you need.

    Attributes:
        model: the model that is trained.
        params: ``verbose``, ``epochs`` and ``steps`` of the call.
    """

    def __init__(self) -> None:
        self.model: Any = None
        self.params: dict[str, Any] = {}

    def set_model(self, model: Any) -> None:
        """Take the model that is trained."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Take the settings of the call."""
        self.params = params

    def on_train_begin(self, logs: Any = None) -> None:
        """Training begins."""

    def on_train_end(self, logs: Any = None) -> None:
        """Training has ended; ``logs`` are those of the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """An epoch begins; its number counts from 0."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """An epoch has ended, with these numbers."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """A batch begins."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """A batch has been trained on; ``logs`` are of the epoch so far."""

    def on_test_begin(self, logs: Any = None) -> None:
        """Evaluation, or validation, begins."""

    def on_test_end(self, logs: Any = None) -> None:
        """It has ended."""

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """A batch begins."""

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """A batch has been evaluated."""

    def on_predict_begin(self, logs: Any = None) -> None:
        """Prediction begins."""

    def on_predict_end(self, logs: Any = None) -> None:
        """It has ended."""

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """A batch begins."""

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """The outputs of a batch are known."""

    # Names of older programs.

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """See ``on_train_batch_begin``."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """See ``on_train_batch_end``."""


class History(Callback):
    """Keeps the numbers of each epoch.

    Attributes:
        epoch: the numbers of the epochs.
        history: for each name a list with a number for each epoch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def on_train_begin(self, logs: Any = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self


class ProgbarLogger(Callback):
    """Shows the lines of :mod:`~minillm.keras.progress`."""

    def __init__(self) -> None:
        super().__init__()
        self._in_fit = False
        self._progress: Progress | None = None

    def _begin(self) -> None:
        self._progress = Progress(self.params["steps"], self.params["verbose"])

    def _step(self, batch: int, logs: Any) -> None:
        if self._progress is not None:
            self._progress.update(batch + 1, logs or {})

    def _end(self, logs: Any) -> None:
        if self._progress is not None:
            self._progress.update(self.params["steps"], logs or {}, last=True)

    def on_train_begin(self, logs: Any = None) -> None:
        self._in_fit = True

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.params["verbose"] and self.params["epochs"] > 1:
            print(f"Epoch {epoch + 1}/{self.params['epochs']}", flush=True)
        self._begin()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._step(batch, dict(sorted((logs or {}).items())))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._end(logs)

    def on_test_begin(self, logs: Any = None) -> None:
        if not self._in_fit:
            self._begin()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self._in_fit:
            self._step(batch, dict(sorted((logs or {}).items())))

    def on_test_end(self, logs: Any = None) -> None:
        if not self._in_fit:
            self._end(logs)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._begin()

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._step(batch, None)

    def on_predict_end(self, logs: Any = None) -> None:
        self._end(None)


class LambdaCallback(Callback):
    """Calls functions at events.

    Args:
        functions: by the names of the methods: ``on_epoch_end=lambda epoch, logs: ...``.

    Raises:
        TypeError: there is no such event.
    """

    def __init__(self, **functions: Callable[..., Any] | None) -> None:
        super().__init__()
        for name, function in functions.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                raise TypeError(f"LambdaCallback: there is no event {name!r}")
            if function is not None:
                setattr(self, name, function)


class CallbackList:
    """The callbacks of one call of ``fit``, ``evaluate`` or ``predict``.

    Attributes:
        wants_batches: whether anyone asks for the numbers after each batch.
    """

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks = list(callbacks)
        self.wants_batches = any(_listens_to_batches(callback) for callback in self.callbacks)

    @classmethod
    def of(
        cls, callbacks: Any, model: Any, verbose: Any, epochs: int, steps: int, with_history: bool = False
    ) -> CallbackList:
        """Return what the user gave, with a history and progress lines after them.

        Raises:
            TypeError: something that is no callback.
        """
        verbose = 1 if verbose == "auto" else int(verbose)
        given = [] if callbacks is None else list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
        for callback in given:
            if not isinstance(callback, Callback):
                hint = "; call the class: EarlyStopping()" if isinstance(callback, type) else ""
                raise TypeError(f"callbacks: got {callback!r}; it needs objects of keras.callbacks.Callback{hint}")
        if verbose and not any(isinstance(callback, ProgbarLogger) for callback in given):
            given.append(ProgbarLogger())
        if with_history:
            if not any(isinstance(callback, History) for callback in given):
                given.append(History())
            model.history = next(callback for callback in given if isinstance(callback, History))
        for callback in given:
            callback.set_model(model)
            callback.set_params({"verbose": verbose, "epochs": epochs, "steps": steps})
        return cls(given)

    def call(self, event: str, *arguments: Any) -> None:
        """Tell all of them of an event."""
        old = event.replace("on_train_batch", "on_batch") if event.startswith("on_train_batch") else None
        for callback in self.callbacks:
            getattr(callback, event)(*arguments)
            if old is not None:
                getattr(callback, old)(*arguments)


def _listens_to_batches(callback: Callback) -> bool:
    if isinstance(callback, ProgbarLogger):
        return callback.params["verbose"] == 1
    for event in ("on_train_batch_end", "on_test_batch_end", "on_batch_end"):
        if getattr(type(callback), event) is not getattr(Callback, event) or event in vars(callback):
            return True
    return False
