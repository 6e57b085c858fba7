"""Which dtype an operation computes in, and what two operands need to fit together.

A ``Binary`` operation takes two tensors, or a tensor and a number: their dtypes are promoted as PyTorch does
(``minillm.backend.result_type``), their shapes broadcast (aligned at the right, sizes equal or 1), and the
engine sums the gradients back down.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

import numpy as np

from minillm.autograd.errors import OperationTypeError
from minillm.autograd.function import Function
from minillm.backend import Array, get_default_dtype, is_array, result_type, to_dtype

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor

Number = builtins.float | builtins.int | builtins.bool
_NUMBERS = frozenset({builtins.float, builtins.int, builtins.bool})

# PyTorch's infinities and NaN come without a word, and so do ours. As a decorator it costs half of a block.
quiet = np.errstate(all="ignore")


def promoted(a: Any, b: Any) -> tuple[Any, Any]:
    """Return two operands in the dtype that PyTorch would compute in; numbers stay numbers."""
    try:
        if type(b) in _NUMBERS:
            if a.dtype.kind == "f":  # a number bends to an array of floats
                return a, b
        elif type(a) in _NUMBERS:
            if b.dtype.kind == "f":
                return a, b
        elif a.dtype is b.dtype:
            return a, b
    except AttributeError:
        raise TypeError("it needs two tensors, or a tensor and a number") from None
    dtype = result_type(a, b)
    return as_operand(a, dtype), as_operand(b, dtype)


def as_operand(x: Any, dtype: Any) -> Any:
    """Return an operand in a dtype; a number as one of its kind, wrapped round where it is too large."""
    if is_array(x):
        return x if x.dtype == dtype else x.astype(dtype)
    if dtype.kind == "b":
        return builtins.bool(x)
    if dtype.kind in "iu":
        bits = 8 * dtype.itemsize
        low = -(1 << (bits - 1)) if dtype.kind == "i" else 0
        return (builtins.int(x) - low) % (1 << bits) + low
    return x


def floating(x: Array) -> Array:
    """Return ``x`` itself if it holds floats, else a copy in the default dtype."""
    return x if x.dtype.kind == "f" else x.astype(get_default_dtype())


def refuse(name: str, kinds: str, *operands: Any) -> None:
    """Raise an error if an operand holds what an operation has no meaning for.

    Args:
        name: of the operation.
        kinds: letters of NumPy's kinds: ``b`` booleans, ``i`` and ``u`` integers.
        operands: tensors, arrays or numbers.
    """
    for x in operands:
        if hasattr(x, "dtype") and x.dtype.kind in kinds:
            needs = "floats or integers" if kinds == "b" else "floats"
            raise OperationTypeError(f"{name}: got {x.dtype}; it needs {needs}")


class Binary(Function):
    """An operation of two operands that are promoted and broadcast."""

    @classmethod
    def explain(cls, a: Any, b: Any, *rest: Any) -> str | None:
        shape_a, shape_b = getattr(a, "shape", ()), getattr(b, "shape", ())
        for i in range(1, min(len(shape_a), len(shape_b)) + 1):
            if shape_a[-i] != shape_b[-i] and 1 not in (shape_a[-i], shape_b[-i]):
                return (
                    f"the shapes do not broadcast: dimension -{i} has size {shape_a[-i]} and {shape_b[-i]}; "
                    "aligned at the right, sizes need to be equal or 1"
                )
        return None


class Cast(Function):
    """y = x in another dtype; the engine casts the gradient back."""

    @quiet
    def forward(self, x: Array, dtype: Any) -> Array:
        return x.astype(dtype, copy=False)

    def backward(self, dy: Any) -> Any:
        return dy


def cast(input: Tensor, dtype: Any) -> Tensor:
    """Return input in another dtype; itself where it has that dtype already.

    Example:
        >>> import minillm
        >>> minillm.ops.cast(minillm.tensor([1.5]), "int64")
        tensor([1])
    """
    dtype = to_dtype(dtype)
    return input if input.dtype == dtype else Cast.apply(input, dtype)
