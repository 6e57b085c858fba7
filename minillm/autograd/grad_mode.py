"""Switches of the engine: whether operations are recorded, and whether they are watched for NaN.

Each thread has its own switches, so that a thread which evaluates does not stop another that trains.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


class _Switches(threading.local):
    """The switches of one thread, both in one number, as every operation asks for it.

    Attributes:
        mode: 1 where operations are recorded, and 2 more where anomalies are looked for.
    """

    mode = 1

    @property
    def recording(self) -> bool:
        """Whether operations are recorded."""
        return bool(self.mode & 1)

    @recording.setter
    def recording(self, value: bool) -> None:
        self.mode = self.mode & 2 | bool(value)

    @property
    def anomaly(self) -> bool:
        """Whether results are watched for NaN and infinity."""
        return self.mode > 1

    @anomaly.setter
    def anomaly(self, value: bool) -> None:
        self.mode = self.mode & 1 | 2 * bool(value)


switches = _Switches()


class _Mode:
    """A ``with`` block or decorator inside which recording is on, or off."""

    mode: bool

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(switches.recording)
        switches.recording = self.mode

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        switches.recording = self._before.pop()

    def _again(self) -> _Mode:
        """Return another one: a decorated function may run in several threads at once."""
        return type(self)()

    def __call__(self, function: F) -> F:
        """Decorate a function; of a generator, each step runs in this mode and none of its user's."""

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        @functools.wraps(function)
        def generate(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                generator = function(*args, **kwargs)
            resume = functools.partial(next, generator)
            while True:
                try:
                    with self._again():
                        item = resume()
                except StopIteration as stop:
                    return stop.value
                try:
                    resume = functools.partial(generator.send, (yield item))
                except GeneratorExit:
                    with self._again():
                        generator.close()
                    raise
                except BaseException as error:
                    resume = functools.partial(generator.throw, error)

        return cast(F, generate if inspect.isgeneratorfunction(function) else run)


class set_grad_enabled(_Mode):
    """Record operations for backward, or do not, from here on (or inside a ``with`` block or a function).

    Args:
        mode: True to record, False not to.

    Example:
        >>> import minillm
        >>> x = minillm.ones(2, requires_grad=True)
        >>> with minillm.set_grad_enabled(False):
        ...     y = x * 2
        >>> y.requires_grad
        False
    """

    def __init__(self, mode: bool) -> None:
        self._before = [switches.recording]
        self.mode = switches.recording = bool(mode)

    def __enter__(self) -> None:
        switches.recording = self.mode  # what was before is known since __init__

    def _again(self) -> _Mode:
        return type(self)(self.mode)

    def __call__(self, function: F) -> F:
        switches.recording = self._before[0]
        return super().__call__(function)


class no_grad(_Mode):
    """A ``with`` block or decorator inside which no operation is recorded for backward.

    Example:
        >>> import minillm
        >>> x = minillm.ones(2, requires_grad=True)
        >>> with minillm.no_grad():
        ...     y = x * 2
        >>> y.requires_grad
        False
    """

    mode = False


class enable_grad(_Mode):
    """A ``with`` block or decorator inside which operations are recorded, even within ``no_grad``.

    Example:
        >>> import minillm
        >>> x = minillm.ones(2, requires_grad=True)
        >>> with minillm.no_grad(), minillm.enable_grad():
        ...     y = x * 2
        >>> y.requires_grad
        True
    """

    mode = True


inference_mode = no_grad


def is_grad_enabled() -> bool:
    """Return whether operations are being recorded in this thread.

    Example:
        >>> import minillm
        >>> minillm.is_grad_enabled()
        True
    """
    return switches.recording


@contextlib.contextmanager
def detect_anomaly(mode: bool = True) -> Iterator[None]:
    """Inside this block, raise an error that names the operation which first makes a NaN or infinity.

    Every result is looked at, forward and backward, so everything runs slower: a tool for debugging.

    Example:
        >>> import minillm
        >>> x = minillm.zeros(2, requires_grad=True)
        >>> with minillm.autograd.detect_anomaly():
        ...     y = x.log()
        Traceback (most recent call last):
        ...
        minillm.autograd.errors.AnomalyError: log made 0 NaN and 2 infinite of its 2 values, out of ...
    """
    before = switches.anomaly
    switches.anomaly = mode
    try:
        yield
    finally:
        switches.anomaly = before


def set_detect_anomaly(mode: bool) -> None:
    """Switch anomaly detection on or off for this thread; see :func:`detect_anomaly`.

    Example:
        >>> import minillm
        >>> minillm.autograd.set_detect_anomaly(False)
    """
    switches.anomaly = mode
