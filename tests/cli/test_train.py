from __future__ import annotations

import json

import numpy as np
import pytest

from minillm.cli.presets import PRESETS
from minillm.cli.train import model_options
from minillm.interop.safetensors import read_arrays
from minillm.training.checkpoint import checkpoints_in
from minillm.training.log import read_log
from minillm.training.run_directory import RunDirectory
from tests.cli.conftest import TEXT, TINY, assert_fails, call, draw_losses, succeed


def log_of(path):
    return [{k: v for k, v in r.items() if k != "seconds"} for r in read_log(path / "log.jsonl")]


def weights_of(path):
    return read_arrays(path / "model.safetensors")[0]


def assert_same_runs(one, other):
    assert log_of(one) == log_of(other)
    mine, theirs = weights_of(one), weights_of(other)
    assert mine.keys() == theirs.keys()
    for name in mine:
        np.testing.assert_array_equal(mine[name], theirs[name])
    assert json.loads((one / "run.json").read_text()) == json.loads((other / "run.json").read_text())


def test_a_run_directory_holds_what_it_should(trained):
    names = {p.name for p in trained.iterdir()}
    assert {
        "run.json", "config.json", "model.safetensors", "checkpoints", "log.jsonl", "tokenizer.json", "loss.png",
    } <= names  # fmt: skip
    assert (trained / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in checkpoints_in(trained / "checkpoints")][-1] == "step-000006"
    assert [r["step"] for r in log_of(trained)] == [0, 2, 3, 4, 6, 6, 6]
    info = RunDirectory.open(trained).info
    assert info.training.steps == 6
    assert info.preset == "gpt-nano"
    assert info.options["width"] == 16
    assert info.version
    assert len(info.text_sha256) == 64


def test_what_is_printed_is_for_people(text_file, tmp_path):
    out = succeed("train", "--text", text_file, *TINY, "--out", tmp_path / "a", "--sample", 20)
    assert f"cat.txt: {len(TEXT):,} characters, {len(TEXT):,} tokens" in out
    assert "GPT of 1 layers, 2 heads, 16 wide" in out
    assert "a guess among the" in out
    assert "step     3: training loss" in out
    assert "bits a character (the whole validation text)" in out
    assert "A sample (temperature 0.8)" in out
    assert f"minillm generate {tmp_path / 'a'}" in out


def test_quiet_is_quiet(text_file, tmp_path):
    assert call("train", "--text", text_file, *TINY, "--out", tmp_path / "a", "--quiet") == (0, "", "")


def test_the_same_command_gives_the_same_run(trained, text_file, tmp_path):
    succeed("train", "--text", text_file, *TINY, "--out", tmp_path / "again", "--quiet")
    assert_same_runs(trained, tmp_path / "again")


def test_a_run_without_a_checkpoint_begins_again_from_its_initial_weights(text_file, tmp_path, trained):
    """A run that was killed before its first checkpoint was written."""
    from minillm.training import run_directory

    class Killed(BaseException):
        pass

    def die(*args, **kwargs):
        raise Killed

    path = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_directory, "Trainer", die)
        with pytest.raises(Killed):
            call("train", "--text", text_file, *TINY, "--out", path)
    assert not (path / "checkpoints").exists()
    succeed("generate", path, "--max-new-tokens", 3)
    succeed("train", "--out", path, "--resume", "--quiet")
    assert_same_runs(trained, path)


def test_resuming_a_finished_run_changes_nothing_and_more_steps_train_further(trained, run_copy, text_file):
    succeed("train", "--text", text_file, *TINY, "--out", run_copy, "--resume", "--quiet")
    assert_same_runs(trained, run_copy)
    out = succeed("train", "--out", run_copy, "--resume", "--steps", 9)
    assert "Going on with the run" in out
    assert "9 steps" in out
    assert RunDirectory.open(run_copy).info.training.steps == 9
    assert log_of(run_copy)[-1]["step"] == 9


@pytest.mark.parametrize("model", ["rnn", "gru", "lstm"])
def test_recurrent_models(text_file, tmp_path, model):
    options = [o for o in TINY if o not in ("--heads", "2")][:2] + list(TINY[4:])
    out = succeed("train", "--model", model, "--text", text_file, *options, "--out", tmp_path / "a", "--sample", 5)
    assert f"{model.upper()} of 1 layer(s), 16 wide" in out
    succeed("generate", tmp_path / "a", "--max-new-tokens", 5)


def test_bpe(text_file, tmp_path):
    succeed("train", "--tokenizer", "bpe", "--vocab-size", 270, "--text", text_file, *TINY, "--out", tmp_path / "a")
    tokenizer = RunDirectory.open(tmp_path / "a").load_tokenizer()
    assert tokenizer.vocab_size == 270
    assert tokenizer.decode(tokenizer.encode("é 你好")) == "é 你好"
    succeed("eval", tmp_path / "a", "--text", text_file)


def test_several_files_and_a_validation_text(text_file, tmp_path):
    other = tmp_path / "b.txt"
    other.write_text("a bird sat on the old cake\n" * 5)
    succeed("train", "--text", text_file, other, "--validation", other, *TINY, "--out", tmp_path / "a")
    run = RunDirectory.open(tmp_path / "a")
    text = run.load_text(run.load_tokenizer())
    assert len(text.training) == len(TEXT) + len(other.read_text())
    assert len(text.validation) == len(other.read_text())
    assert text.validation_characters == len(other.read_text()) - 1


def test_without_validation(text_file, tmp_path):
    out = succeed("train", "--text", text_file, "--validation-fraction", 0, *TINY, "--out", tmp_path / "a")
    assert "Validation" not in out
    assert not any("val_loss" in r for r in log_of(tmp_path / "a"))
    assert_fails(call("eval", tmp_path / "a"), 1, "this run set no text aside to measure on")


def test_an_encoding(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes(("café au lait, s'il vous plaît\n" * 30).encode("latin-1"))
    assert_fails(call("train", "--text", path, *TINY, "--out", tmp_path / "a"), 1, "byte 3 (0xe9, line 1)", "utf-8")
    assert not (tmp_path / "a").exists()
    succeed("train", "--text", path, "--encoding", "latin-1", *TINY, "--out", tmp_path / "a", "--quiet")
    succeed("train", "--out", tmp_path / "a", "--resume", "--quiet")
    assert "é" in RunDirectory.open(tmp_path / "a").load_tokenizer().get_vocab()


def test_runs_without_a_name_get_one(text_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        succeed("train", "--text", text_file, *TINY, "--quiet")
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["gpt-nano", "gpt-nano-2"]


def test_the_default_corpus(tmp_path):
    out = succeed("train", *TINY, "--steps", 1, "--eval-windows", 1, "--validation-fraction", 0.001, "--out",
                  tmp_path / "a", "--sample", 0)  # fmt: skip
    assert "the help texts of Python (English)" in out
    succeed("eval", tmp_path / "a")


def test_frozen_parameters_are_told(text_file, tmp_path):
    out = succeed("train", "--text", text_file, *TINY, "--freeze", "transformer.wte", "*.ln_?", "--out", tmp_path / "a")
    assert "of them are frozen" in out


def test_patience(text_file, tmp_path):
    out = succeed("train", "--text", text_file, *TINY, "--steps", 60, "--lr", 3, "--warmup", 0, "--eval-interval", 1,
                  "--patience", 2, "--out", tmp_path / "a")  # fmt: skip
    assert "stopped early: the validation loss no longer fell" in out
    assert "were the best and are kept" in out


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_weight_decay_means_something_else_outside_of_adamw(text_file, tmp_path, optimizer):
    succeed("train", "--text", text_file, *TINY, "--optimizer", optimizer, "--out", tmp_path / "a", "--quiet")
    assert RunDirectory.open(tmp_path / "a").info.training.weight_decay == 0


def test_a_changed_rate_moves_its_end_and_a_short_run_warms_up_briefly(text_file, tmp_path):
    succeed("train", "--text", text_file, *TINY, "--steps", 20, "--lr", 0.02, "--out", tmp_path / "a", "--quiet")
    training = RunDirectory.open(tmp_path / "a").info.training
    assert (training.lr, training.min_lr, training.warmup) == (0.02, 0.002, 2)


def test_the_preset_shakespeare_char_is_nanogpts():
    from minillm.cli import build_parser
    from minillm.cli.train import training_options

    args = build_parser().parse_args(["train", "--preset", "shakespeare-char"])
    assert model_options(args, "shakespeare-char") == {
        "model": "gpt2", "layers": 4, "heads": 4, "width": 128, "dropout": 0.0, "bias": False,
        "tokenizer": "char", "vocab_size": None,
    }  # fmt: skip
    assert training_options(args, "shakespeare-char") == {
        "steps": 2000, "batch_size": 12, "block_size": 64, "lr": 1e-3, "min_lr": 1e-4, "warmup": 100,
        "betas": (0.9, 0.99), "weight_decay": 0.1, "grad_clip": 1.0, "seed": 3,
    }  # fmt: skip


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_trains(preset, text_file, tmp_path):
    succeed("train", "--preset", preset, "--text", text_file, "--steps", 1, "--batch-size", 2, "--block-size", 8,
            "--out", tmp_path / "a", "--sample", 3)  # fmt: skip


def test_the_strict_stand_in_trains(text_file, tmp_path, trained):
    succeed("train", "--text", text_file, *TINY, "--steps", 2, "--out", tmp_path / "a", "--device", "strict")
    for one, other in zip(log_of(tmp_path / "a"), log_of(trained), strict=False):
        if "val_loss" in one and one["step"] == 0:
            assert one["val_loss"] == pytest.approx(other["val_loss"], rel=1e-5)


def test_without_matplotlib_training_works_and_says_so_in_a_line(text_file, tmp_path, monkeypatch):
    from minillm import viz

    monkeypatch.setattr(RunDirectory, "draw_losses", draw_losses)
    monkeypatch.setattr(viz, "can_plot", lambda: False)
    outcome = call("train", "--text", text_file, *TINY, "--out", tmp_path / "a", "--quiet")
    assert outcome.code == 0
    assert outcome.err == (
        'minillm: no plot: Matplotlib is not installed; pip install "minillm[plot]" brings it\n'
    )
    assert not (tmp_path / "a" / "loss.png").exists()
