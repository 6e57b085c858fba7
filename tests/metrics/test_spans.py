"""F1 of entities beside seqeval."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.metrics import (
    Entity,
    SpanScores,
    UndefinedMetricWarning,
    entities,
    span_f1,
    span_precision_recall_f1,
)


@pytest.fixture(scope="module")
def theirs():
    return pytest.importorskip("seqeval.metrics")


@pytest.fixture(scope="module")
def schemes():
    scheme = pytest.importorskip("seqeval.scheme")
    return {"BIO": scheme.IOB2, "IOB2": scheme.IOB2, "IOB1": scheme.IOB1, "IOBES": scheme.IOBES}


def tags(kinds):
    types = st.sampled_from(["PER", "LOC", "A-B"])
    return st.one_of(st.just("O"), st.builds("{}-{}".format, st.sampled_from([*kinds]), types))


@st.composite
def sentences(draw, kinds="BIES"):
    """True and predicted tags of sentences; some are right."""
    lengths = draw(st.lists(st.integers(1, 7), min_size=1, max_size=4))
    true = [draw(st.lists(tags(kinds), min_size=n, max_size=n)) for n in lengths]
    guess = [
        [draw(st.just(tag) | tags(kinds)) if draw(st.booleans()) else tag for tag in sentence]
        for sentence in true
    ]
    return true, guess


@pytest.mark.filterwarnings("ignore")  # of theirs
@settings(max_examples=150)
@given(rows=sentences(), average=st.sampled_from([None, "micro", "macro", "weighted"]), zero=st.sampled_from([0, 1]))
def test_lenient_spans_are_those_of_seqeval(rows, average, zero, theirs):
    for row in (*rows[0], *rows[1]):
        expected = theirs.sequence_labeling.get_entities(row)
        assert [(e.type, e.start, e.end - 1) for e in entities(row)] == expected
    ours = span_precision_recall_f1(*rows, average=average, zero_division=zero)
    if not any(map(entities, (*rows[0], *rows[1]))):
        return
    expected = theirs.sequence_labeling.precision_recall_fscore_support(
        *rows, average=average, zero_division=zero
    )
    for mine, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(mine, other)
    np.testing.assert_allclose(span_f1(*rows, average=average, zero_division=zero), expected[2])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["BIO", "IOB2", "IOB1", "IOBES"])
@settings(max_examples=80)
@given(data=st.data(), average=st.sampled_from([None, "micro", "macro", "weighted"]))
def test_strict_spans_are_those_of_seqeval(name, data, average, theirs, schemes):
    rows = data.draw(sentences("BIES" if name == "IOBES" else "BI"))
    tokens = pytest.importorskip("seqeval.scheme").Tokens
    for row in (*rows[0], *rows[1]):
        expected = [(e.tag, e.start, e.end) for e in tokens(row, schemes[name]).entities]
        assert [tuple(entity) for entity in entities(row, name)] == expected
    if not any(entities(row, name) for row in (*rows[0], *rows[1])):
        return
    ours = span_precision_recall_f1(*rows, scheme=name, average=average, zero_division=0)
    v1 = pytest.importorskip("seqeval.metrics.v1")
    expected = v1.precision_recall_fscore_support(*rows, scheme=schemes[name], average=average, zero_division=0)
    for mine, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(mine, other)


@pytest.mark.parametrize(
    ("row", "scheme", "found"),
    [
        (["B-X", "I-X", "O", "B-X"], "BIO", [("X", 0, 2), ("X", 3, 4)]),
        (["I-X", "I-X", "I-Y", "B-Y"], "IOB1", [("X", 0, 2), ("Y", 2, 3), ("Y", 3, 4)]),
        (["B-X", "E-X", "S-Y", "B-Y"], "IOBES", [("X", 0, 2), ("Y", 2, 3)]),
        (["O", "I-X", "I-X"], "BIO", []),
        (["O", "I-X", "I-X"], None, [("X", 1, 3)]),
        (["B-X", "I-Y"], None, [("X", 0, 1), ("Y", 1, 2)]),
        (["B", "I", "O", "S"], None, [("_", 0, 2), ("_", 3, 4)]),
        ([], None, []),
        ([], "BIO", []),
    ],
)
def test_entities(row, scheme, found):
    assert entities(row, scheme) == [Entity(*entity) for entity in found]


@given(rows=sentences(), cut=st.integers(0, 4))
def test_batches_give_what_all_at_once_gives(rows, cut):
    scores = SpanScores()
    for part in (slice(0, cut), slice(cut, None)):
        scores.update(rows[0][part], rows[1][part])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        assert scores.f1() == span_f1(*rows)
        assert scores.compute()["recall"] == scores.recall()
        assert scores.compute()["precision"] == scores.precision()
    scores.reset()
    assert scores.types == []


def test_zero_divided_by_zero_is_said():
    with pytest.warns(UndefinedMetricWarning, match=r"precision is 0 / 0 \(nothing was predicted"):
        assert span_precision_recall_f1([["B-X"]], [["O"]]).precision == 0
    with pytest.warns(UndefinedMetricWarning, match="F is 0 / 0"):
        assert span_f1([["O"]], [["O"]]) == 0
    assert span_f1([["O"]], [["O"]], zero_division=1) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: span_f1([["O"]], []), "1 true sentences, 0 predicted ones"),
        (lambda: span_f1([["O"], ["O"]], [["O"], ["O", "O"]]), "sentence 1 has 1 true tags and 2 predicted"),
        (lambda: span_f1(["O"], ["O"]), "needs lists of sentences, each a list of tags; got one sentence"),
        (lambda: span_f1([["X-PER"]], [["O"]]), "tag of word 0 is 'X-PER'; tags are 'O', or B, I, E or S"),
        (lambda: span_f1([["BX-PER"]], [["O"]]), "tag of word 0 is 'BX-PER'"),
        (lambda: span_f1([["O", ""]], [["O", "O"]]), "tag of word 1 must be a text such as 'B-PER', is ''"),
        (lambda: span_f1([[5]], [["O"]]), "must be a text such as 'B-PER', is 5"),
        (lambda: span_f1([["S-X"]], [["O"]], scheme="BIO"), "begins with 'S', which BIO does not have"),
        (lambda: span_f1([["O"]], [["O"]], scheme="BILOU"), "scheme='BILOU' is none of BIO, IOB2, IOB1, IOBES"),
        (lambda: entities(["O"], "BILOU"), "scheme='BILOU' is none of"),
        (lambda: span_f1([["O"]], [["O"]], average="binary"), "average='binary' is none of"),
    ],
)
def test_what_cannot_be_measured(call, message):
    with pytest.raises(ValueError, match=message):
        call()
