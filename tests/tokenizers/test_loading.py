from __future__ import annotations

import pytest

from minillm.tokenizers import BPETokenizer, CharTokenizer, Tokenizer, from_pretrained


def test_any_kind_is_recognized(tmp_path):
    BPETokenizer.from_text("low", vocab_size=256).save_pretrained(tmp_path / "bpe")
    CharTokenizer.from_text("low").save_pretrained(str(tmp_path / "char"))
    for load in (from_pretrained, Tokenizer.from_pretrained):
        assert type(load(tmp_path / "bpe")) is BPETokenizer
        assert type(load(str(tmp_path / "char"))) is CharTokenizer
    assert type(CharTokenizer.from_pretrained(tmp_path / "char")) is CharTokenizer
    with pytest.raises(ValueError, match="char: holds a CharTokenizer, not a BPETokenizer"):
        BPETokenizer.from_pretrained(tmp_path / "char")


def test_a_class_of_ones_own_loads_as_itself(tmp_path):
    class Mine(CharTokenizer):
        pass

    CharTokenizer.from_text("low").save_pretrained(tmp_path)
    assert type(Mine.from_pretrained(tmp_path)) is Mine
