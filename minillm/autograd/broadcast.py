"""The way back through broadcasting: a gradient is summed down to the shape of its input, in one place."""

from __future__ import annotations

from typing import Any

from minillm.autograd.errors import OperationError


def sum_to(gradient: Any, shape: tuple[int, ...], name: str) -> Any:
    """Sum a gradient (array or Tensor) down to ``shape``, from which its shape was broadcast.

    Args:
        gradient: of a shape to which ``shape`` broadcasts.
        shape: of the input.
        name: of the operation, for errors.
    """
    got = tuple(gradient.shape)
    extra = len(got) - len(shape)
    if extra >= 0:
        summed = tuple(range(extra)) + tuple(
            extra + i for i, n in enumerate(shape) if n == 1 and got[extra + i] != 1
        )
        if all(n in (1, got[extra + i]) for i, n in enumerate(shape)):
            if summed:
                gradient = gradient.sum(axis=summed, keepdims=True)
            return gradient.reshape(shape)
    raise OperationError(
        f"{name}: its backward returned a gradient of shape {got} for an input of shape {shape}; "
        "it needs that shape, or one that the input broadcasts to"
    )
