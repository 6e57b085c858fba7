from __future__ import annotations

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
