"""Running an iterator ahead in a thread, so that the next batch is ready when it is asked for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

_END = object()


class _Raised:
    """An exception on its way from the thread to the reader."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def prefetch(
    items: Iterable[T],
    ahead: int = 2,
    timeout: float = 0,
    start: Callable[[], Any] | None = None,
) -> Iterator[T]:
    """Yield the items of an iterable, computed ahead of time in a thread.

    An exception in the thread is raised here, at the place in the order where it happened, with
    the traceback of the thread. When this iterator is closed or collected early, the thread ends
    after the item it is at.

    Args:
        items: the iterable, iterated in the thread.
        ahead: how many items may wait at most.
        timeout: seconds to wait for an item before giving up; 0 waits for ever.
        start: called in the thread before the first item.

    Raises:
        ValueError: `ahead` is not positive.
        RuntimeError: an item took longer than `timeout` seconds.

    Example:
        >>> list(prefetch(x * x for x in range(4)))
        [0, 1, 4, 9]
    """
    if ahead < 1:
        raise ValueError(f"prefetch: ahead must be positive, got {ahead}")
    return _prefetch(items, ahead, timeout, start)


def _prefetch(items: Iterable[T], ahead: int, timeout: float, start: Callable[[], Any] | None) -> Iterator[T]:
    ready: queue.Queue[Any] = queue.Queue(maxsize=ahead)
    stopped = threading.Event()

    def produce() -> None:
        last: object = _END
        try:
            if start is not None:
                start()
            for item in items:
                ready.put(item)
                if stopped.is_set():
                    return
        except BaseException as error:  # whatever it is, the reader must hear of it
            last = _Raised(error)
        ready.put(last)

    thread = threading.Thread(target=produce, name="minillm prefetch", daemon=True)
    thread.start()
    try:
        while True:
            try:
                item = ready.get(timeout=timeout or None)
            except queue.Empty:
                raise RuntimeError(f"DataLoader: no batch came within timeout={timeout} seconds") from None
            if item is _END:
                return
            if isinstance(item, _Raised):
                try:
                    raise item.error
                finally:
                    del item  # or this frame and the error's traceback would hold each other
            yield item
    finally:
        stopped.set()
        # The thread puts at most one more item, or its end, once it is told to stop: make room.
        while True:
            try:
                ready.get_nowait()
            except queue.Empty:
                break
        thread.join(timeout=1.0)  # a thread stuck in its dataset is left behind, as a daemon
