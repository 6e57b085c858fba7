"""The operators and methods of `StrictArray`, made from lists and put on the class here.

Operators take arrays of the device and numbers, and leave other types to decide for themselves as
CuPy does: a type whose ``__array_ufunc__`` is None (a tensor) computes the result, anything else is
an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minillm.backend.strict.array import (
    NUMBERS,
    StrictArray,
    array_operand,
    operand,
    out_of_range,
    wrap,
)
from minillm.backend.strict.signature import Signature, signatures

__all__: list[str] = []

_OPERATORS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide,
    "floordiv": np.floor_divide, "mod": np.remainder, "pow": np.power, "matmul": np.matmul,
    "lshift": np.left_shift, "rshift": np.right_shift,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
}  # fmt: skip
_COMPARISONS = {
    "lt": np.less, "le": np.less_equal, "eq": np.equal, "ne": np.not_equal,
    "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip
_UNARY = {"neg": np.negative, "abs": np.absolute, "invert": np.invert}


def _defers_to(other: Any) -> bool:
    """Return whether the other operand (a tensor, say) wants to compute the result itself."""
    if type(other) is StrictArray or isinstance(other, NUMBERS):
        return False
    try:
        return other.__array_ufunc__ is None
    except AttributeError:
        return bool(getattr(other, "__array_priority__", 0) > StrictArray.__array_priority__)


def _binary(ufunc: np.ufunc) -> Callable[..., Any]:
    def operator(self: StrictArray, other: Any) -> Any:
        if _defers_to(other):
            return NotImplemented
        return wrap(ufunc(self._host, operand(ufunc.__name__, other)))

    return operator


def _reversed(ufunc: np.ufunc) -> Callable[..., Any]:
    def operator(self: StrictArray, other: Any) -> StrictArray:
        return wrap(ufunc(operand(ufunc.__name__, other), self._host))

    return operator


def _in_place(ufunc: np.ufunc) -> Callable[..., Any]:
    def operator(self: StrictArray, other: Any) -> StrictArray:
        ufunc(self._host, operand(ufunc.__name__, other), out=self._host)
        return self

    return operator


def _unary(ufunc: np.ufunc) -> Callable[..., Any]:
    def operator(self: StrictArray) -> StrictArray:
        return wrap(ufunc(self._host))

    return operator


def _divmod(self: StrictArray, other: Any) -> Any:
    if _defers_to(other):
        return NotImplemented
    quotient, remainder = np.divmod(self._host, operand("divmod", other))
    return wrap(quotient), wrap(remainder)


def _reversed_divmod(self: StrictArray, other: Any) -> tuple[StrictArray, StrictArray]:
    quotient, remainder = np.divmod(operand("divmod", other), self._host)
    return wrap(quotient), wrap(remainder)


def _positive(self: StrictArray) -> StrictArray:
    return self


# Methods as CuPy declares them; see minillm.backend.strict.signature for the marks.
_METHODS = signatures(
    """
    all(; axis=, out=, keepdims=)
    any(; axis=, out=, keepdims=)
    argmax(; axis=, out=, keepdims=)
    argmin(; axis=, out=, keepdims=)
    argpartition(kth; axis=)
    astype(dtype; order=, copy=)
    clip(min?=, max?=; out=)
    compress(condition!; axis=, out=)
    conj()
    conjugate()
    copy(order=)
    cumprod(; axis=, dtype=, out=)
    cumsum(; axis=, dtype=, out=)
    dot(b!; out=)
    flatten(order=)
    max(; axis=, out=, keepdims=)
    mean(; axis=, dtype=, out=, keepdims=)
    min(; axis=, out=, keepdims=)
    nonzero()
    prod(; axis=, dtype=, out=, keepdims=)
    ravel(order=)
    repeat(repeats; axis=)
    round(decimals=; out=)
    searchsorted(v?; side=, sorter!=)
    squeeze(axis=)
    std(; axis=, dtype=, out=, ddof=, keepdims=)
    sum(; axis=, dtype=, out=, keepdims=)
    swapaxes(axis1, axis2)
    trace(offset=, axis1=, axis2=; dtype=, out=)
    var(; axis=, dtype=, out=, ddof=, keepdims=)
    """
)


def _method(signature: Signature) -> Callable[..., Any]:
    name = signature.name

    def method(self: StrictArray, *args: Any, **kwargs: Any) -> Any:
        positional, named = signature.bind(args, kwargs, array_operand, operand)
        result = getattr(self._host, name)(*positional, **named)
        if result is self._host:
            return self
        if isinstance(result, tuple):
            return tuple(wrap(part, self) for part in result)
        out = kwargs.get("out")
        return wrap(result, self) if out is None else out

    method.__name__ = name
    return method


# Methods that do not fit the pattern.


def _item(self: StrictArray) -> Any:
    return self._host.item()


def _tolist(self: StrictArray) -> Any:
    return self._host.tolist()


def _tobytes(self: StrictArray, order: Any = "C") -> bytes:
    return self._host.tobytes(order)


def _reshape(self: StrictArray, *shape: Any, order: Any = "C") -> StrictArray:
    return wrap(self._host.reshape(*shape, order=order), self)


def _diagonal(self: StrictArray, offset: int = 0, axis1: int = 0, axis2: int = 1) -> StrictArray:
    host = self._host.diagonal(offset, axis1, axis2)
    host.flags.writeable = self._host.flags.writeable  # NumPy gives a view that no one may write to
    return wrap(host, self)


def _transpose(self: StrictArray, *axes: Any) -> StrictArray:
    return wrap(self._host.transpose(*axes), self)


def _view(self: StrictArray, dtype: Any = None) -> StrictArray:
    return wrap(self._host.view() if dtype is None else self._host.view(dtype), self)


def _fill(self: StrictArray, value: Any) -> None:
    self._host.fill(operand("fill", value))


def _sort(self: StrictArray, axis: int = -1) -> None:
    self._host.sort(axis, kind="stable")  # CuPy's order of equals is stable


def _argsort(self: StrictArray, axis: int | None = -1) -> StrictArray:
    return wrap(self._host.argsort(axis, kind="stable"))


def _partition(self: StrictArray, kth: Any, axis: int = -1) -> None:
    self._host.partition(kth, axis)


def _ptp(self: StrictArray, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    host = None if out is None else array_operand("ptp", out)
    result = np.ptp(self._host, axis=axis, out=host, keepdims=keepdims)
    return wrap(result) if out is None else out


def _take(self: StrictArray, indices: Any, axis: int | None = None, out: Any = None) -> Any:
    if isinstance(indices, (list, tuple, np.ndarray)):  # CuPy copies them to the device
        places = np.asarray(indices, dtype=np.intp)
    else:
        places = operand("take", indices)
    host = None if out is None else array_operand("take", out)
    try:
        result = self._host.take(places, axis=axis, out=host)
    except IndexError as error:
        raise out_of_range(error, "take", (np.asarray(places),)) from error
    return wrap(result) if out is None else out


for _name, _ufunc in _OPERATORS.items():
    setattr(StrictArray, f"__{_name}__", _binary(_ufunc))
    setattr(StrictArray, f"__r{_name}__", _reversed(_ufunc))
    if _name != "matmul":  # CuPy has no `@=` of its own: Python makes it `x = x @ y`
        setattr(StrictArray, f"__i{_name}__", _in_place(_ufunc))
for _name, _ufunc in _COMPARISONS.items():
    setattr(StrictArray, f"__{_name}__", _binary(_ufunc))
for _name, _ufunc in _UNARY.items():
    setattr(StrictArray, f"__{_name}__", _unary(_ufunc))
for _name, _function in {
    "__divmod__": _divmod,
    "__rdivmod__": _reversed_divmod,
    "__pos__": _positive,
    "argsort": _argsort,
    "diagonal": _diagonal,
    "fill": _fill,
    "item": _item,
    "partition": _partition,
    "ptp": _ptp,
    "reshape": _reshape,
    "sort": _sort,
    "take": _take,
    "tobytes": _tobytes,
    "tolist": _tolist,
    "transpose": _transpose,
    "view": _view,
}.items():
    setattr(StrictArray, _name, _function)
for _name, _signature in _METHODS.items():
    setattr(StrictArray, _name, _method(_signature))
