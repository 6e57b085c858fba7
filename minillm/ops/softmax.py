"""Softmax and its logarithm, along one dimension.

y_i = exp(x_i) / sum_j exp(x_j).  The largest x is taken off first: it changes nothing in the quotient and
keeps exp from overflowing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minillm.autograd.function import Function
from minillm.backend import Array
from minillm.kernels import kernels_of
from minillm.ops.pointwise import exp
from minillm.ops.promotion import cast, floating
from minillm.ops.shape import dim_of

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


class Softmax(Function):
    """y = softmax(x),  dx = y (dy - sum(dy y))."""

    def forward(self, x: Array, dim: int) -> Array:
        self.dim = dim
        y = kernels_of(x).softmax(floating(x), dim)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Any) -> Any:
        (y,) = self.saved
        weighted = dy * y
        return weighted - y * weighted.sum(axis=self.dim, keepdims=True)


class LogSoftmax(Function):
    """y = x - log sum exp(x),  dx = dy - exp(y) sum(dy)."""

    def forward(self, x: Array, dim: int) -> Array:
        self.dim = dim
        y = kernels_of(x).log_softmax(floating(x), dim)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Any) -> Any:
        (y,) = self.saved
        return dy - exp(y) * dy.sum(axis=self.dim, keepdims=True)


def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """Return exp(input), scaled so that it sums to 1 along ``dim``.

    Example:
        >>> import minillm
        >>> minillm.softmax(minillm.tensor([0.0, 0.0]), dim=0)
        tensor([0.5000, 0.5000])
    """
    if dtype is not None:
        input = cast(input, dtype)
    return Softmax.apply(input, dim_of("softmax", input.ndim, dim))


def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """Return the logarithm of softmax, exact where softmax itself is 0.

    Example:
        >>> import minillm
        >>> minillm.log_softmax(minillm.tensor([0.0, 0.0]), dim=0)
        tensor([-0.6931, -0.6931])
    """
    if dtype is not None:
        input = cast(input, dtype)
    return LogSoftmax.apply(input, dim_of("log_softmax", input.ndim, dim))
