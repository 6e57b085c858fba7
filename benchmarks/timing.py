"""How the benchmarks measure: all contestants in turn in one process, so that a busy machine hits them alike.

    from benchmarks.timing import in_turn, use_threads

    use_threads(1)  # before NumPy and PyTorch are imported
    times = in_turn({"minillm": step_here, "torch": step_there}, rounds=200)
    print(times.table(base="torch"))

An absolute time from a shared machine says nothing: look at the ratios, of which each round gives one.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


def use_threads(number: int | None = None, libraries: bool = True) -> int:
    """Let NumPy and PyTorch use so many threads; those of OMP_NUM_THREADS, or 1, by default.

    Without ``libraries`` the environment alone is set, and PyTorch is not imported.
    """
    number = number or int(os.environ.get("OMP_NUM_THREADS", "1"))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(number)
    if not libraries:
        return number
    try:
        import torch
    except ImportError:
        return number
    torch.set_num_threads(number)
    return number


@dataclass
class Times:
    """The seconds that each contestant took in each round."""

    seconds: dict[str, list[float]]

    def median(self, name: str) -> float:
        """Return the median of the seconds of one contestant."""
        return statistics.median(self.seconds[name])

    def ratios(self, name: str, base: str) -> list[float]:
        """Return, for each round, the time of one contestant over that of another."""
        return [a / b for a, b in zip(self.seconds[name], self.seconds[base], strict=True)]

    def ratio(self, name: str, base: str) -> float:
        """Return the median of the ratios."""
        return statistics.median(self.ratios(name, base))

    def table(self, base: str, per: int = 1) -> str:
        """Return a line for each contestant: its median time, and its ratios to ``base``.

        The ratios are the median and the least of those of all rounds, and that of the shortest times, which
        a busy machine disturbs least. ``per`` is the number of steps in a round.
        """
        lines = [f"{'':24} {'median':>10} {'ratio':>8} {'least':>8} {'of best':>8}"]
        for name, seconds in self.seconds.items():
            ratios = self.ratios(name, base)
            best = min(seconds) / min(self.seconds[base])
            figures = f"{statistics.median(ratios):8.3f} {min(ratios):8.3f} {best:8.3f}"
            lines.append(f"{name:24} {seconds_text(self.median(name) / per):>10} {figures}")
        return "\n".join(lines)


def _nothing() -> None:
    pass


def seconds_text(seconds: float) -> str:
    """Return a time in the unit that suits it: ``1.3 ms``."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def in_turn(
    functions: Mapping[str, Callable[[], Any]],
    rounds: int,
    warmup: int = 3,
    prepare: Mapping[str, Callable[[], Any]] | None = None,
    pause: float = 0.0,
) -> Times:
    """Call functions in turn (A B A B ...) and return the time of each call.

    Args:
        functions: by name; each call does the same work.
        rounds: times that each is called and measured.
        warmup: times that each is called before that.
        prepare: what to call before a function, by its name; not measured.
        pause: seconds to wait before each call. Threads of OpenBLAS and OpenMP go on spinning for some
            milliseconds after their work, and would take a core from the one whose turn is next.
    """
    prepare = prepare or {}
    ready = {name: prepare.get(name, _nothing) for name in functions}
    for _ in range(warmup):
        for name, function in functions.items():
            ready[name]()
            function()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, function in functions.items():
                ready[name]()
                if pause:
                    time.sleep(pause)
                start = time.perf_counter()
                function()
                seconds[name].append(time.perf_counter() - start)
    finally:
        if collecting:
            gc.enable()
    return Times(seconds)
