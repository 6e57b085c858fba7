"""The lines that ``fit``, ``evaluate`` and ``predict`` show, as Keras writes them.

    4/4 ━━━━━━━━━━━━━━━━━━━━ 0s 30ms/step - accuracy: 0.5000 - loss: 0.6931

On a terminal the bar moves; elsewhere a line is written when its epoch has ended.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

WIDTH = 20
INTERVAL = 0.05  # seconds between two drawings of a bar


class Progress:
    """A line about steps done and numbers measured.

    Args:
        target: steps in all.
        verbose: 0 shows nothing, 1 a bar, 2 a line at the end.

    Example:
        >>> progress = Progress(2, verbose=2)
        >>> progress.update(2, {"loss": 0.5}, last=True)
        2/2 - 0s - ...s/step - loss: 0.5000
    """

    def __init__(self, target: int, verbose: int = 1) -> None:
        self.target, self.verbose = target, verbose
        self._start = self._drawn_at = time.perf_counter()
        self._first: float | None = None  # the time after the first step, which is slower than the others
        self._moves = verbose == 1 and sys.stdout.isatty()
        self._length = 0

    def update(self, done: int, values: Mapping[str, float], last: bool = False) -> None:
        """Show that so many steps are done."""
        now = time.perf_counter()
        if self.verbose == 0:
            return
        if not last:
            if self._first is None:
                self._first = now
            if not self._moves or now - self._drawn_at < INTERVAL:
                return
        self._drawn_at = now
        count = f"{done:{len(str(self.target))}d}/{self.target}"
        each = self._time_of_step(done, now)
        numbers = "".join(f" - {name}: {shown(value)}" for name, value in values.items())
        if self.verbose == 2:
            print(f"{count} - {now - self._start:.0f}s - {time_text(each)}/step{numbers}", flush=True)
            return
        seconds = f"{now - self._start:.0f}s" if last else left_text(each * (self.target - done))
        self._draw(count, done, f"{seconds} {time_text(each)}/step{numbers}", last)

    def _draw(self, count: str, done: int, rest: str, last: bool) -> None:
        filled = WIDTH * done // self.target
        bar, empty = "━" * filled, "━" * (WIDTH - filled)
        blank = " " * max(0, self._length - len(count) - WIDTH - len(rest))
        self._length = len(count) + WIDTH + len(rest)
        if not self._moves:
            print(f"{count} {bar}{empty} {rest}", flush=True)
            return
        line = f"\r\x1b[1m{count}\x1b[0m \x1b[32m{bar}\x1b[0m\x1b[37m{empty}\x1b[0m \x1b[1m{rest}\x1b[0m{blank}"
        print(line, end="\n" if last else "", flush=True)

    def _time_of_step(self, done: int, now: float) -> float:
        if self._first is not None and done > 1:
            return (now - self._first) / (done - 1)
        return (now - self._start) / max(done, 1)


def shown(value: float) -> str:
    """Return a number with four digits.

    Example:
        >>> shown(0.25), shown(0.00012345)
        ('0.2500', '1.2345e-04')
    """
    return f"{value:.4f}" if abs(value) > 1e-3 else f"{value:.4e}"


def time_text(seconds: float) -> str:
    """Return a short time.

    Example:
        >>> time_text(2.0), time_text(0.03), time_text(0.00004)
        ('2s', '30ms', '40us')
    """
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"


def left_text(seconds: float) -> str:
    """Return the time left.

    Example:
        >>> left_text(5), left_text(65), left_text(3700)
        ('5s', '1:05', '1:01:40')
    """
    whole = int(seconds)
    if whole > 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}" if whole > 60 else f"{whole}s"
