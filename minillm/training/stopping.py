"""Being asked to stop: Ctrl-C and SIGTERM let the step finish, so that nothing is lost."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class TrainingInterrupted(KeyboardInterrupt):
    """Training was stopped by Ctrl-C or SIGTERM, after the step was finished and all was saved.

    It is a ``KeyboardInterrupt``: a program that does not expect it stops, as after any Ctrl-C.

    Attributes:
        step: steps done.
    """

    def __init__(self, step: int, message: str) -> None:
        super().__init__(message)
        self.step = step


class StopSignals:
    """A block in which the first Ctrl-C or SIGTERM sets ``requested``, and a second one interrupts at once.

    Outside of the main thread, where Python takes no signals, it does nothing.

    Example:
        >>> import signal
        >>> with StopSignals() as stop:
        ...     signal.raise_signal(signal.SIGINT)
        ...     stop.requested
        True
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
