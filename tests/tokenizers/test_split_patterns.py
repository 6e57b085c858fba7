from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minillm.tokenizers.split_patterns import PATTERNS, Splitter

BYTES = {bytes([byte]): byte for byte in range(256)}


def pattern_of_tiktoken(name, monkeypatch):
    public = pytest.importorskip("tiktoken_ext.openai_public")
    monkeypatch.setattr(public, "load_tiktoken_bpe", lambda *args, **options: {})
    monkeypatch.setattr(public, "data_gym_to_mergeable_bpe_ranks", lambda *args, **options: {})
    return getattr(public, name)()["pat_str"]


@pytest.mark.parametrize(
    ("pattern", "name"), [("gpt2", "gpt2"), ("gpt4", "cl100k_base"), ("gpt4o", "o200k_base")]
)
def test_pieces_are_those_of_openai(pattern, name, unicode_texts, monkeypatch):
    tiktoken = pytest.importorskip("tiktoken")
    theirs = pattern_of_tiktoken(name, monkeypatch)
    ours = Splitter(pattern)

    @settings(max_examples=150)
    @example(text="a\n  ")
    @example(text="a\n\n \n b\r\n")
    @given(text=st.one_of(unicode_texts, st.text(st.sampled_from("aA'sſ \n\r\t1!é世\u0301/"), max_size=15)))
    def same(text):
        pieces = ours.split(text)
        assert "".join(pieces) == text
        assert "" not in pieces
        # With every stretch of the text a token, tiktoken's tokens are its pieces.
        stretches = {text[i:j].encode() for i in range(len(text)) for j in range(i + 1, len(text) + 1)}
        ranks = BYTES | {stretch: 256 + i for i, stretch in enumerate(stretches - BYTES.keys())}
        encoding = tiktoken.Encoding("x", pat_str=theirs, mergeable_ranks=ranks, special_tokens={})
        assert [encoding.decode_single_token_bytes(i).decode() for i in encoding.encode(text)] == pieces

    same()


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_all_pieces_join_to_the_text(pattern, unicode_texts):
    @given(text=unicode_texts)
    def joined(text):
        assert "".join(Splitter(pattern).split(text)) == text

    joined()


def test_a_pattern_that_leaves_things_out_makes_pieces_of_them_too():
    assert Splitter(r"\w+").split("  to be, or ") == ["  ", "to", " ", "be", ", ", "or", " "]
    assert Splitter(r"(b)|x*").split("abxxc") == ["a", "b", "xx", "c"]
    assert Splitter(r"\d+").split("") == []


def test_a_pattern_that_is_no_expression():
    with pytest.raises(ValueError, match=r"split pattern '\(': missing \)"):
        Splitter("(").split("a")


def test_characters_newer_than_unicode_16_are_no_letters():
    # U+A7CE is a letter since Unicode 17; U+0378 never was one.
    for newer in ("\ua7ce", "\u0378"):
        assert Splitter("gpt2").split(f"a{newer}b") == ["a", newer, "b"]
    assert Splitter("gpt2").split("aƂb") == ["aƂb"]
