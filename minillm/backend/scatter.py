"""Add values into an array at places that may repeat: what the gradient of a gather needs.

``array[index] += values`` keeps one of the values where ``index`` names a place twice; here they
all add up, in the same order on every run.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minillm.backend.device import Array, is_array, xp_of

__all__ = ["check_index", "scatter_add"]

# Elements added at a time on the CPU: their places and values stay in the cache.
_TILE = 32768


def scatter_add(array: Array, index: Any, values: Any) -> None:
    """Add ``values`` to ``array[index]`` in place; what goes to the same place adds up.

    Args:
        array: the array that is changed, on any device.
        index: what may stand in ``array[index]``: integers, slices, None, ``...``, and arrays of
            integers or booleans on the same device.
        values: an array that broadcasts to the shape of ``array[index]``, or a number.

    Raises:
        IndexError: a place that is not in the array. (In a tuple CuPy wraps it without an error.)
        TypeError: values that the dtype of the array cannot take, such as floats for integers.
        ValueError: values that do not broadcast to the shape of ``array[index]``.

    Example:
        >>> import numpy
        >>> from minillm.backend import scatter_add
        >>> total = numpy.zeros(3)
        >>> scatter_add(total, numpy.array([0, 2, 0]), numpy.array([1.0, 2.0, 3.0]))
        >>> total
        array([4., 0., 2.])
    """
    xp = xp_of(array)
    index = _with_arrays(xp, index)
    if is_array(values) and not np.can_cast(values.dtype, array.dtype, "same_kind"):
        raise TypeError(f"scatter_add: cannot add {values.dtype} values to an {array.dtype} array")
    if not _may_repeat(index):
        array[index] += values
        return
    if not array.flags.c_contiguous:
        whole = xp.ascontiguousarray(array)
        scatter_add(whole, index, values)
        array[...] = whole
        return

    if isinstance(index, tuple) and len(index) == 1:
        (index,) = index
    if is_array(index):  # rows: each number stands for a whole array[i]
        shape = (*index.shape, *array.shape[1:])
        places, target = index, array.reshape(array.shape[0], -1) if array.size else array
    else:
        places = _places(xp, array.shape, index)
        shape, target = places.shape, array.reshape(-1, 1)
    added = xp.broadcast_to(xp.asarray(values, dtype=array.dtype), shape)
    if added.size == 0:
        return
    places = places.reshape(-1)
    rows = added.reshape(places.size, -1)
    if xp is np:
        _add_on_host(target, places, rows)
    else:
        _add_in_order(xp, target, places, rows)


def _with_arrays(xp: Any, index: Any) -> Any:
    """Turn the lists of an index into arrays."""
    if isinstance(index, tuple):
        return tuple(_with_arrays(xp, part) for part in index)
    if isinstance(index, list):
        return xp.asarray(index, dtype=None if index else np.int64)
    return index


def _may_repeat(index: Any) -> bool:
    """Return whether an index can name a place twice: only arrays of integers can."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(is_array(part) and part.dtype.kind in "iu" for part in parts)


def _places(xp: Any, shape: tuple[int, ...], index: Any) -> Array:
    """Return the place, in the flat array, of each element that an index selects."""
    places: Any = 0
    if xp is not np:
        check_index("scatter_add", shape, index)
    for dim, size in enumerate(shape):
        along = xp.arange(size).reshape((size,) + (1,) * (len(shape) - dim - 1))
        places = places * size + xp.broadcast_to(along, shape)[index]
    return places


def check_index(operation: str, shape: tuple[int, ...], index: Any) -> None:
    """Raise an error where an array of integers in an index names a place that is not there.

    NumPy looks for itself. CuPy wraps such a place round silently, so on a GPU this is called before; it
    waits for the places.

    Raises:
        IndexError: names the operation, the place and the size.

    Example:
        >>> import numpy
        >>> check_index("getitem", (3, 2), (..., numpy.array([0, 2])))
        Traceback (most recent call last):
        IndexError: getitem: index 2 is out of range for an axis of size 2
    """

    def taken(part: Any) -> int:
        if part is None:
            return 0
        return part.ndim if is_array(part) and part.dtype.kind == "b" else 1

    parts = index if isinstance(index, tuple) else (index,)
    dim = 0
    for i, part in enumerate(parts):
        if part is Ellipsis:
            dim = len(shape) - sum(map(taken, parts[i + 1 :]))
            continue
        if is_array(part) and part.dtype.kind in "iu" and part.size and dim < len(shape):
            _check_range(operation, part, shape[dim])
        dim += taken(part)


def _check_range(operation: str, places: Array, length: int) -> None:
    """Raise an error for a place that is not in an axis."""
    low, high = int(places.min()), int(places.max())
    if low < -length or high >= length:
        wrong = low if low < -length else high
        raise IndexError(f"{operation}: index {wrong} is out of range for an axis of size {length}")


def _add_on_host(
    target: np.ndarray[Any, Any], places: np.ndarray[Any, Any], rows: np.ndarray[Any, Any]
) -> None:
    """Add rows to the rows of a contiguous target.

    ``add.at`` is fast for flat places alone (three times faster than for rows, and twice as fast as
    sorting and ``add.reduceat``: benchmarks/scatter_add.py), so rows are spelled out by element.
    """
    _check_range("scatter_add", places, len(target))
    width = target.shape[1]
    places = places.astype(np.intp, copy=False)  # a negative place counts from the end, flat as well
    flat, columns = target.reshape(-1), np.arange(width)
    step = max(1, _TILE // width)
    for start in range(0, len(places), step):
        some = places[start : start + step, None] * width + columns
        np.add.at(flat, some.reshape(-1), rows[start : start + step].reshape(-1))


def _add_in_order(xp: Any, target: Array, places: Array, rows: Array) -> None:
    """Add rows to the rows of a target on the GPU, with the same result on every run.

    CuPy's ``scatter_add`` adds in the order in which threads arrive. Here the rows are sorted by
    place and those of one place are summed in pairs, then pairs of pairs: log2(n) steps for n rows.
    """
    places = xp.where(places < 0, places + len(target), places)
    order = xp.argsort(places)
    places, rows = places[order], rows[order]
    is_first = xp.ones(places.shape, dtype=bool)
    is_first[1:] = places[1:] != places[:-1]
    starts = xp.flatnonzero(is_first)
    group = xp.cumsum(is_first) - 1
    position = xp.arange(places.size) - starts[group]  # 0, 1, 2, ... within each place
    # One wait for the device tells both how many steps there are and whether all places exist.
    last, low, high = xp.stack([position.max(), places[0], places[-1]]).tolist()
    length = target.shape[0]
    if low < 0 or high >= length:
        wrong = low - length if low < 0 else high
        raise IndexError(f"scatter_add: index {wrong} is out of range for an axis of size {length}")
    longest = last + 1
    step = 1
    while step < longest:
        same_place = group[step:] == group[:-step]
        takes = same_place & (position[:-step] % (2 * step) == 0)
        rows[:-step] += xp.where(takes[:, None], rows[step:], 0)
        step *= 2
    target[places[starts]] += rows[starts]
