from __future__ import annotations

import itertools
import sys

import pytest

from minillm import viz

RECORDS = [
    {"step": 0, "val_loss": 4.2, "best": True},
    {"step": 10, "loss": 3.9, "lr": 1e-3},
    {"step": 20, "loss": 3.1, "lr": 1e-3},
    {"step": 20, "val_loss": 3.3, "best": True},
    {"step": 20, "final": True, "val_loss": 3.35, "kept_step": 20},
]


def test_the_picture_shows_what_the_log_holds(tmp_path, monkeypatch):
    figure_module = pytest.importorskip("matplotlib.figure")
    drawn = []
    real = figure_module.Figure.savefig
    monkeypatch.setattr(
        figure_module.Figure, "savefig", lambda self, *a, **k: (drawn.append(self), real(self, *a, **k))
    )
    viz.plot_losses(RECORDS, tmp_path / "loss.png", title="a run", vocab_size=65)
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    (axes,) = drawn[0].axes
    assert axes.get_title() == "a run"
    curves = {line.get_label(): list(map(tuple, line.get_xydata())) for line in axes.lines}
    assert curves["training"] == [(10, 3.9), (20, 3.1)]
    assert curves["validation"] == [(0, 4.2), (20, 3.3)]
    assert curves["validation, whole text: 3.350"] == [(20, 3.35)]
    assert [t.get_text() for t in axes.texts] == ["guessing among 65 tokens: 4.17"]


@pytest.mark.parametrize("records", [RECORDS[:1], RECORDS[1:2]])
def test_half_a_log_is_enough(tmp_path, records):
    pytest.importorskip("matplotlib")
    viz.plot_losses(records, tmp_path / "loss.svg")
    assert b"<svg" in (tmp_path / "loss.svg").read_bytes()


def test_nothing_to_draw():
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match="the log holds no loss yet"):
        viz.plot_losses([], "loss.png")


def test_without_matplotlib_the_error_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert not viz.can_plot()
    with pytest.raises(RuntimeError, match=r'Matplotlib is not installed; pip install "minillm\[plot\]"'):
        viz.plot_losses(RECORDS, tmp_path / "loss.png")


TRIALS = [(0, {"lr": 0.1, "optimizer": "adam"}, 0.5), (1, {"lr": 0.01, "optimizer": "sgd"}, 0.7)]


def test_pictures_of_fine_tuning(tmp_path):
    pytest.importorskip("matplotlib")
    records = [{"step": 1, "batch_loss": 0.9}, {"step": 2, "epoch": 1, "loss": 0.8, "accuracy": 0.6}]
    viz.plot_scores(records, tmp_path / "scores.svg", metric="accuracy", title="films")
    drawn = (tmp_path / "scores.svg").read_text()
    assert "validation accuracy, higher is better" in drawn
    assert "best: 0.6" in drawn
    viz.plot_confusion([[8, 2], [0, 0]], ["neg", "a label that is far too long to stand there"], tmp_path / "c.svg")
    drawn = (tmp_path / "c.svg").read_text()
    assert "a label that is far too…" in drawn
    viz.plot_trials(TRIALS, tmp_path / "t.svg", metric="perplexity", lower_is_better=True, logarithmic=["lr"])
    drawn = (tmp_path / "t.svg").read_text()
    for part in ("perplexity, lower is better", "best so far", "optimizer", "sgd"):
        assert part in drawn


def test_the_star_stands_at_the_weights_that_are_kept(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    figures = []
    monkeypatch.setattr(viz, "_write", lambda figure, path: figures.append(figure))
    for metric, wanted in (("bleu", 3), ("perplexity", 2)):
        scores = zip((1, 2, 3, 4), (0.0, 0.5, 0.5, 0.1) if metric == "bleu" else (9.0, 7.0, 8.0, 9.0), strict=True)
        records = [{"step": step, "loss": 6.4, metric: score} for step, score in scores]
        viz.plot_scores(records, tmp_path / "a.png", metric=metric)
        axes, other = figures[-1].axes
        star = next(line for line in other.get_lines() if line.get_marker() == "*")
        assert star.get_xdata()[0] == wanted  # of equal scores the later one, as FineTuner counts
        assert axes.get_ylim()[1] > 6.7  # the line does not lie on the border


def test_numbers_under_the_axes_of_trials_stand_apart(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    figures = []
    monkeypatch.setattr(viz, "_write", lambda figure, path: figures.append(figure))
    lrs = (0.0013, 0.0031, 0.0042, 0.0055, 0.0065, 0.017, 0.024)
    trials = [(i, {"lr": lr, "hidden_size": 16 * (1 + i % 2), "l2": 10.0**-i}, i / 10) for i, lr in enumerate(lrs)]
    viz.plot_trials(trials, tmp_path / "a.png", metric="f1", logarithmic=["lr", "l2"])
    figures[0].canvas.draw()
    _, rates, sizes, penalties = figures[0].axes[:4]
    for axes, wanted in ((rates, ["0.002", "0.005", "0.01", "0.02"]), (sizes, ["16", "32"])):
        labels = [label for label in axes.get_xticklabels(which="both") if label.get_text()]
        low, high = axes.get_xlim()
        assert [label.get_text() for label in labels if low <= label.get_position()[0] <= high] == wanted
    for axes in (rates, sizes, penalties):
        low, high = axes.get_xlim()
        boxes = [
            label.get_window_extent() for label in axes.get_xticklabels(which="both")
            if label.get_text() and low <= label.get_position()[0] <= high
        ]  # fmt: skip
        assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_no_pictures_of_nothing(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    for draw, message in (
        (lambda: viz.plot_scores([{"step": 1}], tmp_path / "a.png", metric="f1"), "the log holds no loss yet"),
        (lambda: viz.plot_confusion([[1, 2]], ["a", "b"], tmp_path / "a.png"), "2 labels need a square"),
        (lambda: viz.plot_trials([], tmp_path / "a.png", metric="f1"), "no trial has a score yet"),
    ):
        with pytest.raises(ValueError, match=message):
            draw()
    monkeypatch.setattr(viz, "can_plot", lambda: False)
    for draw in (
        lambda: viz.plot_scores([{"step": 1, "loss": 1.0}], tmp_path / "a.png", metric="f1"),
        lambda: viz.plot_confusion([[1]], ["a"], tmp_path / "a.png"),
        lambda: viz.plot_trials(TRIALS, tmp_path / "a.png", metric="f1"),
    ):
        with pytest.raises(RuntimeError, match=r'pip install "minillm\[plot\]"'):
            draw()
    assert not list(tmp_path.iterdir())
