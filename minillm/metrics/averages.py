r"""From counts to precision, recall and F, and from those of classes to one number.

    precision = TP / (TP + FP)      of what was found, how much is right
    recall    = TP / (TP + FN)      of what is there, how much was found
    F_beta    = (1 + beta²) TP / ((1 + beta²) TP + beta² FN + FP)

TP (true positives) are what is of the class and was found, FP what was found and is not of it, FN
what is of it and was not found. F_1 is the harmonic mean of the two: it is high where both are.

Of several classes, *micro* adds up the counts first, so that frequent classes decide; *macro* is the
plain mean over classes, so that each counts the same; *weighted* is the mean by how often the class is
there. (Van Rijsbergen: Information Retrieval, 1979, chapter 7; Sokolova, Lapalme 2009.)
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

#: ``"warn"``, or what stands for 0 / 0: 0, 1 or NaN.
ZeroDivision = str | float

AVERAGES = (None, "binary", "micro", "macro", "weighted")

Values = npt.NDArray[np.float64]


class UndefinedMetricWarning(UserWarning):
    """A measure is 0 / 0, and 0 was put in its place."""


class PrecisionRecallF(NamedTuple):
    """Precision, recall and F, and how often each class is there.

    Numbers if they are averages (then `support` is that of all classes together), else arrays with one
    entry a class.
    """

    precision: Any
    recall: Any
    f: Any
    support: Any


def precision_recall_f(
    right: Sequence[int],
    found: Sequence[int],
    there: Sequence[int],
    *,
    average: str | None,
    beta: float = 1.0,
    zero_division: ZeroDivision = "warn",
    measures: Sequence[str] = ("precision", "recall", "f"),
) -> PrecisionRecallF:
    """Return the measures of classes with these counts, or their average.

    Args:
        right: For each class TP.
        found: TP + FP.
        there: TP + FN.
        average: None for one value a class, ``"micro"``, ``"macro"`` or ``"weighted"``.
        beta: How much more recall counts than precision.
        zero_division: What stands for 0 / 0. ``"warn"`` is 0 with a warning that says so. NaN is left
            out of means.
        measures: Which of them are asked for and warned about.
    """
    check_zero_division(zero_division)
    if beta < 0:
        raise ValueError(f"metrics: beta must not be negative, got {beta}")
    counts = np.array([right, found, there], dtype=np.float64).reshape(3, -1)
    support = counts[2].astype(np.int64)
    if average == "micro":
        counts = counts.sum(axis=1, keepdims=True)
    tp, positives, actual = counts
    nothing_found = "nothing was predicted to be of it"
    precision = _divide(tp, positives, zero_division, "precision" in measures, "precision", nothing_found)
    recall = _divide(tp, actual, zero_division, "recall" in measures, "recall", "nothing is of it")
    if np.isposinf(beta):
        f = recall
    else:
        f = _divide(
            (1 + beta**2) * tp,
            beta**2 * actual + positives,
            zero_division,
            "f" in measures,
            "F",
            "nothing is of it or was predicted to be",
        )
    if average is None:
        return PrecisionRecallF(precision, recall, f, support)
    weights = actual if average == "weighted" else np.ones_like(actual)
    return PrecisionRecallF(
        _mean(precision, weights), _mean(recall, weights), _mean(f, weights), int(support.sum())
    )


def check_zero_division(zero_division: ZeroDivision) -> float:
    """Return what stands for 0 / 0, or raise ValueError if that is not one of the choices."""
    if zero_division == "warn":
        return 0.0
    if isinstance(zero_division, str) or not (zero_division in (0, 1) or np.isnan(zero_division)):
        raise ValueError(f"metrics: zero_division={zero_division!r} is none of 'warn', 0, 1 and NaN")
    return float(zero_division)


def _divide(
    above: Values, below: Values, zero_division: ZeroDivision, warns: bool, name: str, why: str
) -> Values:
    undefined = below == 0
    result: Values = np.full(above.shape, check_zero_division(zero_division))
    np.divide(above, below, out=result, where=~undefined)
    if warns and zero_division == "warn" and undefined.any():
        which = "" if len(above) == 1 else f" of {int(undefined.sum())} of {len(above)} classes"
        warnings.warn(
            f"{name}{which} is 0 / 0 ({why}) and is taken as 0; pass zero_division=0, 1 or NaN to choose",
            UndefinedMetricWarning,
            stacklevel=5,
        )
    return result


def _mean(values: Values, weights: Values) -> float:
    """The mean of what is no NaN; NaN if nothing is left or has weight."""
    known = ~np.isnan(values)
    values, weights = values[known], weights[known]
    total = weights.sum()
    return float((values * weights).sum() / total) if total else float(values.mean() if len(values) else np.nan)
