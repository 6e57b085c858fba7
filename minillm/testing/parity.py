"""The parity report: every name of the table of cases in minillm and in PyTorch, with errors and times.

Errors are in units of float epsilon, as ``comparison.py`` defines them; times are ratios, ours over PyTorch's,
of forward and backward in turn. The table's inputs are small, so the times tell what a call costs, not how fast
large arrays are worked through.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import importlib
import math
import statistics
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from minillm.testing.cases import FAMILIES, Case, cases_of
from minillm.testing.comparison import Comparison, compare_prepared, import_torch

ROUNDS = 5  # that each case is timed


@dataclasses.dataclass
class Row:
    """How one name agrees: largest errors over its cases, median of their ratios of times."""

    name: str
    family: str
    cases: int = 0
    forward: float | None = None
    gradient: float | None = None
    second_order: float | None = None
    time_ratio: float | None = None
    failures: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Report:
    """The rows of all names, and what they amount to."""

    rows: list[Row]
    dtype: str
    versions: dict[str, str]

    @property
    def cases(self) -> int:
        """The number of cases."""
        return sum(row.cases for row in self.rows)

    @property
    def failures(self) -> list[str]:
        """What disagrees, in words."""
        return [failure for row in self.rows for failure in row.failures]

    @property
    def time_ratio(self) -> float | None:
        """The geometric mean of the names' ratios of times."""
        return geometric_mean([row.time_ratio for row in self.rows])

    def largest(self, part: str) -> tuple[float, str] | None:
        """Return the largest error of a part ("forward", "gradient", "second_order"), and its name."""
        found = [(error, row.name) for row in self.rows if (error := getattr(row, part)) is not None]
        return max(found, default=None)

    def totals(self) -> str:
        """Return a few lines of what the report amounts to."""
        lines = [f"{len(self.rows)} names, {self.cases:,} cases in {self.dtype}, {len(self.failures)} disagreements"]
        errors = []
        for part in ("forward", "gradient", "second_order"):
            if worst := self.largest(part):
                errors.append(f"{part.replace('_', ' ')} {figure(worst[0])} ({worst[1]})")
        lines.append(f"largest error in float epsilons: {', '.join(errors) or 'none'}")
        if self.time_ratio is not None:
            lines.append(f"time: {self.time_ratio:.2f} of PyTorch's (geometric mean over names, at small sizes)")
        return "\n".join(lines)

    def __str__(self) -> str:
        width = max((len(row.name) for row in self.rows), default=0) + 2
        lines = [f"{'':{width}} cases   forward  gradient second order  time"]
        family = ""
        for row in self.rows:
            if row.family != family:
                family = row.family
                lines += ["", family]
            ratio = "-" if row.time_ratio is None else f"{row.time_ratio:.2f}"
            figures = f"{figure(row.forward):>9} {figure(row.gradient):>9} {figure(row.second_order):>12} {ratio:>5}"
            lines.append(f"  {row.name:{width - 2}} {row.cases:5} {figures}{'  DISAGREES' * bool(row.failures)}")
        return "\n".join([*lines, "", *(f"DISAGREES {failure}" for failure in self.failures), self.totals()])


def geometric_mean(ratios: Sequence[float | None]) -> float | None:
    """Return the geometric mean of the ratios that are there; None without any.

    Example:
        >>> geometric_mean([0.5, None, 2.0])
        1.0
    """
    logs = [math.log(ratio) for ratio in ratios if ratio]
    return math.exp(statistics.fmean(logs)) if logs else None


def figure(error: float | None) -> str:
    """Return an error in few characters.

    Example:
        >>> [figure(error) for error in (None, 0.0, 0.51, 12.3, 48210.0)]
        ['-', '0', '0.5', '12', '48,210']
    """
    if error is None:
        return "-"
    if math.isinf(error):
        return "inf"
    if error >= 1e6:
        return f"{error:.1e}"
    return f"{error:,.0f}" if error >= 9.5 or error == 0 else f"{error:.1f}"


def select(patterns: Sequence[str]) -> list[tuple[str, str]]:
    """Return (family, name) of the names that match one of the patterns; all without patterns.

    A pattern is a name, whole or without its module, or a family, with ``*`` and ``?``.

    Raises:
        ValueError: a pattern matches nothing.

    Example:
        >>> select(["tan?", "nn.GRU*"])
        [('Arithmetic', 'tanh'), ('nn.functional', 'nn.functional.tanh'), ('Modules', 'nn.Tanh'), ...]
    """
    every = [(family, name) for family, table in FAMILIES.items() for name in table]
    if not patterns:
        return every
    unused, found = set(patterns), []
    for family, name in every:
        spellings = (family.lower(), name.lower(), name.lower().rpartition(".")[2])
        matching = {p for p in patterns if any(fnmatch.fnmatchcase(text, p.lower()) for text in spellings)}
        unused -= matching
        if matching:
            found.append((family, name))
    if unused:
        raise ValueError(f"nothing is named {' or '.join(sorted(unused))}; patterns are as in 'nn.*' or 'arithmetic'")
    return found


def parity(
    patterns: Sequence[str] = (),
    dtype: str = "float64",
    rounds: int = ROUNDS,
    progress: Callable[[str], object] = lambda name: None,
) -> Report:
    """Run the table of cases in both libraries and return the report.

    Args:
        patterns: names to select; see :func:`select`. All by default.
        dtype: "float64" or "float32", of the floats that are drawn.
        rounds: times that each case is timed; 0 for no times.
        progress: is called with each name when it is done.

    Raises:
        ImportError: PyTorch is not installed.
        ValueError: a pattern matches nothing.

    Example:
        >>> torch = __import__("pytest").importorskip("torch")
        >>> report = parity(["tanh"], rounds=0)
        >>> report.failures
        []
    """
    torch, library = import_torch(), importlib.import_module("minillm")
    rows = []
    for family, name in select(patterns):
        rows.append(measure(library, torch, family, name, dtype, rounds))
        progress(name)
    versions = {"minillm": library.__version__, "PyTorch": torch.__version__}
    return Report(rows, dtype, {**versions, "NumPy": importlib.import_module("numpy").__version__})


def measure(library: Any, torch: Any, family: str, name: str, dtype: str, rounds: int) -> Row:
    """Return how one name agrees."""
    row, ratios = Row(name, family), []
    for case in cases_of(name):
        row.cases += 1
        try:
            result = compared(library, torch, case, dtype, rounds)
        except Exception as error:  # a row of the report, whatever went wrong
            row.failures.append(f"{case}: {type(error).__name__}: {error}")
            continue
        row.failures += [f"{case}: {problem}" for problem in disagreements(case, result)]
        if result.time_ratio is not None:
            ratios.append(result.time_ratio)
        if not case.drawn:
            for part in ("forward", "gradient", "second_order"):
                errors = [e for e in (getattr(row, part), getattr(result, part)) if e is not None]
                setattr(row, part, max(errors, default=None))
    row.time_ratio = statistics.median(ratios) if ratios else None
    return row


def compared(library: Any, torch: Any, case: Case, dtype: str, rounds: int = 0) -> Comparison:
    """Return how one case agrees."""
    arrays = case.draw(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both libraries' warnings are no part of the report
        ours, theirs = case.prepare(library, arrays, dtype), case.prepare(torch, arrays, dtype)
        return compare_prepared(f"{case} in {dtype}", ours, theirs, case.order, rounds)


def disagreements(case: Case, result: Comparison) -> list[str]:
    """Return what disagrees beyond the tolerances; of what is drawn at random, only its kind can."""
    return list(result.mismatches) if case.drawn else result.problems()
