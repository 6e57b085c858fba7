from __future__ import annotations

import pytest

from minillm.data import TokenFile, read_text
from minillm.tokenizers import BPETokenizer, CharTokenizer, from_pretrained
from tests.cli.conftest import TEXT, assert_fails, call, succeed


def test_a_vocabulary_is_learned_and_saved_beside(text_file, tmp_path):
    out = succeed("tokenize", "--text", text_file, "--out", tmp_path / "cat.tokens", "--vocab-size", 280)
    tokens = TokenFile(tmp_path / "cat.tokens")
    tokenizer = from_pretrained(tmp_path / "cat.tokenizer")
    assert type(tokenizer) is BPETokenizer
    assert tokens.vocab_size == tokenizer.vocab_size == 280
    assert tokenizer.decode(tokens.tokens) == TEXT
    assert tokens.tokens.tolist() == tokenizer.encode(TEXT)
    assert tokens.metadata == {"tokenizer": "BPETokenizer", "files": [text_file.name]}
    assert f"{len(tokens):,} tokens of {len(TEXT):,} characters" in out


def test_characters(text_file, tmp_path):
    succeed("tokenize", "--text", text_file, "--out", tmp_path / "a", "--tokenizer", "char")
    tokenizer = from_pretrained(tmp_path / "a.tokenizer")
    assert type(tokenizer) is CharTokenizer
    assert tokenizer.decode(TokenFile(tmp_path / "a").tokens) == TEXT


@pytest.mark.parametrize("workers", [0, 2])
def test_several_files_with_a_token_between(tmp_path, workers):
    for name, text in (("a.txt", "né low\n"), ("b.txt", "lower <end> low")):
        (tmp_path / name).write_bytes(text.encode("latin-1"))
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    options = ["--encoding", "latin-1", "--between", "<end>", "--vocab-size", 262, "--workers", workers]
    succeed("tokenize", "--text", *files, "--out", tmp_path / "x.tokens", *options)
    tokenizer = from_pretrained(tmp_path / "x.tokenizer")
    tokens = TokenFile(tmp_path / "x.tokens").tokens.tolist()
    assert tokens.count(tokenizer.token_to_id("<end>")) == 1  # the one in the text is text
    assert tokenizer.decode(tokens) == "né low\n<end>lower <end> low"
    succeed("tokenize", "--text", *files, "--out", tmp_path / "y.tokens", "--encoding", "latin-1")
    plain = from_pretrained(tmp_path / "y.tokenizer")
    assert plain.decode(TokenFile(tmp_path / "y.tokens").tokens) == read_text(files, "latin-1")


def test_a_tokenizer_that_is_there(text_file, tmp_path):
    BPETokenizer.from_text("the cat", vocab_size=258).save_pretrained(tmp_path / "own")
    succeed("tokenize", "--text", text_file, "--out", tmp_path / "a.tokens", "--tokenizer", tmp_path / "own")
    assert TokenFile(tmp_path / "a.tokens").vocab_size == 258


def test_bad_input(text_file, tmp_path):
    out = ["--out", tmp_path / "a.tokens"]
    (tmp_path / "bad.txt").write_bytes(b"ab\xff")
    (tmp_path / "empty.txt").write_bytes(b"")
    assert_fails(call("tokenize", "--text", tmp_path / "none.txt", *out), 1, "no file")
    assert_fails(call("tokenize", "--text", tmp_path / "bad.txt", *out), 1, "byte 2", "is not text in utf-8")
    assert_fails(call("tokenize", "--text", tmp_path / "empty.txt", *out), 1, "training text is empty")
    assert_fails(call("tokenize", "--text", text_file, *out, "--tokenizer", tmp_path / "no"), 1, "no such directory")
    assert_fails(call("tokenize", "--text", text_file, *out, "--vocab-size", 5), 2, "256 or more")
    assert_fails(call("tokenize", "--text", text_file, *out, "--workers", -1), 2, "0 or more")
    assert_fails(
        call("tokenize", "--text", text_file, *out, "--tokenizer", "char", "--vocab-size", 300), 2, "is for bpe"
    )
    BPETokenizer.from_text("x", vocab_size=256).save_pretrained(tmp_path / "own")
    own = ["--tokenizer", tmp_path / "own"]
    assert_fails(call("tokenize", "--text", text_file, *out, *own, "--vocab-size", 300), 2, "has its own")
    assert_fails(call("tokenize", "--text", text_file, *out, *own, "--between", "<e>"), 1, "lacks '<e>'")
    CharTokenizer.from_text("xyz").save_pretrained(tmp_path / "chars")
    failed = call("tokenize", "--text", text_file, *out, "--tokenizer", tmp_path / "chars")
    assert_fails(failed, 1, "the vocabulary lacks 't'")
    assert not (tmp_path / "a.tokens").exists()
    assert not (tmp_path / "a.tokenizer").exists()
