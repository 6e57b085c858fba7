"""Operations that move elements and never change them: shapes, orders, pieces.

Where NumPy can give a view, the result shares its memory with the input, as in PyTorch.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from minillm.autograd.errors import OperationError, OperationIndexError
from minillm.autograd.function import Function
from minillm.backend import Array, promote_types, xp_of
from minillm.ops.promotion import cast

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


def dim_of(name: str, ndim: int, dim: int) -> int:
    """Return a dimension as a number from 0, or raise an error where it is out of range."""
    least = builtins.max(ndim, 1)
    if not -least <= dim < least:
        raise OperationIndexError(
            f"{name}: dim {dim} is out of range for {ndim} dimensions; it needs to lie between "
            f"{-least} and {least - 1}"
        )
    return dim % least


def sizes_of(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """Return sizes that were given one by one or as one sequence."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = tuple(sizes[0])
    return tuple(int(n) for n in sizes)


class Reshape(Function):
    """y = x in another shape."""

    @classmethod
    def explain(cls, x: Array, shape: tuple[int, ...]) -> str:
        return f"the shape {tuple(shape)} does not fit {x.size} elements"

    def forward(self, x: Array, shape: tuple[int, ...]) -> Array:
        self.shape = x.shape
        return x.reshape(shape)

    def backward(self, dy: Any) -> Any:
        return reshape(dy, self.shape)


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


class BroadcastTo(Function):
    """y = x, repeated along dimensions of size 1; the engine sums the gradient back."""

    @classmethod
    def explain(cls, x: Array, shape: tuple[int, ...]) -> str:
        return f"shape {tuple(x.shape)} does not broadcast to {tuple(shape)}"

    def forward(self, x: Array, shape: tuple[int, ...]) -> Array:
        return xp_of(x).broadcast_to(x, shape)

    def backward(self, dy: Any) -> Any:
        return dy


class Flip(Function):
    """y = x in reverse order along some dimensions."""

    def forward(self, x: Array, dims: tuple[int, ...]) -> Array:
        self.dims = dims
        return xp_of(x).flip(x, axis=dims)

    def backward(self, dy: Any) -> Any:
        return Flip.apply(dy, self.dims)


class Roll(Function):
    """y = x, shifted round along some dimensions."""

    def forward(self, x: Array, shifts: tuple[int, ...], dims: tuple[int, ...] | None) -> Array:
        self.shifts, self.dims = shifts, dims
        if dims is None:
            return xp_of(x).roll(x, shifts[0])
        return xp_of(x).roll(x, shifts, dims)

    def backward(self, dy: Any) -> Any:
        return Roll.apply(dy, tuple(-s for s in self.shifts), self.dims)


class Cat(Function):
    """y = tensors one after another along a dimension; each gets its piece of the gradient."""

    @classmethod
    def explain(cls, dim: int, *xs: Array) -> str:
        return f"all sizes but that of dimension {dim} need to be equal"

    def forward(self, dim: int, *xs: Array) -> Array:
        self.dim = dim
        self.sizes = [x.shape[dim] for x in xs]
        return xp_of(xs[0]).concatenate(xs, axis=dim)

    def backward(self, dy: Any) -> Any:
        pieces: list[Any] = [None]
        start = 0
        for i, size in enumerate(self.sizes):
            piece = None
            if self.needs(i + 1):
                piece = dy[(slice(None),) * self.dim + (slice(start, start + size),)]
            pieces.append(piece)
            start += size
        return tuple(pieces)


class Triangle(Function):
    """y = x with zeros above (``lower``) or below a diagonal."""

    def forward(self, x: Array, diagonal: int, lower: bool) -> Array:
        self.diagonal, self.lower = diagonal, lower
        if x.ndim < 2:
            raise ValueError("a triangle needs at least two dimensions")
        return (xp_of(x).tril if lower else xp_of(x).triu)(x, diagonal)

    def backward(self, dy: Any) -> Any:
        return Triangle.apply(dy, self.diagonal, self.lower)


class Copy(Function):
    """y = x in memory of its own."""

    def forward(self, x: Array) -> Array:
        return x.copy()

    def backward(self, dy: Any) -> Any:
        return dy


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """Return the same elements in another shape; one size may be -1, and follows from the others.

    Example:
        >>> import minillm
        >>> minillm.reshape(minillm.arange(6), (2, -1))
        tensor([[0, 1, 2],
                [3, 4, 5]])
    """
    return Reshape.apply(input, sizes_of(shape))


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Return input with the dimensions from ``start_dim`` to ``end_dim`` put into one.

    Example:
        >>> import minillm
        >>> minillm.flatten(minillm.zeros(2, 3, 4), 1).shape
        (2, 12)
    """
    if not input.ndim:
        return reshape(input, (1,))
    start = dim_of("flatten", input.ndim, start_dim)
    end = dim_of("flatten", input.ndim, end_dim)
    if start > end:
        raise OperationError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    shape = list(input.shape)
    shape[start : end + 1] = [math.prod(shape[start : end + 1])]
    return reshape(input, shape)


def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Return input without its dimensions of size 1, or without those in ``dim`` that have size 1.

    Example:
        >>> import minillm
        >>> minillm.squeeze(minillm.zeros(1, 3, 1)).shape
        (3,)
    """
    if dim is None:
        drop = set(range(input.ndim))
    else:
        dims = (dim,) if isinstance(dim, int) else dim
        drop = {dim_of("squeeze", input.ndim, d) for d in dims}
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
    order = tuple(dim_of("permute", input.ndim, d) for d in sizes_of(dims))
    if sorted(order) != list(range(input.ndim)):
        raise OperationError(
            f"permute: dims {sizes_of(dims)} are no order of the {input.ndim} dimensions of {input.shape}"
        )
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
    sources = (source,) if isinstance(source, int) else tuple(source)
    targets = (destination,) if isinstance(destination, int) else tuple(destination)
    if len(sources) != len(targets):
        raise OperationError(f"movedim: got {len(sources)} sources for {len(targets)} destinations")
    sources = tuple(dim_of("movedim", input.ndim, d) for d in sources)
    targets = tuple(dim_of("movedim", input.ndim, d) for d in targets)
    order = [d for d in range(input.ndim) if d not in sources]
    for target, source_dim in sorted(zip(targets, sources, strict=True)):
        order.insert(target, source_dim)
    return permute(input, order)


def broadcast_to(input: Tensor, shape: Sequence[int]) -> Tensor:
    """Return input, repeated along dimensions of size 1 (a view, which no one may write to).

    Example:
        >>> import minillm
        >>> minillm.broadcast_to(minillm.tensor([1, 2]), (2, 2))
        tensor([[1, 2],
                [1, 2]])
    """
    shape = tuple(shape)
    return input if input.shape == shape else BroadcastTo.apply(input, shape)


def expand(input: Tensor, *sizes: Any) -> Tensor:
    """Return input, repeated along dimensions of size 1; -1 keeps a size.

    Example:
        >>> import minillm
        >>> minillm.zeros(3, 1).expand(-1, 4).shape
        (3, 4)
    """
    shape = sizes_of(sizes)
    extra = len(shape) - input.ndim
    if extra < 0:
        raise OperationError(f"expand: got {len(shape)} sizes for a tensor of shape {input.shape}")
    if any(n == -1 for n in shape[:extra]):
        raise OperationError(f"expand: -1 in {shape} stands for a new dimension, which has no size to keep")
    return broadcast_to(input, [input.shape[i - extra] if n == -1 else n for i, n in enumerate(shape)])


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Return the tensors one after another along ``dim``.

    Example:
        >>> import minillm
        >>> minillm.cat([minillm.tensor([1, 2]), minillm.tensor([3])])
        tensor([1, 2, 3])
    """
    tensors = list(tensors)
    if not tensors:
        raise OperationError("cat: got no tensors; it needs at least one")
    ndim = max(x.ndim for x in tensors)
    if not ndim:
        raise OperationError("cat: got tensors without dimensions; use stack")
    dim = dim_of("cat", ndim, dim)
    present = [x for x in tensors if x.shape != (0,)] or tensors  # PyTorch lets empty vectors join
    dtypes = {x.dtype for x in present}
    if len(dtypes) > 1:
        dtype = present[0].dtype
        for x in present[1:]:
            dtype = promote_types(dtype, x.dtype)
        present = [cast(x, dtype) for x in present]
    return Cat.apply(dim, *present)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Return the tensors, all of one shape, along a new dimension.

    Example:
        >>> import minillm
        >>> minillm.stack([minillm.tensor([1, 2]), minillm.tensor([3, 4])])
        tensor([[1, 2],
                [3, 4]])
    """
    tensors = list(tensors)
    shapes = {tuple(x.shape) for x in tensors}
    if len(shapes) > 1:
        raise OperationError(f"stack: got shapes {sorted(shapes)}; they need to be equal")
    return cat(
        [unsqueeze(x, dim) for x in tensors], dim_of("stack", tensors[0].ndim + 1, dim) if tensors else 0
    )


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """Return ``length`` places of a dimension, from ``start``.

    Example:
        >>> import minillm
        >>> minillm.narrow(minillm.arange(5), 0, 1, 3)
        tensor([1, 2, 3])
    """
    dim = dim_of("narrow", input.ndim, dim)
    size = input.shape[dim]
    begin = start + size if start < 0 else start
    if length < 0 or not 0 <= begin <= size - length:
        raise OperationError(
            f"narrow: got start {start} and length {length} for size {size} of dimension {dim}"
        )
    return input[(slice(None),) * dim + (slice(begin, begin + length),)]


def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Return pieces along ``dim``: of one size (the last may be smaller), or of the given sizes.

    Example:
        >>> import minillm
        >>> minillm.split(minillm.arange(5), 2)
        (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    dim = dim_of("split", tensor.ndim, dim)
    size = tensor.shape[dim]
    if isinstance(split_size_or_sections, int):
        piece = split_size_or_sections
        if piece < 0 or (piece == 0 and size):
            raise OperationError(f"split: got the size {piece}; it needs to be positive")
        sizes = [piece] * (size // piece) + ([size % piece] if size % piece else []) if piece else [0]
        sizes = sizes or [0]
    else:
        sizes = list(split_size_or_sections)
        if builtins.sum(sizes) != size or any(n < 0 for n in sizes):
            raise OperationError(
                f"split: the sizes {sizes} need to add up to {size}, that of dimension {dim}"
            )
    pieces = []
    start = 0
    for n in sizes:
        pieces.append(narrow(tensor, dim, start, n))
        start += n
    return tuple(pieces)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """Return at most ``chunks`` pieces of equal size along ``dim``; the last may be smaller.

    Example:
        >>> import minillm
        >>> minillm.chunk(minillm.arange(5), 2)
        (tensor([0, 1, 2]), tensor([3, 4]))
    """
    if chunks < 1:
        raise OperationError(f"chunk: got {chunks} chunks; it needs at least 1")
    size = input.shape[dim_of("chunk", input.ndim, dim)]
    if not size:
        return tuple(narrow(input, dim, 0, 0) for _ in range(chunks))
    return split(input, -(-size // chunks), dim)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Return the slices along ``dim``, without it.

    Example:
        >>> import minillm
        >>> minillm.unbind(minillm.tensor([[1, 2], [3, 4]]))
        (tensor([1, 2]), tensor([3, 4]))
    """
    dim = dim_of("unbind", input.ndim, dim)
    return tuple(input[(slice(None),) * dim + (i,)] for i in range(input.shape[dim]))


def flip(input: Tensor, *dims: Any) -> Tensor:
    """Return input in reverse order along ``dims``.

    Example:
        >>> import minillm
        >>> minillm.flip(minillm.arange(3), (0,))
        tensor([2, 1, 0])
    """
    return Flip.apply(input, tuple(dim_of("flip", input.ndim, d) for d in sizes_of(dims)))


def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Return input, shifted round by ``shifts`` along ``dims``, or flattened for None.

    Example:
        >>> import minillm
        >>> minillm.roll(minillm.arange(4), 1)
        tensor([3, 0, 1, 2])
    """
    shifts = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    if dims is not None:
        dims = (dims,) if isinstance(dims, int) else tuple(dims)
        dims = tuple(dim_of("roll", input.ndim, d) for d in dims) or None
    if len(shifts) != (1 if dims is None else len(dims)):
        raise OperationError(f"roll: got {len(shifts)} shifts for dims {dims}")
    return Roll.apply(input, shifts, dims)


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """Return input with zeros above a diagonal.

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
        >>> minillm.ones(2, 3).t().contiguous().shape
        (3, 2)
    """
    array: Any = getattr(input, "array", input)
    return input if array.flags.c_contiguous else clone(input)
