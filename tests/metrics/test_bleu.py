"""BLEU beside sacrebleu."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.metrics import BLEU, bleu, sentence_bleu
from minillm.metrics.translation_tokens import TOKENIZERS, tokens_for_bleu


@pytest.fixture(scope="module")
def sacrebleu():
    return pytest.importorskip("sacrebleu")


@pytest.mark.parametrize("name", sorted(TOKENIZERS))
@settings(max_examples=150)
@given(data=st.data())
def test_tokens_are_those_of_sacrebleu(name, data, sentence, sacrebleu):
    text = data.draw(sentence)
    theirs = sacrebleu.BLEU(tokenize=name)
    assert tokens_for_bleu(text, name) == theirs._preprocess_segment(text).split()


def test_single_characters_are_treated_as_by_sacrebleu(sacrebleu):
    for name in ("13a", "intl", "zh"):
        theirs = sacrebleu.BLEU(tokenize=name).tokenizer
        for code in [*range(1, 0x300), *range(0x2000, 0x3400, 7), 0x20000, 0x2F800, 0xFF01, 0xFFEF, 0xFFF0]:
            text = f"a{chr(code)}1 2{chr(code)}3"
            assert tokens_for_bleu(text, name) == theirs(text).split(), hex(code)


@settings(max_examples=200)
@given(
    data=st.data(),
    tokenize=st.sampled_from(sorted(TOKENIZERS)),
    smooth=st.sampled_from([("exp", None), ("floor", None), ("floor", 0.3), ("add-k", None), ("none", None)]),
    lowercase=st.booleans(),
    order=st.sampled_from([4, 4, 2, 5]),
    effective=st.booleans(),
)
def test_scores_are_those_of_sacrebleu(data, tokenize, smooth, lowercase, order, effective, corpus, sacrebleu):
    hypotheses, references = data.draw(corpus)
    options = {
        "tokenize": tokenize,
        "smooth_method": smooth[0],
        "smooth_value": smooth[1],
        "lowercase": lowercase,
        "max_ngram_order": order,
        "effective_order": effective,
    }
    theirs = sacrebleu.BLEU(**options).corpus_score(hypotheses, [*zip(*references, strict=True)])
    ours = BLEU(**options)
    ours.update(hypotheses, references)
    score = ours.compute()
    assert score.score == pytest.approx(theirs.score, abs=1e-9)
    assert score.precisions == pytest.approx(theirs.precisions)
    assert (score.bp, score.sys_len, score.ref_len) == (theirs.bp, theirs.sys_len, theirs.ref_len)
    assert (score.counts, score.totals) == (theirs.counts, theirs.totals)
    assert bleu(hypotheses, references, **options) == score.score


@given(data=st.data())
def test_sentences_are_scored_as_by_sacrebleu(data, sentence, sacrebleu):
    hypothesis, reference = data.draw(sentence), data.draw(sentence)
    expected = sacrebleu.sentence_bleu(hypothesis, [reference]).score
    assert sentence_bleu(hypothesis, reference) == pytest.approx(expected, abs=1e-9)


@given(data=st.data(), cut=st.integers(0, 3))
def test_batches_give_what_all_at_once_gives(data, cut, corpus):
    hypotheses, references = data.draw(corpus)
    metric = BLEU()
    metric.update(hypotheses[:cut], references[:cut])
    metric.update(hypotheses[cut:], references[cut:])
    assert metric.compute().score == bleu(hypotheses, references)
    metric.reset()
    with pytest.raises(ValueError, match="there are no translations yet"):
        metric.compute()


def test_what_everybody_knows():
    assert bleu(["the cat is on the mat"], ["the cat is on the mat"]) == pytest.approx(100)
    assert bleu(["the the the the"], ["the cat"], tokenize="none") < 20  # each counts but once
    assert bleu([""], ["the cat"]) == 0
    assert bleu(["dog"], ["cat"]) == 0
    metric = BLEU()
    metric.update(["the cat"], ["the cat sat on the mat"])
    assert metric.compute().bp == pytest.approx(2.718281828 ** (1 - 6 / 2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: bleu("a cat", ["a cat"]), TypeError, "needs lists of texts, got one text"),
        (lambda: bleu(["a cat"], "a cat"), TypeError, "needs lists of texts, got one text"),
        (lambda: bleu(["a"], ["a", "b"]), ValueError, "1 texts, references for 2"),
        (lambda: bleu(["a"], [[]]), ValueError, "text 0 has no reference"),
        (lambda: bleu(["a"], [[None]]), TypeError, "text 0 or one of its references is no text"),
        (lambda: bleu([], []), ValueError, "there are no translations yet"),
        (lambda: BLEU(tokenize="spm"), ValueError, "tokenize='spm' is none of 13a, intl"),
        (lambda: tokens_for_bleu("a", "spm"), ValueError, "tokenize='spm' is none of"),
        (lambda: BLEU(smooth_method="add"), ValueError, "smooth_method='add' is none of exp, floor"),
        (lambda: BLEU(max_ngram_order=0), ValueError, "max_ngram_order must be positive, got 0"),
    ],
)
def test_what_cannot_be_measured(call, error, message):
    with pytest.raises(error, match=message):
        call()
