"""Triangles and diagonals of matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minillm.autograd.errors import OperationError
from minillm.autograd.function import Function
from minillm.backend import Array, xp_of
from minillm.ops.shape import dim_of

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


class Triangle(Function):
    """y = x with zeros above (``lower``) or below a diagonal."""

    def forward(self, x: Array, diagonal: int, lower: bool) -> Array:
        self.diagonal, self.lower = diagonal, lower
        if x.ndim < 2:
            raise ValueError("a triangle needs at least two dimensions")
        return (xp_of(x).tril if lower else xp_of(x).triu)(x, diagonal)

    def backward(self, dy: Any) -> Any:
        return Triangle.apply(dy, self.diagonal, self.lower)


class Diagonal(Function):
    """y = the diagonal of two dimensions, last,  dx = zeros with dy on it."""

    def forward(self, x: Array, offset: int, dim1: int, dim2: int) -> Array:
        self.shape, self.place = x.shape, (offset, dim1, dim2)
        y = x.diagonal(offset, dim1, dim2)
        if xp_of(x) is np and x.flags.writeable:
            y.flags.writeable = True  # as every view
        return y

    def backward(self, dy: Any) -> Any:
        return OnDiagonal.apply(dy, self.shape, *self.place)


class OnDiagonal(Function):
    """y = zeros with x on the diagonal of two dimensions,  dx = the diagonal of dy."""

    def forward(self, x: Array, shape: tuple[int, ...], offset: int, dim1: int, dim2: int) -> Array:
        self.place = (offset, dim1, dim2)
        y = xp_of(x).zeros(shape, x.dtype)
        on_it = y.diagonal(offset, dim1, dim2)
        if xp_of(x) is np:
            on_it.flags.writeable = True
        on_it[...] = x
        return y

    def backward(self, dy: Any) -> Any:
        return Diagonal.apply(dy, *self.place)


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """Return input with zeros above a diagonal.

    Args:
        input: (..., n, m).
        diagonal: 0 for the main one, above it positive, below it negative.

    Example:
        >>> import minillm
        >>> minillm.tril(minillm.ones(2, 2))
        tensor([[1., 0.],
                [1., 1.]])
    """
    return Triangle.apply(input, diagonal, True)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """Return input with zeros below a diagonal.

    Example:
        >>> import minillm
        >>> minillm.triu(minillm.ones(2, 2))
        tensor([[1., 1.],
                [0., 1.]])
    """
    return Triangle.apply(input, diagonal, False)


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """Return a view of the diagonal of two dimensions, as the last dimension.

    Example:
        >>> import minillm
        >>> minillm.diagonal(minillm.tensor([[1, 2], [3, 4]]))
        tensor([1, 4])
    """
    first, second = dim_of("diagonal", input.ndim, dim1), dim_of("diagonal", input.ndim, dim2)
    if first == second or input.ndim < 2:
        raise OperationError(
            f"diagonal: got dims {dim1} and {dim2} of shape {input.shape}; it needs two different ones"
        )
    return Diagonal.apply(input, offset, first, second)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """Return the diagonal of a matrix, or a matrix with a vector on its diagonal.

    Example:
        >>> import minillm
        >>> minillm.diag(minillm.tensor([1, 2]))
        tensor([[1, 0],
                [0, 2]])
        >>> minillm.diag(minillm.tensor([[1, 2], [3, 4]]), 1)
        tensor([2])
    """
    if input.ndim not in (1, 2):
        raise OperationError(f"diag: got shape {input.shape}; it needs a vector or a matrix")
    if input.ndim == 2:
        return Diagonal.apply(input, diagonal, 0, 1)
    n = input.shape[0] + abs(diagonal)
    return OnDiagonal.apply(input, (n, n), diagonal, 0, 1)
