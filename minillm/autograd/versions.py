"""When memory was written to in place: nodes of the graph and writes take their numbers from one count.

Every tensor has a version, a list of two numbers that all views of the same memory share: the number of the
last write in place, and how many views were taken in the graph. An array that a node saved was written to
since exactly if that number is larger than the node's. Most often nothing at all was written to since a
node was made, and a look at the number of the last write anywhere tells so.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable
from typing import Any

Version = list[int]  # [number of the last write in place, number of views taken in the graph]

next_number = itertools.count(1).__next__  # one step of C: safe between threads

last_write = [0]  # the number of the last write to any memory
_lock = threading.Lock()  # keeps `last_write` from going back


def mark_written(tensors: Iterable[Any]) -> None:
    """Note that the memory of tensors was written to in place.

    Example:
        >>> import minillm
        >>> x = minillm.ones(2, requires_grad=True)
        >>> y = x.exp()
        >>> y.array[0] = 5.0  # the derivative of exp needs y
        >>> mark_written([y])
        >>> y.sum().backward()
        Traceback (most recent call last):
        ...
        minillm.autograd.errors.OperationError: exp: an array that it saved for backward (its output) was ...
    """
    with _lock:
        last_write[0] = number = next_number()
    for tensor in tensors:
        tensor._version[0] = number
