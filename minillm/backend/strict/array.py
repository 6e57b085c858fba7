"""The array of the stand-in: an array of NumPy inside, CuPy's rules outside.

Conversions, layout and indexing are written out here. Operators and methods follow one pattern
each, so `minillm.backend.strict.methods` makes them from lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

__all__ = ["StrictArray"]

HostArray = np.ndarray[Any, Any]

# What CuPy computes with beside its own arrays: Python's numbers and NumPy's scalars.
NUMBERS = (bool, int, float, complex, np.generic)


class StrictArray:
    """An array of NumPy that behaves like one of CuPy; see `minillm.backend.strict`.

    It is made by ``strict_xp.asarray`` or `minillm.backend.to_device`, like any array of a device.

    Example:
        >>> from minillm.backend import to_device
        >>> import numpy
        >>> x = to_device(numpy.arange(3), "strict")
        >>> x.sum()
        StrictArray(3, dtype=int64)
        >>> x + numpy.ones(3)
        Traceback (most recent call last):
        TypeError: add: Unsupported type <class 'numpy.ndarray'>: move it to the device first
    """

    __slots__ = ("__weakref__", "_host", "base")

    _host: HostArray
    base: StrictArray | None

    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, host: HostArray, base: StrictArray | None = None) -> None:
        self._host = host
        self.base = base  # the array whose memory this is a view of

    # Conversions

    def get(self) -> HostArray:
        """Return a copy on the host, as an array of NumPy."""
        host: HostArray = self._host.copy()
        return host

    def __array__(self, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        # NumPy comes here for its operators and functions: `ndarray + x`, `numpy.float32(2) * x`,
        # `numpy.exp(x)`. CuPy refuses the first, the stand-in the last as well.
        if any(isinstance(value, np.ndarray) for value in inputs):
            raise TypeError(f"{ufunc.__name__}: Unsupported type {np.ndarray}: move it to the device first")
        if method == "__call__" and not kwargs and isinstance(inputs[0], np.generic):
            return wrap(ufunc(*(operand(ufunc.__name__, value) for value in inputs)))
        return self.__array_function__(ufunc)

    def __array_function__(self, func: Any, *args: object) -> NoReturn:
        raise TypeError(
            f"numpy.{func.__name__} was called with an array of the strict device: "
            f"call xp_of(array).{func.__name__}"
        )

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"an array of the strict device has no {name!r}: CuPy's has none either, "
            "or the stand-in leaves it out"
        )

    def __bool__(self) -> bool:
        return bool(self._host)

    def __int__(self) -> int:
        return int(self._host)

    def __float__(self) -> float:
        return float(self._host)

    def __format__(self, spec: str) -> str:
        return format(self._host, spec)

    def __repr__(self) -> str:
        text = np.array2string(self._host, separator=", ", prefix="StrictArray(")
        return f"StrictArray({text}, dtype={self._host.dtype})"

    def __str__(self) -> str:
        return str(self._host)

    def __copy__(self) -> StrictArray:
        return StrictArray(self._host.copy())

    def __deepcopy__(self, memo: object) -> StrictArray:
        return StrictArray(self._host.copy())

    def __reduce__(self) -> tuple[Callable[..., StrictArray], tuple[HostArray]]:
        return StrictArray, (self.get(),)

    # Layout

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        dtype: np.dtype[Any] = self._host.dtype
        return dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis; setting it reshapes without a copy."""
        shape: tuple[int, ...] = self._host.shape
        return shape

    @shape.setter
    def shape(self, shape: tuple[int, ...]) -> None:
        reshaped = self._host.reshape(shape)
        if not np.may_share_memory(reshaped, self._host):
            raise AttributeError("incompatible shape: the elements would have to be copied")
        self._host = reshaped

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._host.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._host.size

    @property
    def itemsize(self) -> int:
        """The bytes of one element."""
        return self._host.itemsize

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self._host.nbytes

    @property
    def strides(self) -> tuple[int, ...]:
        """The bytes from one element to the next along each axis."""
        return self._host.strides

    @property
    def flags(self) -> StrictFlags:
        """How the elements lie in memory."""
        return StrictFlags(self)

    @property
    def T(self) -> StrictArray:
        """The array with its axes in reverse order, a view."""
        return wrap(self._host.T, self)

    @property
    def mT(self) -> StrictArray:
        """The array with its last two axes swapped, a view."""
        return wrap(self._host.mT, self)

    # Elements

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Iterator[StrictArray]:
        if self._host.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self._host)))

    def __getitem__(self, index: Any) -> StrictArray:
        # The trailing `...` makes single elements 0-d views, as they are in CuPy.
        host_index = _host_index(index)
        if not any(part is Ellipsis for part in host_index):
            host_index = (*host_index, Ellipsis)
        try:
            return wrap(self._host[host_index], self)
        except IndexError as error:
            raise out_of_range(error, "x[index]", host_index) from error

    def __setitem__(self, index: Any, value: Any) -> None:
        host_index = _host_index(index)
        host_value = operand("x[index] = value", value)
        try:
            if np.size(host_value) != 1 and _names_a_place_twice(self._host.shape, host_index):
                raise ValueError(
                    "x[index] = value: the index names a place twice. CuPy would leave there one "
                    "of the values, undefined which: add them up with minillm.backend.scatter_add"
                )
            self._host[host_index] = host_value
        except IndexError as error:
            raise out_of_range(error, "x[index] = value", host_index) from error


class StrictFlags:
    """How an array lies in memory: the three flags that CuPy has, by name or by key."""

    def __init__(self, array: StrictArray) -> None:
        self.c_contiguous = array._host.flags.c_contiguous
        self.f_contiguous = array._host.flags.f_contiguous
        self.owndata = array.base is None

    def __getitem__(self, key: str) -> bool:
        if key not in ("C_CONTIGUOUS", "F_CONTIGUOUS", "OWNDATA"):
            raise KeyError(f"{key}: CuPy has the flags C_CONTIGUOUS, F_CONTIGUOUS and OWNDATA")
        return bool(getattr(self, key.lower()))

    def __repr__(self) -> str:
        return "".join(f"  {name.upper()} : {value}\n" for name, value in vars(self).items())


def wrap(result: Any, *sources: StrictArray) -> StrictArray:
    """Make an array of the stand-in out of NumPy's result; a view remembers its source as base."""
    host = np.asarray(result)
    if host.base is not None:
        for source in sources:
            if np.may_share_memory(host, source._host):
                return StrictArray(host, source if source.base is None else source.base)
    return StrictArray(host)


def operand(operation: str, value: Any) -> Any:
    """Return what NumPy computes with for an operand: an array of the stand-in or a number.

    Raises:
        TypeError: an array of NumPy, a list or anything else, with CuPy's words.
    """
    if type(value) is StrictArray:
        return value._host
    if isinstance(value, NUMBERS):
        return value
    advice = ": move it to the device first" if isinstance(value, (np.ndarray, list, tuple)) else ""
    raise TypeError(f"{operation}: Unsupported type {type(value)}{advice}")


def array_operand(operation: str, value: Any) -> HostArray:
    """Return the array inside one of the stand-in; numbers are refused as well."""
    if type(value) is StrictArray:
        return value._host
    raise TypeError(f"{operation}: Unsupported type {type(value)}: needs an array of the strict device")


def out_of_range(error: IndexError, operation: str, index: tuple[Any, ...]) -> IndexError:
    """Return NumPy's complaint, marked where CuPy would not complain but wrap around."""
    arrays = any(isinstance(part, np.ndarray) for part in index)
    if arrays and "out of bounds" in str(error):
        return IndexError(f"{operation}: {error}. CuPy would wrap the index around silently")
    return IndexError(f"{operation}: {error}")


def _host_index(index: Any) -> tuple[Any, ...]:
    """Turn an index into a tuple for NumPy: lists and arrays become arrays, as in CuPy."""
    parts = index if isinstance(index, tuple) else (index,)
    return tuple(_host_index_part(part) for part in parts)


def _host_index_part(part: Any) -> Any:
    if type(part) is StrictArray:
        return part._host
    if isinstance(part, (list, tuple)):
        listed = np.asarray([p._host if type(p) is StrictArray else p for p in part])
        return listed if listed.size else listed.astype(np.intp)
    return part  # numbers, slices, None, `...`; arrays of NumPy are copied over by CuPy as well


def _names_a_place_twice(shape: tuple[int, ...], index: tuple[Any, ...]) -> bool:
    """Return whether an index with integer arrays selects an element more than once."""
    if not any(isinstance(part, np.ndarray) and part.dtype.kind != "b" for part in index):
        return False
    places: Any = 0
    for axis, size in enumerate(shape):
        along = np.arange(size).reshape((-1,) + (1,) * (len(shape) - axis - 1))
        places = places * size + np.broadcast_to(along, shape)[index]
    return bool(np.unique(places).size < np.size(places))
