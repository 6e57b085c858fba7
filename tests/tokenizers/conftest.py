"""Texts of every kind, and the real vocabularies, for the tests of tokenizers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

# What tokenizers stumble over: joined emoji, marks, controls, characters without or with several
# cases, letters that are new in Unicode, words with apostrophes, white space of all kinds.
_STUMBLING_BLOCKS = [
    *("👩‍👩‍👧‍👦", "👍🏽", "🇨🇳", "❤️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "e\u0301", "Å", "가", "\u1100\u1161", "\u0e01\u0e33", "क्षि"),
    *("\x00", "\x07", "\x1c", "\x85", "\xad", "\u200b", "\u200d", "\u202e", "\u2028", "\ufeff", "\ufffd"),
    *("\uffff", "\ue000", "\U0010ffff", "\U000e0041", "\u0378"),
    *("İ", "ı", "ß", "ẞ", "ſ", "ǅ", "Σ", "ς", "ﬁ", "ª", "ʕ", "²", "Ⅷ", "½", "٣", "Ⓐ", "\u0345"),
    *("\u1c89", "\ua7cb", "\ua7ce", "\U00010940", "\U00016ea0", "\u1acf", "\U0001fae9"),
    *("don't", "I'LL", "'ſ", "'", "’s", "_", "``", "$9.99", "a/b", "3.14", "1234567"),
    *(" ", "  ", "\n", "\r\n", "\r", "\t", "\xa0", "\u3000", "\u2009", "\u1680"),
    *("世界", "龥", "\U00020000", "豈", "ひらがな", "한국어", "русский", "עִבְרִית", "العَرَبِيَّة", "ไทย", "हिन्दी"),
    *("the", "The", "low", "lower", "lowest", "newer", "Hello", "WORLD", "a", "aa", "aaa", "ab", "b"),
]


@pytest.fixture(scope="session")
def unicode_texts() -> Any:
    """A strategy for texts: any characters of Unicode, mixed with those that make trouble."""
    blocks = st.one_of(
        st.sampled_from(_STUMBLING_BLOCKS),
        st.characters(codec="utf-8"),
        st.characters(codec="utf-8", max_codepoint=0x2FF),
        st.text(st.sampled_from("abe '\n1."), max_size=5),
    )
    return st.lists(blocks, max_size=12).map("".join)


@pytest.fixture(scope="session")
def training_texts(unicode_texts: Any) -> Any:
    """A strategy for what a tokenizer is trained on: texts in which things repeat."""
    words = st.text(st.sampled_from("abc '"), min_size=1, max_size=8)
    texts = st.one_of(unicode_texts, st.lists(words, max_size=12).map(" ".join))
    return st.lists(texts, min_size=1, max_size=8).filter(any)


@pytest.fixture(scope="session")
def vocabularies(data_dir: Path) -> Path:
    """The folder of real vocabularies."""
    folder = data_dir / "tokenizers"
    if not folder.is_dir():
        pytest.skip(f"needs the vocabularies of GPT-2 and BERT in {folder}")
    return folder
