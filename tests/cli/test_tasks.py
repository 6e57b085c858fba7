"""``minillm finetune --task``: lines, files, going on, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from minillm.training.task_run import TaskRun
from tests.cli.conftest import assert_fails, call, succeed
from tests.training.task_examples import FAST, SMALL_LSTM, make_bert, write_tags, write_texts


@pytest.fixture(autouse=True)
def _no_task_pictures(monkeypatch):
    monkeypatch.setattr(TaskRun, "draw", lambda self: None)


@pytest.fixture
def films(tmp_path):
    return write_texts(tmp_path / "films.tsv", 60)


def task(films, out, *options):
    return ["finetune", "--task", "classify", *SMALL_LSTM, "--data", films, *FAST, "--out", out, *options]


def test_lines_and_files(films, tmp_path):
    test = write_texts(tmp_path / "test.tsv", 20, seed=3)
    out = succeed(*task(films, tmp_path / "run", "--test", test))
    for part in ("films.tsv: 54 examples", "Validation 0.1 of ", "Labels     2: neg, pos", "LSTM from scratch, ",
                 "epoch 1/2: loss ", "epoch 2/2: loss ", "Done       14 steps", "Test       accuracy ",
                 f"minillm predict {tmp_path / 'run'}"):  # fmt: skip
        assert part in out
    info = json.loads((tmp_path / "run" / "task.json").read_text())
    assert info["plan"]["settings"]["lr"] == 0.01
    assert set(info["scores"]) == {"validation", "test"}
    assert succeed(*task(films, tmp_path / "quiet", "--quiet")) == ""


def test_every_option_reaches_its_setting(films, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(TaskRun, "create", classmethod(lambda cls, path, plan: seen.append(plan) or 1 / 0))
    outcome = call(
        "finetune", "--task=classify", "--model", "dir", "--data", "sst2", "--validation", "v.tsv", "--test", "t.tsv",
        "--epochs", 2, "--batch-size", 3, "--lr", "0.1", "--layer-decay", "0.9", "--schedule", "cosine", "--warmup",
        "0.2", "--optimizer", "sgd", "--weight-decay", "0.3", "--l1", "0.4", "--l2", "0.5", "--grad-clip", "0.6",
        "--freeze", "a", "b", "--train-last", 4, "--patience", 5, "--batch-threads", 6, "--seed", 7, "--dropout", "0.7",
        "--max-length", 8, "--class-weights", "balanced", "--augment", "0.8", "--lora", 9, "--lora-alpha", 10,
        "--lora-target", "all-linear", "--out", tmp_path / "run",
    )  # fmt: skip
    assert "ZeroDivisionError" in outcome.err
    settings = {
        "epochs": 2, "batch_size": 3, "lr": 0.1, "layer_decay": 0.9, "schedule": "cosine", "warmup": 0.2,
        "optimizer": "sgd", "weight_decay": 0.3, "l1": 0.4, "l2": 0.5, "grad_clip": 0.6, "freeze": ["a", "b"],
        "train_last": 4, "patience": 5, "batch_threads": 6, "seed": 7,
    }  # fmt: skip
    (plan,) = seen
    assert plan.to_dict()["settings"] == settings
    own = {
        "model": "dir", "data": "sst2", "validation": "v.tsv", "test": "t.tsv", "dropout": 0.7, "max_length": 8,
        "class_weights": "balanced", "augment": 0.8, "lora_r": 9, "lora_alpha": 10, "lora_target": ["all-linear"],
    }  # fmt: skip
    assert {name: plan.to_dict()[name] for name in own} == own


def test_the_command_of_a_plan_gives_the_plan(tmp_path, monkeypatch):
    import shlex

    from minillm.training import TaskPlan

    plans = [
        TaskPlan("translate", "lstm", "a.tsv", reverse=True, metric="exact", tokenizer="char", num_beams=2),
        TaskPlan("classify", "a b", "c.tsv", lora_r=4, lora_target=("q", "v")).with_values(
            {"lr": 1.5e-5, "freeze": ("x",), "train_last": 0, "schedule": "cosine"}
        ),
    ]
    seen = []
    monkeypatch.setattr(TaskRun, "create", classmethod(lambda cls, path, plan: seen.append(plan) or 1 / 0))
    for plan in plans:
        call(*shlex.split(plan.command("out"))[1:])
    assert seen == plans


def test_a_base_model_and_its_new_head(films, tmp_path):
    bert = make_bert(tmp_path / "bert")
    out = succeed("finetune", "--task", "classify", "--model", bert, "--data", films, *FAST, "--lora", 2, "--out",
                  tmp_path / "run")  # fmt: skip
    assert "new weights, which training has to find: bert.pooler" in out
    assert (tmp_path / "run" / "adapter" / "adapter_config.json").exists()
    assert "pos" in succeed("predict", tmp_path / "run", "a good film")


def test_going_on(films, tmp_path, monkeypatch):
    count = []

    def stop(self, step, steps, loss):
        count.append(step)
        if len(count) == 5:
            signal.raise_signal(signal.SIGINT)

    from minillm.cli.task_progress import EpochBar

    monkeypatch.setattr(EpochBar, "done", stop)
    run = tmp_path / "run"
    assert_fails(call(*task(films, run)), 130, "stopped after step 5; everything is saved in")
    assert_fails(call(*task(films, run)), 1, "holds a task already: go on with it (--resume)")
    assert_fails(call("predict", run, "a"), 1, "training has not ended; `minillm finetune --task classify --resume")
    resume = ["finetune", "--task", "classify", "--resume", "--out", run]
    assert_fails(call(*resume, "--lr", 1), 2, "--lr is 0.01 in the run", "cannot become 1.0")
    assert_fails(call("finetune", "--task", "tag", "--resume", "--out", run), 2, "--task is classify in the run")
    assert "Going on with the run in" in succeed(*resume, "--lr", "0.01")
    assert_fails(call(*resume), 1, "training has ended; there is nothing to go on with")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process")
def test_ctrl_c_in_a_process_of_its_own(films, tmp_path):
    run = tmp_path / "run"
    command = [sys.executable, "-m", "minillm", *map(str, task(films, run, "--epochs", "100000"))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    deadline = time.monotonic() + 120
    while not (run / "checkpoints").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "everything is saved in" in err
    assert "epoch 1/100000" in out


def test_two_processes_in_one_directory(films, tmp_path):
    from minillm.training.log import TrainingLog
    from minillm.training.task_run import TaskPlan

    TaskRun.create(tmp_path / "run", TaskPlan("classify", "lstm", str(films)))
    with TrainingLog(tmp_path / "run" / "log.jsonl"):
        outcome = call("finetune", "--task", "classify", "--resume", "--out", tmp_path / "run")
    assert_fails(outcome, 1, "another process is training in this directory")


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["--task", "sum"], 2, "argument --task: invalid choice: 'sum'"),
        (["--task", "classify"], 2, "it needs --model: a directory, or lstm"),
        (["--task", "classify", "--model", "lstm"], 2, "it needs --data: a file, or a public set"),
        (["--task", "qa", "--model", "lstm", "--data", "x"], 2, "an LSTM from scratch is for classify, tag, translate"),
        (["--task", "classify", "--model", "lstm", "--data", "x.tsv"], 1, "there is no such file, and no public set"),
        (["--task", "tag", "--model", "lstm", "--data", "trec"], 1, "trec is for classify, not for tag"),
        (["--task", "classify", "--model", "lstm", "--data", "FILMS", "--validation", "a", "--validation-fraction",
          "0.2"], 2, "got --validation and --validation-fraction"),
        (["--task", "classify", "--model", "nowhere", "--data", "FILMS"], 1, "nowhere: there is no such directory"),
        (["--task", "classify", "--model", "lstm", "--data", "FILMS", "--lr", "0"], 2, "argument --lr: got 0"),
        (["--task", "classify", "--model", "lstm", "--data", "FILMS", "--freeze", "zzz"], 1, "no parameter is called"),
        (["--task", "classify", "--model", "lstm", "--data", "TAGS"], 1, "is not known for classify"),
    ],
)  # fmt: skip
def test_bad_input(films, tmp_path, argv, code, message):
    tags = write_tags(tmp_path / "a.conll", 4)
    argv = [{"FILMS": str(films), "TAGS": str(tags)}.get(word, word) for word in argv]
    assert_fails(call("finetune", *argv, "--out", tmp_path / "run"), code, message)
    assert not (tmp_path / "run").exists()


def test_no_directory(films):
    assert_fails(call("finetune", "--task", "classify", *SMALL_LSTM, "--data", films), 2, "it needs --out")
    assert_fails(call("finetune", "--task", "classify", *SMALL_LSTM, "--data", films, "--out", films / "run"), 1,
                 "films.tsv")  # fmt: skip


def test_help_tells_of_both_forms():
    assert "--task (classify, tag, qa" in succeed("finetune", "--help")
    out = succeed("finetune", "--task", "tag", "--help")
    assert "usage: minillm finetune --task TASK" in out
    assert "finetune-task" not in succeed("--help")
