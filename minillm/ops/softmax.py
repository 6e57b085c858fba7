"""Softmax, its logarithm, and the logarithm of its denominator.

y_i = exp(x_i) / sum_j exp(x_j).  The largest x is taken off first: it changes nothing in the quotient and
keeps exp from overflowing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minillm.autograd.function import Function
from minillm.backend import Array, get_default_dtype, is_array
from minillm.kernels import kernels_of
from minillm.ops.choice import where
from minillm.ops.comparison import isinf
from minillm.ops.pointwise import exp, log
from minillm.ops.promotion import cast, quiet, refuse
from minillm.ops.reduction import Dims, left, reduced_dims, sum
from minillm.ops.search import amax
from minillm.ops.shape import dim_of, reshape

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


class Softmax(Function):
    """y = softmax(x),  dx = y (dy - sum(dy y))."""

    @quiet
    def forward(self, x: Array, dim: int) -> Array:
        self.dim = dim
        y = kernels_of(x).softmax(x, dim)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Any) -> Any:
        (y,) = self.saved
        if is_array(dy):
            return kernels_of(dy).softmax_backward(dy, y, self.dim)
        weighted = dy * y
        return weighted - y * sum(weighted, self.dim, keepdim=True)


class LogSoftmax(Function):
    """y = x - log sum exp(x),  dx = dy - exp(y) sum(dy)."""

    @quiet
    def forward(self, x: Array, dim: int) -> Array:
        self.dim = dim
        y = kernels_of(x).log_softmax(x, dim)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Any) -> Any:
        (y,) = self.saved
        if is_array(dy):
            return kernels_of(dy).log_softmax_backward(dy, y, self.dim)
        return dy - exp(y) * sum(dy, self.dim, keepdim=True)


def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """Return exp(input), scaled so that it sums to 1 along ``dim``.

    Example:
        >>> import minillm
        >>> minillm.softmax(minillm.tensor([0.0, 0.0]), dim=0)
        tensor([0.5000, 0.5000])
    """
    input = input if dtype is None else cast(input, dtype)
    refuse("softmax", "biu", input)
    return Softmax.apply(input, dim_of("softmax", input.ndim, dim))


def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """Return the logarithm of softmax, exact where softmax itself is 0.

    Example:
        >>> import minillm
        >>> minillm.log_softmax(minillm.tensor([0.0, 0.0]), dim=0)
        tensor([-0.6931, -0.6931])
    """
    input = input if dtype is None else cast(input, dtype)
    refuse("log_softmax", "biu", input)
    return LogSoftmax.apply(input, dim_of("log_softmax", input.ndim, dim))


def logsumexp(input: Tensor, dim: Dims, keepdim: bool = False) -> Tensor:
    """Return log of the sum of exp(input), computed without overflow.

    Example:
        >>> import minillm
        >>> minillm.logsumexp(minillm.tensor([100.0, 100.0]), dim=0)
        tensor(100.6931)
    """
    input = input if input.dtype.kind == "f" else cast(input, get_default_dtype())
    dims = reduced_dims("logsumexp", input, dim)
    if all(input.shape[d] for d in dims):
        plain: Any = input.detach() if hasattr(input, "detach") else input
        top: Any = amax(plain, dims, keepdim=True)
        top = where(isinf(top), 0, top)
    else:
        top = 0
    result = log(sum(exp(input - top), dims, keepdim=True)) + top
    return result if keepdim else reshape(result, left(input.shape, dims))
