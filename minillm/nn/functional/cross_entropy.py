"""Cross-entropy: how surprised a classifier is by the right class.

loss = -log p_y,  p = softmax(x)

With smoothed labels, the target is y with 1 - label_smoothing and any class with the rest: Szegedy et al.,
"Rethinking the Inception architecture", 2016, arXiv:1512.00567, section 7.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minillm import ops
from minillm.autograd.errors import OperationError, OperationIndexError, OperationTypeError
from minillm.autograd.function import Function
from minillm.backend import Array, int64, uint8, xp_of
from minillm.kernels import kernels_of
from minillm.nn.functional.loss import check_reduction, reduced
from minillm.ops import Tensor
from minillm.ops.promotion import quiet


def cross_entropy_composite(
    logits: Any, target: Any, weight: Any, ignore_index: int, label_smoothing: float, reduction: str
) -> Any:
    """Return the cross-entropy of (N, V) logits with (N,) class numbers as a formula of operations."""
    log_p = ops.log_softmax(logits, -1)  # (N, V)
    losses, share = of_classes(log_p, target, weight, ignore_index)
    if label_smoothing:
        spread = -(log_p if weight is None else log_p * weight).sum(-1) * (label_smoothing / logits.shape[1])
        losses = losses * (1 - label_smoothing) + ops.where(target != ignore_index, spread, 0.0)
    return losses.sum() / share.sum() if reduction == "mean" else reduced(losses, reduction)


def of_classes(log_p: Any, target: Any, weight: Any, ignore_index: int) -> tuple[Any, Any]:
    """Return -w[t] log p[t] of each row, 0 for rows that do not count, and their weights w[t]."""
    counts = target != ignore_index
    classes = ops.cast(ops.where(counts, target, 0), "int64")
    share = ops.cast(counts, log_p.dtype) if weight is None else weight[classes] * counts
    losses = -ops.gather(log_p, 1, classes.reshape(-1, 1)).reshape(-1) * share
    return ops.where(counts, losses, 0.0), share


class CrossEntropy(Function):
    """y = -log softmax(x)[target], by row or reduced; the gradient is computed on the way."""

    composite = cross_entropy_composite

    @quiet
    def forward(
        self, x: Array, target: Array, weight: Array | None, ignore_index: int, label_smoothing: float, reduction: str
    ) -> Array:
        self.reduction = reduction
        losses, shares, gradient = kernels_of(x).cross_entropy(
            x, target, weight, ignore_index, label_smoothing, reduction == "mean", self.needs(0)
        )
        self.save_constants(gradient)
        xp = xp_of(x)
        if reduction == "mean":
            losses = xp.asarray(losses.sum() / shares.sum())  # NaN where no row counts, as in PyTorch
        elif reduction == "sum":
            losses = xp.asarray(losses.sum())
        return losses.astype(x.dtype, copy=False)

    def backward(self, dy: Array) -> Any:
        if not self.constants:  # a second time over a graph that was retained
            self._compute_again()
        # It is the largest array of most models: it is given away, and scaled where it stands.
        (gradient,), self.constants = self.constants, ()
        if self.reduction == "none":
            gradient *= dy[:, None]
        elif xp_of(dy) is not np or dy != 1:  # the loss is mostly the root, and dy 1
            gradient *= dy
        return gradient

    def _compute_again(self) -> None:
        self.check_inputs()
        self.forward(*self.inputs)


def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: None = None, ignore_index: int = -100,
    reduce: None = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """Return the cross-entropy of logits with classes: -log of the probability of the right one.

    Args:
        input: logits, (C,), (N, C) or (N, C, d1, ...); not probabilities.
        target: class numbers (int64) of the shape of ``input`` without C; or probabilities of its whole shape.
        weight: (C,), how much each class counts.
        size_average: PyTorch's former name of a reduction; not supported.
        ignore_index: the class number of places that do not count.
        reduce: PyTorch's former name of a reduction; not supported.
        reduction: ``"mean"`` (over the weights of the targets that count), ``"sum"`` or ``"none"``.
        label_smoothing: how much of the target is spread evenly over all classes, from 0 to 1.

    Raises:
        OperationError: shapes, dtypes or options that do not fit; a class number that is out of range.

    Example:
        >>> import minillm
        >>> from minillm.nn import functional as F
        >>> F.cross_entropy(minillm.zeros(1, 4), minillm.tensor([2]))  # a guess among four: log 4
        tensor(1.3863)
    """
    check_reduction("cross_entropy", reduction, size_average, reduce)
    if not 0 <= label_smoothing <= 1:
        raise OperationError(f"cross_entropy: got label_smoothing={label_smoothing}; it needs to lie in [0, 1]")
    logits, dim = classes_last("cross_entropy", input, weight)
    if target.dtype.kind == "f" and target.shape == input.shape:
        return _cross_entropy_of_probabilities(logits, target, weight, dim, reduction, label_smoothing)
    check_classes("cross_entropy", input, target, dim, ignore_index)
    rows = target if target.ndim == 1 else ops.reshape(target, (-1,))
    losses = CrossEntropy.apply(logits, rows, weight, ignore_index, float(label_smoothing), reduction)
    return ops.reshape(losses, target.shape) if reduction == "none" else losses


def _cross_entropy_of_probabilities(
    logits: Any, target: Any, weight: Any, dim: int, reduction: str, label_smoothing: float
) -> Any:
    """Return the cross-entropy with a distribution over the classes for each place."""
    shape = [n for d, n in enumerate(target.shape) if d != dim]
    q = ops.movedim(target, dim, -1).reshape(-1, target.shape[dim])
    if label_smoothing:
        q = q * (1 - label_smoothing) + label_smoothing / target.shape[dim]
    log_p = ops.log_softmax(logits, -1)
    losses = -(q * (log_p if weight is None else log_p * weight)).sum(-1)
    if reduction == "none":
        return ops.reshape(losses, shape)
    return losses.sum() / losses.shape[0] if reduction == "mean" else losses.sum()


def classes_last(name: str, input: Any, weight: Any) -> tuple[Any, int]:
    """Return the input as (N, C), and the dimension in which the classes stood."""
    if not input.ndim:
        raise OperationError(f"{name}: got an input without dimensions; it needs (C,), (N, C) or (N, C, d1, ...)")
    if input.dtype.kind != "f":
        raise OperationTypeError(f"{name}: got an input of {input.dtype}; it needs floats")
    dim = 0 if input.ndim == 1 else 1
    num_classes = input.shape[dim]
    if weight is not None and weight.shape != (num_classes,):
        raise OperationError(
            f"{name}: got a weight of shape {weight.shape} for {num_classes} classes; it needs ({num_classes},)"
        )
    if weight is not None and weight.dtype != input.dtype:
        raise OperationTypeError(f"{name}: got a weight of {weight.dtype} for an input of {input.dtype}")
    if input.ndim > 2:
        input = ops.movedim(input, 1, -1)
    if input.ndim != 2:
        rows = input.array.size // num_classes if num_classes else 0
        input = ops.reshape(input, (rows, num_classes))
    return input, dim


def check_classes(name: str, input: Any, target: Any, dim: int, ignore_index: int) -> None:
    """Raise an error unless the target holds a class number for each place of the input."""
    needs = tuple(n for d, n in enumerate(input.shape) if d != dim)
    if target.shape != needs:
        raise OperationError(
            f"{name}: got a target of shape {target.shape} for an input of shape {input.shape}; "
            f"class numbers need shape {needs}"
        )
    if target.dtype != int64 and target.dtype != uint8:
        raise OperationTypeError(
            f"{name}: got a target of {target.dtype}; class numbers need int64, as from target.long(); "
            f"probabilities need floats of the input's shape, {input.shape}"
        )
    array = target.array
    if not array.size or (int(array.min()) >= 0 and int(array.max()) < input.shape[dim]):
        return
    xp = xp_of(array)
    wrong = ((array < 0) | (array >= input.shape[dim])) & (array != ignore_index)
    if bool(xp.any(wrong)):
        raise OperationIndexError(
            f"{name}: got the class number {int(array[wrong].reshape(-1)[0])} for {input.shape[dim]} classes; it "
            f"needs to lie between 0 and {input.shape[dim] - 1}, or to be ignore_index={ignore_index}"
        )


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: None = None, ignore_index: int = -100,
    reduce: None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Return minus the log-probability of the right class: cross-entropy after log_softmax.

    Args:
        input: log-probabilities, (C,), (N, C) or (N, C, d1, ...).
        target: class numbers of the shape of ``input`` without C.
        weight: (C,), how much each class counts.
        size_average: PyTorch's former name of a reduction; not supported.
        ignore_index: the class number of places that do not count.
        reduce: PyTorch's former name of a reduction; not supported.
        reduction: ``"mean"`` (over the weights of the targets that count), ``"sum"`` or ``"none"``.

    Example:
        >>> import minillm
        >>> from minillm.nn import functional as F
        >>> F.nll_loss(minillm.tensor([[-0.5, -2.0]]), minillm.tensor([1]))
        tensor(2.)
    """
    check_reduction("nll_loss", reduction, size_average, reduce)
    log_p, dim = classes_last("nll_loss", input, weight)
    check_classes("nll_loss", input, target, dim, ignore_index)
    losses, share = of_classes(log_p, ops.reshape(target, (-1,)), weight, ignore_index)
    if reduction == "none":
        return ops.reshape(losses, target.shape)
    return losses.sum() / share.sum() if reduction == "mean" else losses.sum()
