"""Operations that give the elements another shape or order of dimensions.

Where NumPy can give a view, the result shares its memory with the input, as in PyTorch.
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minillm.autograd.errors import OperationError, OperationIndexError, OperationTypeError
from minillm.autograd.function import Function
from minillm.backend import Array, to_dtype, xp_of

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


def dim_of(name: str, ndim: int, dim: int) -> int:
    """Return a dimension as a number from 0, or raise an error where it is out of range."""
    least = builtins.max(ndim, 1)
    if not -least <= dim < least:
        raise OperationIndexError(
            f"{name}: dim {dim} is out of range for {ndim} dimensions; it needs to lie between {-least} and {least - 1}"
        )
    return dim % least


def dims_of(name: str, ndim: int, dim: Any) -> tuple[int, ...]:
    """Return one dimension, or a sequence of different ones, as numbers from 0."""
    dims = tuple(dim_of(name, ndim, d) for d in ((dim,) if isinstance(dim, int) else dim))
    if len(set(dims)) < len(dims):
        raise OperationError(f"{name}: dim {dim} names the same dimension twice")
    return dims


def sizes_of(name: str, sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """Return sizes (or dims) that were given one by one or as one sequence."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = tuple(sizes[0])
    try:
        return tuple(map(operator.index, sizes))
    except TypeError:
        raise OperationTypeError(f"{name}: got {sizes}; it needs integers") from None


class Reshape(Function):
    """y = x in another shape."""

    @classmethod
    def explain(cls, x: Array, shape: tuple[int, ...]) -> str | None:
        return f"the shape {tuple(shape)} does not fit {x.size} elements"

    def forward(self, x: Array, shape: tuple[int, ...]) -> Array:
        self.shape = x.shape
        if -1 in shape and 0 in shape:
            raise ValueError("-1 could be any size")
        return x.reshape(shape)

    def backward(self, dy: Any) -> Any:
        return reshape(dy, self.shape)


class View(Reshape):
    """y = x in another shape, in the same memory."""

    @classmethod
    def explain(cls, x: Array, shape: tuple[int, ...]) -> str | None:
        fits = math.prod(n for n in shape if n != -1) in (x.size, 0) or (-1 in shape and x.size)
        return None if fits else Reshape.explain(x, shape)

    def forward(self, x: Array, shape: tuple[int, ...]) -> Array:
        y = super().forward(x, shape)
        if not x.flags.c_contiguous and x.size and not xp_of(x).may_share_memory(x, y):
            raise ValueError("the elements do not lie in order in memory, so a view needs a copy: use reshape")
        return y


class Permute(Function):
    """y = x with its dimensions in another order."""

    def forward(self, x: Array, dims: tuple[int, ...]) -> Array:
        self.dims = dims
        return x.transpose(dims)

    def backward(self, dy: Any) -> Any:
        inverse = [0] * len(self.dims)
        for i, d in enumerate(self.dims):
            inverse[d] = i
        return Permute.apply(dy, tuple(inverse))


class Copy(Function):
    """y = x in memory of its own."""

    def forward(self, x: Array) -> Array:
        return x.copy()

    def backward(self, dy: Any) -> Any:
        return dy


class Contiguous(Copy):
    """y = x with its elements in order in memory."""

    def forward(self, x: Array) -> Array:
        return xp_of(x).ascontiguousarray(x)


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """Return the same elements in another shape; one size may be -1, and follows from the others.

    Example:
        >>> import minillm
        >>> minillm.reshape(minillm.arange(6), (2, -1))
        tensor([[0, 1, 2],
                [3, 4, 5]])
    """
    return Reshape.apply(input, sizes_of("reshape", shape))


def view(input: Tensor, *shape: Any) -> Tensor:
    """Return the same memory in another shape, or read as another dtype of the same width.

    Raises:
        OperationError: a shape that would need a copy; :func:`reshape` makes one.

    Example:
        >>> import minillm
        >>> minillm.arange(6).view(2, -1)
        tensor([[0, 1, 2],
                [3, 4, 5]])
    """
    if len(shape) == 1 and isinstance(shape[0], (str, type, np.dtype)):
        return ViewAs.apply(input, to_dtype(shape[0]))
    return View.apply(input, sizes_of("view", shape))


class ViewAs(Function):
    """y = the bits of x, read as another dtype."""

    differentiable = False

    def forward(self, x: Array, dtype: Any) -> Array:
        return x.view(dtype)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Return input with the dimensions from ``start_dim`` to ``end_dim`` put into one.

    Example:
        >>> import minillm
        >>> minillm.flatten(minillm.zeros(2, 3, 4), 1).shape
        (2, 12)
    """
    start = dim_of("flatten", input.ndim, start_dim)
    end = dim_of("flatten", input.ndim, end_dim)
    if start > end:
        raise OperationError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    shape = list(input.shape)
    shape[start : end + 1] = [math.prod(shape[start : end + 1])]
    return reshape(input, shape)


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Return input with one dimension split into several; one size may be -1.

    Example:
        >>> import minillm
        >>> minillm.unflatten(minillm.zeros(2, 12), 1, (3, -1)).shape
        (2, 3, 4)
    """
    dim = dim_of("unflatten", input.ndim, dim)
    size, known = input.shape[dim], math.prod(n for n in sizes if n != -1)
    if -1 in sizes:
        fits = known and not size % known and list(sizes).count(-1) == 1
        sizes = [size // known if n == -1 else n for n in sizes] if fits else sizes
    if math.prod(sizes) != size or any(n < 0 for n in sizes):
        raise OperationError(f"unflatten: got the sizes {tuple(sizes)} for {size}, the size of dimension {dim}")
    return reshape(input, (*input.shape[:dim], *sizes, *input.shape[dim + 1 :]))


def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Return input without its dimensions of size 1, or without those in ``dim`` that have size 1.

    Example:
        >>> import minillm
        >>> minillm.squeeze(minillm.zeros(1, 3, 1)).shape
        (3,)
    """
    drop = range(input.ndim) if dim is None else dims_of("squeeze", input.ndim, dim)
    return reshape(input, [n for i, n in enumerate(input.shape) if n != 1 or i not in drop])


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """Return input with a new dimension of size 1 at ``dim``.

    Example:
        >>> import minillm
        >>> minillm.unsqueeze(minillm.zeros(3), 0).shape
        (1, 3)
    """
    dim = dim_of("unsqueeze", input.ndim + 1, dim)
    return reshape(input, (*input.shape[:dim], 1, *input.shape[dim:]))


def permute(input: Tensor, *dims: Any) -> Tensor:
    """Return input with its dimensions in the order ``dims``.

    Example:
        >>> import minillm
        >>> minillm.permute(minillm.zeros(2, 3, 4), (2, 0, 1)).shape
        (4, 2, 3)
    """
    order = dims_of("permute", input.ndim, sizes_of("permute", dims))
    if len(order) != input.ndim:
        raise OperationError(f"permute: got {len(order)} dims for shape {input.shape}; it needs each once")
    return Permute.apply(input, order)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Return input with two dimensions swapped.

    Example:
        >>> import minillm
        >>> minillm.transpose(minillm.zeros(2, 3), 0, 1).shape
        (3, 2)
    """
    order = list(range(input.ndim))
    i, j = dim_of("transpose", input.ndim, dim0), dim_of("transpose", input.ndim, dim1)
    if order:
        order[i], order[j] = order[j], order[i]
    return Permute.apply(input, tuple(order))


def t(input: Tensor) -> Tensor:
    """Return a matrix with rows and columns swapped; vectors and numbers as they are.

    Example:
        >>> import minillm
        >>> minillm.t(minillm.zeros(2, 3)).shape
        (3, 2)
    """
    if input.ndim > 2:
        raise OperationError(f"t: got shape {input.shape}; it needs at most two dimensions")
    return transpose(input, 0, 1) if input.ndim == 2 else input


def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Return input with the dimensions ``source`` moved to ``destination``, the others in order.

    Example:
        >>> import minillm
        >>> minillm.movedim(minillm.zeros(2, 3, 4), 0, -1).shape
        (3, 4, 2)
    """
    sources, targets = (dims_of("movedim", input.ndim, dims) for dims in (source, destination))
    if len(sources) != len(targets):
        raise OperationError(f"movedim: got {len(sources)} sources for {len(targets)} destinations")
    order = [d for d in range(input.ndim) if d not in sources]
    for target, dim in sorted(zip(targets, sources, strict=True)):
        order.insert(target, dim)
    return permute(input, order[: input.ndim])


def numel(input: Tensor) -> int:
    """Return the number of elements.

    Example:
        >>> import minillm
        >>> minillm.numel(minillm.zeros(2, 3))
        6
    """
    return math.prod(input.shape)


def clone(input: Tensor) -> Tensor:
    """Return a copy in memory of its own, still part of the graph.

    Example:
        >>> import minillm
        >>> minillm.clone(minillm.tensor([1, 2]))
        tensor([1, 2])
    """
    return Copy.apply(input)


def contiguous(input: Tensor) -> Tensor:
    """Return input with its elements in order in memory: itself, where they are.

    Example:
        >>> import minillm
        >>> minillm.ones(2, 3).t().contiguous().is_contiguous()
        True
    """
    array: Any = getattr(input, "array", input)
    return input if array.flags.c_contiguous else Contiguous.apply(input)
