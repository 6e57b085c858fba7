"""The corpus that needs no download."""

import ast
import sys
import types

import pytest

from minillm.data import corpus
from minillm.data.corpus import default_corpus, python_source_corpus


def test_the_default_corpus_is_half_a_megabyte_of_clean_english():
    text = default_corpus()
    assert 400_000 < len(text) < 700_000
    assert text == default_corpus()
    assert text.endswith("\n")
    assert "\n\n\n" not in text
    assert " \n" not in text
    assert not any(set(line) == {"*"} and len(line) > 3 for line in text.split("\n"))
    assert text.count(" the ") > 3000
    letters = sum(c.isalpha() or c.isspace() for c in text)
    assert letters / len(text) > 0.85


def test_a_python_without_help_topics_gives_docstrings(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    text = default_corpus()
    assert len(text) > 400_000
    assert "Wrap a single paragraph of text" in text


def test_a_python_without_either_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    monkeypatch.setattr(corpus, "_source_of", lambda module: "")
    with pytest.raises(RuntimeError, match="--text FILE"):
        default_corpus()
    with pytest.raises(RuntimeError, match="--text FILE"):
        python_source_corpus()


def test_topics_in_another_order_or_with_odd_values_give_the_same_text(monkeypatch):
    topics = {"b": "Second  \n******\n\n\n\ntext\n", "a": "\nFirst\n", "c": ["no text"]}
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", types.SimpleNamespace(topics=topics))
    assert default_corpus() == "First\n\nSecond\n\ntext\n"


@pytest.mark.parametrize("max_bytes", [1000, 50_000, 1_000_000])
def test_source_code_fills_the_budget_to_the_last_line(max_bytes):
    code = python_source_corpus(max_bytes)
    assert max_bytes - 500 < len(code.encode()) <= max_bytes
    assert code.endswith("\n")
    assert code == python_source_corpus(max_bytes)


def test_source_code_is_python():
    code = python_source_corpus(100_000_000)
    assert len(code) > 3_000_000
    first = code[: code.index("\n\n\n", code.index("def shorten("))]  # a module's first part
    assert "TextWrapper" in {getattr(node, "name", "") for node in ast.walk(ast.parse(first))}


def test_every_named_module_has_source():
    missing = [name for name in corpus.SOURCE_MODULES if not corpus._source_of(name)]
    assert missing == []


def test_a_budget_too_small_is_an_error():
    with pytest.raises(ValueError, match="at least 1000, got 10"):
        python_source_corpus(10)
