"""Operations that join tensors, cut them, and move their parts about."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from minillm.autograd.errors import OperationError
from minillm.autograd.function import Function
from minillm.backend import Array, promote_types, xp_of
from minillm.ops.promotion import cast
from minillm.ops.shape import dim_of, dims_of, sizes_of, unsqueeze

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


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
        starts = itertools.accumulate(self.sizes, initial=0)
        return None, *(
            dy[(slice(None),) * self.dim + (slice(start, start + size),)] if self.needs(i) else None
            for i, (start, size) in enumerate(zip(starts, self.sizes, strict=False), 1)
        )


class Flip(Function):
    """y = x in reverse order along some dimensions."""

    def forward(self, x: Array, dims: tuple[int, ...]) -> Array:
        self.dims = dims
        return xp_of(x).flip(x, axis=dims).copy()

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
    present = [x for x in tensors if x.shape != (0,)] or tensors  # PyTorch lets empty vectors join
    ndims = {x.ndim for x in present}
    if len(ndims) > 1 or 0 in {x.ndim for x in tensors}:
        shapes = [x.shape for x in tensors]
        raise OperationError(
            f"cat: got shapes {shapes}; it needs one number of dimensions, at least 1 (stack makes a new one)"
        )
    dim = dim_of("cat", ndims.pop(), dim)
    if any(x.dtype != tensors[0].dtype for x in tensors):
        dtype = tensors[0].dtype
        for x in tensors[1:]:
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
    shapes = {x.shape for x in tensors}
    if len(shapes) != 1:
        raise OperationError(f"stack: got the shapes {sorted(shapes)}; it needs tensors of one shape")
    dim = dim_of("stack", tensors[0].ndim + 1, dim)
    return cat([unsqueeze(x, dim) for x in tensors], dim)


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """Return ``length`` places of a dimension, from ``start``.

    Example:
        >>> import minillm
        >>> minillm.narrow(minillm.arange(5), 0, 1, 3)
        tensor([1, 2, 3])
    """
    if not input.ndim:
        raise OperationError("narrow: got a tensor without dimensions; there is nothing to cut")
    dim = dim_of("narrow", input.ndim, dim)
    size = input.shape[dim]
    begin = start + size if start < 0 else start
    if length < 0 or not 0 <= begin <= size - length:
        raise OperationError(f"narrow: got start {start} and length {length} for size {size} of dimension {dim}")
    return input[(slice(None),) * dim + (slice(begin, begin + length),)]


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """Return the slice at one place of a dimension, without that dimension.

    Example:
        >>> import minillm
        >>> minillm.select(minillm.tensor([[1, 2], [3, 4]]), 1, -1)
        tensor([2, 4])
    """
    if not input.ndim:
        raise OperationError("select: got a tensor without dimensions; there is nothing to select from")
    return input[(slice(None),) * dim_of("select", input.ndim, dim) + (index,)]


def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Return pieces along ``dim``: of one size (the last may be smaller), or of the given sizes.

    Example:
        >>> import minillm
        >>> minillm.split(minillm.arange(5), 2)
        (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    if not tensor.ndim:
        raise OperationError("split: got a tensor without dimensions; there is nothing to cut")
    dim = dim_of("split", tensor.ndim, dim)
    size = tensor.shape[dim]
    if isinstance(split_size_or_sections, int):
        piece = split_size_or_sections
        if piece < 0 or (piece == 0 and size):
            raise OperationError(f"split: got the size {piece}; it needs to be positive")
        sizes = [min(piece, size - start) for start in range(0, size, piece)] if size else [0]
    else:
        sizes = list(split_size_or_sections)
        if sum(sizes) != size or any(n < 0 for n in sizes):
            raise OperationError(f"split: the sizes {sizes} need to add up to {size}, that of dimension {dim}")
    starts = itertools.accumulate(sizes, initial=0)
    return tuple([narrow(tensor, dim, start, n) for start, n in zip(starts, sizes, strict=False)])


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """Return at most ``chunks`` pieces of equal size along ``dim``; the last may be smaller.

    Example:
        >>> import minillm
        >>> minillm.chunk(minillm.arange(5), 2)
        (tensor([0, 1, 2]), tensor([3, 4]))
    """
    if chunks < 1 or not input.ndim:
        raise OperationError(f"chunk: got {chunks} chunks of {input.ndim} dimensions; it needs at least 1 of both")
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
    if not input.ndim:
        raise OperationError("unbind: got a tensor without dimensions; there is nothing to cut")
    dim = dim_of("unbind", input.ndim, dim)
    return tuple(select(input, dim, i) for i in range(input.shape[dim]))


def flip(input: Tensor, *dims: Any) -> Tensor:
    """Return input in reverse order along ``dims``.

    Example:
        >>> import minillm
        >>> minillm.flip(minillm.arange(3), (0,))
        tensor([2, 1, 0])
    """
    return Flip.apply(input, dims_of("flip", input.ndim, sizes_of("flip", dims)) if input.ndim else ())


def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Return input, shifted round along ``dims``; what leaves at the end comes back at the start.

    Args:
        input: any shape.
        shifts: by how much; a number, or one for each of ``dims``.
        dims: along which dimensions; None shifts the flattened tensor.

    Example:
        >>> import minillm
        >>> minillm.roll(minillm.arange(4), 1)
        tensor([3, 0, 1, 2])
    """
    shift = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    order = None if dims is None else (dims,) if isinstance(dims, int) else tuple(dims)
    if order is not None:
        order = tuple(dim_of("roll", input.ndim, d) for d in order)
    if len(shift) != (1 if order is None else len(order)):
        raise OperationError(f"roll: got the shifts {shift} for the dims {order}; it needs one for each")
    return Roll.apply(input, shift, order)
