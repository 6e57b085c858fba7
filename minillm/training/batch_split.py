"""Gradients of a batch by threads: each computes those of a part of the batch, on one core.

    loss = sum_i share_i loss_i,   grad = sum_i share_i grad_i,   share_i = items of part i / items of the batch

Cutting the batch beats cutting each operation: a thread then works through the whole model on arrays half as large,
and waits for the others once a step instead of once an operation. NumPy and the compiled kernels let Python's lock
go while they compute. The parts are the same and are added in the same order each time, so a run repeats bit for
bit for the same number of threads; with another number the sums are rounded differently.
"""

from __future__ import annotations

import contextvars
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

import numpy as np

from minillm.autograd import enable_grad, grad
from minillm.autograd.versions import mark_written
from minillm.backend import (
    Generator,
    default_generator,
    generator_of_thread,
    get_num_threads,
    in_parts,
    set_num_threads,
)
from minillm.backend.references import ONE_REFERENCE
from minillm.ops import Tensor

__all__ = ["BatchSplit"]

_LARGE = 1 << 18  # numbers from which on threads share a sum


class BatchSplit:
    """Computes the gradients of batches with several threads.

    Args:
        parameters: whose gradients are computed; those that are frozen are left out.
        num_threads: parts that a batch is cut into; None for as many as :func:`minillm.get_num_threads` says.

    Modules must not write to themselves in their forward: the running averages of batch norm, for one, would be
    those of parts in an order left to chance.

    Raises:
        ValueError: ``num_threads`` is not positive.

    Example:
        >>> import minillm
        >>> from minillm import nn
        >>> layer = nn.Linear(3, 1)
        >>> x, y = minillm.ones(6, 3), minillm.zeros(6, 1)
        >>> with BatchSplit(layer.parameters(), num_threads=2) as split:
        ...     loss = split.backward(lambda x, y: nn.functional.mse_loss(layer(x), y), x, y)
        >>> loss == nn.functional.mse_loss(layer(x), y).item()
        True
        >>> layer.weight.grad.shape
        (1, 3)
    """

    def __init__(self, parameters: Any, num_threads: int | None = None) -> None:
        num_threads = get_num_threads() if num_threads is None else num_threads
        if num_threads < 1:
            raise ValueError(f"BatchSplit: num_threads is {num_threads}; it needs to be positive")
        self.parameters = [p for p in parameters if p.requires_grad]
        self.num_threads = num_threads
        self._pool = ThreadPoolExecutor(max(num_threads - 1, 1), thread_name_prefix="minillm-batch")

    def __enter__(self) -> BatchSplit:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def backward(
        self,
        loss_of: Callable[..., Tensor],
        *batch: Any,
        count: Callable[..., float] | None = None,
        generator: Generator | None = None,
        scale: float = 1.0,
    ) -> float:
        """Add the gradients of the mean loss of a batch to ``grad`` of the parameters, and return that loss.

        Args:
            loss_of: takes a part of each array of the batch and returns the mean loss of its items, a tensor.
            batch: tensors or arrays whose first dimension is that of the batch.
            count: takes a part of each, and returns how many items its mean is over; by default, its length.
            generator: what dropout draws from, a stream of its own for each part; by default, one that starts
                where the default generator is.
            scale: of the gradients, not of the loss that is returned.

        Raises:
            ValueError: the batch is empty, or its arrays differ in length.
            Whatever ``loss_of`` raises; no gradient is changed then.
        """
        parts = self._parts(batch)
        weights = [len(part[0]) if count is None else count(*part) for part in parts]
        total = sum(weights) or 1
        shares = [weight / total for weight in weights]
        if generator is None:
            generator = Generator(default_generator().integers(0, 2**63 - 1, (), device="cpu").item())

        def gradients(i: int) -> tuple[float, Sequence[Any]]:
            stream = generator.at(f"part {i} of the batch")
            with generator_of_thread(stream), enable_grad():
                loss = loss_of(*parts[i])
                share = shares[i] * scale
                scaled = loss if share == 1 else loss * share
                return loss.item(), grad(scaled, self.parameters, allow_unused=True)

        with _one_thread_each():
            running = [
                self._pool.submit(contextvars.copy_context().run, gradients, i) for i in range(1, len(parts))
            ]
            try:
                first = gradients(0)
            finally:
                wait(running)
        results = [first, *(future.result() for future in running)]
        self._add([grads for _, grads in results])
        return sum(share * loss for share, (loss, _) in zip(shares, results, strict=True))

    def _parts(self, batch: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Cut the arrays of a batch into equal parts, or nearly so."""
        lengths = {len(array) for array in batch}
        if len(lengths) != 1 or 0 in lengths:
            found = ", ".join(map(str, sorted(lengths))) or "nothing"
            raise ValueError(
                f"BatchSplit.backward: got a batch of {found} items; it needs arrays of one length above 0"
            )
        (length,) = lengths
        number = min(self.num_threads, length)
        bounds = [length * i // number for i in range(number + 1)]
        return [tuple(x[i:j] for x in batch) for i, j in itertools.pairwise(bounds)]

    def _add(self, gradients: list[Sequence[Any]]) -> None:
        """Add up the gradients of all parts, in the order of the parts."""
        for parameter, *parts in zip(self.parameters, *gradients, strict=True):
            there = [part for part in (parameter.grad, *parts) if part is not None]
            if not there:
                continue
            total, *rest = there
            array = total.array
            alone = array.base is None and sys.getrefcount(array) == ONE_REFERENCE + 1  # of the tensor
            if not (alone or (total is parameter.grad and not total.requires_grad)):
                total = total.clone()  # the engine may have given one array to two parameters
            for part in rest:
                _add_in_place(total.array, part.array)
            mark_written((total,))
            parameter.grad = total


def _add_in_place(total: Any, part: Any) -> None:
    """Add a gradient to another in its memory; the threads share the rows of large ones."""
    if type(total) is np.ndarray and total.ndim and total.size >= _LARGE:
        in_parts(lambda rows: np.add(total[rows], part[rows], out=total[rows]), len(total), 1)
    else:
        total += part


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let each thread's matrix products use that thread alone."""
    before = get_num_threads()
    set_num_threads(1)
    try:
        yield
    finally:
        set_num_threads(before)
