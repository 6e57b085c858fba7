"""Tokens and entities are those of transformers, by every strategy."""

from __future__ import annotations

import pytest

from minillm.inference.pipelines.tokens import STRATEGIES, best_of_overlapping
from minillm.transformers import pipeline
from tests.inference.pipelines.conftest import TEXTS, rounded, save_bert, theirs_for

LABELS = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}
HEAD = "BertForTokenClassification"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    save_bert(folder, HEAD, id2label=LABELS)
    return folder


@pytest.fixture(scope="module")
def both(folder):
    return pipeline("ner", str(folder)), theirs_for(folder, "ner", HEAD)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_entities_of_transformers(both, strategy):
    ours, theirs = both
    texts = [*TEXTS, "Fox XYZZY 日本 jumped", "unquick foxes", "the  \t dogs"]
    got = ours(texts, aggregation_strategy=strategy)
    assert got == rounded(theirs(texts, aggregation_strategy=strategy))
    assert sum(map(len, got)) > 10
    assert ours(TEXTS[0], aggregation_strategy=strategy) == got[0]


@pytest.mark.parametrize("ignored", [[], ["I-PER", "LOC"]])
@pytest.mark.parametrize("strategy", ["none", "simple"])
def test_labels_that_are_left_out(both, ignored, strategy):
    ours, theirs = both
    options = {"aggregation_strategy": strategy, "ignore_labels": ignored}
    assert ours(TEXTS, **options) == rounded(theirs(TEXTS, **options))


def test_options_of_the_pipeline_hold_where_a_call_says_nothing(folder):
    ours = pipeline("token-classification", str(folder), aggregation_strategy="max")
    theirs = theirs_for(folder, "token-classification", HEAD, aggregation_strategy="max")
    assert ours(TEXTS[1]) == rounded(theirs(TEXTS[1]))
    assert ours(TEXTS[1], aggregation_strategy="none") == rounded(theirs(TEXTS[1], aggregation_strategy="none"))


@pytest.mark.parametrize("strategy", ["simple", "average"])
def test_a_long_text_in_windows(tmp_path, strategy):
    save_bert(tmp_path, HEAD, id2label=LABELS, model_max_length=12)
    ours, theirs = pipeline("ner", str(tmp_path)), theirs_for(tmp_path, "ner", HEAD)
    text = " ".join(TEXTS * 2)
    options = {"aggregation_strategy": strategy, "stride": 4}
    got = ours(text, **options)
    assert got == rounded(theirs(text, **options))
    assert got[-1]["end"] > 200
    cut = ours(text, aggregation_strategy=strategy)
    assert cut == rounded(theirs(text, aggregation_strategy=strategy))
    assert cut[-1]["end"] < 60


@pytest.mark.parametrize("options", [{}, {"aggregation_strategy": "first"}, {"delimiter": "--"}])
def test_texts_of_words(both, options):
    ours, theirs = both
    if "is_split_into_words" not in theirs._sanitize_parameters.__code__.co_varnames:
        pytest.skip("needs a transformers whose pipeline takes words")
    words = [text.split() for text in TEXTS]
    options = {"is_split_into_words": True, **options}
    assert ours(words, **options) == rounded(theirs(words, **options))
    assert ours(words[0], **options) == rounded(theirs(words[0], **options))


def test_the_longest_of_two_at_one_place_counts():
    short = {"start": 0, "end": 3, "score": 0.9}
    long, sure = {"start": 1, "end": 6, "score": 0.2}, {"start": 2, "end": 7, "score": 0.3}
    after = {"start": 7, "end": 8, "score": 0.1}
    assert best_of_overlapping([after, sure, long, short]) == [sure, after]
    assert best_of_overlapping([]) == []


def test_refusals(folder):
    with pytest.raises(ValueError, match="aggregation_strategy is 'mean'; known are none, simple"):
        pipeline("ner", str(folder), aggregation_strategy="mean")
    with pytest.raises(ValueError, match=r"stride: windows share tokens.*give an aggregation_strategy"):
        pipeline("ner", str(folder))("fox", stride=2)
    with pytest.raises(TypeError, match="token-classification: top_k is not offered; known are aggregation_strategy"):
        pipeline("ner", str(folder))("fox", top_k=2)
