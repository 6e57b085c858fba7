"""Gradient clipping: keep the gradients of a step within a norm, or each number within a bound.

grad = grad min(1, max_norm / (norm + 1e-6)), with one norm over the gradients of all parameters.

Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
algorithm 1.
"""

from __future__ import annotations

import types
import warnings
from typing import Any

import numpy as np

from minillm.autograd.errors import OperationError
from minillm.autograd.versions import mark_written
from minillm.backend import Array, device_of, to_device, to_numpy, xp_of
from minillm.ops import Tensor, linalg


def _gradients(parameters: Any) -> list[Any]:
    """Return the gradients that there are."""
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    elif isinstance(parameters, types.GeneratorType):
        parameters = list(parameters)
        if not parameters:
            warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=3)
    return [p._grad for p in parameters if p._grad is not None]


def vector_norm(x: Array, p: float) -> Array:
    """Return the norm of all numbers in an array, of any order ``p``, as a 0-d array or a NumPy number."""
    xp = xp_of(x)
    x = x.reshape(-1)
    if p == 2:
        return xp.sqrt(xp.dot(x, x))
    return linalg.vector_norm(x, p) if x.size else xp.zeros((), x.dtype)


def get_total_norm(
    tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Any:
    """Return the norm of all tensors together, as if they were one vector.

    Args:
        tensors: a tensor or several, of any shapes, such as gradients.
        norm_type: the order of the norm; ``inf`` for the largest magnitude.
        error_if_nonfinite: raise an error where the norm is NaN or infinite.
        foreach: PyTorch's choice of kernels, without effect.

    Returns:
        A tensor that holds a single number.

    Raises:
        OperationError: the norm is NaN or infinite, and ``error_if_nonfinite`` is set.

    Example:
        >>> import minillm
        >>> minillm.nn.utils.get_total_norm([minillm.tensor([3.0]), minillm.tensor([0.0, 4.0])])
        tensor(5.)
    """
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    norm_type = float(norm_type)
    if not tensors:
        return Tensor(0.0)
    first = tensors[0].array
    xp, device = xp_of(first), device_of(first)
    norms = [vector_norm(t.array, norm_type) for t in tensors]
    if any(device_of(t.array) != device for t in tensors):
        norms = [to_device(to_numpy(norm), device) for norm in norms]
    total = norms[0] if len(norms) == 1 else vector_norm(xp.stack(norms), norm_type)
    if error_if_nonfinite and not bool(xp.isfinite(total)):
        raise OperationError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it "
            "cannot be clipped. To disable this error and scale the gradients by the non-finite norm anyway, "
            "set `error_if_nonfinite=False`"
        )
    return Tensor(xp.asarray(total), device=device)


def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: Any, foreach: bool | None = None) -> None:
    """Scale the gradients by ``max_norm / (total_norm + 1e-6)`` where this is less than 1.

    Args:
        parameters: a parameter or several; those without a gradient are passed over.
        max_norm: what the norm of the gradients shall be at most.
        total_norm: what it is, as :func:`get_total_norm` returns it.
        foreach: PyTorch's choice of kernels, without effect.
    """
    gradients = _gradients(parameters)
    total = total_norm.array if isinstance(total_norm, Tensor) else total_norm
    _scale(gradients, float(max_norm), total)


def _scale(gradients: list[Any], max_norm: float, total: Array) -> None:
    """Scale gradients by ``max_norm / (total + 1e-6)`` where this is less than 1."""
    if not gradients:
        return
    if device_of(gradients[0].array).type == "cpu":
        factor = max_norm / (float(total) + 1e-6)
        if factor >= 1:
            return
    else:  # without waiting for the GPU to tell the number
        factor = (max_norm / (total + 1e-6)).clip(None, 1.0)
    with np.errstate(invalid="ignore"):  # infinity times 0: the norm told of it already
        for gradient in gradients:
            gradient.array *= factor
            mark_written((gradient,))


def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Any:  # fmt: skip
    """Scale the gradients down, in place, so that the norm of all together is at most ``max_norm``.

    Args:
        parameters: a parameter or several; those without a gradient are passed over.
        max_norm: what the norm of the gradients shall be at most.
        norm_type: the order of the norm; ``inf`` for the largest magnitude.
        error_if_nonfinite: raise an error where the norm is NaN or infinite, instead of scaling by it.
        foreach: PyTorch's choice of kernels, without effect.

    Returns:
        The norm before clipping, a tensor that holds a single number.

    Raises:
        OperationError: the norm is NaN or infinite, and ``error_if_nonfinite`` is set.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([1.0, 1.0], requires_grad=True)
        >>> (x * minillm.tensor([3.0, 4.0])).sum().backward()
        >>> minillm.nn.utils.clip_grad_norm_([x], max_norm=1.0)
        tensor(5.)
        >>> x.grad
        tensor([0.6000, 0.8000])
    """
    gradients = _gradients(parameters)
    total_norm = get_total_norm(gradients, norm_type, error_if_nonfinite)
    _scale(gradients, float(max_norm), total_norm.array)
    return total_norm


def clip_grad_value_(parameters: Any, clip_value: float, foreach: bool | None = None) -> None:
    """Bound each number of the gradients to [-clip_value, clip_value], in place.

    Args:
        parameters: a parameter or several; those without a gradient are passed over.
        clip_value: the largest magnitude.
        foreach: PyTorch's choice of kernels, without effect.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([1.0, 1.0], requires_grad=True)
        >>> (x * minillm.tensor([3.0, -0.5])).sum().backward()
        >>> minillm.nn.utils.clip_grad_value_([x], 1.0)
        >>> x.grad
        tensor([ 1.0000, -0.5000])
    """
    clip_value = float(clip_value)
    for gradient in _gradients(parameters):
        array = gradient.array
        xp_of(array).clip(array, -clip_value, clip_value, out=array)
        mark_written((gradient,))
