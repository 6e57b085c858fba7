"""Taking elements by their place and putting them back.

Two operations carry the whole family. ``Getitem`` takes, its gradient is ``PutAdd``, which adds to zeros
the elements at their places (twice where a place was taken twice), whose gradient is ``Getitem`` again.
``IndexPut`` writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minillm.autograd.errors import OperationError, OperationIndexError, OperationTypeError
from minillm.autograd.function import Function
from minillm.backend import Array, is_array, scatter_add, xp_of
from minillm.ops.choice import where
from minillm.ops.shape import dim_of

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


def plain_index(index: Any, like: Array) -> Any:
    """Return an index with arrays in the place of tensors and lists, on the device of ``like``."""
    if isinstance(index, tuple):
        return tuple(plain_index(item, like) for item in index)
    index = getattr(index, "array", index)
    if isinstance(index, list):
        index = xp_of(like).asarray(index if index else xp_of(like).zeros(0, "int64"))
    if is_array(index) and index.dtype.kind == "f":
        raise OperationTypeError(f"indexing: got an index of {index.dtype}; it needs integers or booleans")
    return index


def _has_integers(index: Any) -> bool:
    """Return whether an index holds arrays of integers, which may name a place twice."""
    items = index if isinstance(index, tuple) else (index,)
    return any(is_array(item) and item.dtype.kind != "b" for item in items)


class Getitem(Function):
    """y = x[index],  dx = zeros with dy added at the index."""

    def forward(self, x: Array, index: Any) -> Array:
        self.shape, self.index = x.shape, index
        return x[index]

    def backward(self, dy: Any) -> Any:
        return PutAdd.apply(dy, self.index, self.shape)


class PutAdd(Function):
    """y = zeros with x added at the index,  dx = dy[index]."""

    def forward(self, x: Array, index: Any, shape: tuple[int, ...]) -> Array:
        self.index = index
        y = xp_of(x).zeros(shape, x.dtype)
        if _has_integers(index):
            scatter_add(y, index, x)
        else:
            y[index] = x
        return y

    def backward(self, dy: Any) -> Any:
        return Getitem.apply(dy, self.index)


class IndexPut(Function):
    """y = x with values at the index,  dx = dy with zeros there,  dvalues = dy[index]."""

    def forward(self, x: Array, values: Any, index: Any, accumulate: bool) -> Array:
        self.index, self.accumulate = index, accumulate
        if is_array(values) and values.dtype != x.dtype:
            values = values.astype(x.dtype)
        y = x.copy()
        if accumulate:
            scatter_add(y, index, values)
        else:
            y[index] = values
        return y

    def backward(self, dy: Any) -> Any:
        dx = dy if self.accumulate or not self.needs(0) else IndexPut.apply(dy, 0.0, self.index, False)
        return dx, Getitem.apply(dy, self.index) if self.needs(1) else None


def getitem(input: Tensor, index: Any) -> Tensor:
    """Return input[index], for every form of index that NumPy and PyTorch share.

    Example:
        >>> import minillm
        >>> minillm.arange(6).reshape(2, 3)[:, 1]
        tensor([1, 4])
    """
    return Getitem.apply(input, plain_index(index, getattr(input, "array", input)))


def setitem(input: Tensor, index: Any, value: Any) -> None:
    """Write ``value`` to input[index] in place; recorded where ``input`` or ``value`` is part of a graph."""
    index = plain_index(index, input.array)
    recorded = input._edge is not None or getattr(value, "_edge", None) is not None
    input._check_writable("setitem", recorded)
    if recorded:
        input._become("setitem", IndexPut.apply(input, value, index, False))
        return
    array = getattr(value, "array", value)
    if is_array(array) and type(array) is not type(input.array):
        raise OperationTypeError(
            f"setitem: got a value on another device than {input.device}; move it with .to(...)"
        )
    try:
        input.array[index] = array
    except (ValueError, IndexError, TypeError) as error:
        shape = getattr(array, "shape", ())
        kind = OperationIndexError if isinstance(error, IndexError) else OperationError
        raise kind(f"setitem: got shape {input.shape} and a value of shape {shape}; {error}") from error
    input._version[0] += 1


def index_put(input: Tensor, indices: tuple[Any, ...], values: Any, accumulate: bool = False) -> Tensor:
    """Return input with ``values`` written, or added, at ``indices``.

    Example:
        >>> import minillm
        >>> x, i = minillm.zeros(3), minillm.tensor([0, 0])
        >>> minillm.index_put(x, (i,), minillm.tensor([1.0, 2.0]), accumulate=True)
        tensor([3., 0., 0.])
    """
    index = plain_index(tuple(indices), input.array)
    return IndexPut.apply(input, values, index, accumulate)


def _along(name: str, input: Any, dim: int, index: Any) -> tuple[Any, ...]:
    """Return the full index that takes ``index`` along ``dim`` and the same place elsewhere."""
    dim = dim_of(name, input.ndim, dim)
    array = getattr(index, "array", index)
    if array.dtype.kind not in "iu":
        raise OperationTypeError(f"{name}: got an index of {array.dtype}; it needs integers")
    if array.ndim != input.ndim:
        raise OperationError(
            f"{name}: got an index of shape {tuple(array.shape)} for shape {tuple(input.shape)}; "
            "they need the same number of dimensions"
        )
    for d in range(array.ndim):
        if d != dim and array.shape[d] > input.shape[d]:
            raise OperationError(
                f"{name}: got an index of shape {tuple(array.shape)} for shape {tuple(input.shape)}; "
                f"in dimension {d} it may not be larger"
            )
    size = input.shape[dim] if input.ndim else 1
    if array.size and (int(array.min()) < 0 or int(array.max()) >= size):
        raise OperationIndexError(
            f"{name}: got indices from {int(array.min())} to {int(array.max())}; "
            f"they need to lie between 0 and {size - 1}"
        )
    if not array.ndim:
        return ()
    xp = xp_of(array)
    grids = [
        xp.arange(n).reshape([-1 if e == d else 1 for e in range(array.ndim)])
        for d, n in enumerate(array.shape)
    ]
    grids[dim] = array
    return tuple(grids)


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Return the elements that ``index`` names along ``dim``: y[i][j] = x[index[i][j]][j] for dim 0.

    Args:
        input: any shape.
        dim: the dimension that the indices count along.
        index: integers, with as many dimensions as ``input``, none larger but ``dim``.

    Returns:
        The shape of ``index``.

    Example:
        >>> import minillm
        >>> minillm.gather(minillm.tensor([[1, 2], [3, 4]]), 1, minillm.tensor([[0], [1]]))
        tensor([[1],
                [4]])
    """
    return Getitem.apply(input, _along("gather", input, dim, index))


def scatter_add_along(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """Return input with the elements of ``src`` added at the places that ``index`` names along ``dim``.

    Example:
        >>> import minillm
        >>> i, ones = minillm.tensor([0, 0, 2]), minillm.ones(3)
        >>> minillm.scatter_add(minillm.zeros(3), 0, i, ones)
        tensor([2., 0., 1.])
    """
    places = _along("scatter_add", input, dim, index)
    piece = getitem(src, tuple(slice(0, n) for n in index.shape))
    return IndexPut.apply(input, piece, places, True)


def scatter(input: Tensor, dim: int, index: Tensor, src: Any) -> Tensor:
    """Return input with the elements of ``src`` (or a number) written where ``index`` names along ``dim``.

    Example:
        >>> import minillm
        >>> minillm.scatter(minillm.zeros(3), 0, minillm.tensor([2]), 5.0)
        tensor([0., 0., 5.])
    """
    places = _along("scatter", input, dim, index)
    if hasattr(src, "array"):
        src = getitem(src, tuple(slice(0, n) for n in index.shape))
    return IndexPut.apply(input, src, places, False)


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Return the slices of ``dim`` that ``index``, a vector of integers, names.

    Example:
        >>> import minillm
        >>> minillm.index_select(minillm.tensor([[1, 2], [3, 4]]), 1, minillm.tensor([1, 1]))
        tensor([[2, 2],
                [4, 4]])
    """
    dim = dim_of("index_select", input.ndim, dim)
    if index.ndim > 1:
        raise OperationError(f"index_select: got an index of shape {index.shape}; it needs a vector")
    array = getattr(index, "array", index).reshape(-1)
    return getitem(input, (slice(None),) * dim + (array,))


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """Return input with ``value`` where ``mask``, which broadcasts, is True.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([1.0, 2.0])
        >>> minillm.masked_fill(x, x > 1, 0.0)
        tensor([1., 0.])
    """
    if mask.dtype.kind != "b":
        raise OperationTypeError(f"masked_fill: got a mask of {mask.dtype}; it needs booleans")
    return where(mask, value, input)


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """Return the elements where ``mask`` is True, as a vector.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([1.0, 2.0])
        >>> minillm.masked_select(x, x > 1)
        tensor([2.])
    """
    if mask.dtype.kind != "b":
        raise OperationTypeError(f"masked_select: got a mask of {mask.dtype}; it needs booleans")
    if mask.shape != input.shape:
        shape = _broadcast_shape(input.shape, mask.shape)
        from minillm.ops.shape import broadcast_to

        input, mask = broadcast_to(input, shape), broadcast_to(mask, shape)
    return getitem(input, mask)


def _broadcast_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    import numpy as np

    return np.broadcast_shapes(a, b)
