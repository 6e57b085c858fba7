"""Texts to compare, for the measures of translations and summaries."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

_PIECES = [
    *("the", "The", "cat", "cats", "sat", "on", "mat", "a", "running", "is", "don't", "U.S."),
    *("3.50", "1,000", "2-3", "1-", "-5", "$", "%", "&quot;", "&amp;", "<skipped>", "-\n", "\n"),
    *(".", ",", "!", "?", "(", ")", "'", '"', "...", "/", "«", "»", "—", "°", "§"),
    *("你好", "世界", "。", "，", "é", "ß", "👍", "\u2001", "\u200b", "\u2f80", "\u2f81", "\u2a6d", "\U00020000"),
    *(" ", "  ", "\t", "\xa0", "\u3000"),
]


@pytest.fixture(scope="session")
def sentence() -> Any:
    """A strategy for sentences in which the same words come again and again."""
    words = st.lists(st.sampled_from(_PIECES), max_size=9)
    return st.one_of(words.map(" ".join), words.map("".join), st.text(max_size=8))


@pytest.fixture(scope="session")
def corpus(sentence: Any) -> Any:
    """A strategy for translations, and one to three references for each."""

    @st.composite
    def drawn(draw: Any) -> tuple[list[str], list[list[str]]]:
        count = draw(st.integers(1, 3))
        several = draw(st.integers(1, 3))
        hypotheses = [draw(sentence) for _ in range(count)]
        references = [
            [draw(st.just(hypothesis) | sentence) for _ in range(several)] for hypothesis in hypotheses
        ]
        return hypotheses, references

    return drawn()
