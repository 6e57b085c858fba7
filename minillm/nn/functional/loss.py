"""Losses between predictions and targets of the same shape: how far they lie apart.

Huber, "Robust estimation of a location parameter", 1964; the divergence of Kullback and Leibler, "On information
and sufficiency", 1951. All take ``reduction``: ``"mean"``, ``"sum"``, or ``"none"`` for every element. Losses of
class numbers stand in ``cross_entropy.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minillm import ops
from minillm.autograd.errors import OperationError, OperationTypeError
from minillm.autograd.function import Function
from minillm.backend import Array, xp_of
from minillm.nn.functional.activation import logsigmoid
from minillm.ops import Tensor
from minillm.ops.promotion import quiet, refuse
from minillm.ops.shape import dim_of


def reduced(losses: Any, reduction: str) -> Any:
    """Return the mean, the sum, or the losses themselves."""
    if reduction == "mean":
        return ops.mean(losses)
    return ops.sum(losses) if reduction == "sum" else losses


_REDUCTIONS = ("mean", "sum", "none")


def check_reduction(name: str, reduction: str, size_average: Any = None, reduce: Any = None, *more: str) -> None:
    """Raise an error unless the reduction is known, and not asked for by the names that PyTorch gave up."""
    if size_average is not None or reduce is not None:
        raise OperationError(f"{name}: size_average and reduce were given up for reduction='mean', 'sum' or 'none'")
    if reduction in _REDUCTIONS:
        return
    known = (*_REDUCTIONS, *more)
    if reduction not in known:
        raise OperationError(f"{name}: got reduction={reduction!r}; it needs one of {', '.join(map(repr, known))}")


def check_same_shape(name: str, input: Any, target: Any) -> None:
    """Raise an error unless the two have the same shape: broadcasting would compare all with all."""
    got, needs = input.shape, target.shape
    if got == needs:
        return
    got, needs = tuple(got), tuple(needs)
    advice = ""
    if got == (*needs, 1):
        advice = "; take the last dimension off the input with input.squeeze(-1)"
    elif needs == (*got, 1):
        advice = "; take the last dimension off the target with target.squeeze(-1)"
    try:
        both = f"; broadcast to {np.broadcast_shapes(got, needs)}, predictions would meet others' targets"
    except ValueError:
        both = ""
    raise OperationError(
        f"{name}: got an input of shape {got} and a target of shape {needs}; they need the same shape{both}{advice}"
    )


def check_loss(
    name: str, input: Any, target: Any, reduction: str, size_average: Any = None, reduce: Any = None
) -> None:
    """Raise an error unless a loss has a known reduction, and an input and a target of one shape."""
    if size_average is reduce is None and reduction in _REDUCTIONS and input.shape == target.shape:  # most often
        return
    check_reduction(name, reduction, size_average, reduce)
    check_same_shape(name, input, target)


# -- numbers ----------------------------------------------------------------------------------------


def mse_composite(x: Any, target: Any, mean: bool) -> Any:
    """Return the mean, or the sum, of the squared differences."""
    d = x - target
    return reduced(d * d, "mean" if mean else "sum")


class MseLoss(Function):
    """y = sum (x - t)^2 / n,  dx = dy 2 (x - t) / n,  dt = -dx."""

    composite = mse_composite

    def forward(self, x: Array, target: Array, mean: bool) -> Array:
        d = x - target
        flat = d.ravel()
        scale = 1 / d.size if mean and d.size else float("nan") if mean else 1.0
        self.constants = (d, scale)
        return _scaled(flat.dot(flat), scale, d)

    def backward(self, dy: Array) -> Any:
        d, scale = self.constants
        dx = d * _scaled(dy, 2 * scale, d)
        on_x, on_target, _ = self.edges
        return dx if on_x is not None else None, -dx if on_target is not None else None


def _scaled(number: Any, by: float, like: Array) -> Array:
    """Return a single number times another, as an array without dimensions like another array."""
    if type(like) is np.ndarray:
        return np.array(number.item() * by, like.dtype)  # a fifth of the time of the other
    return xp_of(like).asarray(number * like.dtype.type(by))


def mse_loss(
    input: Tensor, target: Tensor, size_average: None = None, reduce: None = None, reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return the mean squared error.

    Args:
        input: predictions.
        target: of the same shape.
        size_average: PyTorch's former name of a reduction; not supported.
        reduce: PyTorch's former name of a reduction; not supported.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        weight: of each element, of the same shape; the mean is then over the weights.

    Raises:
        OperationError: the shapes differ. (PyTorch warns of it and broadcasts.)

    Example:
        >>> import minillm
        >>> from minillm.nn import functional as F
        >>> F.mse_loss(minillm.tensor([1.0, 2.0]), minillm.tensor([1.0, 4.0]))
        tensor(2.)
    """
    check_loss("mse_loss", input, target, reduction, size_average, reduce)
    dtype = input.dtype
    plain = weight is None and target.dtype == dtype and dtype.kind == "f" and dtype.itemsize >= 4
    if plain and reduction != "none":
        return MseLoss.apply(input, target, reduction == "mean")
    d = input - target
    return _weighted("mse_loss", d * d, weight, reduction)


def _weighted(name: str, losses: Any, weight: Any, reduction: str) -> Any:
    """Return the losses, times a weight of each if there is one, reduced; the mean is over the weights."""
    if weight is None:
        return reduced(losses, reduction)
    check_same_shape(f"{name}: weight", weight, losses)
    return (losses * weight).sum() / weight.sum() if reduction == "mean" else reduced(losses * weight, reduction)


def _times(name: str, losses: Any, what: str, factor: Any) -> Any:
    """Return the losses times a factor that broadcasts to their shape."""
    try:
        fits = np.broadcast_shapes(losses.shape, factor.shape) == tuple(losses.shape)
    except ValueError:
        fits = False
    if not fits:
        raise OperationError(
            f"{name}: got {what} of shape {factor.shape} for an input of shape {losses.shape}; it needs "
            "to broadcast to it"
        )
    return losses * factor


def l1_loss(
    input: Tensor, target: Tensor, size_average: None = None, reduce: None = None, reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return the mean absolute error; the arguments are those of :func:`mse_loss`.

    Example:
        >>> import minillm
        >>> from minillm.nn import functional as F
        >>> F.l1_loss(minillm.tensor([1.0, 2.0]), minillm.tensor([1.0, 4.0]))
        tensor(1.)
    """
    check_loss("l1_loss", input, target, reduction, size_average, reduce)
    return _weighted("l1_loss", ops.abs(input - target), weight, reduction)


def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: None = None, reduce: None = None, reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:  # fmt: skip
    """Return d^2 / (2 beta) where the distance d is below ``beta``, and d - beta / 2 elsewhere.

    Example:
        >>> import minillm
        >>> from minillm.nn import functional as F
        >>> F.smooth_l1_loss(minillm.tensor([1.0, 4.0]), minillm.tensor([1.0, 1.0]), reduction="none")
        tensor([0.0000, 2.5000])
    """
    check_loss("smooth_l1_loss", input, target, reduction, size_average, reduce)
    if beta < 0:
        raise OperationError(f"smooth_l1_loss: got beta={beta}; it needs to be 0 or more")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    d = input - target
    size = ops.abs(d)
    return reduced(ops.where(size < beta, d * d * (0.5 / beta), size - 0.5 * beta), reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """Return d^2 / 2 where the distance d is at most ``delta``, and delta (d - delta / 2) elsewhere.

    Example:
        >>> import minillm
        >>> from minillm.nn import functional as F
        >>> F.huber_loss(minillm.tensor([1.0, 4.0]), minillm.tensor([1.0, 1.0]), reduction="none")
        tensor([0.0000, 2.5000])
    """
    check_loss("huber_loss", input, target, reduction)
    if delta <= 0:
        raise OperationError(f"huber_loss: got delta={delta}; it needs to be positive")
    d = input - target
    size = ops.abs(d)
    losses = ops.where(size <= delta, 0.5 * d * d, delta * (size - 0.5 * delta))
    if weight is None:
        return reduced(losses, reduction)
    check_same_shape("huber_loss: weight", weight, target)
    return reduced(losses * weight, reduction)  # the mean is over the elements, as in PyTorch


# -- probabilities ----------------------------------------------------------------------------------


class BinaryCrossEntropy(Function):
    """y = -t log x - (1 - t) log(1 - x), no logarithm below -100,  dx = dy (x - t) / x (1 - x)."""

    @quiet
    def forward(self, x: Array, target: Array) -> Array:
        self.save_for_backward(x, target)
        xp = xp_of(x)
        log_x, log_rest = xp.maximum(xp.log(x), -100), xp.maximum(xp.log1p(-x), -100)
        return (target - 1) * log_rest - target * log_x

    def backward(self, dy: Any) -> Any:
        x, target = self.saved
        dx = dtarget = None
        if self.needs(0):
            dx = dy * (x - target) / ops.clamp(x * (1 - x), min=1e-12)
        if self.needs(1):
            dtarget = dy * (ops.clamp(ops.log1p(-x), min=-100) - ops.clamp(ops.log(x), min=-100))
        return dx, dtarget


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: None = None, reduce: None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Return the cross-entropy of probabilities with targets between 0 and 1, of the same shape.

    Args:
        input: probabilities.
        target: 0 or 1, or what lies between.
        weight: of each element; it broadcasts.
        size_average: PyTorch's former name of a reduction; not supported.
        reduce: PyTorch's former name of a reduction; not supported.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        OperationError: shapes that differ, or an input that is no probability.
        OperationTypeError: dtypes that differ.

    Example:
        >>> import minillm
        >>> from minillm.nn import functional as F
        >>> F.binary_cross_entropy(minillm.tensor([0.5]), minillm.tensor([1.0]))
        tensor(0.6931)
    """
    check_loss("binary_cross_entropy", input, target, reduction, size_average, reduce)
    if input.dtype != target.dtype:
        raise OperationTypeError(
            f"binary_cross_entropy: got an input of {input.dtype} and a target of {target.dtype}; they need the same "
            "dtype: cast the target with .to(input.dtype)"
        )
    array = input.array
    if array.size and not (float(array.min()) >= 0 and float(array.max()) <= 1):
        raise OperationError(
            f"binary_cross_entropy: got values from {float(array.min()):.6g} to {float(array.max()):.6g}; it needs "
            "probabilities between 0 and 1: apply sigmoid, or use binary_cross_entropy_with_logits"
        )
    losses = BinaryCrossEntropy.apply(input, target)
    if weight is not None:
        losses = _times("binary_cross_entropy", losses, "a weight", weight)
    return reduced(losses, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: None = None, reduce: None = None,
    reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return the cross-entropy of sigmoid(input) with targets between 0 and 1, exact for large logits.

    Args:
        input: logits.
        target: 0 or 1, or what lies between, of the same shape.
        weight: of each element; it broadcasts.
        size_average: PyTorch's former name of a reduction; not supported.
        reduce: PyTorch's former name of a reduction; not supported.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        pos_weight: of the positive class; it broadcasts.

    Example:
        >>> import minillm
        >>> from minillm.nn import functional as F
        >>> F.binary_cross_entropy_with_logits(minillm.tensor([0.0]), minillm.tensor([1.0]))
        tensor(0.6931)
    """
    name = "binary_cross_entropy_with_logits"
    check_loss(name, input, target, reduction, size_average, reduce)
    log_p = logsigmoid(input)
    if pos_weight is not None:
        log_p = (_times(name, target, "a pos_weight", pos_weight - 1) + 1) * log_p
    losses = (1 - target) * input - log_p
    return reduced(losses if weight is None else _times(name, losses, "a weight", weight), reduction)


def kl_div(
    input: Tensor, target: Tensor, size_average: None = None, reduce: None = None, reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:  # fmt: skip
    """Return the Kullback-Leibler divergence target (log target - input), by element or reduced.

    Args:
        input: log-probabilities.
        target: probabilities, or log-probabilities.
        size_average: PyTorch's former name of a reduction; not supported.
        reduce: PyTorch's former name of a reduction; not supported.
        reduction: ``"batchmean"`` (the divergence itself, by row), ``"mean"``, ``"sum"`` or ``"none"``.
        log_target: whether the target holds logarithms.

    Example:
        >>> import minillm
        >>> from minillm.nn import functional as F
        >>> half = minillm.tensor([[0.5, 0.5]])
        >>> F.kl_div(half.log(), half, reduction="batchmean")
        tensor(0.)
    """
    check_reduction("kl_div", reduction, size_average, reduce, "batchmean")
    extra = input.ndim - target.ndim
    if extra < 0 or any(n not in (1, m) for n, m in zip(target.shape, input.shape[extra:], strict=True)):
        check_same_shape("kl_div", input, target)  # a target may broadcast, an input may not
    if log_target:
        losses = ops.exp(target) * (target - input)
    else:
        positive = target > 0
        log_t = ops.log(ops.where(positive, target, 1.0))
        t_log_t = ops.where(positive, target * log_t, ops.where(target == 0, 0.0, float("nan")))
        losses = t_log_t - target * input
    if reduction == "batchmean":
        return losses.sum() / input.shape[0] if input.ndim else losses.sum()
    return reduced(losses, reduction)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Return x1 . x2 / (|x1| |x2|) along ``dim`` of the shape that both broadcast to.

    Norms below ``eps`` count as ``eps``.

    Raises:
        OperationError: shapes that do not broadcast, or a dim that there is not.
        OperationTypeError: integers.

    Example:
        >>> import minillm
        >>> from minillm.nn import functional as F
        >>> F.cosine_similarity(minillm.tensor([[1.0, 0.0]]), minillm.tensor([[1.0, 1.0]]))
        tensor([0.7071])
    """
    refuse("cosine_similarity", "biu", x1, x2)
    if x1.shape != x2.shape:  # or the norms would be those of shorter vectors
        try:
            shape = np.broadcast_shapes(x1.shape, x2.shape)
        except ValueError:
            raise OperationError(
                f"cosine_similarity: got shapes {x1.shape} and {x2.shape}; they need to broadcast to one shape"
            ) from None
        x1, x2 = ops.broadcast_to(x1, shape), ops.broadcast_to(x2, shape)
    dim = dim_of("cosine_similarity", x1.ndim, dim)
    norm1, norm2 = (ops.sqrt(ops.clamp((x * x).sum(dim, keepdim=True), min=eps * eps)) for x in (x1, x2))
    return ((x1 / norm1) * (x2 / norm2)).sum(dim)


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, size_average: None = None, reduce: None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Return 1 - cos for pairs that belong together (target 1), max(0, cos - margin) for others (-1).

    Args:
        input1: (N, D), or (D,).
        input2: likewise.
        target: (N,), or a number, of 1 and -1.
        margin: how similar strangers may be.
        size_average: PyTorch's former name of a reduction; not supported.
        reduce: PyTorch's former name of a reduction; not supported.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Example:
        >>> import minillm
        >>> from minillm.nn import functional as F
        >>> x = minillm.tensor([[1.0, 0.0]])
        >>> F.cosine_embedding_loss(x, x, minillm.tensor([1]))
        tensor(0.)
    """
    check_reduction("cosine_embedding_loss", reduction, size_average, reduce)
    if target.ndim > 1 or input1.shape != input2.shape or input1.shape[:-1] != target.shape or not input1.ndim:
        raise OperationError(
            f"cosine_embedding_loss: got shapes {input1.shape} and {input2.shape} and a target of "
            f"shape {target.shape}; it needs (N, D), (N, D) and (N,), or (D,), (D,) and a number"
        )
    eps = 1e-12  # PyTorch's, under the root
    dot = (input1 * input2).sum(-1)
    cos = dot / ops.sqrt(((input1 * input1).sum(-1) + eps) * ((input2 * input2).sum(-1) + eps))
    losses = ops.where(target == 1, 1 - cos, 0.0)
    losses = losses + ops.where(target == -1, ops.clamp(cos - margin, min=0), 0.0)
    return reduced(losses, reduction)
