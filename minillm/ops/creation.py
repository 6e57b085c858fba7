"""Making tensors: from values, from sizes, from rules."""

from __future__ import annotations

import builtins
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minillm.autograd.errors import OperationError, OperationTypeError
from minillm.autograd.function import LEAF, wrap
from minillm.autograd.tensor import TensorBase
from minillm.backend import (
    Array,
    Device,
    device_of,
    get_default_device,
    get_default_dtype,
    is_array,
    to_device,
    to_dtype,
    to_numpy,
    xp_for,
)
from minillm.ops.shape import sizes_of

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


def leaf_on(array: Array, requires_grad: bool) -> Tensor:
    """Return a tensor on a new array."""
    if requires_grad and array.dtype.kind != "f":
        raise OperationTypeError(f"requires_grad: got {array.dtype}; only floating point tensors have gradients")
    return wrap(array, LEAF if requires_grad else None)


def array_from(data: Any, dtype: Any = None, device: Any = None, copy: bool = True) -> Array:
    """Return values as an array: a tensor, an array, a number, or nested sequences of these.

    Python floats become the default dtype, integers int64; arrays keep theirs.
    """
    if isinstance(data, TensorBase):
        data = data.array
    dtype = None if dtype is None else to_dtype(dtype)
    if is_array(data):
        where = (
            device_of(data)
            if device is None and device_of(data).type != "cpu"
            else Device(device or get_default_device())
        )
        array = np.asarray(data) if isinstance(data, np.generic) else data
    else:
        where = Device(device) if device is not None else get_default_device()
        try:
            array = np.asarray(_plain(data))
        except ValueError as error:
            raise OperationError(f"tensor: the nested sequences have no single shape: {error}") from error
        copy = False
        if dtype is None and not isinstance(data, np.generic):
            python_floats = array.dtype.kind == "f" or not array.size
            dtype = get_default_dtype() if python_floats and not _holds_arrays(data) else None
    if array.dtype.kind not in "biuf":
        raise OperationTypeError(f"tensor: got {array.dtype} values; it needs numbers or booleans")
    to_dtype(array.dtype)
    moved = to_device(array, where)
    if dtype is not None and moved.dtype != dtype:
        return moved.astype(dtype)
    return moved.copy() if copy and moved is array else moved


def _plain(data: Any) -> Any:
    """Return nested sequences with arrays in the place of tensors."""
    if isinstance(data, TensorBase):
        return to_numpy(data.array)
    if isinstance(data, (list, tuple)) and data and not isinstance(data[0], (builtins.int, builtins.float)):
        return [_plain(item) for item in data]
    return data


def _holds_arrays(data: Any) -> bool:
    """Return whether the first item of nested sequences is an array or a tensor with a dtype of its own."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return hasattr(data, "dtype")


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a new tensor with a copy of the values.

    Args:
        data: a number, nested sequences of numbers, an array, or a tensor.
        dtype: of the elements; from the values by default (Python floats give the default dtype).
        device: "cpu", "cuda:0", ...; the default device by default.
        requires_grad: ask for gradients.

    Raises:
        OperationError: ragged sequences, or values that are not numbers.

    Example:
        >>> import minillm
        >>> minillm.tensor([[1.0, 2.0], [3.0, 4.0]])
        tensor([[1., 2.],
                [3., 4.]])
    """
    return leaf_on(array_from(data, dtype, device), requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """Return a tensor on the values, without a copy where that is possible.

    Example:
        >>> import minillm
        >>> minillm.as_tensor([1, 2])
        tensor([1, 2])
    """
    if isinstance(data, TensorBase):
        return data.to(device=device, dtype=dtype)  # type: ignore[attr-defined]
    return leaf_on(array_from(data, dtype, device, copy=False), False)


def from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    """Return a tensor that shares the memory of a NumPy array.

    Example:
        >>> import minillm, numpy
        >>> minillm.from_numpy(numpy.arange(2))
        tensor([0, 1])
    """
    if not isinstance(array, np.ndarray):
        raise OperationTypeError(f"from_numpy: got {type(array).__name__}; it needs a NumPy array")
    return leaf_on(array_from(array, device="cpu", copy=False), False)


def _filled(name: str, sizes: tuple[Any, ...], dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    shape = sizes_of(name, sizes)
    if any(n < 0 for n in shape):
        raise OperationError(f"{name}: got the shape {shape}; sizes need to be 0 or more")
    dtype = get_default_dtype() if dtype is None else to_dtype(dtype)
    return leaf_on(getattr(xp_for(device), name)(shape, dtype), requires_grad)


def zeros(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of zeros.

    Example:
        >>> import minillm
        >>> minillm.zeros(2)
        tensor([0., 0.])
    """
    return _filled("zeros", size, dtype, device, requires_grad)


def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of ones.

    Example:
        >>> import minillm
        >>> minillm.ones(2)
        tensor([1., 1.])
    """
    return _filled("ones", size, dtype, device, requires_grad)


def empty(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor whose values are whatever the memory held.

    Example:
        >>> import minillm
        >>> minillm.empty(2, 3).shape
        (2, 3)
    """
    return _filled("empty", size, dtype, device, requires_grad)


def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor with one value everywhere.

    Example:
        >>> import minillm
        >>> minillm.full((2,), 7)
        tensor([7, 7])
    """
    fill_value = fill_value.item() if isinstance(fill_value, TensorBase) else fill_value
    if dtype is None:
        dtype = (
            "bool" if isinstance(fill_value, bool)
            else "int64" if isinstance(fill_value, builtins.int)
            else get_default_dtype()
        )  # fmt: skip
    shape = sizes_of("full", (size,) if isinstance(size, builtins.int) else tuple(size))
    return leaf_on(xp_for(device).full(shape, fill_value, to_dtype(dtype)), requires_grad)


def kind_of(input: Tensor, dtype: Any, device: Any) -> dict[str, Any]:
    """Return the dtype and the device that were asked for, or else those of another tensor."""
    return {"dtype": input.dtype if dtype is None else dtype, "device": input.device if device is None else device}


def zeros_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return zeros of the shape, dtype and device of another tensor.

    Example:
        >>> import minillm
        >>> minillm.zeros_like(minillm.tensor([1, 2]))
        tensor([0, 0])
    """
    return zeros(input.shape, **kind_of(input, dtype, device), requires_grad=requires_grad)


def ones_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return ones of the shape, dtype and device of another tensor.

    Example:
        >>> import minillm
        >>> minillm.ones_like(minillm.tensor([1, 2]))
        tensor([1, 1])
    """
    return ones(input.shape, **kind_of(input, dtype, device), requires_grad=requires_grad)


def empty_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return unwritten memory of the shape, dtype and device of another tensor.

    Example:
        >>> import minillm
        >>> minillm.empty_like(minillm.tensor([1, 2])).shape
        (2,)
    """
    return empty(input.shape, **kind_of(input, dtype, device), requires_grad=requires_grad)


def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return one value in the shape, dtype and device of another tensor.

    Example:
        >>> import minillm
        >>> minillm.full_like(minillm.tensor([1, 2]), 7)
        tensor([7, 7])
    """
    return full(input.shape, fill_value, **kind_of(input, dtype, device), requires_grad=requires_grad)


def arange(
    start: Any = None, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Return the numbers from ``start`` (0 if left out) up to, not including, ``end``.

    Raises:
        OperationError: steps that lead away from the end.
        TypeError: no end.

    Example:
        >>> import minillm
        >>> minillm.arange(3), minillm.arange(1, 2, 0.5)
        (tensor([0, 1, 2]), tensor([1.0000, 1.5000]))
    """
    start, end = (0, start) if end is None else (0 if start is None else start, end)
    if end is None:
        raise TypeError("arange: got no end; it needs one number at least")
    if step == 0 or (end - start) / step < 0:
        raise OperationError(f"arange: {end} is not reached from {start} by steps of {step}")
    if dtype is None:
        whole = all(isinstance(n, (builtins.int, np.integer)) for n in (start, end, step))
        dtype = "int64" if whole else get_default_dtype()
    numbers = start + np.arange(math.ceil((end - start) / step)) * step  # by products: no error adds up
    return leaf_on(to_device(numbers.astype(to_dtype(dtype)), device or get_default_device()), requires_grad)


def linspace(
    start: float, end: float, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return ``steps`` numbers at equal distances, from ``start`` to ``end``, both included.

    Example:
        >>> import minillm
        >>> minillm.linspace(0, 1, 3)
        tensor([0.0000, 0.5000, 1.0000])
    """
    if steps < 0:
        raise OperationError(f"linspace: got {steps} steps; it needs 0 or more")
    dtype = get_default_dtype() if dtype is None else to_dtype(dtype)
    return leaf_on(
        to_device(np.linspace(start, end, steps).astype(dtype), device or get_default_device()), requires_grad
    )


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a matrix with ones on the diagonal.

    Example:
        >>> import minillm
        >>> minillm.eye(2)
        tensor([[1., 0.],
                [0., 1.]])
    """
    dtype = get_default_dtype() if dtype is None else to_dtype(dtype)
    return leaf_on(xp_for(device).eye(n, m, dtype=dtype), requires_grad)
