"""Element types: their names, the default one, and PyTorch's rules of promotion.

A dtype is an object of NumPy (``numpy.dtype``), which NumPy, CuPy and the stand-in all take; the
names are PyTorch's. NumPy has no bfloat16, so there is none here yet: 16-bit storage is float16.

NumPy's promotion is not PyTorch's: ``int64 * float32`` is float64 in NumPy, and float32 in PyTorch,
where an upcast is never made by accident. `result_type` gives PyTorch's answer
(https://pytorch.org/docs/stable/tensor_attributes.html, "type promotion").
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "DTYPES",
    "DType",
    "bool_",
    "double",
    "float16",
    "float32",
    "float64",
    "float_",
    "get_default_dtype",
    "half",
    "int8",
    "int16",
    "int32",
    "int64",
    "int_",
    "long",
    "promote_types",
    "result_type",
    "set_default_dtype",
    "short",
    "to_dtype",
    "uint8",
]

DType = np.dtype[Any]

float16 = np.dtype(np.float16)
float32 = np.dtype(np.float32)
float64 = np.dtype(np.float64)
uint8 = np.dtype(np.uint8)
int8 = np.dtype(np.int8)
int16 = np.dtype(np.int16)
int32 = np.dtype(np.int32)
int64 = np.dtype(np.int64)
bool_ = np.dtype(np.bool_)

# PyTorch's second names. Those that would hide a builtin end in an underscore here;
# minillm.backend and minillm publish them as `float`, `int` and `bool`.
half, float_, double = float16, float32, float64
short, int_, long = int16, int32, int64

DTYPES: dict[str, DType] = {
    "float16": float16, "half": float16,
    "float32": float32, "float": float32,
    "float64": float64, "double": float64,
    "uint8": uint8, "int8": int8,
    "int16": int16, "short": int16,
    "int32": int32, "int": int32,
    "int64": int64, "long": int64,
    "bool": bool_,
}  # fmt: skip
"""Every public name of a dtype, as in PyTorch."""

_SUPPORTED = frozenset(DTYPES.values())
_CHOICES = "float16, float32, float64, uint8, int8, int16, int32, int64 or bool"
_default = float32


def to_dtype(dtype: object) -> DType:
    """Return the dtype that a name, a type or a dtype object stands for.

    Args:
        dtype: a dtype; a NumPy type (``numpy.float32``); a name (``"float32"``, ``"half"``,
            ``"torch.float32"``); a PyTorch dtype; or Python's ``float``, ``int`` or ``bool``, which
            are float64, int64 and bool, as in PyTorch. The *names* ``"float"`` and ``"int"`` are
            float32 and int32, as ``torch.float`` and ``torch.int`` are. Foreign byte orders become
            the machine's own.

    Raises:
        TypeError: not a dtype that minillm computes with (complex, object, strings, dates, ...).

    Example:
        >>> from minillm.backend import to_dtype
        >>> to_dtype("torch.float32")
        dtype('float32')
        >>> to_dtype(float)
        dtype('float64')
    """
    if isinstance(dtype, np.dtype) and dtype in _SUPPORTED:  # equal in byte order, too
        return dtype
    if type(dtype).__module__ == "torch":
        dtype = str(dtype)
    if isinstance(dtype, str):
        name = dtype.removeprefix("torch.").removeprefix("minillm.").removeprefix("numpy.")
        if name in DTYPES:
            return DTYPES[name]
    if dtype is not None:  # NumPy reads None as float64
        try:
            found = np.dtype(dtype).newbyteorder("=")  # type: ignore[call-overload]
        except (TypeError, ValueError):
            pass
        else:
            if found in _SUPPORTED:
                return found  # type: ignore[no-any-return]
    hint = ": NumPy has no bfloat16" if "bfloat16" in str(dtype) else ""
    raise TypeError(f"dtype: {dtype!r} is not supported{hint}, needs one of {_CHOICES}")


def get_default_dtype() -> DType:
    """Return the dtype of new floating-point tensors: float32 unless it was set otherwise.

    Example:
        >>> from minillm.backend import get_default_dtype
        >>> get_default_dtype()
        dtype('float32')
    """
    return _default


def set_default_dtype(dtype: object) -> None:
    """Set the dtype of new floating-point tensors: float16, float32 or float64.

    Raises:
        TypeError: not a floating-point dtype.

    Example:
        >>> from minillm.backend import get_default_dtype, set_default_dtype
        >>> set_default_dtype("float64")
        >>> get_default_dtype()
        dtype('float64')
        >>> set_default_dtype("float32")
    """
    global _default
    chosen = to_dtype(dtype)
    if chosen.kind != "f":
        raise TypeError(f"set_default_dtype: needs float16, float32 or float64, got {chosen.name}")
    _default = chosen


def promote_types(first: object, second: object) -> DType:
    """Return the smallest dtype that holds both, floats before ints before bool, as PyTorch does.

    An int with a float gives the float, however wide the int: ``int64, float16`` is float16.

    Example:
        >>> from minillm.backend import promote_types
        >>> promote_types("int64", "float32")
        dtype('float32')
        >>> promote_types("uint8", "int8")
        dtype('int16')
    """
    a, b = to_dtype(first), to_dtype(second)
    if (a.kind == "f") != (b.kind == "f"):
        return a if a.kind == "f" else b
    return np.promote_types(a, b)


def result_type(*operands: Any) -> DType:
    """Return the dtype of arithmetic between operands, as ``torch.result_type`` does.

    Operands fall into three categories: arrays with dimensions, 0-d arrays (NumPy's scalars among
    them, since NumPy makes them out of 0-d results), and Python's numbers. A lower category changes
    the result only when it is of a higher kind (bool < int < float): ``float16 array * 2.5`` is
    float16, but ``int64 array * 2.5`` is the default dtype. Within a category the types promote as
    in `promote_types`.

    Args:
        *operands: arrays of any device (or tensors: anything with ``dtype`` and ``ndim``) and
            Python's numbers. At least one.

    Raises:
        TypeError: an operand is neither, or its dtype is not supported.
        ValueError: no operand.

    Example:
        >>> import numpy
        >>> from minillm.backend import result_type
        >>> result_type(numpy.ones(3, dtype="float16"), 2.5)
        dtype('float16')
        >>> result_type(numpy.arange(3), 2.5)
        dtype('float32')
        >>> result_type(numpy.arange(3), numpy.ones(3, dtype="float32"))
        dtype('float32')
    """
    arrays: DType | None = None
    scalars: DType | None = None
    numbers: DType | None = None
    for operand in operands:
        # NumPy's float64 scalar is a Python float as well: ask for the dtype first.
        dtype = getattr(operand, "dtype", None)
        if dtype is not None:
            if dtype not in _SUPPORTED:
                dtype = to_dtype(dtype)
            if operand.ndim > 0:
                if arrays is None:
                    arrays = dtype
                elif dtype is not arrays:
                    arrays = promote_types(arrays, dtype)
            elif scalars is None:
                scalars = dtype
            elif dtype is not scalars:
                scalars = promote_types(scalars, dtype)
        else:
            number = _dtype_of_number(operand)
            numbers = number if numbers is None else promote_types(numbers, number)
    result = _combine(arrays, _combine(scalars, numbers))
    if result is None:
        raise ValueError("result_type: needs at least one operand, got none")
    return result


def _dtype_of_number(number: object) -> DType:
    if isinstance(number, bool):
        return bool_
    if isinstance(number, int):
        return int64
    if isinstance(number, float):
        return _default
    raise TypeError(f"result_type: needs arrays and Python's numbers, got {type(number).__name__}")


def _combine(higher: DType | None, lower: DType | None) -> DType | None:
    """Join two categories: the higher one stays, unless the lower one is of a higher kind."""
    if higher is None or lower is None:
        return lower if higher is None else higher
    if higher.kind == "f":
        return higher
    if higher.kind == "b" or lower.kind == "f":
        return promote_types(higher, lower)
    return higher
