"""``minillm search``: table, picture, the best command, and what it refuses."""

from __future__ import annotations

import shlex

import pytest

from tests.cli.conftest import assert_fails, call, succeed
from tests.training.task_examples import SMALL_LSTM, write_texts


@pytest.fixture
def search(tmp_path):
    data = write_texts(tmp_path / "films.tsv", 40)
    return ["search", "--task", "classify", *SMALL_LSTM, "--data", data, "--epochs", "1", "--out", tmp_path / "found"]


def test_a_search_and_its_best_settings(search, tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    pytest.importorskip("matplotlib")
    out = succeed(*search, "--space", "lr=1e-3..0.1:log", "batch_size=8,16", "--method", "random", "--trials", 2)
    assert "Search     random, 2 trials; highest accuracy" in out
    assert "trial 1: lr=" in out
    lines = out.splitlines()
    table = next(i for i, line in enumerate(lines) if line.split()[:2] == ["trial", "lr"])
    first, second = (float(lines[table + i].split()[3]) for i in (1, 2))
    assert first >= second
    assert {p.name for p in (tmp_path / "found").iterdir()} >= {"trials.csv", "trials.db", "trials.png", "search.json"}
    command = shlex.split(lines[-1].removeprefix("Best"))
    assert command[:4] == ["minillm", "finetune", "--task", "classify"]
    assert command[-1] == str(tmp_path / "found-best")
    from minillm.training.task_run import TaskRun

    monkeypatch.setattr(TaskRun, "draw", lambda self: None)
    assert f"Validation accuracy {first:.4f}"[:24] in succeed(*command[1:])
    again = succeed(*search, "--space", "lr=1e-3..0.1:log", "batch_size=8,16", "--method", "random", "--trials", 2)
    assert "2 trials, 2 of them done" in again


def test_all_trials_fail(search, monkeypatch):
    pytest.importorskip("optuna")
    from minillm.training.search import Search

    def diverged(self, values):
        raise ValueError("training has diverged")

    monkeypatch.setattr(Search, "_score", diverged)
    outcome = call(*search, "--space", "lr=1e-3,1e-2", "--method", "grid", "--quiet")
    assert outcome.code == 1
    assert "no trial has a score; the first: ValueError: training has diverged" in outcome.err
    assert outcome.out.count("training has diverged") == 2


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        ([], 2, "it needs --space"),
        (["--space", "lr=1e-3.."], 1, "space: lr is ''; it needs a number"),
        (["--space", "speed=1,2"], 1, "there is no setting 'speed'"),
        (["--space", "lr=1e-3..1e-2", "--method", "grid"], 1, "lr: a grid needs to know how many values"),
        (["--space", "lr=1e-3,1e-2", "--test", "a.tsv"], 2, "a search does not look at --test"),
        (["--space", "lr=1e-3,1e-2", "--trials", 0], 2, "argument --trials: got 0"),
        (["--space", "lr=1e-3,1e-2", "--validation-fraction", 0], 1, "a search needs examples to measure on"),
    ],
)
def test_bad_input(search, tmp_path, argv, code, message):
    pytest.importorskip("optuna")
    assert_fails(call(*search, *argv), code, message)
    assert not (tmp_path / "found").exists()
