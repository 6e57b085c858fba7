"""Accuracy, precision, recall, F1 and the confusion matrix beside scikit-learn."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.metrics import (
    ClassificationScores,
    UndefinedMetricWarning,
    accuracy,
    classification_report,
    confusion_matrix,
    f1,
    precision,
    precision_recall_f1,
    recall,
)


@pytest.fixture(scope="module")
def theirs():
    return pytest.importorskip("sklearn.metrics")


@st.composite
def predictions(draw, classes=5):
    """True and predicted classes, numbers or texts, with some that are in one of them alone."""
    names = draw(st.sampled_from([range(classes), [f"c{i}" for i in range(classes)], [True, False]]))
    size = draw(st.integers(1, 12))
    row = st.lists(st.sampled_from(list(names)), min_size=size, max_size=size)
    return draw(row), draw(row)


ZERO = st.sampled_from([0, 1, math.nan])


@settings(max_examples=150)
@given(
    rows=predictions(),
    average=st.sampled_from([None, "micro", "macro", "weighted"]),
    zero_division=ZERO,
    beta=st.sampled_from([1.0, 0.5, 2.0, math.inf]),
    data=st.data(),
)
def test_averages_are_those_of_scikit_learn(rows, average, zero_division, beta, data, theirs):
    labels = data.draw(st.none() | st.permutations(sorted({*rows[0], *rows[1]})))
    options = {"average": average, "zero_division": zero_division, "labels": labels}
    expected = theirs.precision_recall_fscore_support(*rows, beta=beta, **options)
    ours = precision_recall_f1(*rows, beta=beta, **options)
    for mine, other in zip(ours[:3], expected[:3], strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12)
    if average is None:
        np.testing.assert_array_equal(ours.support, expected[3])
    else:
        assert ours.support == len(rows[0])
        assert isinstance(ours.f, float)
    np.testing.assert_allclose(precision(*rows, **options), expected[0], rtol=1e-12)
    np.testing.assert_allclose(recall(*rows, **options), expected[1], rtol=1e-12)
    np.testing.assert_allclose(f1(*rows, beta=beta, **options), expected[2], rtol=1e-12)


@settings(max_examples=60)
@given(rows=predictions(classes=2), zero_division=ZERO, positive=st.sampled_from([0, 1, "c0", "c1"]))
def test_one_of_two_classes(rows, zero_division, positive, theirs):
    options = {"average": "binary", "zero_division": zero_division, "pos_label": positive}
    try:
        expected = theirs.precision_recall_fscore_support(*rows, **options)
    except ValueError:
        with pytest.raises(ValueError, match="is none of the classes"):
            precision_recall_f1(*rows, **options)
        return
    np.testing.assert_allclose(precision_recall_f1(*rows, **options)[:3], expected[:3])
    np.testing.assert_allclose(f1(*rows, **options), expected[2])


@pytest.mark.filterwarnings("ignore:A single label was found:UserWarning")
@settings(max_examples=80)
@given(rows=predictions(), normalize=st.sampled_from([None, "true", "pred", "all"]), data=st.data())
def test_confusion_matrices_are_those_of_scikit_learn(rows, normalize, data, theirs):
    present = sorted({*rows[0], *rows[1]})
    labels = data.draw(st.none() | st.lists(st.sampled_from(present), min_size=1, unique=True))
    if labels is not None and not set(labels) & set(rows[0]):
        with pytest.raises(ValueError, match="is a true class"):
            confusion_matrix(*rows, labels=labels)
        return
    ours = confusion_matrix(*rows, labels=labels, normalize=normalize)
    with np.errstate(all="ignore"):
        expected = theirs.confusion_matrix(*rows, labels=labels, normalize=normalize)
    np.testing.assert_allclose(ours, expected)
    assert accuracy(*rows) == pytest.approx(theirs.accuracy_score(*rows))


def test_the_example_that_is_wrong_in_some_articles():
    # 10 of 100 are spam, 2 are marked, both rightly; "correct / predicted" would make recall 1.
    spam, marked = [1] * 10 + [0] * 90, [1] * 2 + [0] * 98
    assert precision(spam, marked) == 1.0
    assert recall(spam, marked) == 0.2
    assert f1(spam, marked) == pytest.approx(1 / 3)
    assert "correct / predicted" in precision.__doc__


@given(rows=predictions(), cut=st.integers(0, 12))
def test_batches_give_what_all_at_once_gives(rows, cut):
    scores = ClassificationScores()
    for part in (slice(0, cut), slice(cut, None)):
        scores.update(rows[0][part], rows[1][part])
    assert scores.accuracy() == accuracy(*rows)
    np.testing.assert_array_equal(scores.confusion_matrix(), confusion_matrix(*rows))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        assert scores.compute()["f1"] == f1(*rows, average="macro")
    scores.reset()
    with pytest.raises(ValueError, match="there are no examples yet"):
        scores.accuracy()


def test_tensors_and_arrays():
    import minillm

    true, guess = [0, 1, 1], [0, 1, 0]
    assert accuracy(np.array(true), np.array(guess)) == pytest.approx(2 / 3)
    assert accuracy(minillm.tensor(true), minillm.tensor(guess)) == pytest.approx(2 / 3)
    with minillm.device("strict"):
        assert accuracy(minillm.tensor(true), minillm.tensor(guess)) == pytest.approx(2 / 3)
    assert accuracy(np.array(["a", "b"]), ["a", "a"]) == 0.5
    assert f1(np.array([1.0, 0.0]), [1, 0]) == 1.0


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (precision, r"precision of 1 of 2 classes is 0 / 0 \(nothing was predicted to be of it\)"),
        (f1, None),
        (recall, None),
    ],
)
def test_zero_divided_by_zero_is_said(measure, message):
    rows = ["a", "b"], ["a", "a"]
    if message is None:
        measure(*rows, average="macro")  # warnings are errors
    else:
        with pytest.warns(UndefinedMetricWarning, match=message):
            assert measure(*rows, average="macro") == 0.25
        assert measure(*rows, average="macro", zero_division=1) == 0.75
        assert measure(*rows, average="macro", zero_division=math.nan) == 0.5
    with pytest.warns(UndefinedMetricWarning, match=r"recall is 0 / 0 \(nothing is of it\)"):
        assert recall([0, 0], [0, 1]) == 0
    with pytest.warns(UndefinedMetricWarning, match=r"F is 0 / 0 \(nothing is of it or was"):
        assert f1([0, 0], [0, 0]) == 0


def test_a_table_for_people(theirs):
    rows = ["cat", "dog", "dog", "a long name of a class"], ["cat", "cat", "dog", "dog"]
    ours = classification_report(*rows).split()
    assert "support" in ours
    expected = theirs.classification_report(*rows, digits=3, zero_division=0, output_dict=True)
    for name in ("cat", "dog"):
        place = ours.index(name)
        values = [f"{expected[name][key]:.3f}" for key in ("precision", "recall", "f1-score")]
        assert ours[place + 1 : place + 5] == [*values, f"{expected[name]['support']:.0f}"]
    assert f"{expected['accuracy']:.3f}" == ours[ours.index("accuracy") + 1]
    assert f"{expected['weighted avg']['f1-score']:.3f}" == ours[ours.index("weighted") + 3]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: accuracy([1, 0], [1]), ValueError, "2 true classes, 1 predicted ones"),
        (lambda: accuracy([], []), ValueError, "there are no examples yet"),
        (lambda: accuracy("ab", "ab"), TypeError, "needs a list or an array, got 'ab'"),
        (lambda: accuracy(3, [1]), TypeError, "needs a list or an array, got 3"),
        (lambda: accuracy([1, "a"], [1, 1]), ValueError, "of different kinds: texts, whole numbers"),
        (lambda: accuracy([0.5], [1]), ValueError, "0.5 is no class; classes are whole numbers, texts"),
        (lambda: accuracy([None], [1]), ValueError, "None is no class"),
        (lambda: accuracy(np.zeros((2, 2)), [1, 1]), ValueError, "needs one class an example"),
        (lambda: f1([0, 1, 2], [0, 1, 2]), ValueError, "is for two classes, there are 3; choose 'micro'"),
        (lambda: f1([0, 1], [0, 1], average="mean"), ValueError, "average='mean' is none of"),
        (lambda: f1([0, 1], [0, 1], pos_label=5), ValueError, r"pos_label=5 is none of the classes \[0, 1\]"),
        (lambda: f1([0, 1], [0, 1], beta=-1), ValueError, "beta must not be negative, got -1"),
        (lambda: f1([0, 1], [0, 1], zero_division=2), ValueError, "zero_division=2 is none of"),
        (lambda: f1([0, 1], [0, 1], zero_division="0"), ValueError, "zero_division='0' is none of"),
        (lambda: confusion_matrix([0], [0], normalize="rows"), ValueError, "normalize='rows' is none of"),
        (lambda: ClassificationScores([0, 1, 0]), ValueError, "a label stands twice"),
    ],
)
def test_what_cannot_be_measured(call, error, message):
    with pytest.raises(error, match=message):
        call()
