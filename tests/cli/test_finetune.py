from __future__ import annotations

import numpy as np
import pytest

from minillm.interop.safetensors import read_arrays
from minillm.training.run_directory import RunDirectory
from tests.cli.conftest import TEXT, assert_fails, call, succeed
from tests.cli.test_train import assert_same_runs, log_of, weights_of

SHORT = ("--steps", "4", "--eval-interval", "2", "--checkpoint-interval", "2", "--log-interval", "1")


@pytest.fixture
def other_text(tmp_path):
    path = tmp_path / "dogs.txt"
    path.write_text("the dog sat on the cat and the bird\n" * 20)
    return path


def test_it_begins_where_the_run_ended(trained, other_text, tmp_path):
    out = succeed("finetune", trained, "--text", other_text, *SHORT, "--out", tmp_path / "tuned", "--sample", 5)
    assert "Text       dogs.txt" in out
    start = read_arrays(tmp_path / "tuned" / "checkpoints" / "step-000000" / "model.safetensors")[0] if (
        tmp_path / "tuned" / "checkpoints" / "step-000000").exists() else None  # fmt: skip
    loss = log_of(tmp_path / "tuned")[0]["val_loss"]
    if start is not None:
        for name, array in weights_of(trained).items():
            np.testing.assert_array_equal(start[name], array)
    assert loss < 2.9  # log(19) = 2.94 is the loss of guessing
    info, parent = RunDirectory.open(tmp_path / "tuned").info, RunDirectory.open(trained).info
    assert info.parent == str(trained)
    assert info.training.lr == pytest.approx(0.3 * parent.training.lr)
    assert info.training.min_lr == pytest.approx(info.training.lr / 10)
    assert info.training.warmup == 0
    assert info.training.block_size == parent.training.block_size
    assert info.tokenizer_sha256 == parent.tokenizer_sha256


def test_what_is_frozen_stays(trained, other_text, tmp_path):
    out = succeed("finetune", trained, "--text", other_text, *SHORT, "--out", tmp_path / "tuned",
                  "--freeze", "transformer.w?e", "transformer.h.0.attn", "--freeze", "*.ln_f.*")  # fmt: skip
    assert "of them are frozen" in out
    before, after = weights_of(trained), weights_of(tmp_path / "tuned")
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert moved == {
        "transformer.h.0.ln_1.weight", "transformer.h.0.ln_2.weight",
        "transformer.h.0.mlp.c_fc.weight", "transformer.h.0.mlp.c_proj.weight",
    }  # fmt: skip


def test_resuming(trained, other_text, tmp_path):
    command = ["finetune", trained, "--text", other_text, *SHORT, "--freeze", "transformer.h.0.attn", "--quiet"]
    succeed(*command, "--out", tmp_path / "a")
    succeed(*command, "--out", tmp_path / "b")
    assert_same_runs(tmp_path / "a", tmp_path / "b")
    succeed(*command, "--out", tmp_path / "b", "--resume")
    succeed("train", "--out", tmp_path / "b", "--resume", "--quiet")
    assert_same_runs(tmp_path / "a", tmp_path / "b")
    assert_fails(call("finetune", tmp_path / "a", "--out", tmp_path / "b", "--resume"), 2, "was not fine-tuned from")
    outcome = call("finetune", trained, "--out", tmp_path / "b", "--resume", "--lr", 1)
    assert_fails(outcome, 2, "--lr is 0.0012 in the run")


def test_a_name_is_found_where_none_is_given(trained, other_text, run_copy):
    for _ in range(2):
        succeed("finetune", run_copy, "--text", other_text, *SHORT, "--quiet")
    assert {p.name for p in run_copy.parent.iterdir() if p.is_dir()} == {
        "copy", "copy-finetuned", "copy-finetuned-2",
    }  # fmt: skip


def test_the_source_of_python(trained, tmp_path, monkeypatch):
    from minillm.training import text_source

    monkeypatch.setitem(text_source.CORPORA, "python", lambda: TEXT)
    out = succeed("finetune", trained, "--corpus", "python", *SHORT, "--out", tmp_path / "tuned")
    assert "source code of Python's standard library" in out


def test_characters_that_the_tokenizer_does_not_know(trained, tmp_path):
    path = tmp_path / "strange.txt"
    path.write_text(TEXT + "Zoë's cat: 3 naïve mice\n" * 3)
    command = ["finetune", trained, "--text", path, *SHORT, "--out", tmp_path / "tuned"]
    outcome = call(*command)
    assert_fails(outcome, 1, "strange.txt: 21 of its", "characters are not in the tokenizer's vocabulary",
                 "\"'\" (3 times), '3' (3 times)", "and 2 others", "--unknown skip", "--tokenizer bpe")  # fmt: skip
    assert not (tmp_path / "tuned").exists()
    out = succeed(*command, "--unknown", "skip")
    assert "21 characters that the tokenizer does not know were left out" in out
    succeed("train", "--out", tmp_path / "tuned", "--resume", "--quiet")
    path.write_text("ΑΒΓ" * 50)
    assert_fails(call(*command, "--unknown", "skip"), 1, "tuned holds a run already")
    assert_fails(
        call(*command[:-1], tmp_path / "more", "--unknown", "skip"), 1, "the tokenizer knows none of its characters"
    )


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        ([], 2, "it needs a text to train on: --text FILE or --corpus NAME"),
        (["--text", "nowhere.txt"], 1, "no file nowhere.txt"),
        (["--text", __file__, "--freeze", "h.0"], 1, "not in the tokenizer's vocabulary"),
        (["--unknown", "skip", "--text", __file__, "--freeze", "h.7"], 1, "no parameter is called 'h.7'; close are"),
        (["--unknown", "skip", "--text", __file__, "--block-size", 17], 1, "the model reads at most 16 tokens"),
        (["--text", __file__, "--steps", 0], 2, "argument --steps: got 0"),
    ],
)
def test_bad_input(trained, tmp_path, argv, code, message):
    assert_fails(call("finetune", trained, *argv, "--out", tmp_path / "tuned"), code, message)
    assert not list(tmp_path.iterdir())
