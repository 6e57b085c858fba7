"""Operations that put many elements together: sums, products, means, and what is built on them.

All take ``dim`` (an integer, a tuple, or None for every dimension) and ``keepdim``, and NumPy's names for
the two, ``axis`` and ``keepdims``.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from minillm.autograd.function import Function
from minillm.backend import Array
from minillm.ops.choice import where
from minillm.ops.comparison import isnan
from minillm.ops.pieces import cat, flip
from minillm.ops.pointwise import sqrt
from minillm.ops.promotion import cast, quiet, refuse
from minillm.ops.repetition import broadcast_to
from minillm.ops.shape import dims_of, permute, reshape

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor

Dims = int | Sequence[int] | None


def reduced_dims(name: str, x: Any, dim: Dims, axis: Dims = None) -> tuple[int, ...]:
    """Return the dimensions to reduce, none negative, in order; all for None."""
    dim = axis if dim is None else dim
    if dim is None or (not isinstance(dim, int) and len(dim) == 0):
        return tuple(range(x.ndim))
    dims = tuple(sorted(dims_of(name, x.ndim, dim)))
    return dims if x.ndim else ()


def kept(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape with the reduced dimensions as 1."""
    return tuple(1 if i in dims else n for i, n in enumerate(shape))


def left(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape without the reduced dimensions."""
    return tuple(n for i, n in enumerate(shape) if i not in dims)


def count(shape: tuple[int, ...], dims: tuple[int, ...]) -> int:
    """Return how many elements are put together into each."""
    return math.prod(shape[i] for i in dims)


class Sum(Function):
    """y = the sum over some dimensions,  dx = dy, spread over them."""

    def forward(self, x: Array, dims: tuple[int, ...], keepdim: bool) -> Array:
        self.shape, self.dims = x.shape, dims
        return x.sum(axis=dims, keepdims=keepdim, dtype=None if x.dtype.kind == "f" else "int64")

    def backward(self, dy: Any) -> Any:
        return broadcast_to(reshape(dy, kept(self.shape, self.dims)), self.shape)


class Mean(Function):
    """y = the mean over some dimensions,  dx = dy / n, spread over them."""

    @quiet
    def forward(self, x: Array, dims: tuple[int, ...], keepdim: bool) -> Array:
        if x.dtype.kind != "f":
            raise TypeError("the mean needs floats; cast them, as in x.float().mean()")
        self.shape, self.dims = x.shape, dims
        self.n = count(x.shape, dims)
        return x.sum(axis=dims, keepdims=keepdim) / x.dtype.type(self.n)

    def backward(self, dy: Any) -> Any:
        dy = reshape(dy, kept(self.shape, self.dims)) * (1 / self.n if self.n else 0.0)
        return broadcast_to(dy, self.shape)


class Cumsum(Function):
    """y_i = x_0 + ... + x_i,  dx_i = dy_i + ... + dy_n."""

    def forward(self, x: Array, dim: int) -> Array:
        self.dim = dim
        return x.cumsum(axis=dim, dtype=None if x.dtype.kind == "f" else "int64")

    def backward(self, dy: Any) -> Any:
        return flip(Cumsum.apply(flip(dy, self.dim), self.dim), self.dim)


class Truth(Function):
    """y = whether all, or any, of the elements are true, by name."""

    differentiable = False

    def forward(self, x: Array, name: str, dims: tuple[int, ...], keepdim: bool) -> Array:
        y = getattr(x.astype(bool), name)(axis=dims, keepdims=keepdim)
        return y.astype(x.dtype) if x.dtype == "uint8" else y  # as in PyTorch, where bytes were booleans


def sum(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None, axis: Dims = None,
    keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """Return the sum over ``dim``; integers and booleans give int64.

    Example:
        >>> import minillm
        >>> minillm.sum(minillm.ones(2, 3), dim=1)
        tensor([3., 3.])
    """
    input = input if dtype is None else cast(input, dtype)
    result = Sum.apply(input, reduced_dims("sum", input, dim, axis), keepdim or keepdims)
    return result if dtype is None else cast(result, dtype)


def nansum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the sum over ``dim``, with NaN as 0.

    Example:
        >>> import minillm
        >>> minillm.nansum(minillm.tensor([1.0, float("nan")]))
        tensor(1.)
    """
    held = where(isnan(input), 0, input) if input.dtype.kind == "f" else input
    return sum(held, dim, keepdim, dtype=dtype)


def mean(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None, axis: Dims = None,
    keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """Return the mean over ``dim``, of floats.

    Example:
        >>> import minillm
        >>> minillm.mean(minillm.tensor([1.0, 2.0, 6.0]))
        tensor(3.)
    """
    input = input if dtype is None else cast(input, dtype)
    return Mean.apply(input, reduced_dims("mean", input, dim, axis), keepdim or keepdims)


def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the product over one dimension, or all; integers and booleans give int64.

    Halves are multiplied until one is left, so that the derivative is right for zeros, too.

    Example:
        >>> import minillm
        >>> minillm.prod(minillm.tensor([2.0, 3.0, 4.0]))
        tensor(24.)
    """
    input = cast(input, dtype or (input.dtype if input.dtype.kind == "f" else "int64"))
    dims = reduced_dims("prod", input, dim)
    rest = [i for i in range(input.ndim) if i not in dims]
    result = reshape(permute(input, (*dims, *rest)), (count(input.shape, dims), *left(input.shape, dims)))
    while result.shape[0] > 1:
        half, odd = divmod(result.shape[0], 2)
        product = result[:half] * result[half : 2 * half]
        result = cat([product, result[2 * half :]]) if odd else product
    if not result.shape[0]:
        result = sum(result, 0, keepdim=True) + 1
    return reshape(result, kept(input.shape, dims) if keepdim else left(input.shape, dims))


def safe_sqrt(x: Any) -> Any:
    """Return the square root with a derivative of 0, not infinity, where x is 0."""
    return where(x == 0, 0.0, sqrt(where(x == 0, 1.0, x)))


def var(
    input: Tensor, dim: Dims | bool = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: float | None = None, axis: Dims = None, keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """Return the variance, the mean squared distance from the mean.

    Args:
        input: floats.
        dim: what to reduce.
        unbiased: PyTorch's older name for a correction of 1 (True) or 0.
        keepdim: keep the reduced dimensions with size 1.
        correction: taken from the number of elements; 1 (Bessel's), the default, makes the estimate unbiased.
        axis: NumPy's name of ``dim``.
        keepdims: NumPy's name of ``keepdim``.

    Example:
        >>> import minillm
        >>> minillm.var(minillm.tensor([1.0, 2.0, 6.0]))
        tensor(7.)
    """
    refuse("var", "biu", input)
    if isinstance(dim, bool):  # var(x, False)
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None else builtins.int(unbiased)
    dims = reduced_dims("var", input, dim, axis)
    centred = input - Mean.apply(input, dims, True)
    n = builtins.max(count(input.shape, dims) - correction, 0)
    return Sum.apply(centred * centred, dims, keepdim or keepdims) / n


def std(
    input: Tensor, dim: Dims | bool = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: float | None = None, axis: Dims = None, keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """Return the standard deviation, the root of :func:`var`, with the same arguments.

    Example:
        >>> import minillm
        >>> minillm.std(minillm.tensor([1.0, 3.0]), correction=0)
        tensor(1.)
    """
    refuse("std", "biu", input)
    return safe_sqrt(var(input, dim, unbiased, keepdim, correction=correction, axis=axis, keepdims=keepdims))


def var_mean(input: Tensor, dim: Dims = None, *, correction: float = 1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """Return :func:`var` and :func:`mean`.

    Example:
        >>> import minillm
        >>> minillm.var_mean(minillm.tensor([1.0, 2.0, 6.0]))
        (tensor(7.), tensor(3.))
    """
    return var(input, dim, correction=correction, keepdim=keepdim), mean(input, dim, keepdim)


def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Return whether all elements are true (not zero).

    Example:
        >>> import minillm
        >>> minillm.all(minillm.tensor([True, False]))
        tensor(False)
    """
    return Truth.apply(input, "all", reduced_dims("all", input, dim), keepdim)


def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Return whether any element is true (not zero).

    Example:
        >>> import minillm
        >>> minillm.any(minillm.tensor([True, False]))
        tensor(True)
    """
    return Truth.apply(input, "any", reduced_dims("any", input, dim), keepdim)


def count_nonzero(input: Tensor, dim: Dims = None) -> Tensor:
    """Return how many elements are not zero.

    Example:
        >>> import minillm
        >>> minillm.count_nonzero(minillm.tensor([0, 3, 4]))
        tensor(2)
    """
    return sum(input != 0, dim)


def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Return the running sums along ``dim``.

    Example:
        >>> import minillm
        >>> minillm.cumsum(minillm.tensor([1.0, 2.0, 3.0]), 0)
        tensor([1., 3., 6.])
    """
    input = input if dtype is None else cast(input, dtype)
    dims = reduced_dims("cumsum", input, dim)
    result = Cumsum.apply(input, *dims) if dims else Sum.apply(input, (), False)
    return result if dtype is None else cast(result, dtype)
