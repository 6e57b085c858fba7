from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.data import text_files
from minillm.tokenizers import BPETokenizer, CharTokenizer
from minillm.training.text_source import TextSource, encode_source, prepare_text

TEXT = "The cat sat.\nOn the mat!\n" * 8


@pytest.fixture
def source(tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)
    return TextSource.of_files([tmp_path / "a.txt"])


def test_the_source_survives_json(source):
    for one in (source, TextSource(corpus="python"), TextSource()):
        assert TextSource.from_dict(json.loads(json.dumps(one.to_dict()))) == one


def test_names(tmp_path, source):
    assert str(source) == "a.txt"
    files = []
    for name in "abcdef":
        (tmp_path / name).write_text("x")
        files.append(tmp_path / name)
    assert str(TextSource.of_files(files)) == "a, b, c and 3 more files"
    assert "English" in str(TextSource())
    with pytest.raises(ValueError, match="corpus is 'klingon'; known are english, python"):
        TextSource(corpus="klingon")


def test_the_corpora_of_python():
    assert sum(map(len, TextSource().blocks())) > 300_000
    assert "def " in "".join(TextSource(corpus="python").blocks())


def test_tokens_and_sum(source):
    tokenizer = CharTokenizer.from_text(TEXT)
    encoded = encode_source(tokenizer, source)
    assert encoded.tokens.dtype == np.uint16
    assert encoded.tokens.tolist() == tokenizer.encode(TEXT)
    assert encoded.characters == len(TEXT)
    assert encoded.sha256 == hashlib.sha256(TEXT.encode()).hexdigest()
    assert encoded.skipped == 0


def test_large_vocabularies_take_four_bytes(source):
    vocab = {c: i for i, c in enumerate(sorted(set(TEXT)))}
    vocab["Z"] = 70_000
    assert encode_source(CharTokenizer(vocab), source).tokens.dtype == np.uint32


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1).filter(lambda t: not t.isspace()))
def test_bpe_takes_every_text_and_blocks_change_nothing(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes((text * 3).encode())
    tokenizer = BPETokenizer.from_text(TEXT, vocab_size=270)
    encoded = encode_source(tokenizer, TextSource.of_files([path]))
    whole = (text * 3).removeprefix("\ufeff")
    assert encoded.tokens.tolist() == tokenizer.encode(whole)
    assert encoded.characters == len(whole)


def test_a_special_token_in_the_text_is_ordinary_text(source, tmp_path):
    tokenizer = BPETokenizer.from_text(TEXT, vocab_size=270, special_tokens=["<|endoftext|>"])
    (tmp_path / "s.txt").write_text("a <|endoftext|> b")
    encoded = encode_source(tokenizer, TextSource.of_files([tmp_path / "s.txt"]))
    assert tokenizer.token_to_id("<|endoftext|>") not in encoded.tokens.tolist()


def test_unknown_characters_over_several_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "CHUNK_BYTES", 64)
    (tmp_path / "a.txt").write_text((TEXT + "é∂") * 9)
    source = TextSource.of_files([tmp_path / "a.txt"])
    tokenizer = CharTokenizer.from_text(TEXT)
    with pytest.raises(ValueError, match=r"18 of its .* 'é' \(9 times\), '∂' \(9 times\)\. Leave"):
        encode_source(tokenizer, source)
    encoded = encode_source(tokenizer, source, unknown="skip")
    assert encoded.skipped == 18
    assert encoded.tokens.tolist() == tokenizer.encode(TEXT * 9)
    unknown = CharTokenizer.from_text(TEXT, unk_token="<unk>")
    assert encode_source(unknown, source).tokens.tolist().count(unknown.unk_token_id) == 18


def test_parts(source, tmp_path):
    tokenizer = CharTokenizer.from_text(TEXT)
    text = prepare_text(tokenizer, source, fraction=0.25)
    assert text.training.tolist() + text.validation.tolist() == tokenizer.encode(TEXT)
    assert len(text.validation) == 50
    assert text.validation_characters == 49
    (tmp_path / "b.txt").write_text("On the mat!")
    other = prepare_text(tokenizer, source, TextSource.of_files([tmp_path / "b.txt"]))
    assert other.validation.tolist() == tokenizer.encode("On the mat!")
    assert other.characters == len(TEXT) + 11
    assert other.sha256 != text.sha256
    assert prepare_text(tokenizer, source, fraction=0).validation is None
    (tmp_path / "b.txt").write_text("O")
    with pytest.raises(ValueError, match="1 are set aside"):
        prepare_text(tokenizer, source, TextSource.of_files([tmp_path / "b.txt"]))
