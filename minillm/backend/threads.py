"""How many threads the matrix products of the CPU may use.

NumPy's wheels carry OpenBLAS, which uses every core by default and lets the threads of a product wait for each
other in a loop. Small products gain little from that, and on a machine with other work to do they lose much: here
a training step of a GPT 128 wide took 5 times as long on two threads as on one when two other processes ran.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["get_num_threads", "set_num_threads"]


def set_num_threads(number: int) -> None:
    """Let matrix products on the CPU use so many threads, from now on.

    Where NumPy was built with another library than OpenBLAS, nothing changes; set that library's environment
    variable before Python starts, such as ``OMP_NUM_THREADS``.

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
    if controls := _controls():
        controls[1](number)


def get_num_threads() -> int:
    """Return how many threads matrix products on the CPU may use; the number of cores where none can tell."""
    if controls := _controls():
        return int(controls[0]())
    return os.cpu_count() or 1


@functools.lru_cache
def _controls() -> tuple[Callable[[], Any], Callable[[int], Any]] | None:
    """Return OpenBLAS's functions that tell and set the number of threads, None where there are none."""
    home = Path(np.__file__).parent
    for folder in (home.parent / "numpy.libs", home / ".dylibs"):
        for path in sorted(folder.glob("*openblas*")):
            try:
                library = ctypes.CDLL(str(path))  # NumPy has loaded it: this gives the same copy
            except OSError:
                continue
            for name in ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads",
                         "openblas_{}_num_threads64_", "openblas_{}_num_threads"):  # fmt: skip
                try:
                    return library[name.format("get")], library[name.format("set")]
                except AttributeError:
                    continue
    return None
