"""Operations that look for elements: the largest, the smallest, the middle one, their order, how many there are."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any, NamedTuple

from minillm.autograd.errors import OperationError, OperationIndexError
from minillm.autograd.function import Function
from minillm.backend import Array, xp_of
from minillm.ops.choice import maximum, minimum, where
from minillm.ops.gathering import gather
from minillm.ops.promotion import cast, quiet, refuse
from minillm.ops.reduction import Dims, count, kept, left, reduced_dims
from minillm.ops.shape import dim_of, reshape

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


class ValuesIndices(NamedTuple):
    """The result of a search along one dimension."""

    values: Any
    indices: Any


class Extreme(Function):
    """y = the largest, the smallest or the middle element, by name; equal ones share the gradient."""

    @quiet
    def forward(self, x: Array, name: str, dims: tuple[int, ...], keepdim: bool) -> Array:
        y = _median(x) if name == "median" else getattr(x, name)(axis=dims, keepdims=True)
        if self.needs(0):
            self.save_constants((x == y) | (x != x))  # where there is a NaN, y is NaN
        self.shape, self.dims = x.shape, dims
        return y if keepdim else y.reshape(left(x.shape, dims))

    def backward(self, dy: Any) -> Any:
        (chosen,) = self.constants
        share = cast(chosen, dy.dtype) / chosen.sum(axis=self.dims, keepdims=True)
        return reshape(dy, kept(self.shape, self.dims)) * share


def _median(x: Array) -> Array:
    """Return the lower of the two middle elements of all, or NaN if there is one."""
    xp = xp_of(x)
    inorder = xp.sort(x.reshape(-1))
    middle = inorder[(x.size - 1) // 2 :][:1]
    last = inorder[-1:]
    return xp.where(last == last, middle, last).reshape((1,) * x.ndim)


class ArgSearch(Function):
    """y = the index of the largest or smallest element, the first of equals, by name."""

    differentiable = False

    def forward(self, x: Array, name: str, dim: int | None, keepdim: bool) -> Array:
        index = xp_of(x).asarray(getattr(x, name)(axis=dim if x.ndim else None))
        dims = tuple(range(x.ndim)) if dim is None else (dim,)
        return index.reshape(kept(x.shape, dims)) if keepdim else index


class ArgSort(Function):
    """y = the order that sorts x along a dimension; equal elements keep theirs."""

    differentiable = False

    def forward(self, x: Array, dim: int, descending: bool) -> Array:
        xp = xp_of(x)
        if not x.ndim:
            return xp.zeros((), "int64")
        sort = {"kind": "stable"} if xp.__name__ == "numpy" else {}  # CuPy's is stable anyway
        if not descending:
            return xp.argsort(x, axis=dim, **sort)
        order = xp.argsort(xp.flip(x, axis=dim), axis=dim, **sort)
        return x.shape[dim] - 1 - xp.flip(order, axis=dim)


class Top(Function):
    """y = the indices of the k largest or smallest elements along a dimension, in no order."""

    differentiable = False

    def forward(self, x: Array, k: int, dim: int, largest: bool) -> Array:
        n = x.shape[dim]
        index = xp_of(x).argpartition(x, n - k if largest else k - 1, axis=dim)
        places = slice(n - k, None) if largest else slice(0, k)
        return index[(slice(None),) * dim + (places,)]


def amax(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Return the largest element over ``dim``; equal ones share the gradient.

    Example:
        >>> import minillm
        >>> minillm.amax(minillm.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=1)
        tensor([5., 7.])
    """
    return _extreme("amax", "max", input, dim, keepdim)


def amin(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Return the smallest element over ``dim``; equal ones share the gradient.

    Example:
        >>> import minillm
        >>> minillm.amin(minillm.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=1)
        tensor([1., 2.])
    """
    return _extreme("amin", "min", input, dim, keepdim)


def _extreme(name: str, method: str, input: Any, dim: Dims, keepdim: bool) -> Any:
    return Extreme.apply(input, method, _searched_dims(name, input, dim), keepdim)


def _searched_dims(name: str, input: Any, dim: Dims) -> tuple[int, ...]:
    """Return the dimensions to search, or raise an error where there is nothing to choose from."""
    dims = reduced_dims(name, input, dim)
    if not count(input.shape, dims):
        raise OperationIndexError(
            f"{name}: got shape {input.shape}; it needs an element in dimensions {dims} to choose from"
        )
    return dims


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Return the index of the largest element along ``dim``, or in the flattened tensor.

    Example:
        >>> import minillm
        >>> minillm.argmax(minillm.tensor([1.0, 5.0, 2.0]))
        tensor(1)
    """
    return _arg("argmax", input, dim, keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Return the index of the smallest element along ``dim``, or in the flattened tensor.

    Example:
        >>> import minillm
        >>> minillm.argmin(minillm.tensor([3.0, 1.0, 2.0]))
        tensor(1)
    """
    return _arg("argmin", input, dim, keepdim)


def _arg(name: str, input: Any, dim: int | None, keepdim: bool) -> Any:
    refuse(name, "b", input)
    _searched_dims(name, input, dim)
    return ArgSearch.apply(input, name, None if dim is None else dim_of(name, input.ndim, dim), keepdim)


def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """Return the largest element; with ``dim``, (values, indices) along it; with a tensor, maximum.

    Example:
        >>> import minillm
        >>> values, indices = minillm.max(minillm.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=1)
        >>> values, indices
        (tensor([5., 7.]), tensor([1, 0]))
    """
    other = dim if hasattr(dim, "shape") else other
    return maximum(input, other) if other is not None else _search("max", input, dim, keepdim)


def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """Return the smallest element; with ``dim``, (values, indices) along it; with a tensor, minimum.

    Example:
        >>> import minillm
        >>> minillm.min(minillm.tensor([3.0, 1.0]))
        tensor(1.)
    """
    other = dim if hasattr(dim, "shape") else other
    return minimum(input, other) if other is not None else _search("min", input, dim, keepdim)


def _search(name: str, input: Any, dim: int | None, keepdim: bool) -> Any:
    """Return the extreme of all, or values and indices along one dimension."""
    if dim is None:
        return _extreme(name, name, input, None, False)
    _searched_dims(name, input, dim)
    dim = dim_of(name, input.ndim, dim)
    return _taken(input, dim, ArgSearch.apply(input, "arg" + name, dim, True), keepdim)


def _taken(input: Any, dim: int, index: Any, keepdim: bool) -> ValuesIndices:
    """Return what an index of size 1 along ``dim`` takes, and the index."""
    values = gather(input, dim, index)
    if keepdim:
        return ValuesIndices(values, index)
    shape = left(index.shape, (dim,))
    return ValuesIndices(reshape(values, shape), reshape(index, shape))


def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return the middle element (the lower of two); with ``dim``, (values, indices) along it.

    Example:
        >>> import minillm
        >>> minillm.median(minillm.tensor([3.0, 1.0, 2.0, 10.0]))
        tensor(2.)
    """
    refuse("median", "b", input)
    dims = _searched_dims("median", input, dim)
    if dim is None:
        return Extreme.apply(input, "median", dims, False)
    dim = dim_of("median", input.ndim, dim)
    if not input.ndim:
        return ValuesIndices(input, ArgSort.apply(input, 0, False))
    order = ArgSort.apply(input, dim, False)
    middle = order[(slice(None),) * dim + (slice((input.shape[dim] - 1) // 2, None),)]
    index = middle[(slice(None),) * dim + (slice(0, 1),)]
    if input.dtype.kind == "f":  # NaN comes last in the order, and wins
        last = order[(slice(None),) * dim + (slice(-1, None),)]
        greatest = gather(input, dim, last)
        index = where(greatest != greatest, last, index)
    return _taken(input, dim, index, keepdim)


def sort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> ValuesIndices:
    """Return (values, indices) in order along ``dim``; equal elements keep their order, NaN is largest.

    Example:
        >>> import minillm
        >>> minillm.sort(minillm.tensor([3.0, 1.0, 2.0]), descending=True)
        ValuesIndices(values=tensor([3., 2., 1.]), indices=tensor([0, 2, 1]))
    """
    order = argsort(input, dim, descending)
    return ValuesIndices(gather(input, dim, order), order)


def argsort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Tensor:
    """Return the indices that put the elements in order along ``dim``.

    Example:
        >>> import minillm
        >>> minillm.argsort(minillm.tensor([3.0, 1.0, 2.0]))
        tensor([1, 2, 0])
    """
    return ArgSort.apply(input, dim_of("sort", input.ndim, dim), descending)


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesIndices:
    """Return (values, indices) of the ``k`` largest, or smallest, elements along ``dim``, best first.

    Example:
        >>> import minillm
        >>> minillm.topk(minillm.tensor([3.0, 1.0, 4.0, 2.0]), 2)
        ValuesIndices(values=tensor([4., 3.]), indices=tensor([2, 0]))
    """
    dim = dim_of("topk", input.ndim, dim)
    size = input.shape[dim] if input.ndim else 1
    if not 0 <= k <= size:
        raise OperationError(f"topk: got k={k} for size {size} of dimension {dim}; it needs 0 to {size}")
    if k in (0, size):
        order = argsort(input, dim, largest)
        index = order[(slice(None),) * dim + (slice(0, k),)] if input.ndim else order
        return ValuesIndices(gather(input, dim, index), index)
    index = Top.apply(input, k, dim, largest)
    if sorted:
        index = gather(index, dim, argsort(gather(input, dim, index), dim, largest))
    return ValuesIndices(gather(input, dim, index), index)


class Unique(Function):
    """y = the different elements, in order; where the elements are in y; how many there are of each."""

    differentiable = False

    def forward(self, x: Array, dim: int | None) -> tuple[Array, Array, Array]:
        xp = xp_of(x)
        values, inverse, counts = xp.unique(x, return_inverse=True, return_counts=True, axis=dim)
        return values, inverse.reshape(x.shape if dim is None else (x.shape[dim],)), counts


def unique(
    input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False,
    dim: int | None = None,
) -> Any:  # fmt: skip
    """Return the different elements in order, or the different slices along ``dim``.

    Args:
        input: any tensor.
        sorted: PyTorch's name; they are in order in any case.
        return_inverse: return also where each element of the input is in the result.
        return_counts: return also how often each element of the result came.
        dim: None for elements.

    Example:
        >>> import minillm
        >>> minillm.unique(minillm.tensor([3, 1, 3]), return_counts=True)
        (tensor([1, 3]), tensor([1, 2]))
    """
    values, inverse, counts = Unique.apply(input, None if dim is None else dim_of("unique", input.ndim, dim))
    extra = (inverse,) * return_inverse + (counts,) * return_counts
    return (values, *extra) if extra else values


class Bincount(Function):
    """y = how often each number from 0 comes in x, or the sum of its weights."""

    differentiable = False

    def forward(self, x: Array, weights: Array | None, minlength: int) -> Array:
        y = xp_of(x).bincount(x, weights=weights, minlength=minlength)
        return y.astype("float32") if weights is not None and weights.dtype == "float32" else y


def bincount(input: Tensor, weights: Any = None, minlength: int = 0) -> Tensor:
    """Return how often each number from 0 to the largest comes in a vector of numbers from 0.

    Args:
        input: a vector of integers, none negative.
        weights: what each counts, 1 by default.
        minlength: the least size of the result.

    Example:
        >>> import minillm
        >>> minillm.bincount(minillm.tensor([0, 2, 2]))
        tensor([1, 0, 2])
    """
    if input.ndim != 1 or input.dtype.kind not in "iu" or builtins.bool((input < 0).any()):
        raise OperationError(f"bincount: got {input.dtype} {input.shape}; it needs a vector of integers, none negative")
    if weights is not None and weights.shape != input.shape:
        raise OperationError(f"bincount: got weights of shape {weights.shape}; it needs {input.shape}")
    return Bincount.apply(input, weights, minlength)
