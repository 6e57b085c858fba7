"""The array module of the stand-in: the functions that CuPy has, with the arguments it takes.

Most functions need no code: a line of `minillm.backend.strict.tables` gives CuPy's signature, a call
is checked against it and given to NumPy. What differs in more than the signature is written out here.
"""

from __future__ import annotations

import math
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
from minillm.backend.strict.signature import Signature
from minillm.backend.strict.tables import (
    CONSTANTS,
    CREATION,
    FUNCTIONS,
    LACKING,
    LINALG,
    UFUNCS,
)

__all__ = ["strict_xp"]


class StrictUfunc:
    """An elementwise function: arrays of the device and numbers in, no ``where=``, as in CuPy."""

    def __init__(self, ufunc: np.ufunc, name: str) -> None:
        self._ufunc = ufunc
        self.__name__ = name
        self.nin, self.nout, self.nargs = ufunc.nin, ufunc.nout, ufunc.nargs

    def __repr__(self) -> str:
        return f"<ufunc 'strict_{self.__name__}'>"

    def __call__(
        self,
        *args: Any,
        out: Any = None,
        dtype: Any = None,
        casting: Any = "same_kind",
        **rest: Any,
    ) -> Any:
        name = self.__name__
        if rest:
            raise TypeError(f"{name}: CuPy's elementwise functions take no {', '.join(rest)}")
        inputs = [operand(name, value) for value in args[: self.nin]]
        outputs = args[self.nin :]
        if out is not None:
            outputs = out if isinstance(out, tuple) else (out,)
        hosts = tuple(None if o is None else array_operand(f"{name}: out", o) for o in outputs)
        hosts += (None,) * (self.nout - len(hosts))  # by name NumPy wants all of them
        result = self._ufunc(*inputs, out=hosts, dtype=dtype, casting=casting)
        if self.nout > 1:
            outputs = outputs or (None,) * self.nout
            pairs = zip(result, outputs, strict=True)
            return tuple(wrap(part) if o is None else o for part, o in pairs)
        return wrap(result) if not outputs or outputs[0] is None else outputs[0]

    def outer(self, a: Any, b: Any, **kwargs: Any) -> StrictArray:
        """Apply the function to all pairs of elements."""
        name = f"{self.__name__}.outer"
        return wrap(self._ufunc.outer(array_operand(name, a), array_operand(name, b), **kwargs))

    def reduce(
        self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False
    ) -> StrictArray:
        """Combine the elements along an axis."""
        return self._apply("reduce", array, out, axis=axis, dtype=dtype, keepdims=keepdims)

    def accumulate(self, array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> StrictArray:
        """Combine the elements along an axis, keeping every intermediate result."""
        return self._apply("accumulate", array, out, axis=axis, dtype=dtype)

    def at(self, *args: Any) -> None:
        """Refused: in CuPy the sum depends on the order in which threads arrive."""
        raise NotImplementedError(
            f"{self.__name__}.at: in CuPy not the same on every run, or missing: "
            "use minillm.backend.scatter_add"
        )

    def reduceat(self, *args: Any, **kwargs: Any) -> None:
        """Refused: CuPy subtracts cumulative sums, which loses digits and spreads NaN."""
        raise NotImplementedError(
            f"{self.__name__}.reduceat: inexact in CuPy, or missing: use minillm.backend.scatter_add"
        )

    def _apply(self, method: str, array: Any, out: Any, **kwargs: Any) -> StrictArray:
        name = f"{self.__name__}.{method}"
        if self.__name__ not in ("add", "multiply"):
            raise NotImplementedError(f"{name}: CuPy does not support it")
        host = None if out is None else array_operand(f"{name}: out", out)
        result = getattr(self._ufunc, method)(array_operand(name, array), out=host, **kwargs)
        return wrap(result) if type(out) is not StrictArray else out


def _function(signature: Signature, numpy_function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function that checks its call against CuPy's signature and leaves it to NumPy."""

    def function(*args: Any, **kwargs: Any) -> Any:
        positional, named = signature.bind(args, kwargs, array_operand, operand)
        result = numpy_function(*positional, **named)
        if kwargs.get("out") is not None:
            return kwargs["out"]
        sources = [value for value in args if type(value) is StrictArray]
        return _wrapped(result, sources)

    function.__name__ = function.__qualname__ = signature.name
    function.__doc__ = f"CuPy's {signature}."
    return function


def _wrapped(result: Any, sources: list[StrictArray]) -> Any:
    if isinstance(result, (np.ndarray, np.generic, bool, int, float)):
        return wrap(result, *sources)
    if isinstance(result, tuple) and hasattr(result, "_fields"):  # a named tuple of linalg
        return type(result)(*(_wrapped(part, sources) for part in result))
    if isinstance(result, (tuple, list)):
        return type(result)(_wrapped(part, sources) for part in result)
    return result


# Functions that do not fit the pattern.


def array(obj: Any, dtype: Any = None, copy: bool = True, order: Any = "K") -> StrictArray:
    """Copy lists, numbers and arrays of NumPy or of the device to a new array of the device."""
    if type(obj) is StrictArray:
        if not copy and (dtype is None or np.dtype(dtype) == obj.dtype):
            return obj
        return StrictArray(np.array(obj._host, dtype=dtype, order=order))
    if isinstance(obj, (list, tuple)) and any(type(part) is StrictArray for part in obj):
        return StrictArray(np.array([array_operand("array", p) for p in obj], dtype=dtype))
    host = np.array(obj, dtype=dtype, order=order)
    if host.dtype.kind not in "biufc":
        raise ValueError(f"array: Unsupported dtype {host.dtype}")
    return StrictArray(host)


def asarray(a: Any, dtype: Any = None, order: Any = None) -> StrictArray:
    """Move anything that `array` takes to the device; an array of the device is not copied."""
    if type(a) is StrictArray:
        host = np.asarray(a._host, dtype=dtype, order=order)
        return a if host is a._host else wrap(host, a)
    return array(a, dtype=dtype, order=order or "K")


def ascontiguousarray(a: Any, dtype: Any = None) -> StrictArray:
    """Return the array in C order, itself where it is already."""
    return asarray(a, dtype=dtype, order="C")


def asnumpy(a: Any) -> np.ndarray[Any, Any]:
    """Copy an array to the host."""
    return a.get() if type(a) is StrictArray else np.asarray(a)


def empty(shape: Any, dtype: Any = float, order: Any = "C") -> StrictArray:
    """Return an array that must be written before it is read: it holds NaN, or a large number."""
    host = np.empty(shape, dtype=dtype, order=order)
    host.fill(_poison(host.dtype))
    return StrictArray(host)


def empty_like(prototype: Any, dtype: Any = None, order: Any = "K", *, shape: Any = None) -> StrictArray:
    """Return an array like another one that must be written before it is read."""
    like = array_operand("empty_like", prototype)
    host = np.empty_like(like, dtype=dtype, order=order, shape=shape)
    host.fill(_poison(host.dtype))
    return StrictArray(host)


def _poison(dtype: np.dtype[Any]) -> Any:
    if dtype.kind in "fc":
        return np.nan
    return True if dtype.kind == "b" else np.iinfo(dtype).max


def full(shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C") -> StrictArray:
    """Return an array of equal elements."""
    return StrictArray(np.full(shape, operand("full", fill_value), dtype=dtype, order=order))


def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", *, shape: Any = None
) -> StrictArray:
    """Return an array like another one, of equal elements."""
    like, value = array_operand("full_like", a), operand("full_like", fill_value)
    return StrictArray(np.full_like(like, value, dtype=dtype, order=order, shape=shape))


def einsum(subscripts: str, *operands: Any, dtype: Any = None, optimize: Any = False) -> Any:
    """Sum products over the named axes."""
    hosts = [array_operand("einsum", value) for value in operands]
    result = np.einsum(subscripts, *hosts, dtype=dtype, optimize=optimize)
    return wrap(result, *(value for value in operands if type(value) is StrictArray))


def broadcast_arrays(*args: Any) -> list[StrictArray]:
    """Broadcast arrays against each other."""
    hosts = np.broadcast_arrays(*(array_operand("broadcast_arrays", value) for value in args))
    return [wrap(host, source) for host, source in zip(hosts, args, strict=True)]


def meshgrid(*xi: Any, indexing: Any = "xy", sparse: bool = False, copy: bool = True) -> Any:
    """Make coordinate matrices from coordinate vectors."""
    hosts = [array_operand("meshgrid", value) for value in xi]
    grids = np.meshgrid(*hosts, indexing=indexing, sparse=sparse, copy=copy)
    return [wrap(grid, *xi) for grid in grids]


def ix_(*args: Any) -> tuple[StrictArray, ...]:
    """Make an open mesh from sequences, for indexing."""
    return tuple(wrap(part) for part in np.ix_(*(array_operand("ix_", value) for value in args)))


def atleast_1d(*arys: Any) -> Any:
    """Give arrays at least one axis."""
    parts = [wrap(np.atleast_1d(array_operand("atleast_1d", a)), a) for a in arys]
    return parts[0] if len(parts) == 1 else parts


def atleast_2d(*arys: Any) -> Any:
    """Give arrays at least two axes."""
    parts = [wrap(np.atleast_2d(array_operand("atleast_2d", a)), a) for a in arys]
    return parts[0] if len(parts) == 1 else parts


def take(a: Any, indices: Any, axis: int | None = None, out: Any = None) -> StrictArray:
    """Take elements along an axis."""
    array_operand("take", a)
    return a.take(indices, axis=axis, out=out)  # type: ignore[no-any-return]


def take_along_axis(a: Any, indices: Any, axis: int | None) -> StrictArray:
    """Take elements by an index array of the same number of axes."""
    host = array_operand("take_along_axis", a)
    places = array_operand("take_along_axis", indices)
    try:
        return wrap(np.take_along_axis(host, places, axis))
    except IndexError as error:
        raise out_of_range(error, "take_along_axis", (places,)) from error


def put_along_axis(arr: Any, indices: Any, values: Any, axis: int) -> None:
    """Put values at places given by an index array of the same number of axes."""
    host = array_operand("put_along_axis", arr)
    places = array_operand("put_along_axis", indices)
    in_order = np.sort(places % host.shape[axis], axis=axis)
    if size(values) != 1 and (np.diff(in_order, axis=axis) == 0).any():
        raise ValueError(
            "put_along_axis: the indices name a place twice. CuPy would leave there one of the "
            "values, undefined which"
        )
    try:
        np.put_along_axis(host, places, operand("put_along_axis", values), axis)
    except IndexError as error:
        raise out_of_range(error, "put_along_axis", (places,)) from error


def copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = None) -> None:
    """Copy values from one array to another."""
    host, values = array_operand("copyto", dst), operand("copyto", src)
    mask: Any = True if where is None else array_operand("copyto: where", where)
    np.copyto(host, values, casting=casting, where=mask)


def sort(a: Any, axis: int | None = -1) -> StrictArray:
    """Return a sorted copy."""
    return wrap(np.sort(array_operand("sort", a), axis=axis, kind="stable"))


def argsort(a: Any, axis: int | None = -1) -> StrictArray:
    """Return the order that sorts; equal elements keep theirs, as in CuPy."""
    return wrap(np.argsort(array_operand("argsort", a), axis=axis, kind="stable"))


def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    """Return NumPy's dtype of arithmetic between arrays, numbers and dtypes."""
    return np.result_type(*(a._host if type(a) is StrictArray else a for a in arrays_and_dtypes))


def can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    """Return whether a dtype can be cast to another."""
    return np.can_cast(from_.dtype if type(from_) is StrictArray else from_, to, casting)


def ndim(a: Any) -> int:
    """Return the number of axes."""
    return a.ndim if type(a) is StrictArray else np.ndim(a)


def shape(a: Any) -> tuple[int, ...]:
    """Return the size of each axis."""
    return a.shape if type(a) is StrictArray else np.shape(a)


def size(a: Any, axis: int | None = None) -> int:
    """Return the number of elements, in all or along an axis."""
    sizes = shape(a)
    return math.prod(sizes) if axis is None else sizes[axis]


def isscalar(element: Any) -> bool:
    """Return whether a value is a number and not an array."""
    return isinstance(element, NUMBERS)


def may_share_memory(a: Any, b: Any) -> bool:
    """Return whether the memory of two arrays may overlap."""
    name = "may_share_memory"
    return np.may_share_memory(array_operand(name, a), array_operand(name, b))


def shares_memory(a: Any, b: Any) -> bool:
    """Return whether two arrays have an element in common."""
    return np.shares_memory(array_operand("shares_memory", a), array_operand("shares_memory", b))


class StrictModule:
    """A namespace of functions, in the place of a module; what CuPy lacks is not there."""

    def __init__(self, name: str, members: dict[str, Any]) -> None:
        vars(self).update(members, __name__=name)

    def __getattr__(self, name: str) -> Any:
        if name == "random":
            raise AttributeError("xp.random: draw from minillm.backend.Generator, the same on every device")
        if name in LACKING.split():
            raise AttributeError(f"{self.__name__}.{name}: CuPy has no {name}")
        raise AttributeError(
            f"{self.__name__}.{name}: the stand-in has no {name}. If CuPy has it, add its "
            "signature to minillm/backend/strict/tables.py"
        )

    def __repr__(self) -> str:
        return f"<array module '{self.__name__}'>"


def _members() -> dict[str, Any]:
    members: dict[str, Any] = {"ndarray": StrictArray}
    members.update({name: getattr(np, name) for name in CONSTANTS.split()})
    members.update({name: StrictUfunc(getattr(np, name), name) for name in UFUNCS.split()})
    for table in (FUNCTIONS, CREATION):
        for name, signature in table.items():
            members[name] = _function(signature, getattr(np, name))
    special = [
        array, asarray, ascontiguousarray, asnumpy, empty, empty_like, full, full_like, einsum,
        broadcast_arrays, meshgrid, ix_, atleast_1d, atleast_2d, take, take_along_axis,
        put_along_axis, copyto, sort, argsort, result_type, can_cast, ndim, shape, size, isscalar,
        may_share_memory, shares_memory,
    ]  # fmt: skip
    members.update({function.__name__: function for function in special})
    linalg = {name: _function(line, getattr(np.linalg, name)) for name, line in LINALG.items()}
    members["linalg"] = StrictModule("strict.linalg", linalg)
    return members


strict_xp = StrictModule("strict", _members())
"""The array module of the strict device; CuPy's counterpart is the module ``cupy``."""
