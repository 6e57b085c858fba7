"""Normalisation: values are brought to mean 0 and variance 1, or to length 1.

Layer norm: Ba, Kiros and Hinton, 2016, arXiv:1607.06450. RMS norm: Zhang and Sennrich, 2019,
arXiv:1910.07467. Batch norm: Ioffe and Szegedy, 2015, arXiv:1502.03167.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minillm import ops
from minillm.autograd import no_grad
from minillm.autograd.errors import OperationError, OperationTypeError
from minillm.autograd.function import Function
from minillm.backend import Array
from minillm.kernels import kernels_of
from minillm.ops import Tensor
from minillm.ops.promotion import refuse
from minillm.ops.shape import dim_of


def layer_norm_composite(x: Any, weight: Any, bias: Any, ndim: int, eps: float) -> Any:
    """Return (x - mean) / sqrt(var + eps) * weight + bias, over the last ``ndim`` dimensions."""
    dims = tuple(range(-ndim, 0))
    centred = x - ops.mean(x, dims, keepdim=True)
    y = centred / ops.sqrt(ops.mean(centred * centred, dims, keepdim=True) + eps)
    if weight is not None:
        y = y * weight
    return y if bias is None else y + bias


class LayerNorm(Function):
    """y = (x - mean) rstd w + b, over the last ``ndim`` dimensions."""

    composite = layer_norm_composite

    def forward(self, x: Array, weight: Any, bias: Any, ndim: int, eps: float) -> Array:
        y, mean, rstd = kernels_of(x).layer_norm(_as_rows(x, ndim), _as_vector(weight), _as_vector(bias), eps)
        self.save_for_backward(x, weight, mean, rstd)
        self.ndim = ndim
        return _shaped(y, x.shape)

    def backward(self, dy: Array) -> Any:
        x, weight, mean, rstd = self.saved
        dx, dweight, dbias = kernels_of(dy).layer_norm_backward(
            _as_rows(dy, self.ndim), _as_rows(x, self.ndim), _as_vector(weight), mean, rstd,
            self.needs(1) or self.needs(2),
        )  # fmt: skip
        inner = x.shape[x.ndim - self.ndim :]
        return _shaped(dx, x.shape), _shaped(dweight, inner), _shaped(dbias, inner)


def rms_norm_composite(x: Any, weight: Any, ndim: int, eps: float) -> Any:
    """Return x / sqrt(mean(x^2) + eps) * weight, over the last ``ndim`` dimensions."""
    y = x / ops.sqrt(ops.mean(x * x, tuple(range(-ndim, 0)), keepdim=True) + eps)
    return y if weight is None else y * weight


class RMSNorm(Function):
    """y = x rstd w, over the last ``ndim`` dimensions."""

    composite = rms_norm_composite

    def forward(self, x: Array, weight: Any, ndim: int, eps: float) -> Array:
        y, rstd = kernels_of(x).rms_norm(_as_rows(x, ndim), _as_vector(weight), eps)
        self.save_for_backward(x, weight, rstd)
        self.ndim = ndim
        return _shaped(y, x.shape)

    def backward(self, dy: Array) -> Any:
        x, weight, rstd = self.saved
        dx, dweight = kernels_of(dy).rms_norm_backward(
            _as_rows(dy, self.ndim), _as_rows(x, self.ndim), _as_vector(weight), rstd, self.needs(1)
        )
        return _shaped(dx, x.shape), _shaped(dweight, x.shape[x.ndim - self.ndim :])


def _as_rows(x: Array, ndim: int) -> Array:
    """Return x as a matrix: the last ``ndim`` dimensions as one, and the others as one."""
    if ndim == 1 and x.ndim == 2:
        return x
    outer = x.ndim - ndim
    return x.reshape(math.prod(x.shape[:outer]), math.prod(x.shape[outer:]))


def _as_vector(x: Any) -> Any:
    return x if x is None or x.ndim == 1 else x.reshape(-1)


def _shaped(x: Any, shape: tuple[int, ...]) -> Any:
    """Return x in a shape; itself where it has that shape, as a view could not be anyone's own memory."""
    return x if x is None or x.shape == shape else x.reshape(shape)


def _check_normalized(name: str, input: Any, normalized_shape: Sequence[int], **vectors: Any) -> None:
    """Raise an error where the input or a parameter does not have the normalised shape."""
    wanted = tuple(normalized_shape)
    if not wanted:
        raise OperationError(f"{name}: got an empty normalized_shape; it needs at least one dimension")
    if tuple(input.shape[-len(wanted) :]) != wanted:
        raise OperationError(
            f"{name}: got an input of shape {input.shape}; with normalized_shape={list(wanted)} its "
            f"last dimensions need to be {wanted}"
        )
    for vector_name, vector in vectors.items():
        if vector is not None and vector.shape != wanted:
            raise OperationError(
                f"{name}: got a {vector_name} of shape {vector.shape}; it needs normalized_shape, {wanted}"
            )
        if vector is not None and vector.dtype != input.dtype:
            raise OperationError(
                f"{name}: got an input of {input.dtype} and a {vector_name} of {vector.dtype}; they need the "
                "same dtype; cast with .to(...)"
            )
    if input.dtype.kind != "f":
        raise OperationError(f"{name}: got an input of {input.dtype}; it needs floats")


def layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Return the input with mean 0 and variance 1 over its last dimensions, scaled and shifted.

    Args:
        input: (..., *normalized_shape), floats.
        normalized_shape: the sizes of the dimensions that are normalised together.
        weight: the scale, of that shape, or None for 1.
        bias: the shift, of that shape, or None for 0.
        eps: added to the variance, against division by zero.

    Raises:
        OperationError: shapes or dtypes that do not fit.

    Example:
        >>> import minillm
        >>> minillm.nn.functional.layer_norm(minillm.tensor([1.0, 3.0]), (2,))
        tensor([-1.0000,  1.0000])
    """
    _check_normalized("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    return LayerNorm.apply(input, weight, bias, len(normalized_shape), eps)


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Return the input with mean square 1 over its last dimensions, scaled.

    Args:
        input: (..., *normalized_shape), floats.
        normalized_shape: the sizes of the dimensions that are normalised together.
        weight: the scale, of that shape, or None for 1.
        eps: added to the mean square; by default the smallest step from 1 of the dtype (of float32 for
            float16).

    Raises:
        OperationError: shapes or dtypes that do not fit.

    Example:
        >>> import minillm
        >>> minillm.nn.functional.rms_norm(minillm.tensor([3.0, 4.0]), (2,))
        tensor([0.8485, 1.1314])
    """
    _check_normalized("rms_norm", input, normalized_shape, weight=weight)
    if eps is None:  # of the dtype that is computed in
        eps = float(np.finfo("float32" if input.dtype.itemsize == 2 else input.dtype).eps)
    return RMSNorm.apply(input, weight, len(normalized_shape), eps)


def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Return the input with mean 0 and variance 1 in each channel, over the batch.

    Args:
        input: (N, C) or (N, C, ...), floats.
        running_mean: (C,), used where not training, updated in place while training; or None.
        running_var: (C,), likewise.
        weight: the scale of each channel, (C,), or None.
        bias: the shift of each channel, (C,), or None.
        training: use mean and variance of this batch.
        momentum: the weight of this batch in the running values.
        eps: added to the variance.

    Raises:
        OperationError: shapes that do not fit, or a single value in each channel while training.
        OperationTypeError: an input of integers, or dtypes that differ.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([[1.0], [3.0]])
        >>> minillm.nn.functional.batch_norm(x, None, None, training=True)
        tensor([[-1.0000],
                [ 1.0000]])
    """
    refuse("batch_norm", "biu", input)
    if input.ndim < 2:
        raise OperationError(f"batch_norm: got shape {input.shape}; it needs (N, C) or (N, C, ...)")
    channels = input.shape[1]
    for name, vector in (("mean", running_mean), ("variance", running_var), ("weight", weight), ("bias", bias)):
        if vector is not None and vector.shape != (channels,):
            raise OperationError(
                f"batch_norm: got an input of shape {input.shape} and a {name} of shape {vector.shape}; "
                f"it needs ({channels},), one value for each channel"
            )
        sizes = (input.dtype.itemsize, 0 if vector is None else vector.dtype.itemsize)
        if vector is not None and vector.dtype != input.dtype and sizes != (2, 4):
            raise OperationTypeError(
                f"batch_norm: got an input of {input.dtype} and a {name} of {vector.dtype}; they need the same dtype "
                "(or float32 beside an input of two bytes); cast with .to(...)"
            )
    shape = (1, channels) + (1,) * (input.ndim - 2)
    if training:
        dims = (0, *range(2, input.ndim))
        n = input.numel() // channels if channels else 0
        if n <= 1:
            raise OperationError(
                f"batch_norm: got shape {input.shape}; training needs more than one value in each channel"
            )
        mean = ops.mean(input, dims, keepdim=True)
        centred = input - mean
        var = ops.mean(centred * centred, dims, keepdim=True)
        with no_grad():
            for running, value in ((running_mean, mean), (running_var, var * (n / (n - 1)))):
                if running is not None:
                    running.mul_(1 - momentum).add_(ops.reshape(value.detach(), (channels,)), alpha=momentum)
        y = centred / ops.sqrt(var + eps)
    else:
        if running_mean is None or running_var is None:
            raise OperationError("batch_norm: without training it needs running_mean and running_var")
        y = (input - ops.reshape(running_mean, shape)) / ops.sqrt(ops.reshape(running_var, shape) + eps)
    if weight is not None:
        y = y * ops.reshape(weight, shape)
    return y if bias is None else y + ops.reshape(bias, shape)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Return the input divided by its p-norm along ``dim``.

    Args:
        input: floats.
        p: of the norm: 2 for the length, 1 for the sum of sizes, infinity for the largest.
        dim: along which the norm is 1 afterwards.
        eps: norms below it count as it, against division by zero.

    Raises:
        OperationIndexError: a dim that there is not.
        OperationTypeError: an input of integers.

    Example:
        >>> import minillm
        >>> minillm.nn.functional.normalize(minillm.tensor([[3.0, 4.0]]))
        tensor([[0.6000, 0.8000]])
    """
    refuse("normalize", "biu", input)
    dim = dim_of("normalize", input.ndim, dim)
    if p == math.inf:
        return input / ops.clamp(ops.amax(ops.abs(input), dim, keepdim=True), eps)
    # The bound goes below the root, whose slope at zero is infinite.
    least = max(eps**p, float(np.finfo(input.dtype).tiny))
    if p == 2:
        return input / ops.sqrt(ops.clamp(ops.sum(input * input, dim, keepdim=True), least))
    return input / ops.clamp(ops.sum(ops.abs(input) ** p, dim, keepdim=True), least) ** (1 / p)
