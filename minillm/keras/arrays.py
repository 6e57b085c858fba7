"""What ``fit``, ``evaluate`` and ``predict`` take: arrays with a row for each example, cut into batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from minillm.backend import is_array, to_numpy
from minillm.data import BatchSampler, RandomSampler
from minillm.ops import Tensor

HostArray = npt.NDArray[Any]


class Rows(NamedTuple):
    """Examples, targets and weights, with as many rows each; the latter two may be missing."""

    x: HostArray
    y: HostArray | None = None
    weight: HostArray | None = None

    def take(self, index: Any) -> Rows:
        """Return the rows of an index."""
        y = None if self.y is None else self.y[index]
        return Rows(self.x[index], y, None if self.weight is None else self.weight[index])

    def batches(self, batch_size: int, order: int | None = None) -> Iterator[Rows]:
        """Yield batches, in order, or in the random order of this number."""
        count = len(self.x)
        if order is None:
            for start in range(0, count, batch_size):
                yield self.take(slice(start, start + batch_size))
            return
        sampler = RandomSampler(range(count))
        sampler.set_epoch(order)
        for index in BatchSampler(sampler, batch_size, drop_last=False):
            yield self.take(np.asarray(index))


def as_array(operation: str, name: str, value: Any) -> HostArray:
    """Return an array of the host.

    Raises:
        ValueError: the value holds no numbers in rows of equal length.
    """
    if isinstance(value, Tensor):
        value = value.detach().array
    if is_array(value):
        return to_numpy(value)
    if hasattr(value, "to_numpy"):  # a table's column
        value = value.to_numpy()
    if isinstance(value, (list, tuple)) and len(value) == 1 and getattr(value[0], "ndim", 0) > 1:
        value = value[0]  # a list of the model's one input, as Keras takes it too
    if not isinstance(value, (list, tuple)) and not hasattr(value, "__array__"):
        raise ValueError(f"{operation}: got {type(value).__name__} for {name}; it needs an array or a list of rows")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{operation}: {name} has rows of different lengths; pad_sequences evens them") from error
    if array.dtype.kind not in "biuf" or array.ndim == 0:
        raise ValueError(f"{operation}: {name} holds {array.dtype} of shape {array.shape}; it needs rows of numbers")
    return array


def rows_of(
    operation: str,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    class_weight: Mapping[Any, float] | None = None,
    needs_y: bool = True,
) -> Rows:
    """Return checked examples.

    Raises:
        ValueError: no examples, no targets, or different numbers of them.
    """
    rows = Rows(as_array(operation, "x", x))
    if needs_y and y is None:
        raise ValueError(f"{operation}: got no y; a loss needs targets")
    if y is not None:
        rows = rows._replace(y=as_array(operation, "y", y))
    if sample_weight is not None:
        rows = rows._replace(weight=as_array(operation, "sample_weight", sample_weight))
    if class_weight is not None:
        if sample_weight is not None:
            raise ValueError(f"{operation}: give class_weight or sample_weight, not both")
        rows = rows._replace(weight=weights_of_classes(rows.y, class_weight))
    for name, array in (("y", rows.y), ("sample_weight", rows.weight)):
        if array is not None and len(array) != len(rows.x):
            raise ValueError(f"{operation}: x has {len(rows.x)} examples, {name} has {len(array)}; they need as many")
    if not len(rows.x):
        raise ValueError(f"{operation}: got no examples: x has the shape {rows.x.shape}")
    return rows


def weights_of_classes(y: Any, class_weight: Mapping[Any, float]) -> HostArray:
    """Return the weight of each example's class; 1 for classes without one.

    Example:
        >>> weights_of_classes(np.array([0, 1, 2]), {0: 0.5, 1: 2.0}).tolist()
        [0.5, 2.0, 1.0]
    """
    classes = y.argmax(-1) if y.ndim > 1 and y.shape[-1] != 1 else y.reshape(len(y))
    numbers = np.round(classes).astype(int)
    return np.array([class_weight.get(int(number), 1.0) for number in numbers], np.float32)


def split(rows: Rows, share: float) -> tuple[Rows, Rows]:
    """Return the first rows, and the last ``share`` of them for validation.

    Raises:
        ValueError: one of both would be empty.
    """
    if not 0 < share < 1:
        raise ValueError(f"fit: got validation_split={share!r}; it needs a number between 0 and 1")
    place = math.floor(len(rows.x) * (1 - share))
    if place in (0, len(rows.x)):
        raise ValueError(f"fit: validation_split={share} of {len(rows.x)} examples leaves one part empty")
    return rows.take(slice(0, place)), rows.take(slice(place, None))
