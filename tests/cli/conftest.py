"""A short text, a run trained on it, and a way to call the command line inside the process."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from minillm.cli import main
from minillm.training.run_directory import RunDirectory

WORDS = "the cat sat on the mat and the dog ate the cake\nwhile a bird sang in the old tree\n"
TEXT = WORDS * 12

#: Options of a model that is trained in a second.
TINY = (
    "--layers", "1", "--heads", "2", "--width", "16", "--block-size", "16", "--batch-size", "4",
    "--steps", "6", "--eval-interval", "3", "--checkpoint-interval", "2", "--log-interval", "2",
)  # fmt: skip

Outcome = namedtuple("Outcome", "code out err")


def call(*argv: object) -> Outcome:
    """Run a command; return its exit code and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(arg) for arg in argv])
    return Outcome(code, out.getvalue(), err.getvalue())


def succeed(*argv: object) -> str:
    outcome = call(*argv)
    assert outcome.code == 0, outcome
    return outcome.out


def assert_fails(outcome: Outcome, code: int, *parts: str) -> None:
    """The error is one line on standard error, without a traceback, and says all these parts."""
    assert outcome.code == code, outcome
    lines = outcome.err.splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("minillm")
    assert "Traceback" not in outcome.err
    for part in parts:
        assert part in lines[0], (part, lines[0])


draw_losses = RunDirectory.draw_losses


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    """Drawing takes longer than training here; the run ``trained`` is drawn."""
    monkeypatch.setattr(RunDirectory, "draw_losses", lambda self, *args: None)


@pytest.fixture(scope="session")
def text_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("text") / "cat.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory, text_file) -> Path:
    """A finished run; tests that change it copy it first."""
    path = tmp_path_factory.mktemp("runs") / "tiny"
    succeed("train", "--text", text_file, *TINY, "--out", path, "--quiet")
    return path


@pytest.fixture
def run_copy(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "copy"))
