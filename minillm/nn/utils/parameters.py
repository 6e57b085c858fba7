"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minillm import ops
from minillm.autograd.versions import mark_written
from minillm.ops import Tensor


def parameters_to_vector(parameters: Iterable[Any]) -> Any:
    """Return the numbers of all parameters, in order, as one vector; differentiable.

    Args:
        parameters: tensors of any shapes, on one device.

    Returns:
        A tensor of shape (number of numbers,).

    Example:
        >>> import minillm
        >>> minillm.nn.utils.parameters_to_vector([minillm.ones(2, 2), minillm.zeros(1)])
        tensor([1., 1., 1., 1., 0.])
    """
    return ops.cat([ops.reshape(parameter, (-1,)) for parameter in parameters])


def vector_to_parameters(vec: Any, parameters: Iterable[Any]) -> None:
    """Write the numbers of a vector into the parameters, in order and in place.

    Args:
        vec: a tensor of shape (number of numbers,).
        parameters: tensors of any shapes, with as many numbers together.

    Raises:
        TypeError: ``vec`` is no tensor.
        ValueError: it has more or fewer numbers than the parameters; nothing has been changed then.

    Example:
        >>> import minillm
        >>> a, b = minillm.ones(2, 2), minillm.zeros(1)
        >>> minillm.nn.utils.vector_to_parameters(minillm.arange(5.0), [a, b])
        >>> a, b
        (tensor([[0., 1.], [2., 3.]]), tensor([4.]))
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: expected a Tensor, but got: {type(vec).__name__}")
    parameters = list(parameters)
    total = sum(parameter.numel() for parameter in parameters)
    if vec.shape != (total,):
        raise ValueError(f"vector_to_parameters: got a tensor of shape {vec.shape}; the parameters need ({total},)")
    start = 0
    for parameter in parameters:
        stop = start + parameter.numel()
        parameter.array[...] = vec.array[start:stop].reshape(parameter.array.shape)
        mark_written((parameter,))
        start = stop
