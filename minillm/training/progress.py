"""What a run shows while it goes: a bar with loss, tokens per second and time left, and lines that stay."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TextIO


class Silent:
    """Shows nothing; the base of what shows something."""

    def start(self, step: int, steps: int) -> None:
        """Training begins at ``step`` of ``steps``."""

    def step(self, loss: float, tokens: int) -> None:
        """One more step was done, with this loss, on so many tokens."""

    def evaluation(self, step: int, loss: float, best: bool) -> None:
        """The validation loss after ``step`` steps is known, and whether it is the lowest so far."""

    def whole_evaluation(self, windows: int) -> Callable[[int], object]:
        """The whole validation text will be read; returns what to call with the windows done."""
        return lambda done: None

    def close(self) -> None:
        """Training has ended, in whatever way."""


class ProgressBar(Silent):
    """A bar on a terminal, ``step 120/2000 loss 2.31  85k tokens/s``, and a line for each evaluation.

    Where the stream is no terminal, the bar is left out and the lines remain.

    Args:
        stream: of the bar; standard error by default.
        lines: of the lines; standard output by default.
    """

    def __init__(self, stream: TextIO | None = None, lines: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._lines = lines if lines is not None else sys.stdout
        self._bar: Any = None
        self._average: float | None = None
        self._tokens = 0

    def start(self, step: int, steps: int) -> None:
        from tqdm import tqdm

        self._average, self._tokens = None, 0
        self._bar = tqdm(
            total=steps,
            initial=min(step, steps),
            unit="step",
            file=self._stream,
            disable=not self._stream.isatty(),
            dynamic_ncols=True,
            mininterval=0.2,
            smoothing=0.1,
            leave=False,
            bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} steps [{elapsed}<{remaining}{postfix}]",
        )

    def step(self, loss: float, tokens: int) -> None:
        self._average = loss if self._average is None else 0.95 * self._average + 0.05 * loss
        self._tokens += tokens
        if self._bar.disable:
            return
        self._bar.update()
        elapsed = self._bar.format_dict["elapsed"]
        speed = self._tokens / elapsed if elapsed else 0.0
        self._bar.set_postfix_str(f"loss {self._average:.3f}, {_short(speed)} tokens/s", refresh=False)

    def evaluation(self, step: int, loss: float, best: bool) -> None:
        training = "" if self._average is None else f"training loss {self._average:.4f}, "
        rank = "" if best else " (not the lowest)"
        self._line(f"step {step:5d}: {training}validation loss {loss:.4f}{rank}")

    def whole_evaluation(self, windows: int) -> Callable[[int], object]:
        from tqdm import tqdm

        self.close()
        self._bar = tqdm(
            total=windows,
            desc="reading the whole validation text",
            unit="window",
            file=self._stream,
            disable=not self._stream.isatty(),
            dynamic_ncols=True,
            leave=False,
        )
        update: Callable[[int], object] = self._bar.update
        return update

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _line(self, text: str) -> None:
        if self._bar is not None and not self._bar.disable:
            self._bar.clear()
        print(text, file=self._lines, flush=True)
        if self._bar is not None and not self._bar.disable:
            self._bar.refresh()


def _short(number: float) -> str:
    """Return a number as 950, 85k or 1.2M.

    Example:
        >>> [_short(n) for n in (950, 85_400, 1_234_000)]
        ['950', '85k', '1.2M']
    """
    if number >= 1e6:
        return f"{number / 1e6:.1f}M"
    return f"{number / 1e3:.0f}k" if number >= 1e3 else f"{number:.0f}"
