from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.tokenizers import BPETokenizer, CharTokenizer

BPE = BPETokenizer.from_text("né 世界 👍🏽 low lower" * 3, vocab_size=290, special_tokens=["<end>"])


@settings(max_examples=200)
@given(ids=st.lists(st.integers(0, BPE.vocab_size - 1), max_size=20))
def test_the_parts_join_to_the_whole_for_every_row_of_ids(ids):
    decoder = BPE.stream_decoder()
    parts = [decoder.push(token_id) for token_id in ids]
    whole = BPE.decode(ids)
    assert "".join(parts) + decoder.finish() == whole
    assert [decoder.push(token_id) for token_id in ids] == parts  # ready for another text


@given(data=st.data())
def test_no_character_is_broken(data, unicode_texts):
    text = data.draw(unicode_texts)
    decoder, shown = BPE.stream_decoder(), ""
    for token_id in BPE.encode(text):
        shown += decoder.push(token_id)
        assert text.startswith(shown)
    assert shown == text
    assert decoder.finish() == ""


def test_half_a_character_is_shown_at_the_end_alone():
    decoder = BPE.stream_decoder()
    ids = [BPE._byte_ids[byte] for byte in "👍".encode()]
    assert [decoder.push(token_id) for token_id in ids] == ["", "", "", "👍"]
    assert [decoder.push(token_id) for token_id in ids[:3]] == ["", "", ""]
    assert decoder.finish() == "\ufffd"
    assert decoder.finish() == ""
    # A byte that cannot go on is known at once to be none of UTF-8.
    assert decoder.push(ids[0]) + decoder.push(BPE.encode("l")[0]) == "\ufffdl"


def test_special_tokens_can_be_left_out():
    ids = BPE.encode("low<end>er", allowed_special="all")
    for skips, expected in ((False, "low<end>er"), (True, "lower")):
        decoder = BPE.stream_decoder(skip_special_tokens=skips)
        assert "".join(map(decoder.push, ids)) + decoder.finish() == expected


def test_characters_stream_too():
    tokenizer = CharTokenizer.from_text("abc👍", special_tokens=["<end>"])
    decoder = tokenizer.stream_decoder(skip_special_tokens=True)
    assert [decoder.push(token_id) for token_id in [1, 0, 4, 2]] == ["a", "", "👍", "b"]
    assert decoder.finish() == ""


def test_an_id_out_of_range_is_named():
    with pytest.raises(ValueError, match="decode: 999 at place 0 is not an id of this vocabulary"):
        BPE.stream_decoder().push(999)
