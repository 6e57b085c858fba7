"""How many threads the CPU's work may use: matrix products, and loops that are cut into parts.

NumPy's wheels carry OpenBLAS, which uses every core by default and lets the threads of a product wait for each
other in a loop. Small products gain little from that, and on a machine with other work to do they lose much: here
a training step of a GPT 128 wide took 5 times as long on two threads as on one when two other processes ran.
"""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["get_num_threads", "in_parts", "set_num_threads"]


def set_num_threads(number: int) -> None:
    """Let matrix products and compiled loops on the CPU use so many threads, from now on.

    Where NumPy was built with another library than OpenBLAS, its products do not change; set that library's
    environment variable before Python starts, such as ``OMP_NUM_THREADS``.

    Raises:
        ValueError: the number is not positive.
        TypeError: it is no whole number.

    Example:
        >>> from minillm.backend import get_num_threads, set_num_threads
        >>> before = get_num_threads()
        >>> set_num_threads(1)
        >>> set_num_threads(before)
    """
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"set_num_threads: expects a whole number, got {number!r}")
    if number < 1:
        raise ValueError(f"set_num_threads: expects a positive number, got {number}")
    global _number
    with _lock:
        _number = number
        if not _num_cut:
            _apply(number)


def get_num_threads() -> int:
    """Return how many threads matrix products and compiled loops on the CPU may use.

    Before :func:`set_num_threads` is called, that is what OpenBLAS took from the environment, or the number of cores.
    """
    global _number
    if _number is None:
        controls = _controls()
        _number = int(controls[0]()) if controls else os.cpu_count() or 1
    return _number


def tell_number_of_threads(limit: Callable[[int], None]) -> None:
    """Call ``limit`` with the number of threads, now and whenever it changes."""
    _limits.append(limit)
    limit(1 if _num_cut else get_num_threads())


def _apply(number: int) -> None:
    if controls := _controls():
        controls[1](number)
    for limit in _limits:
        limit(number)


def in_parts(work: Callable[[slice], Any], count: int, least: int) -> None:
    """Call ``work`` with slices that cover ``count`` items, one for each thread, at the same time.

    The work must write to places of its own part alone and spend its time where Python's lock is free: in compiled
    loops, or in NumPy on large arrays. Within a part, further calls are not cut again, and a matrix product takes
    one thread.

    Args:
        work: called with ``slice(start, stop)``.
        count: the number of items.
        least: the fewest items that are worth a thread; handing a part over takes some 20 microseconds.

    Raises:
        Whatever ``work`` raises, of the first part that failed, after all have ended.

    Example:
        >>> import numpy as np
        >>> x, y = np.arange(6.0), np.empty(6)
        >>> in_parts(lambda part: np.exp(x[part], out=y[part]), len(x), least=2)
        >>> bool((y == np.exp(x)).all())
        True
    """
    num_parts = min(get_num_threads(), count // max(least, 1))
    if num_parts <= 1 or getattr(_inside, "a_part", False):
        if count:
            work(slice(0, count))
        return
    bounds = [count * i // num_parts for i in range(num_parts + 1)]
    first, *others = (slice(i, j) for i, j in itertools.pairwise(bounds))
    pool = _pool(num_parts - 1)
    with _one_thread_each():
        # A context carries NumPy's error state and buffer size over to the other thread.
        running = [pool.submit(contextvars.copy_context().run, _part, work, part) for part in others]
        try:
            _part(work, first)
        finally:
            wait(running)
    for future in running:
        future.result()


_inside = threading.local()


def _part(work: Callable[[slice], Any], part: slice) -> None:
    _inside.a_part = True
    try:
        work(part)
    finally:
        _inside.a_part = False


# There is one number for the whole process: the first call that is cut sets it to 1, the last one back.
_lock = threading.Lock()
_number: int | None = None
_num_cut = 0  # calls of in_parts that are running in parts
_limits: list[Callable[[int], None]] = []


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    global _num_cut
    with _lock:
        if not _num_cut:
            _apply(1)
        _num_cut += 1
    try:
        yield
    finally:
        with _lock:
            _num_cut = max(_num_cut - 1, 0)
            if not _num_cut:
                _apply(get_num_threads())


@functools.cache
def _pool(size: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(size, thread_name_prefix="minillm-part")


def _start_anew() -> None:
    """Forget the threads of the parent process, which a child has none of."""
    global _lock, _num_cut
    _pool.cache_clear()
    _lock = threading.Lock()
    if _num_cut and (controls := _controls()):
        controls[1](get_num_threads())
    _num_cut = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


@functools.lru_cache
def has_small_products() -> bool:
    """Return whether OpenBLAS multiplies small matrices without copying them first, as on AVX-512.

    Example:
        >>> from minillm.backend.threads import has_small_products
        >>> has_small_products() in (True, False)
        True
    """
    for library in openblas():
        for name in ("scipy_openblas_get_corename64_", "scipy_openblas_get_corename", "openblas_get_corename64_",
                     "openblas_get_corename"):  # fmt: skip
            if hasattr(library, name):
                core = getattr(library, name)
                core.restype = ctypes.c_char_p
                return core() in (b"SkylakeX", b"Cooperlake", b"SapphireRapids")
    return False


@functools.lru_cache
def _controls() -> tuple[Callable[[], Any], Callable[[int], Any]] | None:
    """Return OpenBLAS's functions that tell and set the number of threads, None where there are none."""
    for library in openblas():
        for name in ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads",
                     "openblas_{}_num_threads64_", "openblas_{}_num_threads"):  # fmt: skip
            try:
                return library[name.format("get")], library[name.format("set")]
            except AttributeError:
                continue
    return None


def openblas() -> Iterator[ctypes.CDLL]:
    """Yield NumPy's own copies of OpenBLAS."""
    home = Path(np.__file__).parent
    for folder in (home.parent / "numpy.libs", home / ".dylibs"):
        for path in sorted(folder.glob("*openblas*")):
            try:
                yield ctypes.CDLL(str(path))  # NumPy has loaded it: this gives the same copy
            except OSError:
                continue
