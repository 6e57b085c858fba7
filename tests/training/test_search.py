"""Searching settings: the space, a grid, random draws, Bayes, failures, going on, several at once."""

from __future__ import annotations

import csv
import json
import signal
import sys

import pytest

from minillm.training import TaskPlan
from minillm.training.run_directory import RunError
from minillm.training.search_space import Choice, Range, check_space, grid_of, parse_space
from tests.training.task_examples import write_texts

PLAN = {"embedding_dim": 8, "hidden_size": 8, "epochs": 1, "batch_size": 16}


# -- the space ----------------------------------------------------------------------------------------------


def test_spaces():
    space = parse_space(["lr=1e-5..1e-3:log:3", "batch-size=8,16", "dropout=0..0.5", "epochs=1..3", "lora=0,4"])
    assert space[0] == Range("lr", 1e-5, 1e-3, logarithmic=True, count=3)
    assert space[1] == Choice("batch_size", (8, 16))
    assert space[4].name == "lora_r"
    assert space[0].grid() == pytest.approx((1e-5, 1e-4, 1e-3))
    assert space[3].grid() == (1, 2, 3)
    assert len(grid_of(parse_space(["lr=1e-3,1e-2", "epochs=1..3"]))) == 6
    assert parse_space(["class_weights=none,balanced"])[0].values == (None, "balanced")
    assert parse_space(["reverse=true,false"])[0].values == (True, False)
    with pytest.raises(ValueError, match=r"dropout: a grid needs to know how many values; give 0..0.5:5"):
        space[2].grid()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lr"], "'lr' is not understood; it needs NAME=LOW..HIGH, or NAME=A,B,C"),
        (["lr="], "'lr=' is not understood"),
        (["speed=1,2"], "there is no setting 'speed'; there are lr, "),
        (["lr=1,2", "lr=3,4"], "lr is there twice"),
        (["lr=1e-3..1e-5"], "1e-3 is not below 1e-5"),
        (["lr=a..b"], "lr is 'a'; it needs a number"),
        (["lr=0..1:log"], "a logarithmic range begins above 0"),
        (["lr=1e-5..1e-3:ln"], "'ln' is not understood; there are log and a number"),
        (["epochs=1.5,2"], "epochs is '1.5'; it needs a whole number"),
        (["batch_size=8,8"], "a value is there twice"),
        (["optimizer=adam..sgd"], "optimizer is no number; give optimizer=A,B,C"),
        (["lr=1e-3,inf"], "lr is 'inf'; it needs a finite number"),
        ([], "it is empty"),
    ],
)
def test_spaces_that_are_not_understood(words, message):
    with pytest.raises(ValueError, match=message):
        parse_space(words)


def test_values_that_a_plan_cannot_have():
    for word, message in (
        ("optimizer=adam,lion", "space: optimizer=lion: "), ("dropout=0.5..1.5", "space: dropout=1.5: "),
        ("hidden_size=0,8", "space: hidden_size=0: "), ("lr=0..1", "space: lr=0.0: "),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            check_space(parse_space([word]), TaskPlan("classify", "lstm", "a.tsv"))


# -- searches -----------------------------------------------------------------------------------------------


@pytest.fixture
def optuna():
    return pytest.importorskip("optuna")


@pytest.fixture
def plan(tmp_path):
    return TaskPlan("classify", "lstm", str(write_texts(tmp_path / "films.tsv", 50))).with_values(PLAN)


@pytest.fixture
def search(optuna, monkeypatch, tmp_path, plan):
    """A search whose trials are scored by a formula; pictures are not drawn."""
    from minillm.training.search import Search

    monkeypatch.setattr(Search, "draw", lambda self: None)

    def score(self, values):
        if values.get("batch_size") == 13:
            raise ValueError("training has diverged")
        return {"accuracy": 1 - abs(values["lr"] - 0.3), "f1": 0.5}, 1

    def make(*words, method="bayes", trials=None, out="search", **options):
        monkeypatch.setattr(Search, "_score", score)
        return Search(tmp_path / out, plan, list(words), method, trials, **options)

    return make


def rows_of(search):
    with open(search.path / "trials.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_real_search(optuna, tmp_path, plan):
    pytest.importorskip("matplotlib")
    from minillm.training.search import Search

    search = Search(tmp_path / "real", plan, ["lr=1e-3,0.03", "dropout=0,0.3"], "grid")
    lines = []
    search.run(lines.append)
    assert len(lines) == 4
    assert "trial 0: lr=0.001 dropout=0: accuracy 0." in lines[0]
    rows = rows_of(search)
    assert [row["state"] for row in rows] == ["done"] * 4
    scores = [float(row["accuracy"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert search.best() == {"lr": float(rows[0]["lr"]), "dropout": float(rows[0]["dropout"])}
    assert (tmp_path / "real" / "trials.png").read_bytes()[1:4] == b"PNG"
    # A trial is the fine-tuning of the plan with its settings.
    from minillm.training.task_run import TaskRun

    run = TaskRun.create(tmp_path / "again", plan.with_values(search.best()))
    run.draw = lambda: None
    run.train()
    assert run.info["scores"]["validation"]["accuracy"] == pytest.approx(scores[0], abs=1e-5)


def test_a_grid_tries_everything_once_and_records_failures(search):
    found = search("lr=0.1,0.2,0.3", "batch_size=8,13", method="grid")
    assert found.trials == 6
    lines = []
    found.run(lines.append)
    rows = rows_of(found)
    assert len({(row["lr"], row["batch_size"]) for row in rows}) == 6
    assert [row["state"] for row in rows] == ["done"] * 3 + ["failed"] * 3
    assert rows[0]["lr"] == "0.3"
    assert rows[-1]["error"] == "ValueError: training has diverged"
    assert found.best() == {"lr": 0.3, "batch_size": 8}
    assert sum("failed: training has diverged" in line for line in lines) == 3


def test_random_draws_repeat(search):
    drawn = []
    for out, seed in (("a", 0), ("b", 0), ("c", 1)):
        found = search("lr=1e-3..1:log", "epochs=1..4", method="random", trials=2, out=out, seed=seed)
        found.run()
        drawn.append({row["trial"]: (row["lr"], row["epochs"]) for row in rows_of(found)})
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(1e-3 <= float(lr) <= 1 and epochs in "1234" for lr, epochs in drawn[0].values())


def test_bayes_comes_closer_than_it_began(search):
    found = search("lr=0.01..1", trials=20)
    found.run()
    numbers = {row["trial"]: row["score"] for row in found.table()}
    late = [numbers[i] for i in range(12, 20)]
    early = [numbers[i] for i in range(6)]
    assert sum(late) / len(late) > sum(early) / len(early)
    assert found.best()["lr"] == pytest.approx(0.3, abs=0.1)


def test_it_goes_on_where_it_stopped(search, monkeypatch):
    found = search("lr=0.1,0.2,0.3,0.4", method="grid")
    score, count = type(found)._score, []

    def interrupted(self, values):
        count.append(values)
        if len(count) == 3:
            raise KeyboardInterrupt
        return score(self, values)

    monkeypatch.setattr(type(found), "_score", interrupted)
    with pytest.raises(KeyboardInterrupt):
        found.run()
    assert len(rows_of(found)) == 2
    again = search("lr=0.1,0.2,0.3,0.4", method="grid")
    again.run()
    assert sorted(row["lr"] for row in rows_of(again)) == ["0.1", "0.2", "0.3", "0.4"]
    lines = []
    search("lr=0.1,0.2,0.3,0.4", method="grid").run(lines.append)
    assert lines == []
    # More trials may be asked for.
    more = search("lr=0.01..1", method="random", trials=2, out="more")
    more.run()
    search("lr=0.01..1", method="random", trials=3, out="more").run()
    assert len(rows_of(more)) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="no file locks")
def test_trials_of_a_killed_process_are_done_again(search):
    found = search("lr=0.1,0.2", method="grid")
    with found._at_work():
        found._ask()  # as a process that was killed leaves it
        other = search("lr=0.1,0.2", method="grid")
        other.run()  # beside the first
        assert [row["state"] for row in other.table()] == ["done", "running"]
        found.study().enqueue_trial({"lr": 0.2})  # or it was killed before it took what it had chosen
    again = search("lr=0.1,0.2", method="grid")
    again.run()
    assert sorted(row["lr"] for row in rows_of(again)) == ["0.1", "0.2"]
    assert {row["state"] for row in rows_of(again)} == {"done"}


def test_no_trial_has_a_score(search):
    found = search("batch_size=13", "lr=1,2", method="grid")
    found.run()
    assert found.best() is None


def test_several_processes(optuna, tmp_path, plan, capfd):
    from minillm.training.search import Search

    search = Search(tmp_path / "jobs", plan, ["lr=1e-3,1e-2,0.03,0.1"], "grid")
    search.draw = lambda: None
    search.run(jobs=2)
    assert sorted(float(row["lr"]) for row in rows_of(search)) == [0.001, 0.01, 0.03, 0.1]
    assert capfd.readouterr().out.count("accuracy") == 4


def test_a_stopped_fine_tuning_stops_the_search(optuna, tmp_path, plan, monkeypatch):
    from minillm.training import search as searching
    from minillm.training.stopping import TrainingInterrupted

    class Stopped(searching.FineTuner):
        def _step(self, features):
            signal.raise_signal(signal.SIGINT)
            return super()._step(features)

    monkeypatch.setattr(searching, "FineTuner", Stopped)
    search = searching.Search(tmp_path / "stopped", plan, ["lr=1e-3,1e-2"], "grid")
    with pytest.raises(TrainingInterrupted):
        search.run()
    assert search.table() == []


def test_what_a_search_refuses(search, optuna, tmp_path, plan):
    from minillm.training.search import Search

    found = search("lr=0.1,0.2", method="grid")
    with pytest.raises(RunError, match="holds another search: its space, method is not what was asked for"):
        search("lr=0.01..1")
    write_texts(tmp_path / "films.tsv", 51)
    with pytest.raises(RunError, match="the data are not those that the search began with"):
        search("lr=0.1,0.2", method="grid")
    (found.path / "search.json").write_text("{")
    with pytest.raises(RunError, match=r"search.json is damaged"):
        search("lr=0.1,0.2", method="grid")
    with pytest.raises(RunError, match=r"films.tsv is a file"):
        search("lr=0.01..1", out="films.tsv")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("")
    with pytest.raises(RunError, match="is not empty and holds no search"):
        search("lr=0.01..1", out="full")
    with pytest.raises(ValueError, match="method is 'best'"):
        search("lr=0.01..1", method="best")
    with pytest.raises(ValueError, match="a search needs examples to measure on"):
        Search(tmp_path / "none", plan.with_values({"validation_fraction": 0.0}), ["lr=0.1..1"])
    assert not (tmp_path / "none").exists()


def test_without_optuna(tmp_path, plan, monkeypatch):
    from minillm.training import search as searching

    monkeypatch.setattr(searching.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match=r'no search: Optuna is not installed; pip install "minillm\[search\]"'):
        searching.Search(tmp_path / "a", plan, ["lr=0.1..1"])


def test_the_settings_of_a_search_are_on_disk(search):
    what = json.loads((search("lr=0.01..1").path / "search.json").read_text())
    assert what["space"] == ["lr=0.01..1"]
    assert what["data"]["train"]["examples"] == 45
