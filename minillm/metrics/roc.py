r"""ROC-AUC: how well a score tells two classes apart, whatever the threshold.

    AUC = P(score of a positive > score of a negative) + ½ P(both scores equal)

0.5 is guessing, 1 perfect order. It is the area under the curve of true positive over false positive
rate, and the statistic of Mann and Whitney (Hanley, McNeil 1982). Of more than two classes the mean is
taken over each against the rest (``"ovr"``) or over all pairs (``"ovo"``; Hand, Till 2001).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from minillm.metrics.averages import UndefinedMetricWarning
from minillm.metrics.metric import Metric, to_list


class ROCAUC(Metric):
    """Keeps scores and classes batch by batch, and computes ROC-AUC of all of them.

    Args:
        **options: As for `roc_auc`.

    Example:
        >>> metric = ROCAUC()
        >>> metric.update([0, 1], [0.1, 0.4])
        >>> metric.update([1, 0], [0.35, 0.38])
        >>> metric.compute()
        0.75
    """

    def __init__(self, **options: Any) -> None:
        self._options = options
        super().__init__()

    def reset(self) -> None:
        self._true: list[Any] = []
        self._score: list[Any] = []

    def update(self, y_true: Any, y_score: Any) -> None:
        """Take the true classes, shape ``(B,)``, and scores, ``(B,)`` or ``(B, classes)``."""
        true, score = to_list(y_true), to_list(y_score)
        if len(true) != len(score):
            raise ValueError(f"roc_auc: {len(true)} true classes, {len(score)} scores")
        self._true += true
        self._score += score

    def compute(self) -> float:
        return roc_auc(self._true, self._score, **self._options)


def roc_auc(
    y_true: Any,
    y_score: Any,
    *,
    multi_class: str = "raise",
    average: str = "macro",
    labels: Sequence[Any] | None = None,
) -> float:
    """Return the area under the ROC curve.

    Args:
        y_true: The true classes, shape ``(N,)``.
        y_score: For two classes the score of the greater one, shape ``(N,)``, or of both, ``(N, 2)``. For
            more the probability of each class in sorted order, ``(N, classes)``.
        multi_class: ``"ovr"`` or ``"ovo"`` for more than two classes.
        average: ``"macro"``: plain mean; ``"weighted"``: mean by how frequent the classes are.
        labels: The classes that the columns of `y_score` stand for, where not all are in `y_true`.

    Returns:
        The area; NaN, with a warning, where there is but one class.

    Raises:
        ValueError: The shapes do not fit, a score is NaN, or there are more than two classes and
            `multi_class` is not given.

    Example:
        >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        0.75
    """
    true = np.array(to_list(y_true))
    score = np.array(to_list(y_score), dtype=np.float64)
    if true.ndim != 1 or len(true) == 0 or len(score) != len(true):
        raise ValueError(
            f"roc_auc: needs as many scores as true classes, at least one; got {score.shape} and {true.shape}"
        )
    if np.isnan(score).any():
        raise ValueError("roc_auc: a score is NaN")
    classes = np.unique(true if labels is None else np.array(to_list(labels)))
    if score.ndim == 2 and score.shape[1] == 2 and len(classes) <= 2:
        score = score[:, 1]
    if score.ndim == 1:
        if len(classes) > 2:
            raise ValueError(
                f"roc_auc: {len(classes)} classes need a score for each, shape (N, {len(classes)}); got {score.shape}"
            )
        return _area(true == classes[-1], score) if len(classes) == 2 else _one_class()
    if multi_class not in ("ovr", "ovo"):
        raise ValueError("roc_auc: for more than two classes give multi_class='ovr' or 'ovo'")
    if average not in ("macro", "weighted"):
        raise ValueError(f"roc_auc: average={average!r} is neither 'macro' nor 'weighted'")
    if score.shape[1] != len(classes):
        raise ValueError(
            f"roc_auc: {score.shape[1]} columns of scores for {len(classes)} classes; give labels=[...] if not "
            "all classes are there"
        )
    if not np.isin(true, classes).all():
        raise ValueError("roc_auc: a true class is none of the labels")
    if not np.allclose(score.sum(axis=1), 1):
        raise ValueError("roc_auc: the scores of an example must be probabilities that add up to 1")
    rows = [true == label for label in classes]
    if multi_class == "ovr":
        areas = [_area(row, score[:, column]) for column, row in enumerate(rows)]
        weights = [row.sum() for row in rows]
    else:
        areas, weights = [], []
        for a, b in combinations(range(len(classes)), 2):
            both = rows[a] | rows[b]
            pair = (_area(rows[a][both], score[both, a]), _area(rows[b][both], score[both, b]))
            areas.append(sum(pair) / 2)
            weights.append(both.sum())
    return float(np.average(areas, weights=weights if average == "weighted" else None))


def _area(positive: npt.NDArray[np.bool_], score: npt.NDArray[np.float64]) -> float:
    """From the ranks of the positives: the more negatives each stands above, the better."""
    num_positive = int(positive.sum())
    num_negative = len(positive) - num_positive
    if num_positive == 0 or num_negative == 0:
        return _one_class()
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # equal scores share the mean of their ranks
    above = ranks[positive].sum() - num_positive * (num_positive + 1) / 2
    return float(above / (num_positive * num_negative))


def _one_class() -> float:
    warnings.warn(
        "roc_auc: there is but one class to tell apart; the area is not defined (NaN)",
        UndefinedMetricWarning,
        stacklevel=4,
    )
    return float("nan")
