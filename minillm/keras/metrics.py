"""Metrics by Keras' names and definitions, fed batch by batch as those of :mod:`minillm.metrics`.

Accuracy is a mean over all predictions; Precision, Recall and AUC are of counts at thresholds: Keras' AUC is the
area under the points at 200 of them, not the exact one of :func:`minillm.metrics.roc_auc`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minillm import metrics as minillm_metrics
from minillm.autograd.errors import OperationError
from minillm.backend import is_array, to_numpy
from minillm.keras import losses
from minillm.keras.losses import EPSILON, same_rank
from minillm.keras.naming import class_and_config, look_up, snake_case, unique_name
from minillm.ops import Tensor

HostArray = npt.NDArray[Any]


def _host(value: Any) -> HostArray:
    if isinstance(value, Tensor):
        value = value.detach().array
    return to_numpy(value) if is_array(value) else np.asarray(value)


def _ratio(a: Any, b: Any) -> Any:
    """Return a / b, 0 where b is 0."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape), where=b != 0)


class Metric(minillm_metrics.metric.Metric):
    """Base of all metrics: ``update_state`` with each batch, ``result`` at the end.

    Args:
        name: of the metric in logs.
        dtype: without effect.

    Attributes:
        rises: whether more is better.
    """

    rises: bool | None = None

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        self.name = name or unique_name(type(self).__name__)
        super().__init__()

    def update_state(self, *args: Any, **options: Any) -> None:
        """Take a batch: y_true, y_pred and, if examples count differently, sample_weight."""
        self.update(*args, **options)

    def result(self) -> float:
        """Return the metric of all batches since the last reset."""
        return float(self.compute())

    def reset_state(self) -> None:
        """Forget all batches."""
        self.reset()

    def get_config(self) -> dict[str, Any]:
        """Return what Keras saves of it."""
        return {
            "module": "keras.metrics",
            "class_name": type(self).__name__,
            "config": {"name": self.name, **self._settings()},
            "registered_name": None,
        }

    def _settings(self) -> dict[str, Any]:
        return {}


class Mean(Metric):
    """The weighted mean of values.

    Example:
        >>> mean = Mean()
        >>> mean.update_state([1.0, 3.0])
        >>> mean.result()
        2.0
    """

    def reset(self) -> None:
        self._total = self._count = 0.0

    def update(self, *args: Any, **options: Any) -> None:
        """Take values, and their weights."""
        self._add(*args, **options)

    def _add(self, values: Any, sample_weight: Any = None) -> None:
        array = np.asarray(_host(values), np.float64)
        if sample_weight is None:
            if array.ndim > 1:
                array = array.mean(axis=tuple(range(1, array.ndim)))
            self._total += float(array.sum())
            self._count += array.size
            return
        weight = np.asarray(_host(sample_weight), np.float64)
        array, weight = same_rank(array, weight)
        if array.ndim > weight.ndim:
            array = array.mean(axis=tuple(range(weight.ndim, array.ndim)))
        weight = np.broadcast_to(weight, array.shape)
        array = array * weight
        if array.ndim > 1:
            rest_dims = tuple(range(1, array.ndim))
            array, weight = array.mean(axis=rest_dims), weight.mean(axis=rest_dims)
        self._total += float(array.sum())
        self._count += float(weight.sum())

    def compute(self) -> float:
        return self._total / self._count if self._count else 0.0


class MeanMetric(Mean):
    """The mean of a function of (y_true, y_pred), such as a loss.

    Args:
        function: gives one number for each example.
        name: of the metric.
        options: of the function.
    """

    def __init__(self, function: Callable[..., Any], name: str | None = None, **options: Any) -> None:
        self.function, self.options = function, options
        super().__init__(name or getattr(function, "__name__", None))
        self.rises = False if function in losses.FUNCTIONS.values() else None

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> None:
        """Take a batch, of which the steps count that ``mask`` tells."""
        if mask is not None:
            kept = _host(mask).astype(np.float64)
            if sample_weight is not None:
                kept, weight = same_rank(kept, _host(sample_weight))
                kept = kept * weight
            sample_weight = kept
        self._add(self.function(y_true, y_pred, **self.options), sample_weight)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> HostArray:
    """Return 1.0 where a probability lies on the right side of the threshold.

    Example:
        >>> binary_accuracy([1, 0], [0.9, 0.8]).tolist()
        [1.0, 0.0]
    """
    true, pred = same_rank(_host(y_true), _host(y_pred))
    _check_same("binary_accuracy", true, pred)
    return (true == (pred > threshold)).astype(np.float32)


def categorical_accuracy(y_true: Any, y_pred: Any) -> HostArray:
    """Return 1.0 where the likeliest class is that of the one-hot target."""
    true, pred = _host(y_true), _host(y_pred)
    _check_same("categorical_accuracy", true, pred)
    return (true.argmax(-1) == pred.argmax(-1)).astype(np.float32)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> HostArray:
    """Return 1.0 where the likeliest class is the one of this number."""
    true, pred = _host(y_true), _host(y_pred)
    if true.ndim == pred.ndim and true.shape[-1] == 1:
        true = true[..., 0]
    _check_same("sparse_categorical_accuracy", true, pred[..., 0])
    return (true == pred.argmax(-1)).astype(np.float32)


def _check_same(name: str, true: HostArray, pred: HostArray) -> None:
    if true.shape != pred.shape:
        raise OperationError(f"{name}: got y_true of shape {true.shape} for predictions of shape {pred.shape}")


class BinaryAccuracy(MeanMetric):
    """The share of probabilities on the right side of a threshold."""

    def __init__(self, name: str = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, threshold=threshold)
        self.rises = True

    def _settings(self) -> dict[str, Any]:
        return self.options


class CategoricalAccuracy(MeanMetric):
    """The share of one-hot targets whose class is the likeliest."""

    def __init__(self, name: str = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name)
        self.rises = True


class SparseCategoricalAccuracy(MeanMetric):
    """The share of class numbers whose class is the likeliest."""

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name)
        self.rises = True


class _Counts(Metric):
    """Counts of right and wrong positives and negatives at thresholds."""

    rises = True
    thresholds: HostArray

    def reset(self) -> None:
        self._right, self._found, self._missed, self._passed = np.zeros((4, len(self.thresholds)))

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        pred, true = same_rank(_host(y_pred).astype(np.float64), _host(y_true))
        _check_same(self.name, true, pred)
        weight = np.ones(pred.shape)
        if sample_weight is not None:
            given = _host(sample_weight).astype(np.float64)
            weight = weight * given.reshape(given.shape + (1,) * (pred.ndim - given.ndim))
        pred, weight = pred.reshape(-1), weight.reshape(-1)
        positive = true.reshape(-1).astype(bool)
        above = pred.astype(np.float32) > self.thresholds.astype(np.float32)[:, None]  # (thresholds, predictions)
        self._right += above @ (weight * positive)
        self._found += above @ (weight * ~positive)
        self._missed += ~above @ (weight * positive)
        self._passed += ~above @ (weight * ~positive)


class Precision(_Counts):
    """Of what is predicted to be positive, the share that is.

    Args:
        thresholds: from which on a probability counts as positive; 0.5.
        name: of the metric.
        dtype: without effect.

    Example:
        >>> metric = Precision()
        >>> metric.update_state([1, 0, 1], [0.9, 0.8, 0.2])
        >>> metric.result()
        0.5
    """

    def __init__(self, thresholds: float | None = None, *, name: str | None = None, dtype: Any = None) -> None:
        self.threshold = 0.5 if thresholds is None else float(thresholds)
        self.thresholds = np.array([self.threshold])
        super().__init__(name)

    def compute(self) -> float:
        return float(_ratio(self._right, self._right + self._found)[0])

    def _settings(self) -> dict[str, Any]:
        return {"thresholds": self.threshold}


class Recall(Precision):
    """Of what is positive, the share that is found; the arguments are those of :class:`Precision`."""

    def compute(self) -> float:
        return float(_ratio(self._right, self._right + self._missed)[0])


class AUC(_Counts):
    """The area under a curve through the points at evenly spaced thresholds.

    Args:
        num_thresholds: how many.
        curve: ``"ROC"`` (recall over the share of negatives that are found) or ``"PR"`` (precision over recall).
        name: of the metric.
        dtype: without effect.
        from_logits: predictions are logits.

    Example:
        >>> metric = AUC()
        >>> metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> round(metric.result(), 4)
        0.75
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        *,
        name: str | None = None,
        dtype: Any = None,
        from_logits: bool = False,
    ) -> None:
        if num_thresholds < 2:
            raise ValueError(f"AUC: got num_thresholds={num_thresholds}; it needs 2 at least")
        if curve.upper() not in ("ROC", "PR"):
            raise ValueError(f"AUC: got curve={curve!r}; it needs 'ROC' or 'PR'")
        self.curve, self.num_thresholds, self.from_logits = curve.upper(), num_thresholds, from_logits
        inner = [(i + 1) / (num_thresholds - 1) for i in range(num_thresholds - 2)]
        self.thresholds = np.array([-EPSILON, *inner, 1 + EPSILON])
        super().__init__(name)

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        pred = _host(y_pred)
        super().update(y_true, 1 / (1 + np.exp(-pred)) if self.from_logits else pred, sample_weight)

    def compute(self) -> float:
        right, found, missed = self._right, self._found, self._missed
        if self.curve == "ROC":
            x, y = _ratio(found, found + self._passed), _ratio(right, right + missed)
            return float(((x[:-1] - x[1:]) * (y[:-1] + y[1:]) / 2).sum())
        # Davis and Goadrich, "The relationship between precision-recall and ROC curves", 2006, section 4: counts,
        # not precision, are linear between two thresholds.
        predicted = right + found
        d_right = right[:-1] - right[1:]
        slope = _ratio(d_right, np.maximum(predicted[:-1] - predicted[1:], 0))
        intercept = right[1:] - slope * predicted[1:]
        both = (predicted[:-1] > 0) & (predicted[1:] > 0)
        ratio = np.where(both, _ratio(predicted[:-1], predicted[1:]), 1.0)
        return float(_ratio(slope * (d_right + intercept * np.log(ratio)), right[1:] + missed[1:]).sum())

    def _settings(self) -> dict[str, Any]:
        return {"num_thresholds": self.num_thresholds, "curve": self.curve, "from_logits": self.from_logits}


_CLASSES: dict[str, type[Metric]] = {
    "AUC": AUC,
    "BinaryAccuracy": BinaryAccuracy,
    "CategoricalAccuracy": CategoricalAccuracy,
    "Mean": Mean,
    "Precision": Precision,
    "Recall": Recall,
    "SparseCategoricalAccuracy": SparseCategoricalAccuracy,
}


def get(identifier: Any, y_true: Sequence[int] = (), y_pred: Sequence[int] = ()) -> Metric:
    """Return a metric by its name, from a function, or from what Keras saves of one.

    Args:
        identifier: ``"accuracy"`` chooses by the shapes between that of two classes, of one-hot targets and of class
            numbers.
        y_true: the shape of the targets.
        y_pred: the shape of the predictions.

    Raises:
        ValueError: an unknown name; the message lists the known ones.

    Example:
        >>> type(get("accuracy", (8,), (8, 3))).__name__
        'SparseCategoricalAccuracy'
    """
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, losses.Loss):
        return MeanMetric(identifier.function, identifier.name, **identifier.options)
    if callable(identifier):
        return MeanMetric(identifier)
    if not isinstance(identifier, str):
        name, config = class_and_config("a metric", identifier)
        return look_up("metric", name, _CLASSES)(**config)
    if identifier.lower() in ("accuracy", "acc"):
        if y_pred and y_pred[-1] == 1:
            return BinaryAccuracy(identifier)
        sparse = len(y_true) < len(y_pred) or (len(y_true) > 0 and y_true[-1] == 1)
        return SparseCategoricalAccuracy(identifier) if sparse else CategoricalAccuracy(identifier)
    by_name: dict[str, Any] = {snake_case(name): kind for name, kind in _CLASSES.items() if name != "Mean"}
    known = {"accuracy": None, "acc": None, **by_name, **_CLASSES, **losses.FUNCTIONS}
    found = look_up("metric", identifier, known)
    return found(name=identifier) if isinstance(found, type) else MeanMetric(found, identifier)
