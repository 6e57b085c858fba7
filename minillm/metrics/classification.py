r"""How well classes are predicted: accuracy, precision, recall, F1 and the confusion matrix.

Names and meaning of the arguments are those of scikit-learn. The formulas stand in `averages`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minillm.metrics.averages import AVERAGES, PrecisionRecallF, ZeroDivision, precision_recall_f
from minillm.metrics.metric import Metric, to_list


class ClassificationScores(Metric):
    """Counts predictions by true class and predicted class, batch by batch.

    Args:
        labels: The classes to report, in this order; None means all that there are, sorted.

    Example:
        >>> scores = ClassificationScores()
        >>> scores.update([0, 1, 1], [0, 1, 0])
        >>> scores.update([1], [1])
        >>> scores.accuracy(), scores.confusion_matrix().tolist()
        (0.75, [[1, 0], [1, 2]])
        >>> round(scores.f1(average="macro"), 3)
        0.733
    """

    def __init__(self, labels: Sequence[Any] | None = None) -> None:
        self.labels = None if labels is None else to_list(labels)
        if self.labels is not None and len(set(self.labels)) < len(self.labels):
            raise ValueError(f"metrics: a label stands twice in {self.labels}")
        super().__init__()

    def reset(self) -> None:
        self._pairs: Counter[tuple[Any, Any]] = Counter()

    def update(self, y_true: Any, y_pred: Any) -> None:
        """Take true and predicted classes: whole numbers, texts or booleans, one each an example.

        Raises:
            ValueError: There are more of one than of the other, or they are not of one kind.
        """
        true, predicted = to_list(y_true), to_list(y_pred)
        if len(true) != len(predicted):
            raise ValueError(f"metrics: {len(true)} true classes, {len(predicted)} predicted ones")
        if any(isinstance(label, list) for label in (*true, *predicted)):
            raise ValueError("metrics: needs one class an example, shape (N,), got rows of several")
        new = Counter(zip(true, predicted, strict=True))
        kinds = {_kind(label) for pair in {**new, **self._pairs} for label in pair}
        if len(kinds) > 1:
            raise ValueError(f"metrics: the classes are of different kinds: {', '.join(sorted(kinds))}")
        self._pairs.update(new)

    def compute(self) -> dict[str, float]:
        """Return accuracy, and precision, recall and F1 as means over the classes."""
        scores = self.precision_recall_f1(average="macro")
        return {
            "accuracy": self.accuracy(),
            "precision": scores.precision,
            "recall": scores.recall,
            "f1": scores.f,
        }

    def accuracy(self) -> float:
        """The share of right predictions."""
        return sum(n for (true, guess), n in self._pairs.items() if true == guess) / self._total()

    def confusion_matrix(self, normalize: str | None = None) -> npt.NDArray[Any]:
        """Return how often each true class (row) was predicted as each class (column).

        Args:
            normalize: ``"true"`` divides by the sum of the row, ``"pred"`` of the column, ``"all"`` of
                the matrix; what is divided by 0 stays 0.
        """
        if normalize not in (None, "true", "pred", "all"):
            raise ValueError(f"confusion_matrix: normalize={normalize!r} is none of None, 'true', 'pred', 'all'")
        self._total()
        labels = self._labels()
        place = {label: row for row, label in enumerate(labels)}
        matrix = np.zeros((len(labels), len(labels)), dtype=np.int64)
        for (true, guess), count in self._pairs.items():
            if true in place and guess in place:
                matrix[place[true], place[guess]] += count
        if self.labels is not None and not any(true in place for true, _ in self._pairs):
            raise ValueError(f"confusion_matrix: none of the labels {self.labels} is a true class")
        if normalize is None:
            return matrix
        axis = {"true": 1, "pred": 0, "all": None}[normalize]
        sums = matrix.sum(axis=axis, keepdims=True)
        shares: npt.NDArray[Any] = np.zeros(matrix.shape)
        np.divide(matrix, sums, out=shares, where=sums != 0)
        return shares

    def precision_recall_f1(
        self,
        *,
        average: str | None = None,
        pos_label: Any = 1,
        beta: float = 1.0,
        zero_division: ZeroDivision = "warn",
        measures: Sequence[str] = ("precision", "recall", "f"),
    ) -> PrecisionRecallF:
        """Return precision, recall, F and the number of examples; see `precision` for the arguments."""
        self._total()
        labels = self._chosen(average, pos_label)
        right, found, there = (Counter[Any]() for _ in range(3))
        for (true, guess), count in self._pairs.items():
            there[true] += count
            found[guess] += count
            right[true] += count * (true == guess)
        return precision_recall_f(
            [right[label] for label in labels],
            [found[label] for label in labels],
            [there[label] for label in labels],
            average="macro" if average == "binary" else average,  # the mean of one class
            beta=beta,
            zero_division=zero_division,
            measures=measures,
        )

    def precision(self, average: str | None = "binary", **options: Any) -> Any:
        """Of what was predicted to be of a class, the share that is; see the function `precision`."""
        return self.precision_recall_f1(average=average, measures=["precision"], **options).precision

    def recall(self, average: str | None = "binary", **options: Any) -> Any:
        """Of what is of a class, the share that was found."""
        return self.precision_recall_f1(average=average, measures=["recall"], **options).recall

    def f1(self, average: str | None = "binary", **options: Any) -> Any:
        """The harmonic mean of precision and recall."""
        return self.precision_recall_f1(average=average, measures=["f"], **options).f

    def report(self, digits: int = 3) -> str:
        """Return a table with a line for each class, accuracy and averages."""
        labels = self._labels()
        each = self.precision_recall_f1(zero_division=0)
        width = max([12, *(len(str(label)) for label in labels)])
        lines = [f"{'':>{width}}{'precision':>11}{'recall':>11}{'f1':>11}{'support':>11}"]

        def line(name: str, values: Sequence[float], support: int) -> str:
            numbers = "".join(f"{value:>11.{digits}f}" for value in values)
            return f"{name:>{width}}{numbers:>33}{support:>11}"

        for label, *values, support in zip(labels, *each, strict=True):
            lines.append(line(str(label), values, int(support)))
        total = self._total()
        lines += [line("accuracy", [self.accuracy()], total)]
        for average in ("macro", "weighted"):
            mean = self.precision_recall_f1(average=average, zero_division=0)
            lines.append(line(average, mean[:3], total))
        return "\n".join(lines)

    def _total(self) -> int:
        total = self._pairs.total()
        if total == 0:
            raise ValueError("metrics: there are no examples yet")
        return total

    def _present(self) -> list[Any]:
        return sorted({label for pair in self._pairs for label in pair})

    def _labels(self) -> list[Any]:
        return self._present() if self.labels is None else self.labels

    def _chosen(self, average: str | None, pos_label: Any) -> list[Any]:
        if average not in AVERAGES:
            raise ValueError(f"metrics: average={average!r} is none of {AVERAGES}")
        if average != "binary":
            return self._labels()
        present = self._present()
        if len(present) > 2:
            raise ValueError(
                f"metrics: average='binary' is for two classes, there are {len(present)}; choose "
                "'micro', 'macro', 'weighted' or None"
            )
        if pos_label not in present and len(present) == 2:
            raise ValueError(f"metrics: pos_label={pos_label!r} is none of the classes {present}")
        return [pos_label]


def _kind(label: Any) -> str:
    if isinstance(label, (bool, int)) or (isinstance(label, float) and label.is_integer()):
        return "whole numbers"
    if isinstance(label, str):
        return "texts"
    raise ValueError(f"metrics: {label!r} is no class; classes are whole numbers, texts or booleans")


def _scores(y_true: Any, y_pred: Any, labels: Sequence[Any] | None = None) -> ClassificationScores:
    scores = ClassificationScores(labels)
    scores.update(y_true, y_pred)
    return scores


def accuracy(y_true: Any, y_pred: Any) -> float:
    """Return the share of right predictions.

    Args:
        y_true: The true classes, shape ``(N,)``: a list, an array or a tensor.
        y_pred: The predicted classes, shape ``(N,)``.

    Example:
        >>> accuracy(["cat", "dog", "dog"], ["cat", "cat", "dog"]).__round__(3)
        0.667
    """
    return _scores(y_true, y_pred).accuracy()


def confusion_matrix(
    y_true: Any, y_pred: Any, *, labels: Sequence[Any] | None = None, normalize: str | None = None
) -> npt.NDArray[Any]:
    """Return how often each true class (row) was predicted as each class (column).

    Args:
        y_true: The true classes, shape ``(N,)``.
        y_pred: The predicted classes, shape ``(N,)``.
        labels: The classes of rows and columns, in this order; default all, sorted.
        normalize: None for counts, ``"true"``, ``"pred"`` or ``"all"`` for shares of the row, the
            column or all.

    Example:
        >>> confusion_matrix(["a", "b", "b"], ["a", "a", "b"]).tolist()
        [[1, 0], [1, 1]]
    """
    return _scores(y_true, y_pred, labels).confusion_matrix(normalize)


def precision(
    y_true: Any,
    y_pred: Any,
    *,
    labels: Sequence[Any] | None = None,
    pos_label: Any = 1,
    average: str | None = "binary",
    zero_division: ZeroDivision = "warn",
) -> Any:
    r"""Return how much of what was predicted to be of a class is of it: TP / (TP + FP).

    Some articles print "correct / predicted" for precision *and* for recall. Divided by the same
    number the two would always be equal, and a model that hardly dares to predict would seem perfect.
    Take 100 letters of which 10 are spam, and a filter that marks only 2, both rightly. It misses 8::

        precision = TP / (TP + FP) = 2 / (2 + 0) = 1.0      "correct / predicted"
        recall    = TP / (TP + FN) = 2 / (2 + 8) = 0.2      "correct / there"
        F1        = 2 · 1.0 · 0.2 / (1.0 + 0.2)  = 0.333    (with the wrong recall of 1.0 it is 1.0)

    Args:
        y_true: The true classes, shape ``(N,)``: whole numbers, texts or booleans.
        y_pred: The predicted classes, shape ``(N,)``.
        labels: The classes to average, or to report in this order; default all, sorted.
        pos_label: The class that ``average="binary"`` reports.
        average: ``"binary"`` for one of two classes, None for one value a class, or ``"micro"``,
            ``"macro"`` or ``"weighted"`` (see `averages`).
        zero_division: What stands for 0 / 0: ``"warn"`` (0, and a warning), 0, 1 or NaN.

    Returns:
        A number, or with ``average=None`` an array with one a class.

    Raises:
        ValueError: The rows are of different lengths or empty, or there are more than two classes for
            ``average="binary"``.

    Example:
        >>> spam = [1] * 10 + [0] * 90
        >>> marked = [1] * 2 + [0] * 98
        >>> precision(spam, marked), recall(spam, marked), round(f1(spam, marked), 3)
        (1.0, 0.2, 0.333)
    """
    scores = _scores(y_true, y_pred, labels)
    return scores.precision(average, pos_label=pos_label, zero_division=zero_division)


def recall(
    y_true: Any,
    y_pred: Any,
    *,
    labels: Sequence[Any] | None = None,
    pos_label: Any = 1,
    average: str | None = "binary",
    zero_division: ZeroDivision = "warn",
) -> Any:
    """Return how much of what is of a class was found: TP / (TP + FN); see `precision`.

    Example:
        >>> recall([0, 1, 2, 2], [0, 2, 2, 1], average=None).tolist()
        [1.0, 0.0, 0.5]
    """
    scores = _scores(y_true, y_pred, labels)
    return scores.recall(average, pos_label=pos_label, zero_division=zero_division)


def f1(
    y_true: Any,
    y_pred: Any,
    *,
    labels: Sequence[Any] | None = None,
    pos_label: Any = 1,
    average: str | None = "binary",
    beta: float = 1.0,
    zero_division: ZeroDivision = "warn",
) -> Any:
    """Return the harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN); see `precision`.

    With `beta` recall counts `beta` times as much as precision.

    Example:
        >>> f1([0, 1, 2, 2], [0, 2, 2, 1], average="macro")
        0.5
    """
    scores = _scores(y_true, y_pred, labels)
    return scores.f1(average, pos_label=pos_label, beta=beta, zero_division=zero_division)


def precision_recall_f1(
    y_true: Any,
    y_pred: Any,
    *,
    labels: Sequence[Any] | None = None,
    pos_label: Any = 1,
    average: str | None = None,
    beta: float = 1.0,
    zero_division: ZeroDivision = "warn",
) -> PrecisionRecallF:
    """Return precision, recall, F and the number of examples of each class; see `precision`.

    Example:
        >>> scores = precision_recall_f1([0, 1, 2, 2], [0, 2, 2, 1], average="micro")
        >>> scores.precision, scores.recall, scores.f, scores.support
        (0.5, 0.5, 0.5, 4)
    """
    return _scores(y_true, y_pred, labels).precision_recall_f1(
        average=average, pos_label=pos_label, beta=beta, zero_division=zero_division
    )


def classification_report(
    y_true: Any, y_pred: Any, *, labels: Sequence[Any] | None = None, digits: int = 3
) -> str:
    """Return a table of precision, recall, F1 and the number of examples of each class.

    Example:
        >>> print(classification_report(["a", "b", "b"], ["a", "a", "b"]))
                      precision     recall         f1    support
                   a      0.500      1.000      0.667          1
                   b      1.000      0.500      0.667          2
            accuracy                            0.667          3
               macro      0.750      0.750      0.667          3
            weighted      0.833      0.667      0.667          3
    """
    return _scores(y_true, y_pred, labels).report(digits)
