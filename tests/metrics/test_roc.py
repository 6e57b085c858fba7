"""ROC-AUC beside scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.metrics import ROCAUC, UndefinedMetricWarning, roc_auc


@pytest.fixture(scope="module")
def theirs():
    return pytest.importorskip("sklearn.metrics")


SCORES = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(-1e6, 1e6))


@settings(max_examples=150)
@given(data=st.data(), names=st.sampled_from([(0, 1), ("ham", "spam"), (-1, 1)]))
def test_two_classes(data, names, theirs):
    size = data.draw(st.integers(2, 20))
    true = data.draw(st.lists(st.sampled_from(names), min_size=size, max_size=size))
    score = data.draw(st.lists(SCORES, min_size=size, max_size=size))
    if len(set(true)) < 2:
        with pytest.warns(UndefinedMetricWarning, match="but one class to tell apart"):
            assert math.isnan(roc_auc(true, score))
        return
    assert roc_auc(true, score) == pytest.approx(theirs.roc_auc_score(true, score), abs=1e-12)
    both = np.stack([-np.array(score), score], axis=1)
    assert roc_auc(true, both) == pytest.approx(roc_auc(true, score))


@settings(max_examples=80)
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(6, 30),
    multi_class=st.sampled_from(["ovr", "ovo"]),
    average=st.sampled_from(["macro", "weighted"]),
)
def test_more_classes(seed, size, multi_class, average, theirs):
    rng = np.random.default_rng(seed)
    true = np.concatenate([np.arange(3), rng.integers(0, 3, size)])
    score = rng.integers(1, 5, (len(true), 3)).astype(float)  # with ties
    score /= score.sum(axis=1, keepdims=True)
    options = {"multi_class": multi_class, "average": average}
    assert roc_auc(true, score, **options) == pytest.approx(theirs.roc_auc_score(true, score, **options))


def test_batches_give_what_all_at_once_gives():
    rng = np.random.default_rng(0)
    true, score = rng.integers(0, 2, 50), rng.random(50)
    metric = ROCAUC()
    for start in range(0, 50, 7):
        metric.update(true[start : start + 7], score[start : start + 7])
    assert metric.compute() == roc_auc(true, score)
    metric.reset()
    with pytest.raises(ValueError, match="at least one"):
        metric.compute()


def test_a_column_for_a_class_that_is_not_there():
    score = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1]]
    with pytest.raises(ValueError, match="3 columns of scores for 2 classes; give labels"):
        roc_auc([0, 1, 0], score, multi_class="ovo")
    with pytest.warns(UndefinedMetricWarning):
        assert math.isnan(roc_auc([0, 1, 0], score, multi_class="ovr", labels=[0, 1, 2]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: roc_auc([0, 1], [0.5]), "needs as many scores as true classes"),
        (lambda: roc_auc([], []), "at least one"),
        (lambda: roc_auc([0, 1], [0.5, math.nan]), "a score is NaN"),
        (lambda: roc_auc([0, 1, 2], [0.5, 0.1, 0.2]), r"3 classes need a score for each, shape \(N, 3\)"),
        (lambda: roc_auc([0, 1, 2], np.eye(3)), "give multi_class='ovr' or 'ovo'"),
        (lambda: roc_auc([0, 1, 2], np.eye(3), multi_class="ovr", average="micro"), "neither 'macro' nor"),
        (lambda: roc_auc([0, 1, 2], np.ones((3, 3)), multi_class="ovr"), "probabilities that add up to 1"),
        (lambda: roc_auc([0, 1, 5], np.eye(3), multi_class="ovr", labels=[0, 1, 2]), "none of the labels"),
        (lambda: ROCAUC().update([0, 1], [1.0]), "2 true classes, 1 scores"),
    ],
)
def test_what_cannot_be_measured(call, message):
    with pytest.raises(ValueError, match=message):
        call()
