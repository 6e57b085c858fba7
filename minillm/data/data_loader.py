"""`DataLoader`: batches of a dataset, in order or shuffled, resumable in the middle of an epoch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from minillm.backend import Generator, default_generator
from minillm.data.collate import default_collate, default_convert
from minillm.data.dataset import IterableDataset
from minillm.data.prefetch import prefetch
from minillm.data.sampler import BatchSampler, RandomSampler, SequentialSampler


class DataLoader:
    """Gives the examples of a dataset in batches; iterate it once for each epoch.

    The arguments are those of `torch.utils.data.DataLoader`. Each new iteration is a new epoch
    with an order of its own, drawn from the generator's seed and the epoch's number.

    A run that was cut off goes on where it was: store `state_dict()` with the checkpoint, call
    `load_state_dict` on a new loader, and the next iteration gives the batches that were left of
    that epoch, then whole epochs. With a sampler of your own that draws at random, this holds if
    it has ``set_epoch(epoch)`` and gives the same order for the same epoch.

    Args:
        dataset: a `Dataset` or anything with a length and numbered examples, or an
            `IterableDataset`.
        batch_size: examples in a batch; None gives single examples, not joined.
        shuffle: visit the examples in a new random order each epoch.
        sampler: the order, in place of `shuffle`.
        batch_sampler: gives lists of example numbers, such as `BucketBatchSampler`; in place of
            `batch_size`, `shuffle`, `sampler` and `drop_last`.
        num_workers: above 0, one thread prepares batches ahead (``prefetch_factor * num_workers``
            of them). Threads share memory, so there is never more than one, and it helps where
            examples come from files or from NumPy, which let go of Python's lock.
        collate_fn: makes a batch of a list of examples; `default_collate` by default.
        pin_memory: accepted for programs written for PyTorch; without effect.
        drop_last: leave out the last batch when it is smaller.
        timeout: seconds to wait for a batch from the thread; 0 waits for ever.
        worker_init_fn: called in the thread with 0, the number of the worker, before it starts.
        generator: where the order comes from; None is the default generator.
        prefetch_factor: see `num_workers`; 2 by default.
        persistent_workers: accepted for programs written for PyTorch; without effect.

    Raises:
        ValueError: arguments that contradict each other, or a size out of range.

    Example:
        >>> loader = DataLoader("abcde", batch_size=2, shuffle=True, generator=Generator(0))
        >>> [len(batch) for batch in loader], len(loader)
        ([2, 2, 1], 3)
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[list[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
    ) -> None:
        if num_workers < 0:
            raise ValueError(f"DataLoader: num_workers must not be negative, got {num_workers}")
        if timeout < 0:
            raise ValueError(f"DataLoader: timeout must not be negative, got {timeout}")
        if prefetch_factor is not None and (num_workers == 0 or prefetch_factor < 1):
            raise ValueError("DataLoader: prefetch_factor must be positive and needs num_workers")
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: give either sampler or shuffle, not both")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError(
                "DataLoader: batch_sampler stands in place of batch_size, shuffle, sampler and drop_last"
            )
        self._streams = isinstance(dataset, IterableDataset)
        if self._streams and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError(
                "DataLoader: an IterableDataset has no numbered examples, so shuffle, sampler and "
                "batch_sampler do not apply"
            )
        if batch_size is None and drop_last:
            raise ValueError("DataLoader: batch_size=None makes no batches, so drop no last one")
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"DataLoader: batch_size must be positive, got {batch_size}")

        self.dataset = dataset
        self.batch_size = None if batch_sampler is not None else batch_size
        self.drop_last = drop_last
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.prefetch_factor = 2 if prefetch_factor is None else prefetch_factor
        self.persistent_workers = persistent_workers
        self.generator = generator
        self.sampler: Any = None
        self.batch_sampler: Any = batch_sampler
        if not self._streams and batch_sampler is None:
            self.sampler = sampler
            if sampler is None and shuffle:
                self.sampler = RandomSampler(dataset, generator=generator)
            elif sampler is None:
                self.sampler = SequentialSampler(dataset)
            if batch_size is not None:
                self.batch_sampler = BatchSampler(self.sampler, batch_size, drop_last)
        batched = self.batch_sampler is not None or (self._streams and batch_size is not None)
        self._batched = batched
        self.collate_fn: Callable[[Any], Any] = collate_fn or (
            default_collate if batched else default_convert
        )
        self._next_epoch = 0  # of the next iteration
        self._skip = 0  # batches that the next iteration leaves out, after load_state_dict
        self._place = (0, 0)  # epoch, batches given: where the newest iteration stands

    def __len__(self) -> int:
        """The number of batches in an epoch.

        Raises:
            TypeError: the dataset is a stream of unknown length.
        """
        if self._streams:
            size = len(self.dataset)
            if self.batch_size is None:
                return size
            return size // self.batch_size if self.drop_last else -(-size // self.batch_size)
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)

    def __iter__(self) -> Iterator[Any]:
        epoch, skip = self._next_epoch, self._skip
        self._next_epoch, self._skip = epoch + 1, 0
        self._place = (epoch, skip)
        return self._epoch(epoch, skip)

    def _epoch(self, epoch: int, skip: int) -> Iterator[Any]:
        batches = self._batches(epoch, skip)
        if self.num_workers:
            ahead = self.prefetch_factor * self.num_workers
            batches = prefetch(batches, ahead, self.timeout, self._start_worker)
        given = skip
        for batch in batches:
            given += 1
            self._place = (epoch, given)
            yield batch
        self._place = (epoch + 1, 0)

    def _start_worker(self) -> None:
        if self.worker_init_fn is not None:
            self.worker_init_fn(0)

    def _batches(self, epoch: int, skip: int) -> Iterator[Any]:
        """The batches of an epoch from number `skip` on, those before it never loaded."""
        if self._streams:
            for examples in itertools.islice(self._streamed(), skip, None):
                yield self.collate_fn(examples)
            return
        order = self.sampler if self.batch_sampler is None else self.batch_sampler
        if hasattr(order, "set_epoch"):
            order.set_epoch(epoch)
        fetch_many = getattr(self.dataset, "__getitems__", None)
        for index in itertools.islice(iter(order), skip, None):
            if not self._batched:
                yield self.collate_fn(self.dataset[index])
            elif fetch_many is not None:
                yield self.collate_fn(fetch_many(index))
            else:
                yield self.collate_fn([self.dataset[i] for i in index])

    def _streamed(self) -> Iterator[Any]:
        stream = iter(self.dataset)
        if self.batch_size is None:
            yield from stream
            return
        while examples := list(itertools.islice(stream, self.batch_size)):
            if len(examples) == self.batch_size or not self.drop_last:
                yield examples

    def state_dict(self) -> dict[str, Any]:
        """Return where the newest iteration stands: a small dict that JSON can hold.

        It counts the batches that were handed out, not those prepared ahead; call it when the
        last batch handed out has been dealt with.
        """
        epoch, batches = self._place
        return {
            "epoch": epoch,
            "batches": batches,
            "num_examples": None if self._streams else len(self.dataset),
            "batch_size": self.batch_size,
            "generator": self._order_generator().get_state(),
        }

    def _random_samplers(self) -> list[Any]:
        """The samplers, of this loader's own making or given, that draw from a generator."""
        samplers = (self.sampler, self.batch_sampler, getattr(self.batch_sampler, "sampler", None))
        return [sampler for sampler in samplers if hasattr(sampler, "generator")]

    def _order_generator(self) -> Generator:
        for sampler in self._random_samplers():
            if sampler.generator is not None:
                return sampler.generator  # type: ignore[no-any-return]
        return self.generator or default_generator()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Make the next iteration go on where `state_dict` was called.

        The orders of that run are restored, whatever this loader's generator was. A stream is
        read from its start, and the examples that were given are passed over.

        Raises:
            ValueError: the state is of a loader with another batch size or number of examples.
        """
        mine = self.state_dict()
        if state.keys() != mine.keys():
            raise ValueError(f"DataLoader.load_state_dict: needs {sorted(mine)}, got {sorted(state)}")
        for name in ("num_examples", "batch_size"):
            if state[name] != mine[name]:
                raise ValueError(
                    f"DataLoader.load_state_dict: the stored run had {name}={state[name]}, this "
                    f"loader has {mine[name]}: its epoch cannot be continued"
                )
        generator = Generator(0)
        generator.set_state(state["generator"])
        self.generator = generator
        for sampler in self._random_samplers():
            sampler.generator = generator
        self._next_epoch, self._skip = state["epoch"], state["batches"]
        self._place = (self._next_epoch, self._skip)
