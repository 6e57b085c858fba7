"""Taking elements by an index and putting them back.

Two operations carry the whole family. ``Getitem`` takes, its gradient is ``PutAdd``, which adds to zeros
the elements at their places (twice where a place was taken twice), whose gradient is ``Getitem`` again.
``IndexPut`` writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minillm.autograd.errors import OperationError, OperationIndexError, OperationTypeError
from minillm.autograd.function import Function
from minillm.autograd.versions import mark_written
from minillm.backend import Array, check_index, is_array, scatter_add, xp_of
from minillm.ops.choice import Nonzero, where
from minillm.ops.promotion import Number, as_operand, cast
from minillm.ops.repetition import broadcast_to

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


def plain_index(index: Any, like: Array) -> Any:
    """Return an index with arrays in the place of tensors and lists, on the device of ``like``."""
    if isinstance(index, tuple):
        return tuple(plain_index(item, like) for item in index)
    index = getattr(index, "array", index)
    if isinstance(index, list):
        index = xp_of(like).asarray(index) if index else xp_of(like).zeros(0, "int64")
    if isinstance(index, slice) and index.step is not None and index.step < 0:
        raise OperationError(f"indexing: got the step {index.step}; it needs a positive one, flip() reverses")
    if is_array(index):
        if index.dtype not in ("int64", "int32", "uint8", "bool"):
            raise OperationTypeError(f"indexing: got an index of {index.dtype}; it needs int64, int32 or bool")
        if index.dtype == "uint8":  # PyTorch's masks of old
            index = index.astype(bool)
    return index


def _has_integers(index: Any) -> bool:
    """Return whether an index holds arrays of integers, which may name a place twice."""
    items = index if isinstance(index, tuple) else (index,)
    return any(is_array(item) and item.dtype.kind != "b" for item in items)


class Getitem(Function):
    """y = x[index],  dx = zeros with dy added at the index."""

    def forward(self, x: Array, index: Any) -> Array:
        self.shape, self.index = x.shape, index
        if xp_of(x) is not np:
            check_index("getitem", x.shape, index)
        y = x[index]
        if isinstance(y, np.generic):  # NumPy's number in the place of a view
            y = x[(*index, ...) if isinstance(index, tuple) else (index, ...)]
        return y

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
        values = as_operand(values, x.dtype)
        y = x.copy()
        if accumulate:
            scatter_add(y, index, values)
        else:
            if xp_of(x) is not np:
                check_index("index_put", x.shape, index)
            y[index] = values
        return y

    def backward(self, dy: Any) -> Any:
        dx = dy if self.accumulate or not self.needs(0) else IndexPut.apply(dy, 0.0, self.index, False)
        return dx, Getitem.apply(dy, self.index) if self.needs(1) else None


def getitem(input: Tensor, index: Any) -> Tensor:
    """Return input[index], for every form of index that PyTorch takes.

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
    if is_array(array) and type(array) is not type(input.array) and not isinstance(array, np.generic):
        raise OperationTypeError(f"setitem: got a value on another device than {input.device}; move it with .to(...)")
    try:
        if xp_of(input.array) is not np:
            check_index("setitem", input.shape, index)
        input.array[index] = as_operand(array, input.dtype) if isinstance(array, Number) else array
    except (ValueError, IndexError, TypeError) as error:
        shape = getattr(array, "shape", ())
        kind = OperationIndexError if isinstance(error, IndexError) else OperationError
        raise kind(f"setitem: got shape {input.shape} and a value of shape {shape}; {error}") from error
    mark_written((input,))


def index_put(input: Tensor, indices: tuple[Any, ...], values: Any, accumulate: bool = False) -> Tensor:
    """Return input with ``values`` written, or added, at ``indices``.

    Example:
        >>> import minillm
        >>> x, i = minillm.zeros(3), minillm.tensor([0, 0])
        >>> minillm.index_put(x, (i,), minillm.tensor([1.0, 2.0]), accumulate=True)
        tensor([3., 0., 0.])
    """
    if hasattr(values, "dtype") and values.dtype != input.dtype:
        raise OperationTypeError(f"index_put: got {values.dtype} values for {input.dtype}; it needs one dtype")
    index = plain_index(tuple(indices), getattr(input, "array", input))
    return IndexPut.apply(input, values, index, accumulate)


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """Return input with ``value``, a number, where ``mask``, which broadcasts, is True.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([1.0, 2.0])
        >>> minillm.masked_fill(x, x > 1, 0.0)
        tensor([1., 0.])
    """
    _needs_mask("masked_fill", mask)
    if getattr(value, "ndim", 0):
        raise OperationError(f"masked_fill: got a value of shape {value.shape}; it needs a single number")
    value = cast(value, input.dtype) if hasattr(value, "dtype") else as_operand(value, input.dtype)
    return where(mask, value, input)


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """Return the elements where ``mask``, which broadcasts, is True, as a vector.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([1.0, 2.0])
        >>> minillm.masked_select(x, x > 1)
        tensor([2.])
    """
    _needs_mask("masked_select", mask)
    if mask.shape != input.shape:
        shape = np.broadcast_shapes(input.shape, mask.shape)
        input, mask = broadcast_to(input, shape), broadcast_to(mask, shape)
    return getitem(input, mask)


def _needs_mask(name: str, mask: Any) -> None:
    if mask.dtype.kind != "b":
        raise OperationTypeError(f"{name}: got a mask of {mask.dtype}; it needs booleans")


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Return the indices of the elements that are not zero.

    Args:
        input: any tensor.
        as_tuple: return a vector for each dimension, which together index the tensor.

    Returns:
        (count, ndim), one row an element; or the tuple.

    Example:
        >>> import minillm
        >>> minillm.nonzero(minillm.tensor([[0, 1], [2, 0]]))
        tensor([[0, 1],
                [1, 0]])
    """
    return Nonzero.apply(input, as_tuple)
