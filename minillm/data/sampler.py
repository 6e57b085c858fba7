"""Samplers: the order in which a `DataLoader` visits the examples of a dataset.

Random orders are drawn from (seed, stream, epoch): every epoch has an order of its own, and the
order of epoch 3 is the same whether or not epochs 0 to 2 were run before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np

from minillm.backend import Generator, default_generator

T_co = TypeVar("T_co", covariant=True)


class Sampler(Generic[T_co]):
    """An iterable of example numbers, or of lists of them for a batch sampler.

    A sampler whose order changes from epoch to epoch has a method ``set_epoch(epoch)``, which
    `DataLoader` calls before it asks for the order.
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__()")


class SequentialSampler(Sampler[int]):
    """0, 1, 2, ... in order.

    Args:
        data_source: the dataset, of which only the length is used.

    Example:
        >>> list(SequentialSampler("abc"))
        [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class _EpochSampler(Sampler[T_co]):
    """What the random samplers share: a generator, and an epoch that moves on by itself."""

    def __init__(self, generator: Generator | None, stream: str) -> None:
        self.generator = generator
        self.epoch = 0
        self._stream = stream

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration gives."""
        self.epoch = epoch

    def _draws(self) -> Generator:
        """The generator at the start of this epoch; the next call gives the next epoch's."""
        draws = (self.generator or default_generator()).at(self._stream, self.epoch)
        self.epoch += 1
        return draws


class RandomSampler(_EpochSampler[int]):
    """Every example once, in random order, or `num_samples` drawn with replacement.

    Args:
        data_source: the dataset, of which only the length is used.
        replacement: draw with replacement.
        num_samples: how many to draw, by default as many as there are examples. Without
            replacement, more than there are means going round again in a new order.
        generator: where the order comes from; None is the default generator.

    Raises:
        ValueError: `num_samples` is not positive, or there is nothing to draw from.

    Example:
        >>> sampler = RandomSampler(range(5), generator=Generator(0))
        >>> sorted(sampler), len(sampler)
        ([0, 1, 2, 3, 4], 5)
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(generator, "random sampler")
        if num_samples is not None and num_samples < 1:
            raise ValueError(f"RandomSampler: num_samples must be positive, got {num_samples}")
        if num_samples is not None and len(data_source) == 0:
            raise ValueError(f"RandomSampler: cannot draw {num_samples} samples from no examples")
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples

    @property
    def num_samples(self) -> int:
        """How many example numbers an epoch gives."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        size, wanted, draws = len(self.data_source), self.num_samples, self._draws()
        if size == 0:
            return
        if self.replacement:
            yield from draws.integers(0, size, (wanted,), device="cpu").tolist()
            return
        while wanted > 0:
            yield from draws.permutation(size, device="cpu")[:wanted].tolist()
            wanted -= size

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(_EpochSampler[int]):
    """Some example numbers, once each, in random order.

    Args:
        indices: the numbers.
        generator: where the order comes from; None is the default generator.

    Example:
        >>> sampler = SubsetRandomSampler([3, 5, 7], generator=Generator(0))
        >>> sorted(sampler), len(sampler)
        ([3, 5, 7], 3)
    """

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        super().__init__(generator, "subset random sampler")
        self.indices = indices

    def __iter__(self) -> Iterator[int]:
        order = self._draws().permutation(len(self.indices), device="cpu").tolist()
        return (self.indices[place] for place in order)

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(_EpochSampler[int]):
    """Example numbers drawn with given probabilities, for classes of very different size.

    Args:
        weights: one weight an example, not negative; they need not add up to 1.
        num_samples: how many to draw.
        replacement: draw with replacement. Without it, the draw is that of one after the other,
            each with probability in proportion to the weights of those left (done at once by
            sorting exponential times, Efraimidis and Spirakis 2006).
        generator: where the draws come from; None is the default generator.

    Raises:
        ValueError: a weight is negative or not finite, all are zero, or without replacement
            fewer than `num_samples` are above zero.

    Example:
        >>> sampler = WeightedRandomSampler([0.0, 1.0, 3.0], 1000, generator=Generator(0))
        >>> drawn = list(sampler)
        >>> drawn.count(0), 700 < drawn.count(2) < 800
        (0, True)
    """

    def __init__(
        self,
        weights: Sequence[float] | Any,
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(generator, "weighted random sampler")
        self.weights = np.asarray(weights, dtype=np.float64)
        name = "WeightedRandomSampler"
        if self.weights.ndim != 1:
            raise ValueError(f"{name}: weights must be a row, got shape {self.weights.shape}")
        if not np.isfinite(self.weights).all() or (self.weights < 0).any():
            raise ValueError(f"{name}: weights must be finite and not negative")
        if num_samples < 1:
            raise ValueError(f"{name}: num_samples must be positive, got {num_samples}")
        possible = int(np.count_nonzero(self.weights))
        if possible == 0:
            raise ValueError(f"{name}: all weights are zero")
        if not replacement and possible < num_samples:
            raise ValueError(
                f"{name}: {num_samples} samples without replacement need as many weights above "
                f"zero, got {possible}"
            )
        self.num_samples = num_samples
        self.replacement = replacement

    def __iter__(self) -> Iterator[int]:
        draws = self._draws()
        if self.replacement:
            cumulative = np.cumsum(self.weights)
            uniform = draws.uniform((self.num_samples,), dtype=np.float64, device="cpu")
            drawn = np.searchsorted(cumulative, uniform * cumulative[-1], side="right")
            # Rounding may reach the total, beyond the last example that can be drawn.
            drawn = np.minimum(drawn, np.flatnonzero(self.weights)[-1])
        else:
            possible = np.flatnonzero(self.weights)
            uniform = draws.uniform((len(possible),), dtype=np.float64, device="cpu")
            times = -np.log1p(-uniform) / self.weights[possible]  # the first to arrive is drawn
            drawn = possible[np.argsort(times, kind="stable")[: self.num_samples]]
        return iter(drawn.tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Groups the numbers of another sampler into batches.

    Args:
        sampler: gives example numbers.
        batch_size: how many make a batch.
        drop_last: leave out the last batch when it is smaller.

    Raises:
        ValueError: `batch_size` is not positive.

    Example:
        >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
        [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        _check_batch_size("BatchSampler", batch_size)
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def set_epoch(self, epoch: int) -> None:
        """Pass the epoch on to the sampler below."""
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch(epoch)

    def __iter__(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        size = len(self.sampler)  # type: ignore[arg-type]
        return size // self.batch_size if self.drop_last else -(-size // self.batch_size)


class BucketBatchSampler(_EpochSampler[list[int]]):
    """Batches of examples of about the same length, so that little is padded.

    The examples are shuffled, cut into pools of ``batch_size * pool_batches``, each pool is sorted
    by length and cut into batches, and the batches are shuffled. Every example comes once an
    epoch, with other neighbours each time. A larger pool pads less and mixes less.

    Args:
        lengths: the length of each example, such as its number of tokens.
        batch_size: examples in a batch.
        shuffle: with False, sort all examples by length once, the longest first, so that a batch
            too large for memory shows itself at once.
        drop_last: leave out the one batch that is smaller.
        pool_batches: how many batches a pool holds.
        generator: where the order comes from; None is the default generator.

    Raises:
        ValueError: a size is not positive.

    Example:
        >>> sampler = BucketBatchSampler([5, 1, 4, 2], batch_size=2, shuffle=False)
        >>> list(sampler)
        [[0, 2], [3, 1]]
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        shuffle: bool = True,
        drop_last: bool = False,
        pool_batches: int = 50,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(generator, "bucket sampler")
        _check_batch_size("BucketBatchSampler", batch_size)
        if pool_batches < 1:
            raise ValueError(f"BucketBatchSampler: pool_batches must be positive: {pool_batches}")
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.pool_batches = pool_batches

    def __iter__(self) -> Iterator[list[int]]:
        size = len(self.lengths)
        if not self.shuffle:
            return iter(self._cut(np.argsort(-self.lengths, kind="stable")))
        draws = self._draws()
        order, pool = draws.permutation(size, device="cpu"), self.batch_size * self.pool_batches
        batches: list[list[int]] = []
        for start in range(0, size, pool):
            members = order[start : start + pool]
            batches += self._cut(members[np.argsort(self.lengths[members], kind="stable")])
        return iter([batches[i] for i in draws.permutation(len(batches), device="cpu").tolist()])

    def _cut(self, order: np.ndarray[Any, Any]) -> list[list[int]]:
        numbers = order.tolist()
        batches = [
            numbers[start : start + self.batch_size] for start in range(0, len(numbers), self.batch_size)
        ]
        if self.drop_last and batches and len(batches[-1]) < self.batch_size:
            batches.pop()
        return batches

    def __len__(self) -> int:
        size = len(self.lengths)
        return size // self.batch_size if self.drop_last else -(-size // self.batch_size)


def _check_batch_size(name: str, batch_size: object) -> None:
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"{name}: batch_size must be a positive integer, got {batch_size!r}")
