"""Datasets: things with a length and numbered examples, or streams of examples.

The classes and their arguments are those of `torch.utils.data`.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from minillm.backend import Generator, default_generator

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Dataset(Generic[T_co]):
    """Numbered examples. A subclass gives ``__getitem__(index)`` and usually ``__len__()``.

    Example:
        >>> class Squares(Dataset[int]):
        ...     def __getitem__(self, index: int) -> int:
        ...         return index * index
        ...     def __len__(self) -> int:
        ...         return 4
        >>> both = Squares() + Squares()
        >>> len(both), both[5]
        (8, 1)
    """

    def __getitem__(self, index: int) -> T_co:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(index)")

    def __add__(self, other: Dataset[T]) -> ConcatDataset[T_co | T]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """A stream of examples. A subclass gives ``__iter__()``, which starts the stream anew.

    Example:
        >>> class Countdown(IterableDataset[int]):
        ...     def __iter__(self):
        ...         return iter([3, 2, 1])
        >>> list(Countdown() + Countdown())
        [3, 2, 1, 3, 2, 1]
    """

    def __getitem__(self, index: int) -> T_co:
        raise TypeError(
            f"{type(self).__name__} is an IterableDataset: it has no numbered examples, iterate it"
        )

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__()")

    def __add__(self, other: Dataset[Any]) -> ChainDataset[Any]:  # type: ignore[override]
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Any, ...]]):
    """Rows of one or several tensors (or arrays) that have the same first dimension.

    Args:
        *tensors: each of shape (num_examples, ...).

    Raises:
        ValueError: no tensor was given, one has no dimension, or their lengths differ.

    Example:
        >>> import numpy as np
        >>> pairs = TensorDataset(np.array([[1, 2], [3, 4]]), np.array([0, 1]))
        >>> row, label = pairs[1]
        >>> row.tolist(), int(label)
        ([3, 4], 1)
    """

    def __init__(self, *tensors: Any) -> None:
        if not tensors:
            raise ValueError("TensorDataset needs at least one tensor")
        shapes = [tuple(tensor.shape) for tensor in tensors]
        if any(not shape for shape in shapes) or len({shape[0] for shape in shapes}) > 1:
            raise ValueError(
                "TensorDataset: all tensors need the same first dimension (one row an example), "
                f"got shapes {', '.join(map(str, shapes))}"
            )
        self.tensors = tensors

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])


class StackDataset(Dataset[Any]):
    """Datasets side by side: each example is a tuple of one of each, or a dictionary where they have names.

    Args:
        *args: datasets of the same length.
        **kwargs: the same by name, in the place of ``args``.

    Raises:
        ValueError: no dataset, some with and some without a name, or other lengths.

    Example:
        >>> StackDataset("abc", [1, 2, 3])[1], StackDataset(text="abc", label=[1, 2, 3])[-1]
        (('b', 2), {'text': 'c', 'label': 3})
    """

    datasets: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        parts = args or tuple(kwargs.values())
        if not parts or (args and kwargs):
            raise ValueError("StackDataset needs datasets, all by name or none")
        lengths = [len(part) for part in parts]
        if len(set(lengths)) > 1:
            raise ValueError(f"StackDataset: all datasets need the same length, got {', '.join(map(str, lengths))}")
        self.datasets = kwargs or args

    def __getitem__(self, index: int) -> Any:
        if isinstance(self.datasets, dict):
            return {name: part[index] for name, part in self.datasets.items()}
        return tuple(part[index] for part in self.datasets)

    def __len__(self) -> int:
        parts = self.datasets.values() if isinstance(self.datasets, dict) else self.datasets
        return len(next(iter(parts)))


class Subset(Dataset[T_co]):
    """Some examples of a dataset, in the order of `indices`.

    Args:
        dataset: where the examples come from.
        indices: their numbers.

    Example:
        >>> list(Subset("abcdef", [4, 0]))
        ['e', 'a']
    """

    def __init__(self, dataset: Sequence[T_co] | Dataset[T_co], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: int) -> T_co:
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset[T_co]):
    """Datasets one after the other, numbered through.

    Args:
        datasets: at least one; none may be an `IterableDataset`.

    Raises:
        ValueError: no dataset was given.
        TypeError: one of them is an `IterableDataset`.

    Example:
        >>> both = ConcatDataset(["ab", "cde"])
        >>> both[2], both[-1], both.cumulative_sizes
        ('c', 'e', [2, 5])
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset needs at least one dataset")
        for dataset in self.datasets:
            if isinstance(dataset, IterableDataset):
                raise TypeError(
                    f"ConcatDataset needs numbered examples, and {type(dataset).__name__} is an "
                    "IterableDataset: use ChainDataset"
                )
        self.cumulative_sizes = list(itertools.accumulate(map(len, self.datasets)))

    def __getitem__(self, index: int) -> T_co:
        if not -len(self) <= index < len(self):
            raise IndexError(f"ConcatDataset has {len(self)} examples, got index {index}")
        index %= len(self)
        which = bisect.bisect_right(self.cumulative_sizes, index)
        start = self.cumulative_sizes[which - 1] if which else 0
        example: T_co = self.datasets[which][index - start]
        return example

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset[T_co]):
    """Streams one after the other.

    Args:
        datasets: `IterableDataset` or any iterables.

    Example:
        >>> list(ChainDataset([range(2), "ab"]))
        [0, 1, 'a', 'b']
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)

    def __iter__(self) -> Iterator[T_co]:
        return itertools.chain.from_iterable(self.datasets)

    def __len__(self) -> int:
        return sum(map(len, self.datasets))


def random_split(
    dataset: Any, lengths: Sequence[int | float], generator: Generator | None = None
) -> list[Subset[Any]]:
    """Split a dataset at random into parts that share no example.

    Args:
        dataset: anything with a length and numbered examples.
        lengths: sizes of the parts that add up to ``len(dataset)``, or shares that add up to 1;
            what rounding down leaves over goes to the parts in turn, as in PyTorch.
        generator: where the order comes from; None is the default generator.

    Returns:
        One `Subset` a part.

    Raises:
        ValueError: the sizes do not add up, or one is negative.

    Example:
        >>> parts = random_split(range(10), [0.7, 0.3], Generator(0))
        >>> [len(part) for part in parts], sorted([*parts[0], *parts[1]]) == list(range(10))
        ([7, 3], True)
    """
    size = len(dataset)
    if any(length < 0 for length in lengths):
        raise ValueError(f"random_split: lengths must not be negative, got {list(lengths)}")
    if math.isclose(sum(lengths), 1):
        counts = [math.floor(size * share) for share in lengths]
        for part in range(size - sum(counts)):
            counts[part % len(counts)] += 1
    else:
        counts = [int(length) for length in lengths]
        if sum(lengths) != size or counts != list(lengths):
            raise ValueError(
                f"random_split: lengths {list(lengths)} must add up to the {size} examples of the "
                "dataset, or be shares that add up to 1"
            )
    order = (generator or default_generator()).permutation(size, device="cpu").tolist()
    ends = itertools.accumulate(counts)
    return [Subset(dataset, order[end - count : end]) for count, end in zip(counts, ends, strict=True)]
