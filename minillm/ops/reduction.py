"""Operations that put many elements together: sums, means, extremes, and what is built on them.

All take ``dim`` (an integer, a tuple, or None for every dimension) and ``keepdim``, and NumPy's names for
the two, ``axis`` and ``keepdims``.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from minillm.autograd.errors import OperationError, OperationIndexError
from minillm.autograd.function import Function
from minillm.backend import Array, xp_of
from minillm.ops.choice import maximum, minimum, where
from minillm.ops.comparison import isinf
from minillm.ops.pointwise import exp, log, sqrt
from minillm.ops.promotion import cast, quiet
from minillm.ops.shape import broadcast_to, flip, reshape

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor

Dims = int | Sequence[int] | None


def dims_of(name: str, x: Any, dim: Dims, axis: Dims = None) -> tuple[int, ...]:
    """Return the dimensions to reduce, none negative, in order; all for None."""
    dim = axis if dim is None else dim
    ndim = x.ndim
    if dim is None or (not isinstance(dim, int) and len(dim) == 0):
        return tuple(range(ndim))
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    least = builtins.max(ndim, 1)
    for d in dims:
        if not -least <= d < least:
            raise OperationIndexError(
                f"{name}: dim {d} is out of range for shape {tuple(x.shape)}; it needs to lie between "
                f"{-least} and {least - 1}"
            )
    result = sorted(d % least for d in dims)
    if len(set(result)) < len(result):
        raise OperationError(f"{name}: dim {dim} names the same dimension twice")
    return tuple(result) if ndim else ()


def kept(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape with the reduced dimensions as 1."""
    return tuple(1 if i in dims else n for i, n in enumerate(shape))


class Sum(Function):
    """y = the sum over some dimensions,  dx = dy, spread over them."""

    def forward(self, x: Array, dims: tuple[int, ...], keepdim: bool) -> Array:
        self.shape, self.dims = x.shape, dims
        dtype = None if x.dtype.kind == "f" else "int64"
        return x.sum(axis=dims, keepdims=keepdim, dtype=dtype)

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


class Amax(Function):
    """y = the largest element; equal ones share the gradient."""

    def forward(self, x: Array, dims: tuple[int, ...], keepdim: bool) -> Array:
        y = x.max(axis=dims, keepdims=True)
        self.save_constants(x == y)
        self.shape, self.dims = x.shape, dims
        return y if keepdim else y.reshape([n for i, n in enumerate(x.shape) if i not in dims])

    def backward(self, dy: Any) -> Any:
        (chosen,) = self.constants
        share = cast(chosen, dy.dtype) / chosen.sum(axis=self.dims, keepdims=True)
        return reshape(dy, kept(self.shape, self.dims)) * share


class Pick(Function):
    """y = the elements that an earlier search found along one dimension."""

    def forward(self, x: Array, index: Array, dim: int) -> Array:
        self.shape, self.dim = x.shape, dim
        self.save_constants(index)
        return xp_of(x).take_along_axis(x, index, dim)

    def backward(self, dy: Any) -> Any:
        (index,) = self.constants
        return PickBackward.apply(dy, index, self.dim, self.shape)


class PickBackward(Function):
    """Puts gradients back to where ``Pick`` took elements from, each place at most once."""

    def forward(self, dy: Array, index: Array, dim: int, shape: tuple[int, ...]) -> Array:
        self.dim = dim
        self.save_constants(index)
        dx = xp_of(dy).zeros(shape, dy.dtype)
        xp_of(dy).put_along_axis(dx, index, dy, dim)
        return dx

    def backward(self, d: Any) -> Any:
        (index,) = self.constants
        return Pick.apply(d, index, self.dim)


def count(shape: tuple[int, ...], dims: tuple[int, ...]) -> int:
    """Return how many elements are put together into each."""
    n = 1
    for i in dims:
        n *= shape[i]
    return n


def sum(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    axis: Dims = None,
    keepdims: bool = False,
) -> Tensor:
    """Return the sum over ``dim``; integers and booleans give int64.

    Example:
        >>> import minillm
        >>> minillm.sum(minillm.ones(2, 3), dim=1)
        tensor([3., 3.])
    """
    if dtype is not None:
        input = cast(input, dtype)
    return Sum.apply(input, dims_of("sum", input, dim, axis), keepdim or keepdims)


def mean(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    axis: Dims = None,
    keepdims: bool = False,
) -> Tensor:
    """Return the mean over ``dim``, of floats.

    Example:
        >>> import minillm
        >>> minillm.mean(minillm.tensor([1.0, 2.0, 6.0]))
        tensor(3.)
    """
    if dtype is not None:
        input = cast(input, dtype)
    return Mean.apply(input, dims_of("mean", input, dim, axis), keepdim or keepdims)


def var(
    input: Tensor,
    dim: Dims = None,
    *,
    correction: float = 1,
    keepdim: bool = False,
    axis: Dims = None,
    keepdims: bool = False,
) -> Tensor:
    """Return the variance, the mean squared distance from the mean.

    Args:
        input: floats.
        dim: what to reduce.
        correction: taken from the number of elements; 1 (Bessel's) makes the estimate unbiased.
        keepdim: keep the reduced dimensions with size 1.
        axis: NumPy's name of ``dim``.
        keepdims: NumPy's name of ``keepdim``.

    Example:
        >>> import minillm
        >>> minillm.var(minillm.tensor([1.0, 2.0, 6.0]))
        tensor(7.)
    """
    dims = dims_of("var", input, dim, axis)
    centred = input - mean(input, dims, keepdim=True) if dims else input - input
    n = builtins.max(count(input.shape, dims) - correction, 0)
    squares = sum(centred * centred, dims, keepdim=keepdim or keepdims) if dims else centred * centred
    return squares / n


def std(
    input: Tensor,
    dim: Dims = None,
    *,
    correction: float = 1,
    keepdim: bool = False,
    axis: Dims = None,
    keepdims: bool = False,
) -> Tensor:
    """Return the standard deviation, the root of :func:`var`.

    Example:
        >>> import minillm
        >>> minillm.std(minillm.tensor([1.0, 3.0]), correction=0)
        tensor(1.)
    """
    return sqrt(var(input, dim, correction=correction, keepdim=keepdim, axis=axis, keepdims=keepdims))


def amax(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Return the largest element over ``dim``; equal ones share the gradient.

    Example:
        >>> import minillm
        >>> minillm.amax(minillm.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=1)
        tensor([5., 7.])
    """
    dims = dims_of("amax", input, dim)
    if not count(input.shape, dims):
        raise OperationIndexError(f"amax: shape {tuple(input.shape)} has no elements over dim {dim}")
    return Amax.apply(input, dims, keepdim)


def amin(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Return the smallest element over ``dim``; equal ones share the gradient.

    Example:
        >>> import minillm
        >>> minillm.amin(minillm.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=1)
        tensor([1., 2.])
    """
    return -amax(-input, dim, keepdim)


class ValuesIndices(NamedTuple):
    """The result of a search along one dimension."""

    values: Any
    indices: Any


class ArgSearch(Function):
    """y = the index of the largest or smallest element, the first of equals."""

    differentiable = False

    def forward(self, x: Array, name: str, dim: int | None, keepdim: bool) -> Array:
        if not x.size or (dim is not None and x.ndim and not x.shape[dim]):
            raise ValueError("there is no element to choose from")
        index = getattr(x, name)(axis=dim)
        index = xp_of(x).asarray(index)
        if keepdim:
            shape = [1] * x.ndim if dim is None else kept(x.shape, (dim % builtins.max(x.ndim, 1),))
            index = index.reshape(shape)
        return index


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Return the index of the largest element along ``dim``, or in the flattened tensor.

    Example:
        >>> import minillm
        >>> minillm.argmax(minillm.tensor([1.0, 5.0, 2.0]))
        tensor(1)
    """
    if dim is not None:
        dims_of("argmax", input, dim)
    return ArgSearch.apply(input, "argmax", dim, keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Return the index of the smallest element along ``dim``, or in the flattened tensor.

    Example:
        >>> import minillm
        >>> minillm.argmin(minillm.tensor([3.0, 1.0, 2.0]))
        tensor(1)
    """
    if dim is not None:
        dims_of("argmin", input, dim)
    return ArgSearch.apply(input, "argmin", dim, keepdim)


def _extreme(name: str, input: Tensor, dim: int | None, keepdim: bool) -> Any:
    """Return the extreme of all, or values and indices along one dimension."""
    if dim is None:
        return (amax if name == "max" else amin)(input)
    (axis,) = dims_of(name, input, dim) or (0,)
    if not input.ndim:
        return ValuesIndices(input, ArgSearch.apply(input, "argmax", None, False))
    index = ArgSearch.apply(input, "arg" + name, axis, True)
    values = Pick.apply(input, index, axis)
    if not keepdim:
        shape = input.shape[:axis] + input.shape[axis + 1 :]
        values, index = reshape(values, shape), reshape(index, shape)
    return ValuesIndices(values, index)


def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """Return the largest element; with ``dim``, (values, indices) along it; with a tensor, maximum.

    Example:
        >>> import minillm
        >>> values, indices = minillm.max(minillm.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=1)
        >>> values, indices
        (tensor([5., 7.]), tensor([1, 0]))
    """
    other = dim if hasattr(dim, "array") and dim.ndim else other
    if other is not None:
        return maximum(input, other)
    return _extreme("max", input, dim, keepdim)


def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """Return the smallest element; with ``dim``, (values, indices) along it; with a tensor, minimum.

    Example:
        >>> import minillm
        >>> minillm.min(minillm.tensor([3.0, 1.0]))
        tensor(1.)
    """
    other = dim if hasattr(dim, "array") and dim.ndim else other
    if other is not None:
        return minimum(input, other)
    return _extreme("min", input, dim, keepdim)


class Truth(Function):
    """y = whether all, or any, of the elements are true."""

    differentiable = False

    def forward(self, x: Array, name: str, dims: tuple[int, ...], keepdim: bool) -> Array:
        return getattr(x.astype(bool), name)(axis=dims, keepdims=keepdim)


def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Return whether all elements are true (not zero).

    Example:
        >>> import minillm
        >>> minillm.all(minillm.tensor([True, False]))
        tensor(False)
    """
    return Truth.apply(input, "all", dims_of("all", input, dim), keepdim)


def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Return whether any element is true (not zero).

    Example:
        >>> import minillm
        >>> minillm.any(minillm.tensor([True, False]))
        tensor(True)
    """
    return Truth.apply(input, "any", dims_of("any", input, dim), keepdim)


class Cumsum(Function):
    """y_i = x_0 + ... + x_i,  dx_i = dy_i + ... + dy_n."""

    def forward(self, x: Array, dim: int) -> Array:
        self.dim = dim
        return x.cumsum(axis=dim, dtype=None if x.dtype.kind == "f" else "int64")

    def backward(self, dy: Any) -> Any:
        return flip(cumsum(flip(dy, (self.dim,)), self.dim), (self.dim,))


def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Return the running sums along ``dim``.

    Example:
        >>> import minillm
        >>> minillm.cumsum(minillm.tensor([1.0, 2.0, 3.0]), 0)
        tensor([1., 3., 6.])
    """
    if dtype is not None:
        input = cast(input, dtype)
    (axis,) = dims_of("cumsum", input, dim) or (0,)
    return Cumsum.apply(input, axis) if input.ndim else input + 0


def logsumexp(input: Tensor, dim: Dims, keepdim: bool = False) -> Tensor:
    """Return log of the sum of exp(input), computed without overflow.

    Example:
        >>> import minillm
        >>> minillm.logsumexp(minillm.tensor([100.0, 100.0]), dim=0)
        tensor(100.6931)
    """
    dims = dims_of("logsumexp", input, dim)
    if not dims:
        return input + 0
    top = amax(input, dims, keepdim=True)
    top = top.detach() if hasattr(top, "detach") else top
    top = where(isinf(top), 0.0, top)
    result = log(sum(exp(input - top), dims, keepdim=True)) + top
    return result if keepdim else reshape(result, [n for i, n in enumerate(input.shape) if i not in dims])


__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "cumsum", "logsumexp", "max", "mean", "min",
    "std", "sum", "var",
]  # fmt: skip
