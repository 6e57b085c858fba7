"""Operations that repeat elements. What is only repeated in the view, as by ``expand``, takes no memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minillm.autograd.errors import OperationError, OperationTypeError
from minillm.autograd.function import Function
from minillm.backend import Array, xp_of
from minillm.ops.shape import dim_of, permute, reshape, sizes_of

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


class BroadcastTo(Function):
    """y = x, repeated along dimensions of size 1; the engine sums the gradient back."""

    @classmethod
    def explain(cls, x: Array, shape: tuple[int, ...]) -> str:
        return f"shape {x.shape} does not broadcast to {tuple(shape)}"

    def forward(self, x: Array, shape: tuple[int, ...]) -> Array:
        return xp_of(x).broadcast_to(x, shape)

    def backward(self, dy: Any) -> Any:
        return dy


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
    shape = sizes_of("expand", sizes)
    extra = len(shape) - input.ndim
    if extra < 0:
        raise OperationError(f"expand: got {len(shape)} sizes for a tensor of shape {input.shape}")
    if any(n == -1 for n in shape[:extra]):
        raise OperationError(f"expand: -1 in {shape} stands for a new dimension, which has no size to keep")
    return broadcast_to(input, [input.shape[i - extra] if n == -1 else n for i, n in enumerate(shape)])


def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """Return the whole tensor, repeated so many times along each dimension, new ones in front.

    Example:
        >>> import minillm
        >>> minillm.tensor([1, 2]).repeat(2, 2)
        tensor([[1, 2, 1, 2],
                [1, 2, 1, 2]])
    """
    times = sizes_of("repeat", repeats)
    extra = len(times) - input.ndim
    if extra < 0 or any(n < 0 for n in times):
        raise OperationError(
            f"repeat: got {times} for shape {input.shape}; it needs a number from 0 for each dimension"
        )
    shape = (1,) * extra + input.shape
    spread = reshape(input, [n for size in shape for n in (1, size)])
    spread = broadcast_to(spread, [n for pair in zip(times, shape, strict=True) for n in pair])
    return reshape(spread, [n * size for n, size in zip(times, shape, strict=True)])


def tile(input: Tensor, dims: Sequence[int]) -> Tensor:
    """Return :func:`repeat`, with numbers for the last dimensions alone where there are more.

    Example:
        >>> import minillm
        >>> minillm.tile(minillm.tensor([[1], [2]]), (3,))
        tensor([[1, 1, 1],
                [2, 2, 2]])
    """
    return repeat(input, (1,) * (input.ndim - len(dims)) + tuple(dims))


def repeat_interleave(input: Tensor, repeats: Any, dim: int | None = None) -> Tensor:
    """Return input with each element repeated, beside itself, along ``dim`` (the flattened tensor for None).

    Args:
        input: any tensor.
        repeats: how many times; a number for all, or a tensor with one for each place.
        dim: the dimension.

    Example:
        >>> import minillm
        >>> minillm.repeat_interleave(minillm.tensor([1, 2]), 2)
        tensor([1, 1, 2, 2])
        >>> minillm.repeat_interleave(minillm.tensor([1, 2]), minillm.tensor([3, 0]))
        tensor([1, 1, 1])
    """
    if dim is None:
        input, dim = reshape(input, (-1,)), 0
    dim = dim_of("repeat_interleave", input.ndim, dim)
    array = getattr(repeats, "array", repeats)
    size = input.shape[dim]
    if isinstance(array, int):
        if array < 0:
            raise OperationError(f"repeat_interleave: got {array} repeats; it needs 0 or more")
        before, after = tuple(input.shape[:dim]), tuple(input.shape[dim + 1 :])
        spread = broadcast_to(reshape(input, (*before, size, 1, *after)), (*before, size, array, *after))
        return reshape(spread, (*before, size * array, *after))
    if array.dtype not in ("int64", "int32"):
        raise OperationTypeError(f"repeat_interleave: got repeats of {array.dtype}; it needs int64 or int32")
    if array.size not in (1, size) or array.ndim > 1:
        raise OperationError(f"repeat_interleave: got {array.size} repeats for size {size} of dimension {dim}")
    counts = np.broadcast_to(np.array(array.tolist(), "int64").reshape(-1), size)
    if (counts < 0).any():
        raise OperationError("repeat_interleave: got negative repeats; it needs 0 or more")
    places = xp_of(array).asarray(np.repeat(np.arange(size), counts))
    return input[(slice(None),) * dim + (places,)]


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Return vectors, each repeated along the dimensions of all others.

    Args:
        tensors: vectors or numbers, as arguments or as one sequence.
        indexing: ``"ij"`` gives the dimensions in the order of the vectors; ``"xy"`` swaps the first two.

    Example:
        >>> import minillm
        >>> x, y = minillm.meshgrid(minillm.tensor([1, 2]), minillm.tensor([3, 4, 5]))
        >>> x, y
        (tensor([[1, 1, 1],
                [2, 2, 2]]), tensor([[3, 4, 5],
                [3, 4, 5]]))
    """
    vectors = tuple(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    if indexing not in ("ij", "xy"):
        raise OperationError(f"meshgrid: got indexing={indexing!r}; it needs 'ij' or 'xy'")
    if not vectors or any(v.ndim > 1 for v in vectors):
        raise OperationError(f"meshgrid: got shapes {[v.shape for v in vectors]}; it needs vectors")
    if len({v.dtype for v in vectors}) > 1:
        raise OperationTypeError(f"meshgrid: got {[str(v.dtype) for v in vectors]}; it needs one dtype")
    shape = tuple(v.shape[0] if v.ndim else 1 for v in vectors)
    columns = [
        reshape(v, [size if e == d else 1 for e in range(len(shape))])
        for d, (v, size) in enumerate(zip(vectors, shape, strict=True))
    ]
    grids = [broadcast_to(column, shape) for column in columns]
    if indexing == "xy" and len(shape) > 1:
        grids = [permute(grid, (1, 0, *range(2, len(shape)))) for grid in grids]
    return tuple(grids)
