"""Losses by Keras' names and conventions: (y_true, y_pred), probabilities unless ``from_logits``.

A loss function gives one number for each example (and step); a :class:`Loss` weighs and averages them:
sum of loss times weight / number of losses (not / sum of the weights). minillm.nn.functional computes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from minillm import ops
from minillm.autograd.errors import OperationError
from minillm.keras.naming import class_and_config, look_up, snake_case
from minillm.nn import functional as F
from minillm.ops import Tensor

EPSILON = 1e-7  # probabilities are kept so far from 0 and 1
REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)

LossFunction = Callable[..., Tensor]


def same_rank(a: Any, b: Any) -> tuple[Any, Any]:
    """Return two tensors or arrays with as many dimensions each, where they differ by one of size 1.

    Example:
        >>> import numpy as np
        >>> [x.shape for x in same_rank(np.ones(3), np.ones((3, 1)))]
        [(3, 1), (3, 1)]
    """
    if a.ndim == b.ndim + 1 and a.shape[-1] == 1:
        return (a, b[..., None]) if b.ndim == 1 else (a[..., 0], b)
    if b.ndim == a.ndim + 1 and b.shape[-1] == 1:
        return (a[..., None], b) if a.ndim == 1 else (a, b[..., 0])
    return a, b


def _alike(name: str, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    pred = ops.as_tensor(y_pred)
    true, pred = same_rank(ops.as_tensor(y_true, device=pred.device), pred)
    if true.shape != pred.shape:
        raise OperationError(
            f"{name}: got y_true of shape {true.shape} and y_pred of shape {pred.shape}; they need the same shape"
        )
    return true.to(pred.dtype), pred


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0
) -> Tensor:
    """Return -t log p - (1 - t) log(1 - p), the mean over the last dimension.

    Args:
        y_true: 0 or 1.
        y_pred: probabilities, or logits.
        from_logits: whether they are logits.
        label_smoothing: how far targets move to 1/2.

    Example:
        >>> import minillm
        >>> binary_crossentropy(minillm.tensor([[1.0]]), minillm.tensor([[0.5]]))
        tensor([0.6931])
    """
    true, pred = _alike("binary_crossentropy", y_true, y_pred)
    if label_smoothing:
        true = true * (1 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        losses = F.binary_cross_entropy_with_logits(pred, true, reduction="none")
    else:
        losses = F.binary_cross_entropy(ops.clamp(pred, EPSILON, 1 - EPSILON), true, reduction="none")
    return ops.mean(losses, -1)


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0
) -> Tensor:
    """Return -sum t log p over the classes, for one-hot targets.

    Args:
        y_true: (..., classes).
        y_pred: probabilities of the same shape, or logits.
        from_logits: whether they are logits.
        label_smoothing: the part of the targets that is spread over all classes.

    Example:
        >>> import minillm
        >>> categorical_crossentropy(minillm.tensor([[0.0, 1.0]]), minillm.tensor([[0.5, 0.5]]))
        tensor([0.6931])
    """
    true, pred = _alike("categorical_crossentropy", y_true, y_pred)
    if label_smoothing:
        true = true * (1 - label_smoothing) + label_smoothing / true.shape[-1]
    return -ops.sum(true * _log_probabilities(pred, from_logits), -1)


def sparse_categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False) -> Tensor:
    """Return -log p of the true class, for class numbers.

    Args:
        y_true: (...) or (..., 1), from 0 on.
        y_pred: (..., classes): probabilities, or logits.
        from_logits: whether they are logits.

    Example:
        >>> import minillm
        >>> sparse_categorical_crossentropy(minillm.tensor([1]), minillm.tensor([[0.5, 0.5]]))
        tensor([0.6931])
    """
    pred = ops.as_tensor(y_pred)
    true = ops.as_tensor(y_true, device=pred.device)
    if true.ndim == pred.ndim and true.shape[-1] == 1:
        true = true[..., 0]
    if true.shape != pred.shape[:-1]:
        raise OperationError(
            f"sparse_categorical_crossentropy: got y_true of shape {true.shape} and y_pred of shape {pred.shape}; "
            "it needs a class number for each row of probabilities"
        )
    flat = ops.reshape(pred, (-1, pred.shape[-1]))
    labels = ops.reshape(true.to("int64"), (-1,))
    if from_logits:
        losses = F.cross_entropy(flat, labels, reduction="none")
    else:
        losses = F.nll_loss(_log_probabilities(flat, False), labels, reduction="none")
    return ops.reshape(losses, true.shape)


def _log_probabilities(pred: Tensor, from_logits: bool) -> Tensor:
    if from_logits:
        return F.log_softmax(pred, dim=-1)
    pred = pred / ops.sum(pred, -1, keepdim=True)
    return ops.log(ops.clamp(pred, EPSILON, 1 - EPSILON))


def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """Return the mean of (t - p)^2 over the last dimension."""
    true, pred = _alike("mean_squared_error", y_true, y_pred)
    return ops.mean(F.mse_loss(pred, true, reduction="none"), -1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """Return the mean of |t - p| over the last dimension."""
    true, pred = _alike("mean_absolute_error", y_true, y_pred)
    return ops.mean(F.l1_loss(pred, true, reduction="none"), -1)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """Return the mean of d^2 / 2 where the distance d is at most ``delta``, and delta (d - delta / 2) elsewhere."""
    true, pred = _alike("huber", y_true, y_pred)
    return ops.mean(F.huber_loss(pred, true, reduction="none", delta=delta), -1)


class Loss:
    """A loss function with a name, weights and a mean.

    Args:
        function: of y_true and y_pred; one loss an example.
        name: of the loss.
        reduction: ``"sum_over_batch_size"`` (the mean), ``"sum"`` or ``"none"``.
        options: of the function, such as ``from_logits``.

    Example:
        >>> import minillm
        >>> Loss(mean_squared_error)(minillm.tensor([[1.0], [2.0]]), minillm.tensor([[1.0], [4.0]]))
        tensor(2.)
    """

    def __init__(
        self,
        function: LossFunction,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        **options: Any,
    ) -> None:
        if reduction not in REDUCTIONS:
            raise ValueError(f"loss: got reduction={reduction!r}; it needs one of {REDUCTIONS}")
        self.function, self.reduction, self.options = function, reduction, options
        self.name = name or getattr(function, "__name__", type(function).__name__)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> Tensor:
        """Return the weighted mean; ``mask`` tells the steps that count."""
        losses = self.function(y_true, y_pred, **self.options)
        weight = sample_weight
        if weight is not None:
            weight = ops.as_tensor(weight, device=losses.device).to(losses.dtype)
        if mask is not None:
            kept = mask.to(losses.dtype)
            if self.reduction in ("sum_over_batch_size", "mean"):
                kept = kept * (math.prod(mask.shape) / max(float(ops.sum(kept)), 1e-30))
            if weight is None:
                weight = kept
            else:
                kept, weight = same_rank(kept, weight)
                weight = weight * kept
        if weight is not None:
            losses, weight = same_rank(losses, weight)
            losses = losses * weight
        if self.reduction in ("none", None):
            return losses
        total = ops.sum(losses)
        if self.reduction == "sum":
            return total
        if self.reduction == "mean_with_sample_weight" and weight is not None:
            return total / ops.sum(weight)
        return total / max(math.prod(losses.shape), 1)

    def get_config(self) -> dict[str, Any]:
        """Return what Keras saves of it."""
        return {
            "module": "keras.losses",
            "class_name": _CLASS_NAMES.get(self.function, self.name),
            "config": {"name": self.name, "reduction": self.reduction, **self.options},
            "registered_name": None,
        }


def BinaryCrossentropy(
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
    reduction: str | None = "sum_over_batch_size",
    name: str = "binary_crossentropy",
) -> Loss:
    """Return the loss :func:`binary_crossentropy`."""
    return Loss(binary_crossentropy, name, reduction, from_logits=from_logits, label_smoothing=label_smoothing)


def CategoricalCrossentropy(
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
    reduction: str | None = "sum_over_batch_size",
    name: str = "categorical_crossentropy",
) -> Loss:
    """Return the loss :func:`categorical_crossentropy`."""
    return Loss(categorical_crossentropy, name, reduction, from_logits=from_logits, label_smoothing=label_smoothing)


def SparseCategoricalCrossentropy(
    from_logits: bool = False,
    reduction: str | None = "sum_over_batch_size",
    axis: int = -1,
    name: str = "sparse_categorical_crossentropy",
) -> Loss:
    """Return the loss :func:`sparse_categorical_crossentropy`."""
    return Loss(sparse_categorical_crossentropy, name, reduction, from_logits=from_logits)


def MeanSquaredError(
    reduction: str | None = "sum_over_batch_size", name: str = "mean_squared_error"
) -> Loss:
    """Return the loss :func:`mean_squared_error`."""
    return Loss(mean_squared_error, name, reduction)


def MeanAbsoluteError(
    reduction: str | None = "sum_over_batch_size", name: str = "mean_absolute_error"
) -> Loss:
    """Return the loss :func:`mean_absolute_error`."""
    return Loss(mean_absolute_error, name, reduction)


def Huber(
    delta: float = 1.0, reduction: str | None = "sum_over_batch_size", name: str = "huber_loss"
) -> Loss:
    """Return the loss :func:`huber`."""
    return Loss(huber, name, reduction, delta=delta)


_CLASSES: dict[str, Callable[..., Loss]] = {
    "binary_crossentropy": BinaryCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "huber": Huber,
    "mean_absolute_error": MeanAbsoluteError,
    "mean_squared_error": MeanSquaredError,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
}
FUNCTIONS: dict[str, LossFunction] = {
    "bce": binary_crossentropy,
    "binary_crossentropy": binary_crossentropy,
    "categorical_crossentropy": categorical_crossentropy,
    "huber": huber,
    "mae": mean_absolute_error,
    "mean_absolute_error": mean_absolute_error,
    "mean_squared_error": mean_squared_error,
    "mse": mean_squared_error,
    "sparse_categorical_crossentropy": sparse_categorical_crossentropy,
}
_CLASS_NAMES = {FUNCTIONS[name]: maker.__name__ for name, maker in _CLASSES.items()}


def get(identifier: Any) -> Loss:
    """Return a loss by its name, from a function of (y_true, y_pred), or from what Keras saves of one.

    Raises:
        ValueError: an unknown name; the message lists the known ones.

    Example:
        >>> get("mse").name
        'mse'
    """
    if isinstance(identifier, Loss):
        return identifier
    if callable(identifier):
        return Loss(identifier)
    if isinstance(identifier, str):
        known = {**FUNCTIONS, **{maker.__name__: FUNCTIONS[name] for name, maker in _CLASSES.items()}}
        name = identifier.lower() if identifier.lower() in FUNCTIONS else identifier
        return Loss(look_up("loss", name, known), identifier)
    name, config = class_and_config("a loss", identifier)
    return look_up("loss", snake_case(name), _CLASSES)(**config)
