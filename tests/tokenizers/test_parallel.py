from __future__ import annotations

import multiprocessing
import sys

import pytest

from minillm.tokenizers import BPETokenizer, parallel

TEXTS = ["low lower", "", "né 世界", "the<end>"] * 5


@pytest.fixture(scope="module")
def tokenizer():
    return BPETokenizer.train_from_iterator(TEXTS, vocab_size=280, special_tokens=["<end>"])


def test_processes_give_the_same_ids_in_the_same_order(tokenizer, monkeypatch):
    expected = tokenizer.encode_batch(TEXTS, allowed_special="all")
    assert expected[3] == tokenizer.encode("the<end>", allowed_special="all")
    monkeypatch.setattr(parallel, "CHUNK", 10)  # many chunks
    assert tokenizer.encode_batch(iter(TEXTS), num_workers=2, allowed_special="all") == expected
    assert tokenizer.encode_batch([], num_workers=2) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is so already")
def test_processes_that_are_no_forks_get_the_tokenizer_too(tokenizer, monkeypatch):
    spawn = multiprocessing.get_context("spawn")
    monkeypatch.setattr(multiprocessing, "get_context", lambda kind: spawn)
    expected = tokenizer.encode_batch(TEXTS, allowed_special="all")
    assert tokenizer.encode_batch(TEXTS, num_workers=1, allowed_special="all") == expected


def test_no_more_texts_are_read_than_are_needed(tokenizer, monkeypatch):
    monkeypatch.setattr(parallel, "CHUNK", 1)
    read = []
    rows = tokenizer.encode_iter((read.append(n) or "low" for n in range(1000)), num_workers=1)
    assert next(rows) == tokenizer.encode("low")
    assert len(read) <= 4
    rows.close()


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_error_is_that_of_the_text(tokenizer, num_workers):
    with pytest.raises(ValueError, match="lone surrogate"):
        tokenizer.encode_batch(["low", "a\ud800"], num_workers=num_workers)
    with pytest.raises(ValueError, match="special token '<end>' at character 3"):
        tokenizer.encode_batch(["the<end>"], num_workers=num_workers)
    with pytest.raises(TypeError, match="needs a str, got int"):
        tokenizer.encode_batch(["low", 5], num_workers=num_workers)


def test_fewer_than_no_processes(tokenizer):
    with pytest.raises(ValueError, match="num_workers must not be negative, got -1"):
        tokenizer.encode_batch(["low"], num_workers=-1)
