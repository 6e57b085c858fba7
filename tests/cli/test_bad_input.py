"""What bad input gets: one line that names what it got and what it needs, nothing lost, no traceback."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import minillm
from minillm.data.whole_files import disk_full
from minillm.interop.safetensors import read_arrays, write_arrays
from minillm.tokenizers import CharTokenizer
from minillm.training.checkpoint import checkpoints_in
from tests.cli.conftest import TEXT, TINY, assert_fails, call, succeed

USAGE = {
    "steps 0": (["--steps", 0], "argument --steps: got 0; it needs a whole number, 1 or more"),
    "negative steps": (["--steps", -5], "argument --steps: got -5"),
    "half a step": (["--steps", 1.5], "argument --steps: got 1.5"),
    "no number": (["--steps", "many"], "argument --steps: got many"),
    "batch size": (["--batch-size", -1], "argument --batch-size: got -1; it needs a whole number, 1 or more"),
    "block size": (["--block-size", 0], "argument --block-size: got 0"),
    "layers": (["--layers", 0], "argument --layers: got 0"),
    "width": (["--width", -16], "argument --width: got -16"),
    "heads": (["--heads", 0], "argument --heads: got 0"),
    "heads do not divide": (["--width", 16, "--heads", 3], "--width 16 is no multiple of --heads 3"),
    "vocabulary": (["--tokenizer", "bpe", "--vocab-size", 10], "argument --vocab-size: got 10; it needs a whole"),
    "char vocabulary": (["--vocab-size", 300], "--vocab-size is for --tokenizer bpe"),
    "learning rate 0": (["--lr", 0], "argument --lr: got 0; it needs a number, more than 0"),
    "learning rate nan": (["--lr", "nan"], "argument --lr: got nan"),
    "learning rate inf": (["--lr", "inf"], "argument --lr: got inf"),
    "dropout": (["--dropout", 1], "argument --dropout: got 1; it needs a number, 0 or more, and less than 1"),
    "betas": (["--betas", 0.9, 1], "argument --betas: got 1"),
    "fraction": (["--validation-fraction", 1], "argument --validation-fraction: got 1"),
    "preset": (["--preset", "gpt-5"], "argument --preset: invalid choice: 'gpt-5'"),
    "preset and model": (["--preset", "lstm-char", "--model", "gpt2"], "the preset lstm-char is no gpt2"),
    "heads of an LSTM": (["--model", "lstm", "--heads", 2], "--heads is for gpt2; a lstm has none"),
    "bias of an LSTM": (["--preset", "lstm-char", "--bias"], "--bias is for gpt2; a lstm has none"),
    "unknown option": (["--stepz", 3], "unrecognized arguments: --stepz 3"),
    "resume without out": (["--resume"], "--resume needs --out"),
    "both texts": (["--corpus", "python", "--text", "x"], "not allowed with argument"),
    "both validations": (["--validation", __file__, "--validation-fraction", 0.1], "give one of both"),
}  # fmt: skip


@pytest.mark.parametrize("what", USAGE)
def test_arguments_that_make_no_sense(what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv, message = USAGE[what]
    assert_fails(call("train", *argv), 2, message, "--help")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("argv", [[], ["dance"], ["generate"], ["finetune"]])
def test_a_command_is_needed(argv):
    outcome = call(*argv)
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 1


def write(name, data):
    def make(folder):
        path = folder / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return ["--text", path]

    return make


TEXTS = {
    "a missing file": (lambda folder: ["--text", folder / "nowhere.txt"], "no file", "nowhere.txt"),
    "a folder": (lambda folder: ["--text", folder], "is a folder"),
    "an empty file": (write("empty.txt", ""), "empty.txt holds no text (the file is empty)"),
    "an empty file among others": (
        lambda folder: [*write("a.txt", TEXT)(folder), write("b.txt", "")(folder)[1]], "b.txt holds no text",
    ),
    "white space": (write("blank.txt", " \n" * 500), "blank.txt: there is no text in it"),
    "too short a text": (
        write("short.txt", "Hello, world. Hi"),
        "the text is too short: short.txt has 14 tokens to train on, and windows of --block-size 16 need at least 17",
    ),
    "no text to measure on": (write("s.txt", "Hello"), "of 5 tokens, 0 are set aside to measure on"),
    "undecodable bytes": (write("bad.txt", b"abc\n\xff\xfe def" * 99), "byte 4 (0xff, line 2) is not text in utf-8"),
    "a cut character": (write("cut.txt", (TEXT + "é").encode()[:-1]), "is not text in utf-8"),
    "UTF-16": (write("u.txt", TEXT.encode("utf-16")), "begins like UTF-16: give encoding='utf-16'"),
    "an unknown encoding": (
        lambda folder: [*write("a.txt", TEXT)(folder), "--encoding", "klingon"], "knows no encoding 'klingon'",
    ),
    "an unknown validation character": (
        lambda folder: [*write("a.txt", TEXT)(folder), "--validation", folder / "none.txt"], "no file",
    ),
    "a pattern that matches nothing": (
        lambda folder: [*write("a.txt", TEXT)(folder), "--freeze", "transformer.blocks.0.*"],
        "no parameter is called 'transformer.blocks.0.*'; close are transformer.",
    ),
    "everything frozen": (lambda folder: [*write("a.txt", TEXT)(folder), "--freeze", "*"], "leaves nothing to train"),
}  # fmt: skip


@pytest.mark.parametrize("what", TEXTS)
def test_texts_that_cannot_be_trained_on(what, tmp_path):
    make, *messages = TEXTS[what]
    outcome = call("train", *make(tmp_path), *TINY, "--out", tmp_path / "out")
    assert_fails(outcome, 1, "minillm train: error: ", *messages)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*.part"))


def test_places_where_no_run_can_be_made(text_file, tmp_path, trained):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    train = ["train", "--text", text_file, *TINY, "--quiet", "--out"]
    assert_fails(call(*train, tmp_path / "file"), 1, "is a file; a run needs a directory of its own")
    assert_fails(call(*train, tmp_path / "full"), 1, "full is not empty and holds no run")
    assert_fails(call(*train, trained), 1, "holds a run already: go on with it (--resume)")
    assert (tmp_path / "full" / "precious.txt").read_text() == "mine"
    succeed(*train, tmp_path / "empty")
    assert_fails(call(*train, tmp_path / "file" / "below"), 1, "minillm train: error: ")


def test_a_loss_that_is_no_number(text_file, tmp_path):
    outcome = call("train", "--text", text_file, *TINY, "--optimizer", "sgd", "--lr", 1e30, "--grad-clip", 0,
                   "--warmup", 0, "--steps", 50, "--out", tmp_path / "a", "--quiet")  # fmt: skip
    assert_fails(outcome, 1, "training has diverged. Try a lower learning rate (lr 3e+29)", "is intact")
    place = checkpoints_in(tmp_path / "a" / "checkpoints")[-1]
    arrays, _ = read_arrays(place / "model.safetensors")
    assert all(np.isfinite(array).all() for array in arrays.values())
    succeed("generate", tmp_path / "a", "--max-new-tokens", 3)


# -- run directories --------------------------------------------------------------------------------------


def cut(name, share=0.5):
    def damage(run):
        data = (run / name).read_bytes()
        (run / name).write_bytes(data[: int(len(data) * share)])

    return damage


def replace(name, text):
    return lambda run: (run / name).write_text(text)


def remove(name):
    return lambda run: (run / name).unlink()


def edit(name, **changes):
    def damage(run):
        values = json.loads((run / name).read_text())
        (run / name).write_text(json.dumps({**values, **changes}))

    return damage


def drop(name, key):
    def damage(run):
        values = json.loads((run / name).read_text())
        del values[key]
        (run / name).write_text(json.dumps(values))

    return damage


def other_tokenizer(text):
    def damage(run):
        for path in run.glob("token*"):
            path.unlink()
        CharTokenizer.from_text(text).save_pretrained(run)

    return damage


def other_weights(run):
    arrays, metadata = read_arrays(run / "model.safetensors")
    del arrays["transformer.ln_f.weight"]
    write_arrays(run / "model.safetensors", arrays, metadata)


def a_pickle(run):
    (run / "model.safetensors").write_bytes(b"\x80\x04\x95" + b"pickle" * 50)


SAME_SIZE = TEXT.replace("c", "C")  # another vocabulary of the same size
RUNS = {
    "no run": (remove("run.json"), "holds no run of minillm: it has no run.json"),
    "run.json cut off": (cut("run.json"), "run.json is damaged"),
    "run.json foreign": (replace("run.json", "[]"), "the format is None; this minillm reads 'minillm run 1'"),
    "run.json of the future": (edit("run.json", format="minillm run 7"), "the format is 'minillm run 7'"),
    "run.json without training": (drop("run.json", "training"), "run.json is damaged: 'training' is missing"),
    "run.json with bad training": (edit("run.json", training={"steps": -1}), "steps is -1"),
    "config.json missing": (remove("config.json"), "config.json"),
    "config.json cut off": (cut("config.json"), "config.json"),
    "config.json of another kind": (
        edit("config.json", model_type="llama-9"), "model_type is 'llama-9'; known are gpt2, ",
    ),
    "config.json with a bad size": (edit("config.json", n_embd=-4), "n_embd is -4"),
    "a larger model": (edit("config.json", n_embd=32), "the weights of the run", "the file has shape"),
    "more layers": (edit("config.json", n_layer=2), "missing: transformer.h.1"),
    "another vocabulary size": (edit("config.json", vocab_size=99), "the model knows 99 tokens and the tokenizer 19"),
    "weights cut off": (cut("model.safetensors"), "the weights of the run", "cut off"),
    "weights empty": (cut("model.safetensors", 0), "this is no safetensors file"),
    "weights missing": (remove("model.safetensors"), "there is no such file"),
    "weights foreign": (a_pickle, "this is no safetensors file"),
    "weights incomplete": (other_weights, "missing: transformer.ln_f.weight"),
    "tokenizer missing": (lambda run: [p.unlink() for p in run.glob("token*")], "the tokenizer of the run"),
    "tokenizer cut off": (cut("tokenizer.json"), "tokenizer.json"),
    "a larger vocabulary": (other_tokenizer(TEXT + "XYZ"), "is not the one that this run was trained with"),
    "a vocabulary of the same size": (other_tokenizer(SAME_SIZE), "is not the one that this run was trained with"),
}  # fmt: skip


@pytest.mark.parametrize("what", RUNS)
def test_damaged_and_foreign_runs(what, run_copy, text_file):
    damage, *messages = RUNS[what]
    damage(run_copy)
    before = {p: p.read_bytes() for p in run_copy.rglob("*") if p.is_file()}
    for command in (
        ["generate", run_copy, "--max-new-tokens", 3],
        ["eval", run_copy, "--text", text_file],
        ["finetune", run_copy, "--text", text_file, "--out", run_copy.parent / "tuned"],
        ["train", "--out", run_copy, "--resume", "--quiet"],
    ):
        assert_fails(call(*command), 1, f"minillm {command[0]}: error: ", *messages)
    assert not (run_copy.parent / "tuned").exists()
    assert {p: p.read_bytes() for p in run_copy.rglob("*") if p.is_file()} == before


def newest(run):
    return checkpoints_in(run / "checkpoints")[-1].relative_to(run)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("model.safetensors", cut, "cut off"),
        ("optimizer.safetensors", cut, "cut off"),
        ("state.json", cut, "state.json"),
        ("optimizer.safetensors", remove, "no such file"),
        ("state.json", lambda name: replace(name, "{}"), "not that of a checkpoint of minillm"),
        ("model.safetensors", lambda name: replace(name, "foreign, foreign, foreign"), "no safetensors file"),
    ],
)
def test_damaged_and_foreign_checkpoints(run_copy, name, damage, message):
    place = newest(run_copy)
    damage(str(place / name))(run_copy)
    outcome = call("train", "--out", run_copy, "--resume", "--quiet")
    assert_fails(outcome, 1, f"{place.name} cannot be read", message, "remove that directory to go on from step-")
    succeed("generate", run_copy, "--max-new-tokens", 3)  # the weights to use are a file of their own
    shutil.rmtree(run_copy / place)
    succeed("train", "--out", run_copy, "--resume", "--quiet")


@pytest.mark.parametrize("command", ["generate", "eval", "finetune"])
def test_a_missing_directory(command, tmp_path):
    more = ["--corpus", "python"] if command == "finetune" else []
    assert_fails(call(command, tmp_path / "nowhere", *more), 1, "nowhere: there is no such directory")
    (tmp_path / "file").write_text("x")
    assert_fails(call(command, tmp_path / "file", *more), 1, "it is a file; a directory is needed")
    assert_fails(call("train", "--out", tmp_path / "nowhere", "--resume"), 1, "there is no such directory")


def test_a_text_that_changed_since_the_run_began(run_copy, tmp_path):
    text = tmp_path / "moved.txt"
    text.write_text(TEXT + "more\n")
    values = json.loads((run_copy / "run.json").read_text())
    values["text"]["files"] = [str(text)]
    (run_copy / "run.json").write_text(json.dumps(values))
    outcome = call("train", "--out", run_copy, "--resume")
    assert_fails(outcome, 1, "the text (moved.txt) has changed since this run began")
    text.unlink()
    assert_fails(call("train", "--out", run_copy, "--resume"), 1, "no file")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--lr", 0.5], "--lr is 0.004 in the run"),
        (["--batch-size", 5], "--batch-size is 4 in the run"),
        (["--layers", 2], "--layers is 1 in the run"),
        (["--tokenizer", "bpe"], "--tokenizer is char in the run"),
        (["--preset", "lstm-char"], "has the preset gpt-nano, not lstm-char"),
        (["--corpus", "python"], "--text is cat.txt in the run"),
        (["--validation-fraction", 0.2], "--validation-fraction is 0.1 in the run"),
        (["--unknown", "skip"], "--unknown is error in the run"),
        (["--validation", __file__], "--validation is None in the run"),
    ],
)
def test_a_resumed_run_keeps_its_settings(trained, argv, message):
    assert_fails(call("train", "--out", trained, "--resume", *argv), 2, message)


# -- the machine ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["gpu", "cuda:-1", "tpu:0", ""])
def test_devices_that_do_not_exist(trained, device):
    assert_fails(call("generate", trained, "--device", device), 1, "device: unknown device")


def test_a_missing_gpu_says_what_is_missing(trained):
    if minillm.backend.is_available("cuda"):
        pytest.skip("there is a GPU")
    assert_fails(call("generate", trained, "--device", "cuda"), 1, "device 'cuda' needs")


def test_the_device_of_the_environment(trained, monkeypatch):
    from minillm.backend import device as module

    monkeypatch.setenv("MINILLM_DEVICE", "abacus")
    monkeypatch.setattr(module, "_process_default", None)
    assert_fails(call("generate", trained), 1, "the environment variable MINILLM_DEVICE is 'abacus'")


def test_a_full_disk_while_training(text_file, tmp_path, monkeypatch):
    """The disk fills up after the checkpoint of step 2."""
    from minillm.training import trainer

    real, saved = trainer.save_checkpoint, []

    def save(directory, step, *args, **kwargs):
        if step >= 4:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("os.fsync", full)
                return real(directory, step, *args, **kwargs)
        saved.append(step)
        return real(directory, step, *args, **kwargs)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trainer, "save_checkpoint", save)
    out = tmp_path / "a"
    outcome = call("train", "--text", text_file, *TINY, "--out", out, "--quiet")
    assert_fails(outcome, 1, "step-000004 could not be written: no space left on the disk of", "step-000003 is intact")
    monkeypatch.undo()
    succeed("generate", out, "--max-new-tokens", 3)
    succeed("train", "--out", out, "--resume", "--quiet")


def test_a_full_disk_before_training(text_file, tmp_path, monkeypatch):
    from minillm.training import run_directory

    def full(model, path):
        raise disk_full(path, OSError(28, "No space left on device"))

    monkeypatch.setattr(run_directory, "save_weights", full)
    outcome = call("train", "--text", text_file, *TINY, "--out", tmp_path / "a", "--quiet")
    assert_fails(outcome, 1, "no space left on the disk of")
    assert not list(tmp_path.iterdir())


def test_two_processes_in_one_directory(run_copy):
    from minillm.training.log import TrainingLog

    with TrainingLog(run_copy / "log.jsonl"):
        outcome = call("train", "--out", run_copy, "--resume", "--quiet")
    assert_fails(outcome, 1, "another process is training in this directory")


# -- errors themselves ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("one\n  two"), 1, "minillm eval: error: one two"),
        (KeyError("lost"), 1, "minillm eval: internal error: KeyError: 'lost' (--debug shows where)"),
        (MemoryError(), 1, "minillm eval: error: out of memory; try a smaller model, batch or block"),
        (KeyboardInterrupt(), 130, "minillm eval: interrupted"),
    ],
)
def test_whatever_goes_wrong_is_one_line(trained, monkeypatch, error, code, line):
    from minillm.training.run_directory import RunDirectory

    def fail(path):
        raise error

    monkeypatch.setattr(RunDirectory, "open", fail)
    outcome = call("eval", trained)
    assert (outcome.code, outcome.err) == (code, line + "\n")
    outcome = call("eval", trained, "--debug")
    assert outcome.code == code
    assert outcome.err.startswith("Traceback (most recent call last):")
    assert outcome.err.endswith(line + "\n")
