"""Remembering what was worked out for a string: most words of a text have been seen before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class Remembered(dict[str, Value], Generic[Value]):
    """What a function gave for strings met before; looking up another string calls it.

    Memory stays bounded: when `size` strings are known all are forgotten, and strings of more than
    `LONGEST` characters, which hardly come again, are not kept.

    Example:
        >>> lengths = Remembered(len, 10)
        >>> lengths["abc"], "abc" in lengths
        (3, True)
    """

    LONGEST = 64

    def __init__(self, function: Callable[[str], Value], size: int) -> None:
        super().__init__()
        self._function = function
        self._size = size

    def __missing__(self, key: str) -> Value:
        value = self._function(key)
        if len(key) <= self.LONGEST and self._size > 0:
            if len(self) >= self._size:
                self.clear()
            self[key] = value
        return value

    def __reduce__(self) -> Any:
        return Remembered, (self._function, self._size)
