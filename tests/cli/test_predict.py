"""``minillm predict``: each task's answers, where texts come from, and what it refuses."""

from __future__ import annotations

import io
import json
import sys

import pytest

from minillm.training.task_run import TaskRun
from tests.cli.conftest import assert_fails, call, succeed
from tests.training.task_examples import FAST, SMALL_LSTM, make_bert, make_gpt, write_squad, write_tags, write_texts


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tasks")


def made(folder, name, *options):
    """A finished run, made once."""
    if not (folder / name).exists():
        draw, TaskRun.draw = TaskRun.draw, lambda self: None
        try:
            succeed("finetune", "--task", options[0], *FAST, *options[1:], "--quiet", "--out", folder / name)
        finally:
            TaskRun.draw = draw
    return folder / name


@pytest.fixture
def films(folder):
    data = write_texts(folder / "films.tsv", 80)
    return made(folder, "films", "classify", *SMALL_LSTM, "--data", data, "--epochs", "4")


def test_labels(films):
    out = succeed("predict", films, "a good film")
    label, shares = out.rstrip("\n").split("\t")
    assert label == "pos"
    assert shares.startswith("pos 0.")
    lines = succeed("predict", films, "a good film", "the dull plot").splitlines()
    assert [line.split("\t")[0] for line in lines] == ["pos", "neg"]
    assert lines[1].endswith("\tthe dull plot")
    (found,) = map(json.loads, succeed("predict", films, "a good film", "--json").splitlines())
    assert (found["text"], found["label"]) == ("a good film", "pos")
    assert set(found["probabilities"]) == {"neg", "pos"}
    among = succeed("predict", "--json", films, "--device", "cpu", "a good film", "--threads", "1", "the dull plot")
    assert [json.loads(line)["label"] for line in among.splitlines()] == ["pos", "neg"]
    assert_fails(call("predict", films, "--jason", "a good film"), 2, "unrecognized arguments: --jason")
    assert_fails(call("predict", "--json"), 2, "the following arguments are required: DIR")


def test_texts_from_a_file_and_a_pipe(films, tmp_path, monkeypatch):
    file = tmp_path / "a.txt"
    file.write_text("a good film\n\nthe bad story\n")
    assert [line[:3] for line in succeed("predict", films, "--file", file).splitlines()] == ["pos", "neg"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("a great plot\n"))
    assert succeed("predict", films).startswith("pos")
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    assert_fails(call("predict", films, "--file", "-"), 2, "- holds no text")
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", terminal)
    assert_fails(call("predict", films), 2, "it needs a text: as an argument, in --file, or from a pipe")


def test_tags(folder):
    data = write_tags(folder / "a.conll", 80)
    run = made(folder, "tags", "tag", *SMALL_LSTM, "--data", data, "--epochs", "16")
    assert succeed("predict", run, "fly to paris") == "fly to paris/B-GOAL\n"
    (found,) = map(json.loads, succeed("predict", run, "fly to paris", "--json").splitlines())
    assert found["entities"] == [{"type": "GOAL", "start": 2, "end": 3, "text": "paris"}]


def test_answers(folder, tmp_path):
    data, bert = write_squad(folder / "qa.json", 12), make_bert(folder / "bert")
    run = made(folder, "qa", "qa", "--model", bert, "--data", data, "--validation-fraction", "0.3")
    context = "bob lives in london"
    (tmp_path / "context.txt").write_text(context)
    answers = {
        succeed("predict", run, "--context", given, "--question", "where ?")
        for given in (context, tmp_path / "context.txt")
    }
    assert len(answers) == 1
    assert answers.pop().strip() in context
    assert_fails(call("predict", run, "where ?"), 2, "it needs --context")


def test_continuations_and_responses(folder):
    gpt = make_gpt(folder / "gpt")
    (folder / "a.txt").write_text("\n\n".join("abc" * i for i in range(2, 14)))
    run = made(folder, "lm", "lm", "--model", gpt, "--data", folder / "a.txt")
    assert succeed("predict", run, "ab", "--max-new-tokens", 3).startswith("ab")
    drawn = [succeed("predict", run, "ab", "--max-new-tokens", 9, "--temperature", 1, "--seed", 5) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert_fails(call("predict", run, "ab", "--seed", 5), 2, "--seed is of no use without --temperature")
    (folder / "i.json").write_text(json.dumps([{"instruction": f"Say {i}.", "output": str(i)} for i in range(8)]))
    run = made(folder, "instruct", "instruct", "--model", gpt, "--data", folder / "i.json", "--max-length", "256",
               "--validation-fraction", "0.25")  # fmt: skip
    (found,) = map(json.loads, succeed("predict", run, "Say 3.", "--input", "3", "--max-new-tokens", 2, "--json")
                   .splitlines())  # fmt: skip
    assert set(found) == {"instruction", "response"}


def test_translations(folder):
    (folder / "t.tsv").write_text("source\ttarget\n" + "".join(f"a{i}\t{i}a\n" for i in range(30)))
    run = made(folder, "translate", "translate", *SMALL_LSTM, "--tokenizer", "char", "--data", folder / "t.tsv",
               "--max-length", "6")  # fmt: skip
    assert len(succeed("predict", run, "a3", "a4").splitlines()) == 2


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["a", "--context", "b"], 2, "--context is for qa, and "),
        (["a", "--input", "b"], 2, "--input is for instruct, and "),
        (["a", "--temperature", "1"], 2, "--temperature is for lm and instruct, and "),
        (["a", "--file", "b"], 2, "got texts and --file"),
        (["--file", "nowhere.txt"], 1, "nowhere.txt"),
        ([" "], 1, "text 1 of 1 is empty"),
    ],
)
def test_bad_input(films, argv, code, message):
    assert_fails(call("predict", films, *argv), code, message)


def test_directories_that_hold_no_task(tmp_path, films):
    assert_fails(call("predict", tmp_path / "nowhere", "a"), 1, "there is no such directory; one is needed that")
    assert_fails(call("predict", tmp_path, "a"), 1, "holds no task: it has no task.json")
    import shutil

    broken = shutil.copytree(films, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"abc")
    assert_fails(call("predict", broken, "a"), 1, "the model of", "cannot be read")
