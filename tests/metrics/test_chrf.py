"""chrF beside sacrebleu."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.metrics import CHRF, chrf, sentence_chrf


@pytest.fixture(scope="module")
def sacrebleu():
    return pytest.importorskip("sacrebleu")


@settings(max_examples=200)
@given(
    data=st.data(),
    orders=st.sampled_from([(6, 0), (6, 2), (3, 1), (0, 2)]),
    beta=st.sampled_from([1, 2, 3]),
    lowercase=st.booleans(),
    whitespace=st.booleans(),
)
def test_scores_are_those_of_sacrebleu(data, orders, beta, lowercase, whitespace, corpus, sacrebleu):
    hypotheses, references = data.draw(corpus)
    options = {
        "char_order": orders[0],
        "word_order": orders[1],
        "beta": beta,
        "lowercase": lowercase,
        "whitespace": whitespace,
    }
    theirs = sacrebleu.CHRF(**options).corpus_score(hypotheses, [*zip(*references, strict=True)])
    assert chrf(hypotheses, references, **options) == pytest.approx(theirs.score, abs=1e-9)
    expected = sacrebleu.CHRF(**options).sentence_score(hypotheses[0], references[0]).score
    assert sentence_chrf(hypotheses[0], references[0], **options) == pytest.approx(expected, abs=1e-9)


@given(data=st.data(), cut=st.integers(0, 3))
def test_batches_give_what_all_at_once_gives(data, cut, corpus):
    hypotheses, references = data.draw(corpus)
    metric = CHRF()
    metric.update(hypotheses[:cut], references[:cut])
    metric.update(hypotheses[cut:], references[cut:])
    assert metric.compute() == pytest.approx(chrf(hypotheses, references))
    metric.reset()
    with pytest.raises(ValueError, match="there are no texts yet"):
        metric.compute()


def test_what_everybody_knows():
    assert chrf(["the cat"], ["the cat"]) == 100
    assert chrf(["xyz"], ["abc"]) == 0
    assert chrf([""], ["abc"]) == 0
    assert sentence_chrf("ab", ["abc", "ab"]) == 100


@pytest.mark.parametrize("orders", [(0, 0), (-1, 2)])
def test_orders_that_cannot_be(orders):
    with pytest.raises(ValueError, match="char_order and word_order must be at least 0"):
        CHRF(char_order=orders[0], word_order=orders[1])
