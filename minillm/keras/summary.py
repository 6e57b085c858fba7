"""The table that ``summary`` prints, as Keras draws it: a row for each layer, then the numbers of parameters."""

from __future__ import annotations

import itertools
import math
import shutil
import textwrap
from collections.abc import Sequence
from typing import Any

WIDTH = 88  # of the table, where the terminal is wide enough
COLUMNS = (0.45, 0.80, 1.0)  # where each column ends, in parts of the width


def readable_size(count: int) -> str:
    """Return the memory of so many float32 numbers.

    Example:
        >>> readable_size(5), readable_size(1000)
        ('20.00 B', '3.91 KB')
    """
    size = float(4 * count)
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} PB"


def shape_text(shape: Sequence[int | None] | None) -> str:
    """Return a shape, or a question mark.

    Example:
        >>> shape_text((None, 10)), shape_text(None)
        ('(None, 10)', '?')
    """
    return "?" if shape is None else f"({', '.join(map(str, shape))})"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    r"""Return the lines of a table whose last column stands on the right.

    Example:
        >>> print("\n".join(table(("a", "b", "c"), [("x", "y", "1")], 20)))
        ┏━━━━━━━━┳━━━━━┳━━━┓
        ┃ a      ┃ b   ┃ c ┃
        ┡━━━━━━━━╇━━━━━╇━━━┩
        │ x      │ y   │ 1 │
        └────────┴─────┴───┘
    """
    ends = [0, *(int(part * width) for part in COLUMNS)]
    sizes = _fitted([end - begin for begin, end in itertools.pairwise(ends)], width)

    def line(left: str, middle: str, right: str, fill: str) -> str:
        return left + middle.join(fill * (size + 2) for size in sizes) + right

    def cells(values: Sequence[str], border: str) -> list[str]:
        wrapped = [textwrap.wrap(value, size) or [""] for value, size in zip(values, sizes, strict=True)]
        lines = []
        for n in range(max(map(len, wrapped))):
            parts = [column[n] if n < len(column) else "" for column in wrapped]
            padded = [part.ljust(size) for part, size in zip(parts[:-1], sizes, strict=False)]
            padded.append(parts[-1].rjust(sizes[-1]))
            lines.append(border + border.join(f" {part} " for part in padded) + border)
        return lines

    lines = [line("┏", "┳", "┓", "━"), *cells(header, "┃"), line("┡", "╇", "┩", "━")]
    for n, row in enumerate(rows):
        if n:
            lines.append(line("├", "┼", "┤", "─"))
        lines += cells(row, "│")
    return [*lines, line("└", "┴", "┘", "─")]


def _fitted(asked: list[int], width: int) -> list[int]:
    """Return the widths of columns without borders and spaces, which are taken off all columns alike."""
    sizes, excess = [], sum(asked) + 3 * len(asked) + 1 - width
    for n, size in enumerate(asked):
        less = round(excess / (len(asked) - n))
        sizes.append(max(size - less, 1))
        excess -= less
    return sizes


def summary_text(model: Any, line_length: int | None = None) -> str:
    """Return the whole summary of a model."""
    width = line_length or min(WIDTH, shutil.get_terminal_size().columns - 4)
    rows = []
    for layer, shape in zip(model.layers, model.output_shapes(), strict=True):
        count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
        rows.append((f"{layer.name} ({type(layer).__name__})", shape_text(shape), count))

    def numbers(weights: Any) -> int:
        return sum(math.prod(weight.shape) for weight in weights)

    trainable, fixed = numbers(model.trainable_weights), numbers(model.non_trainable_weights)
    moments = model.optimizer.count_params() if model.compiled else 0
    counts = {"Total": trainable + fixed + moments, "Trainable": trainable, "Non-trainable": fixed}
    if moments:
        counts["Optimizer"] = moments
    lines = [f'Model: "{model.name}"', *table(("Layer (type)", "Output Shape", "Param #"), rows, width)]
    lines += [f" {kind} params: {count:,} ({readable_size(count)})" for kind, count in counts.items()]
    return "\n".join(lines) + "\n"
