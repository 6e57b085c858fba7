from __future__ import annotations

import dataclasses
import errno
import json

import pytest

import minillm
from minillm.models import GPT2Config, GPT2LMHeadModel
from minillm.tokenizers import BPETokenizer, CharTokenizer
from minillm.training import run_directory
from minillm.training.config import TrainingConfig
from minillm.training.run_directory import RunDirectory, RunError, RunInfo, check_free, fingerprint, free_path
from minillm.training.text_source import TextSource, prepare_text
from tests.training.conftest import assert_same_weights

TEXT = "the cat sat on the mat\n" * 20


@pytest.fixture
def parts(tmp_path):
    """Model, tokenizer and description of a run."""
    (tmp_path / "a.txt").write_text(TEXT)
    source = TextSource.of_files([tmp_path / "a.txt"])
    tokenizer = CharTokenizer.from_text(TEXT)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=tokenizer.vocab_size, n_positions=8, n_embd=8, n_layer=1, n_head=2))
    training = TrainingConfig(steps=3, block_size=8, batch_size=2, log_interval=1)
    info = RunInfo(training, source, text_sha256=prepare_text(tokenizer, source).sha256, options={"model": "gpt2"})
    return model, tokenizer, info


def test_what_is_created_can_be_opened(tmp_path, parts):
    model, tokenizer, info = parts
    created = RunDirectory.create(tmp_path / "runs" / "a", model, tokenizer, info)
    opened = RunDirectory.open(str(tmp_path / "runs" / "a"))
    assert opened.info == created.info == dataclasses.replace(info, tokenizer_sha256=fingerprint(tokenizer))
    assert opened.load_tokenizer().get_vocab() == tokenizer.get_vocab()
    assert_same_weights(opened.load_model(tokenizer), model)
    assert not opened.load_model().training
    assert not opened.has_checkpoint
    assert json.loads((tmp_path / "runs" / "a" / "run.json").read_text())["version"] == minillm.__version__


def test_loading_uses_up_no_random_numbers(tmp_path, parts):
    run = RunDirectory.create(tmp_path / "a", *parts)
    minillm.manual_seed(4)
    before = minillm.get_rng_state()
    run.load_model()
    assert minillm.get_rng_state() == before


def test_the_model_is_loaded_onto_the_default_device(tmp_path, parts, device):
    with minillm.device("cpu"):
        run = RunDirectory.create(tmp_path / "a", *parts)
    model = run.load_model()
    assert {p.device for p in model.parameters()} == {minillm.device(device)}


def test_training_in_it(tmp_path, parts):
    model, tokenizer, info = parts
    run = RunDirectory.create(tmp_path / "a", model, tokenizer, info)
    result = run.trainer(model, run.load_text(tokenizer)).train()
    assert result.step == 3
    assert run.has_checkpoint
    assert run.draw_losses("title", tokenizer.vocab_size) is None
    assert (tmp_path / "a" / "loss.png").exists()
    trainer = run.trainer(model, run.load_text(tokenizer), steps=5)
    assert trainer.train(resume=True).step == 5
    assert RunDirectory.open(tmp_path / "a").info.training.steps == 5


def test_nothing_to_draw_is_said(tmp_path, parts):
    run = RunDirectory.create(tmp_path / "a", *parts)
    assert "log.jsonl" in run.draw_losses()


def test_a_changed_text_is_refused(tmp_path, parts):
    run = RunDirectory.create(tmp_path / "a", *parts)
    (tmp_path / "a.txt").write_text(TEXT[:-1] + "!")
    with pytest.raises(ValueError, match="'!'"):
        run.load_text(run.load_tokenizer())
    (tmp_path / "a.txt").write_text(TEXT + "a")
    with pytest.raises(RunError, match=r"the text \(a.txt\) has changed since this run began"):
        run.load_text(run.load_tokenizer())


def test_model_and_tokenizer_must_fit(tmp_path, parts):
    model, _, info = parts
    with pytest.raises(RunError, match="the model knows 11 tokens and the tokenizer 257"):
        RunDirectory.create(tmp_path / "a", model, BPETokenizer.from_text("abab", vocab_size=257), info)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_run_that_cannot_be_written_leaves_nothing(tmp_path, parts, monkeypatch, number):
    def fail(*args):
        raise OSError(number, "no")

    monkeypatch.setattr(run_directory, "save_weights", fail)
    with pytest.raises(OSError, match="no space left" if number == errno.ENOSPC else "no"):
        RunDirectory.create(tmp_path / "a", *parts)
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_free_places(tmp_path, parts):
    check_free(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    check_free(tmp_path / "empty")
    RunDirectory.create(tmp_path / "empty", *parts)
    assert free_path(tmp_path / "nothing") == tmp_path / "nothing"
    assert free_path(tmp_path / "empty") == tmp_path / "empty-2"
    with pytest.raises(RunError, match="holds a run already"):
        check_free(tmp_path / "empty")


def test_the_description_survives_json(parts):
    info = dataclasses.replace(
        parts[2], validation_text=TextSource(corpus="python"), parent="/x", preset="p", unknown="skip"
    )
    assert RunInfo.from_dict(json.loads(json.dumps(info.to_dict()))) == info
    with pytest.raises(ValueError, match="'text' is missing"):
        RunInfo.from_dict({k: v for k, v in info.to_dict().items() if k != "text"})
    with pytest.raises(ValueError, match="has no attribute"):
        RunInfo.from_dict({**info.to_dict(), "validation": 3})
