"""ROUGE beside rouge-score."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.metrics import ROUGE, rouge
from minillm.metrics.rouge import common_subsequence, rouge_tokens

KINDS = ["rouge1", "rouge2", "rouge5", "rougeL"]


@pytest.fixture(scope="module")
def scorer():
    module = pytest.importorskip("rouge_score.rouge_scorer")
    return module.RougeScorer(KINDS)


@settings(max_examples=200)
@given(data=st.data())
def test_scores_are_those_of_rouge_score(data, sentence, scorer):
    prediction, reference = data.draw(sentence), data.draw(sentence)
    ours, theirs = rouge(prediction, reference, kinds=KINDS), scorer.score(reference, prediction)
    for kind in KINDS:
        np.testing.assert_allclose(ours[kind], theirs[kind], rtol=1e-12)


@given(data=st.data())
def test_of_several_references_the_best_counts(data, sentence, scorer):
    prediction = data.draw(sentence)
    references = data.draw(st.lists(sentence, min_size=1, max_size=3))
    ours, theirs = rouge(prediction, references, kinds=KINDS), scorer.score_multi(references, prediction)
    for kind in KINDS:
        np.testing.assert_allclose(ours[kind], theirs[kind], rtol=1e-12)


@given(data=st.data())
def test_words_without_their_endings(data, sentence):
    tokenizers = pytest.importorskip("rouge_score.tokenizers")
    porter = pytest.importorskip("nltk.stem.porter").PorterStemmer()
    text = data.draw(sentence) + data.draw(st.sampled_from(["", " running cats", " Generalizations"]))
    assert rouge_tokens(text, porter.stem) == tokenizers.DefaultTokenizer(True).tokenize(text)
    assert rouge_tokens(text) == tokenizers.DefaultTokenizer(False).tokenize(text)


@given(
    first=st.lists(st.sampled_from("abc"), max_size=9), second=st.lists(st.sampled_from("abc"), max_size=9)
)
def test_the_longest_common_subsequence(first, second):
    table = np.zeros((len(first) + 1, len(second) + 1), dtype=int)
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            table[i + 1, j + 1] = table[i, j] + 1 if a == b else max(table[i, j + 1], table[i + 1, j])
    assert common_subsequence(first, second) == table[-1, -1]


def test_batches_are_averaged():
    metric = ROUGE()
    metric.update(["the cat"], ["the cat sat"])
    metric.update(["a dog", "x"], [["a dog"], ["y", "z"]])
    scores = metric.compute()
    assert list(scores) == ["rouge1", "rouge2", "rougeL"]
    assert scores["rouge1"].recall == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert scores["rouge1"].precision == pytest.approx(2 / 3)
    metric.reset()
    with pytest.raises(ValueError, match="there are no summaries yet"):
        metric.compute()


def test_other_languages_need_other_tokens():
    assert rouge("你好世界", "你好")["rouge1"].fmeasure == 0
    assert rouge("你好世界", "你好", tokenize=list)["rougeL"].recall == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rouge("a", []), "there is no reference"),
        (lambda: rouge("a", "b", kinds=["rouge0"]), "'rouge0' is none of rouge1 to rouge9 and rougeL"),
        (lambda: ROUGE(kinds=["rougeX"]), "'rougeX' is none of"),
        (lambda: ROUGE().update(["a"], ["a", "b"]), "1 texts, references for 2"),
    ],
)
def test_what_cannot_be_measured(call, message):
    with pytest.raises(ValueError, match=message):
        call()
