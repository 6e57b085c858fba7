"""Pictures of training: the loss over the steps. Needs Matplotlib, the extra ``plot``."""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Sequence
from typing import Any

from minillm.data.whole_files import write_whole

MISSING = 'Matplotlib is not installed; pip install "minillm[plot]" brings it'


def can_plot() -> bool:
    """Return whether Matplotlib is there."""
    try:
        return importlib.util.find_spec("matplotlib") is not None
    except ValueError:  # its import was blocked
        return False


def plot_losses(
    records: Sequence[dict[str, Any]],
    path: str | os.PathLike[str],
    *,
    title: str = "",
    vocab_size: int | None = None,
) -> None:
    """Draw the losses of a run into a picture.

    Args:
        records: of the log (see :mod:`minillm.training.log`): dictionaries with ``step`` and ``loss`` or
            ``val_loss``.
        path: of the picture; its ending tells the format, as in ``loss.png``.
        title: above the picture.
        vocab_size: draws the loss of guessing, log(vocab_size), as a line to compare with.

    Raises:
        RuntimeError: Matplotlib is missing; says how to install it.
        ValueError: there is nothing to draw.
        OSError: the file cannot be written.

    Example:
        >>> import tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     picture = pathlib.Path(folder, "loss.png")
        ...     plot_losses([{"step": 10, "loss": 3.0}, {"step": 20, "loss": 2.5}], picture)
        ...     picture.read_bytes()[1:4]
        b'PNG'
    """
    if not can_plot():
        raise RuntimeError(f"no plot: {MISSING}")
    training = [(r["step"], r["loss"]) for r in records if "loss" in r]
    validation = [(r["step"], r["val_loss"]) for r in records if "val_loss" in r and not r.get("final")]
    final = [r for r in records if r.get("final")]
    if not training and not validation:
        raise ValueError("no plot: the log holds no loss yet")
    # Without pyplot there is no window system to ask for, and no state to leave behind.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.8), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    if vocab_size is not None and vocab_size > 1:
        guess = math.log(vocab_size)
        axes.axhline(guess, color="0.6", linestyle=":", linewidth=1)
        axes.annotate(
            f"guessing among {vocab_size} tokens: {guess:.2f}",
            (1, guess),
            xycoords=("axes fraction", "data"),
            xytext=(-4, -4),
            textcoords="offset points",
            ha="right",
            va="top",
            color="0.45",
            fontsize=8,
        )
    if training:
        axes.plot(*zip(*training, strict=True), color="#5b8cc0", linewidth=1.2, label="training")
    if validation:
        axes.plot(
            *zip(*validation, strict=True), color="#d1495b", marker="o", markersize=4, label="validation"
        )
    if final:
        kept, loss = final[-1]["kept_step"], final[-1]["val_loss"]
        axes.plot([kept], [loss], marker="*", markersize=13, color="#d1495b", linestyle="none",
                  label=f"validation, whole text: {loss:.3f}")  # fmt: skip
    axes.set_xlabel("optimizer steps")
    axes.set_ylabel("loss: nats per token, lower is better")
    axes.set_title(title, fontsize=11, wrap=True)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    ending = os.path.splitext(os.fspath(path))[1].lstrip(".") or "png"
    with write_whole(path) as file:
        figure.savefig(file, format=ending)


def plot_scores(
    records: Sequence[dict[str, Any]], path: str | os.PathLike[str], *, metric: str, title: str = ""
) -> None:
    """Draw the loss and the score of a fine-tuning into a picture.

    Args:
        records: of its log: dictionaries with ``step``, and with ``batch_loss`` or ``loss`` and scores.
        path: of the picture.
        metric: the name of the score.
        title: above the picture.

    Raises:
        RuntimeError: Matplotlib is missing; says how to install it.
        ValueError: there is nothing to draw.
        OSError: the file cannot be written.
    """
    steps = [(r["step"], r["batch_loss"]) for r in records if "batch_loss" in r]
    epochs = [(r["step"], r["loss"]) for r in records if "loss" in r]
    scores = [(r["step"], r[metric]) for r in records if isinstance(r.get(metric), (int, float))]
    if not steps and not epochs:
        raise ValueError("no plot: the log holds no loss yet")
    figure, axes = _figure(title)
    if steps:
        axes.plot(*zip(*steps, strict=True), color="#5b8cc0", linewidth=0.9, alpha=0.55, label="loss of batches")
    if epochs:
        axes.plot(*zip(*epochs, strict=True), color="#2f5f8f", marker=".", linewidth=1.4, label="loss of epochs")
    axes.set_xlabel("optimizer steps")
    axes.set_ylabel("training loss, lower is better")
    axes.set_ylim(0, 1.06 * max(loss for _, loss in steps + epochs) or 1)
    lines = axes.get_lines()
    if scores:
        other = axes.twinx()
        lower = metric in ("perplexity", "val_loss")
        other.plot(*zip(*scores, strict=True), color="#d1495b", marker="o", markersize=4, label=f"validation {metric}")
        # Of equal scores the later one, whose weights are kept.
        best = (min if lower else max)(reversed(scores), key=lambda point: point[1])
        other.plot(*best, color="#d1495b", marker="*", markersize=13, linestyle="none", label=f"best: {best[1]:.4g}")
        other.set_ylabel(f"validation {metric}, {'lower' if lower else 'higher'} is better")
        other.spines[["top"]].set_visible(False)
        lines = [*lines, *other.get_lines()]
    figure.legend(
        lines, [line.get_label() for line in lines], frameon=False, loc="outside lower center", ncols=len(lines)
    )
    _write(figure, path)


def plot_confusion(
    counts: Sequence[Sequence[int]], labels: Sequence[str], path: str | os.PathLike[str], *, title: str = ""
) -> None:
    """Draw a confusion matrix: how often each label (row) was taken for each (column); colours are shares of rows.

    Args:
        counts: (labels, labels).
        labels: of rows and columns.
        path: of the picture.
        title: above it.

    Raises:
        RuntimeError: Matplotlib is missing; says how to install it.
        ValueError: not as many rows as labels.
        OSError: the file cannot be written.
    """
    if len(counts) != len(labels) or any(len(row) != len(labels) for row in counts):
        raise ValueError(f"no plot: {len(labels)} labels need a square of that size")
    side = min(max(4.2, 1.6 + 0.55 * len(labels)), 18)
    figure, axes = _figure(title, (side + 0.6, side), grid=False)
    shares = [[count / max(sum(row), 1) for count in row] for row in counts]
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true label")
    places = range(len(labels))
    short = [label if len(label) <= 24 else label[:23] + "…" for label in labels]
    axes.set_xticks(places, short, rotation=45 if max(map(len, short)) * len(short) > 30 else 0, ha="right"
                    if max(map(len, short)) * len(short) > 30 else "center")  # fmt: skip
    axes.set_yticks(places, short)
    axes.set_xlabel("the model said")
    axes.set_ylabel("true label")
    if len(labels) <= 24:
        for i, row in enumerate(counts):
            for j, count in enumerate(row):
                if count:
                    color = "white" if shares[i][j] > 0.55 else "0.15"
                    axes.text(j, i, str(count), ha="center", va="center", color=color, fontsize=9)
    _write(figure, path)


def plot_trials(
    trials: Sequence[tuple[int, dict[str, Any], float]],
    path: str | os.PathLike[str],
    *,
    metric: str,
    lower_is_better: bool = False,
    logarithmic: Sequence[str] = (),
    title: str = "",
) -> None:
    """Draw the trials of a search: the score over the trials, and against each setting.

    Args:
        trials: number, settings and score of each.
        path: of the picture.
        metric: the name of the score.
        lower_is_better: whether it is a loss.
        logarithmic: settings with a logarithmic axis.
        title: above the picture.

    Raises:
        RuntimeError: Matplotlib is missing; says how to install it.
        ValueError: there is no trial.
        OSError: the file cannot be written.
    """
    if not trials:
        raise ValueError("no plot: no trial has a score yet")
    if not can_plot():
        raise RuntimeError(f"no plot: {MISSING}")
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    names = list(trials[0][1])
    columns = min(3, len(names) + 1)
    rows = -(-(len(names) + 1) // columns)
    figure = Figure(figsize=(3.7 * columns + 0.6, 3.1 * rows), dpi=120, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    numbers, scores = [number for number, _, _ in trials], [score for _, _, score in trials]
    better = min if lower_is_better else max
    top = scores.index(better(scores))
    first = grid[0][0]
    first.plot(numbers, scores, "o", color="#5b8cc0", markersize=4)
    bests = [better(scores[: i + 1]) for i in range(len(scores))]
    first.step(numbers, bests, where="post", color="#d1495b", linewidth=1.2, label="best so far")
    first.set_xlabel("trial")
    first.xaxis.set_major_locator(MaxNLocator(integer=True))
    first.legend(frameon=False, fontsize=8)
    for i, name in enumerate(names, 1):
        axes = grid[i // columns][i % columns]
        values: list[Any] = [settings[name] for _, settings, _ in trials]
        if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
            values = [str(value) for value in values]
            axes.margins(x=0.3)
        points = axes.scatter(values, scores, c=numbers, cmap="viridis", s=18)
        axes.plot([values[top]], [scores[top]], marker="*", markersize=13, color="#d1495b", linestyle="none")
        if name in logarithmic:
            axes.set_xscale("log")
        if not isinstance(values[0], str):
            _mark_values(axes, values, name in logarithmic)
        axes.set_xlabel(name)
    figure.colorbar(points, ax=grid.ravel().tolist(), shrink=0.7, label="trial") if len(trials) > 1 else None
    for i, axes in enumerate(grid.ravel()):
        axes.set_visible(i <= len(names))
        axes.grid(alpha=0.25)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        if i % columns == 0:
            axes.set_ylabel(f"{metric}, {'lower' if lower_is_better else 'higher'} is better", fontsize=9)
    figure.suptitle(title, fontsize=11)
    _write(figure, path)


def _mark_values(axes: Any, values: Sequence[float], logarithmic: bool) -> None:
    """Write numbers under an axis: the values themselves where trials share a few, else some round ones."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    shared = sorted(set(values))
    if 2 * len(shared) <= len(values):
        axes.set_xticks(shared, [f"{value:g}" for value in shared])
    elif logarithmic:
        decades = math.log10(shared[-1] / shared[0])
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 1.7 else (1, 3) if decades < 3 else (1,)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _figure(title: str, size: tuple[float, float] = (8, 4.8), grid: bool = True) -> tuple[Any, Any]:
    """Return a figure and its axes."""
    if not can_plot():
        raise RuntimeError(f"no plot: {MISSING}")
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=11, wrap=True)
    axes.spines[["top", "right"]].set_visible(False)
    if grid:
        axes.grid(alpha=0.25)
        axes.set_axisbelow(True)
    return figure, axes


def _write(figure: Any, path: str | os.PathLike[str]) -> None:
    ending = os.path.splitext(os.fspath(path))[1].lstrip(".") or "png"
    with write_whole(path) as file:
        figure.savefig(file, format=ending)
