"""``compile``, ``fit``, ``evaluate`` and ``predict``: Keras' training loop over minillm's layers and optimizers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minillm.autograd import no_grad
from minillm.keras import losses, optimizers
from minillm.keras import metrics as metrics_module
from minillm.keras.arrays import HostArray, Rows, as_array, rows_of, split
from minillm.keras.callbacks import CallbackList, History
from minillm.keras.layers.layer import Layer
from minillm.ops import Tensor


class Trainable(Layer):
    """The half of a model that learns."""

    output_mask: Tensor | None = None  # of the last call
    compiled = False
    stop_training = False
    _orders = 0  # random orders drawn so far
    history: History | None = None
    optimizer: optimizers.Optimizer

    # -- compile ------------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        **without_effect: Any,
    ) -> None:
        """Choose how to train.

        Args:
            optimizer: a name or an object.
            loss: a name, an object, or a function of (y_true, y_pred).
            metrics: a list of names, objects or functions.
            weighted_metrics: the same, of which examples count by ``sample_weight``.
            without_effect: ``run_eagerly``, ``jit_compile``, ``steps_per_execution``, ``auto_scale_loss``.

        Raises:
            ValueError: an unknown name; the message lists the known ones.
        """
        unknown = set(without_effect) - {"run_eagerly", "jit_compile", "steps_per_execution", "auto_scale_loss"}
        if unknown:
            raise TypeError(f"compile: {', '.join(sorted(unknown))} is not offered here")
        self.optimizer = optimizers.get(optimizer)
        self.loss = None if loss is None else losses.get(loss)
        if not self.compiled or metrics is not None or weighted_metrics is not None:
            self._given = {"metrics": _listed(metrics), "weighted_metrics": _listed(weighted_metrics)}
        # else those of the compile before stay, as in Keras
        self.compiled_with = {"loss": loss, "metrics": metrics, "weighted_metrics": weighted_metrics}
        _check_metrics(self._given)
        self._loss_mean = _mean_of_loss()
        self._chosen: dict[str, list[metrics_module.Metric]] | None = None  # known with the shapes of y and output
        self.compiled = True

    def _need(self, operation: str, loss: bool = True) -> None:
        if not self.compiled:
            raise RuntimeError(f"{operation}: call compile(optimizer=..., loss=...) before {operation}")
        if loss and self.loss is None:
            raise ValueError(f"{operation}: the model was compiled without a loss; compile it with one")

    @property
    def metrics(self) -> list[metrics_module.Metric]:
        """The mean of the loss, and the metrics once a batch has been seen."""
        if not self.compiled:
            return []
        return [self._loss_mean, *(metric for kind in (self._chosen or {}).values() for metric in kind)]

    @property
    def metrics_names(self) -> list[str]:
        """Names of what ``evaluate`` returns, in its order."""
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Forget all batches."""
        for metric in self.metrics:
            metric.reset_state()

    # -- one batch ----------------------------------------------------------------------------------

    def _loss_of(self, batch: Rows, y_pred: Tensor) -> Tensor:
        assert self.loss is not None
        total = self.loss(batch.y, y_pred, batch.weight, self.output_mask)
        for penalty in self.losses:
            total = total + penalty
        return total

    def _measure(self, batch: Rows, y_pred: Tensor, loss: Tensor) -> None:
        assert batch.y is not None
        if self._chosen is None:
            shapes = batch.y.shape, y_pred.shape
            given = self._given.items()
            self._chosen = {kind: [metrics_module.get(one, *shapes) for one in ones] for kind, ones in given}
        self._loss_mean.update_state([float(loss)], [float(len(batch.x))])
        guess = y_pred.detach()
        for kind, weight in (("metrics", None), ("weighted_metrics", batch.weight)):
            for metric in self._chosen[kind]:
                masked = {"mask": self.output_mask} if isinstance(metric, metrics_module.MeanMetric) else {}
                metric.update_state(batch.y, guess, weight, **masked)

    def _logs(self) -> dict[str, float]:
        logs = {"loss": self._loss_mean.result()}
        for kind, chosen in (self._chosen or {}).items():
            for metric in chosen:
                name, number = metric.name, 0
                if name in logs and kind == "weighted_metrics":
                    name = f"weighted_{name}"
                first = name
                while name in logs:
                    number += 1
                    name = f"{first}_{number}"
                logs[name] = metric.result()
        return logs

    def _train_step(self, batch: Rows) -> None:
        y_pred = self(batch.x, training=True)
        loss = self._loss_of(batch, y_pred)
        weights = self.trainable_weights
        if weights:
            self.optimizer.build(weights)
            self.optimizer.inner.zero_grad()
            loss.backward()
            self.optimizer.step()
        else:
            warnings.warn("The model does not have any trainable weights.", stacklevel=3)
        self._measure(batch, y_pred, loss)

    def _test_step(self, batch: Rows) -> None:
        with no_grad():
            y_pred = self(batch.x, training=False)
            self._measure(batch, y_pred, self._loss_of(batch, y_pred))

    # -- many batches -------------------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[Any, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> History:
        """Train for a number of epochs.

        Args:
            x: (examples, ...).
            y: (examples, ...).
            batch_size: examples in a batch; 32 by default.
            epochs: the number of the last epoch.
            verbose: 0 shows nothing, 1 a bar and a line for each epoch, 2 a line for each epoch.
            callbacks: a list of :mod:`~minillm.keras.callbacks`.
            validation_split: the last part of the data that is kept for validation, before shuffling.
            validation_data: (x, y) or (x, y, sample_weight) in its place.
            shuffle: in a new random order each epoch.
            class_weight: how much the examples of each class count in the loss.
            sample_weight: how much each example counts, (examples,).
            initial_epoch: the first epoch, from 0, of training that goes on.
            validation_batch_size: that of validation; ``batch_size`` by default.
            validation_freq: validate after so many epochs each.

        Returns:
            The history: a list of numbers, one an epoch, for loss and metrics.

        Raises:
            RuntimeError: the model was not compiled.
            ValueError: x and y do not fit each other.

        Example:
            >>> import numpy as np
            >>> from minillm import keras
            >>> model = keras.Sequential([keras.layers.Dense(1, input_shape=(2,))])
            >>> model.compile("sgd", "mse")
            >>> history = model.fit(np.zeros((4, 2)), np.zeros(4), epochs=2, verbose=0)
            >>> history.history["loss"]
            [0.0, 0.0]
        """
        self._need("fit")
        rows = rows_of("fit", x, y, sample_weight)
        validation = None
        if validation_data is not None:
            validation = _validation_rows(validation_data)
        elif validation_split:
            rows, validation = split(rows, validation_split)
        if class_weight is not None:
            rows = rows_of("fit", rows.x, rows.y, rows.weight, class_weight)
        size = _batch_size("fit", batch_size)
        steps = -(-len(rows.x) // size)
        chain = CallbackList.of(callbacks, self, verbose, epochs, steps, with_history=True)

        self.stop_training = False
        logs: dict[str, float] = {}
        chain.call("on_train_begin")
        for epoch in range(initial_epoch, epochs):
            self.reset_metrics()
            chain.call("on_epoch_begin", epoch)
            order = None
            if shuffle:
                order, self._orders = self._orders, self._orders + 1
            for step, batch in enumerate(rows.batches(size, order)):
                chain.call("on_train_batch_begin", step)
                self._train_step(batch)
                if chain.wants_batches:
                    chain.call("on_train_batch_end", step, self._logs())
                if self.stop_training:
                    break
            logs = self._logs()
            if validation is not None and (epoch + 1) % validation_freq == 0:
                scores = self._evaluate(validation, _batch_size("fit", validation_batch_size or batch_size), chain)
                logs |= {f"val_{name}": value for name, value in scores.items()}
            logs = dict(sorted(logs.items()))
            chain.call("on_epoch_end", epoch, logs)
            if self.stop_training:
                break
        chain.call("on_train_end", logs)
        assert self.history is not None
        return self.history

    def _evaluate(self, rows: Rows, batch_size: int, chain: CallbackList) -> dict[str, float]:
        chain.call("on_test_begin")
        self.reset_metrics()
        for step, batch in enumerate(rows.batches(batch_size)):
            chain.call("on_test_batch_begin", step)
            self._test_step(batch)
            if chain.wants_batches:
                chain.call("on_test_batch_end", step, self._logs())
        logs = self._logs()
        chain.call("on_test_end", dict(sorted(logs.items())))
        return logs

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Return the loss, or a list of it and the metrics, on examples.

        Args:
            x: (examples, ...).
            y: (examples, ...).
            batch_size: examples in a batch; 32 by default.
            verbose: 0 shows nothing, 1 a bar, 2 a line.
            sample_weight: how much each example counts.
            callbacks: a list of :mod:`~minillm.keras.callbacks`.
            return_dict: return numbers by name.
        """
        self._need("evaluate")
        rows, size = rows_of("evaluate", x, y, sample_weight), _batch_size("evaluate", batch_size)
        chain = CallbackList.of(callbacks, self, verbose, 1, -(-len(rows.x) // size))
        logs = self._evaluate(rows, size, chain)
        return logs if return_dict else _flat(logs)

    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = "auto", callbacks: Any = None) -> HostArray:
        """Return the outputs for examples, an array of the host.

        Args:
            x: (examples, ...).
            batch_size: examples in a batch; 32 by default.
            verbose: 0 shows nothing, 1 a bar, 2 a line.
            callbacks: a list of :mod:`~minillm.keras.callbacks`.

        Example:
            >>> import numpy as np
            >>> from minillm import keras
            >>> model = keras.Sequential([keras.layers.Flatten()])
            >>> model.predict(np.ones((2, 3, 4)), verbose=0).shape
            (2, 12)
        """
        rows, size = rows_of("predict", x, needs_y=False), _batch_size("predict", batch_size)
        chain = CallbackList.of(callbacks, self, verbose, 1, -(-len(rows.x) // size))
        chain.call("on_predict_begin")
        outputs = []
        for step, batch in enumerate(rows.batches(size)):
            chain.call("on_predict_batch_begin", step)
            outputs.append(self.predict_on_batch(batch.x))
            chain.call("on_predict_batch_end", step)
        chain.call("on_predict_end")
        return np.concatenate(outputs)

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Make one step, and return loss and metrics of this batch."""
        self._need("train_on_batch")
        self.reset_metrics()
        self._train_step(rows_of("train_on_batch", x, y, sample_weight, class_weight))
        logs = self._logs()
        return logs if return_dict else _flat(logs)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Return loss and metrics of a batch."""
        self._need("test_on_batch")
        self.reset_metrics()
        self._test_step(rows_of("test_on_batch", x, y, sample_weight))
        logs = self._logs()
        return logs if return_dict else _flat(logs)

    def predict_on_batch(self, x: Any) -> HostArray:
        """Return the outputs for one batch."""
        with no_grad():
            return as_array("predict", "the output", self(x, training=False))


def _flat(logs: dict[str, float]) -> Any:
    values = list(logs.values())
    return values[0] if len(values) == 1 else values


def _listed(given: Any) -> list[Any]:
    if given is None:
        return []
    return list(given) if isinstance(given, (list, tuple)) else [given]


def _batch_size(operation: str, value: int | None) -> int:
    size = 32 if value is None else value
    if isinstance(size, bool) or int(size) != size or size < 1:
        raise ValueError(f"{operation}: got batch_size={value!r}; it needs a whole number of 1 at least")
    return int(size)


def _validation_rows(data: Any) -> Rows:
    if not isinstance(data, (tuple, list)) or not 2 <= len(data) <= 3:
        raise ValueError("fit: validation_data needs to be (x, y) or (x, y, sample_weight)")
    return rows_of("fit: validation_data", *data)


def _check_metrics(given: Mapping[str, Sequence[Any]]) -> None:
    """Raise an error for names that there are not, before training begins."""
    for one in (m for kind in given.values() for m in kind):
        if isinstance(one, str):
            metrics_module.get(one)


def _mean_of_loss() -> metrics_module.Mean:
    mean = metrics_module.Mean("loss")
    mean.rises = False
    return mean
