"""Encoding many texts in several processes, in order, with bounded memory."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import warnings
from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minillm.tokenizers.base import Tokenizer

#: Characters that a process gets at a time: enough that handing them over costs little.
CHUNK = 1 << 18

#: The tokenizer and the options of `encode`, in the processes that work for `encode_all`.
_work: tuple[Tokenizer, dict[str, Any]]


def encode_all(
    tokenizer: Tokenizer, texts: Iterable[str], num_workers: int, options: dict[str, Any]
) -> Iterator[list[int]]:
    """Yield the ids of each text, encoded by `num_workers` processes.

    At most two chunks of texts for each process are read ahead. An error is that of the first
    text that makes one, after the ids of all texts before it.
    """
    # A forked process has the tokenizer without copying it; only on Linux is forking safe.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    pool = ProcessPoolExecutor(num_workers, context, initializer=_begin, initargs=(tokenizer, options))
    waiting: deque[Future[list[bytes]]] = deque()
    try:
        for chunk in _chunks(texts):
            waiting.append(_submit(pool, chunk))
            if len(waiting) > 2 * num_workers:
                yield from map(_to_ids, waiting.popleft().result())
        while waiting:
            yield from map(_to_ids, waiting.popleft().result())
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, chunk: list[str]) -> Future[list[bytes]]:
    with warnings.catch_warnings():
        # Other threads may run; the new processes use nothing that these can hold.
        warnings.filterwarnings("ignore", message=".*multi-threaded.*", category=DeprecationWarning)
        return pool.submit(_encode, chunk)


def _chunks(texts: Iterable[Any]) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for text in texts:
        chunk.append(text)
        size += len(text) if isinstance(text, str) else 1
        if size >= CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _begin(tokenizer: Tokenizer, options: dict[str, Any]) -> None:
    global _work
    _work = tokenizer, options
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits for us


def _encode(texts: list[str]) -> list[bytes]:
    tokenizer, options = _work
    return [array("I", tokenizer.encode(text, **options)).tobytes() for text in texts]


def _to_ids(data: bytes) -> list[int]:
    return array("I", data).tolist()
