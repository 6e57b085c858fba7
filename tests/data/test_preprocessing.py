"""Preprocessing: each step on its own, and in a row."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.data import preprocessing
from minillm.data.preprocessing import (
    ENGLISH_STOP_WORDS,
    Preprocessor,
    normalize_text,
    remove_punctuation,
    remove_stop_words,
    stem,
    words,
)


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("  A\tB\nC  ", {}, "a b c"),
        ("Cafe\u0301", {}, "café"),
        ("ﬁne ①²", {"form": "NFKC"}, "fine 12"),
        ("ﬁne ①", {}, "ﬁne ①"),
        ("Déjà", {"strip_accents": True}, "deja"),
        ("한국어", {"strip_accents": True}, "한국어"),
        ("Déjà", {"form": None, "lowercase": False}, "Déjà"),
        ("a\x00b\u200bc\xadd", {}, "abcd"),
        ("a\x00b", {"remove_controls": False}, "a\x00b"),
        ("a\tb\r\n", {"collapse_spaces": False}, "a\tb\r\n"),
        ("See https://x.org/A?b=1, or www.y.com.", {"url_token": "<URL>"}, "see <URL>, or <URL>."),
        ("-3.5 of 1,000 B2B x10 2nd 7", {"number_token": "<N>"}, "<N> of <N> b2b x10 2nd <N>"),
        ("At http://A.b/1 2", {"url_token": r"\1U", "number_token": "N"}, r"at \1U N"),
        ("", {}, ""),
    ],
)
def test_one_way_of_writing(text, options, expected):
    assert normalize_text(text, **options) == expected


@given(text=st.text())
def test_what_is_normal_stays(text):
    once = normalize_text(text, lowercase=False)
    assert normalize_text(once, lowercase=False) == once
    assert unicodedata.is_normalized("NFC", once)
    assert "  " not in once


def test_a_form_that_is_none():
    with pytest.raises(ValueError, match="form='NFX' is none of NFC, NFD"):
        normalize_text("a", form="NFX")


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("Don't go, well-known (man)!", {}, "Don't go  well-known  man  "),
        ("'quoted' - end-", {}, " quoted    end "),
        ("你好。世界！«x»", {}, "你好 世界  x "),
        ("a.b@c #tag", {"keep": "@#"}, "a b@c #tag"),
        ("$5 + 3", {}, "$5 + 3"),  # symbols are no punctuation
    ],
)
def test_punctuation(text, options, expected):
    assert remove_punctuation(text, **options) == expected


@given(text=st.text())
def test_removing_punctuation_keeps_the_places(text):
    assert len(remove_punctuation(text)) == len(text)
    assert all(unicodedata.category(c)[0] != "P" or c in "'’‑-" for c in remove_punctuation(text))


def test_words_and_stop_words():
    assert words("The cat's 2 tails_ (well-known), naïve 世界!") == [
        *("The", "cat's", "2", "tails", "well-known", "naïve", "世界"),
    ]
    assert remove_stop_words(["The", "cat", "Don’t", "DON'T", "sit"]) == ["cat", "sit"]
    assert remove_stop_words(["le", "chat"], {"le"}) == ["chat"]
    assert all(word == word.lower() for word in ENGLISH_STOP_WORDS)


def test_endings():
    pytest.importorskip("snowballstemmer")
    assert stem(["cats", "running", "flies", "generously"]) == ["cat", "run", "fli", "generous"]
    assert stem(["häuser", "laufend"], "german") == ["haus", "laufend"]
    assert stem(["generously"], "porter") == ["gener"]
    assert stem([]) == []
    with pytest.raises(ValueError, match="there is no stemmer for 'klingon'; there are"):
        stem(["a"], "klingon")


def test_a_missing_library_is_named(monkeypatch):
    preprocessing._stemmer.cache_clear()
    monkeypatch.setitem(sys.modules, "snowballstemmer", None)
    with pytest.raises(ImportError, match="install it with: pip install snowballstemmer"):
        stem(["a"])
    preprocessing._stemmer.cache_clear()


def test_several_steps():
    pytest.importorskip("snowballstemmer")
    clean = Preprocessor(stop_words=ENGLISH_STOP_WORDS, stem_language="english", min_length=3)
    assert clean("The cats were running; I'd SEEN them, oh, running!") == ["cat", "run", "seen", "run"]
    assert Preprocessor(normalize=None, tokenize=str.split)("A  b,") == ["A", "b,"]
    assert Preprocessor(normalize={"strip_accents": True})("Déjà") == ["deja"]
    assert Preprocessor()("") == []
