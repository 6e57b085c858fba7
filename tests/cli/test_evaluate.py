from __future__ import annotations

import json
import math

import pytest

from minillm.training.log import read_log
from minillm.training.run_directory import RunDirectory
from tests.cli.conftest import TEXT, TINY, assert_fails, call, succeed


def test_the_runs_own_validation_text(trained):
    figures = json.loads(succeed("eval", trained, "--json"))
    assert figures["loss"] == pytest.approx(read_log(trained / "log.jsonl")[-1]["val_loss"], rel=1e-5)
    assert figures["perplexity"] == pytest.approx(math.exp(figures["loss"]))
    assert figures["bits_per_character"] == pytest.approx(figures["loss"] / math.log(2))  # tokens are characters
    assert figures["tokens"] == figures["characters"] == round(len(TEXT) * 0.1) - 1


def test_another_text(trained, text_file):
    out = succeed("eval", trained, "--text", text_file)
    assert f"cat.txt: {len(TEXT) - 1:,} tokens predicted, {len(TEXT) - 1:,} characters" in out
    assert "loss" in out
    assert "a guess: 2.94" in out
    assert "bits per character" in out


def test_bits_per_character_count_characters_not_tokens(text_file, tmp_path):
    succeed("train", "--tokenizer", "bpe", "--vocab-size", 280, "--text", text_file, *TINY, "--out", tmp_path / "a")
    run = RunDirectory.open(tmp_path / "a")
    tokenizer = run.load_tokenizer()
    ids = tokenizer.encode(TEXT)
    figures = json.loads(succeed("eval", tmp_path / "a", "--text", text_file, "--json"))
    assert figures["tokens"] == len(ids) - 1
    assert figures["characters"] == len(tokenizer.decode(ids[1:]))
    expected = figures["loss"] * figures["tokens"] / figures["characters"] / math.log(2)
    assert figures["bits_per_character"] == pytest.approx(expected)


def test_bad_input(trained, tmp_path):
    (tmp_path / "one.txt").write_text("a")
    (tmp_path / "strange.txt").write_text("αβγ cat")
    outcome = call("eval", trained, "--text", tmp_path / "one.txt")
    assert_fails(outcome, 1, "one.txt has 1 token, and at least 2 are needed")
    assert_fails(call("eval", trained, "--text", tmp_path / "strange.txt"), 1, "3 of its 7 characters")
    assert "3 characters" in succeed("eval", trained, "--text", tmp_path / "strange.txt", "--unknown", "skip")
    assert_fails(call("eval", trained, "--text", tmp_path / "none.txt"), 1, "no file")
