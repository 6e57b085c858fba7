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
