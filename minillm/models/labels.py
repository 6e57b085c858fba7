"""What models that give labels have in common: the names of the labels, and the losses.

The loss of a classifier follows from its ``problem_type``: ``single_label_classification`` (one label of
several: cross-entropy), ``multi_label_classification`` (any of several: binary cross-entropy of each) or
``regression`` (numbers: mean squared error). Where none is set, it is told from the labels, as in Hugging
Face's library: one output is regression, whole numbers are single labels, floats are several.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from minillm.autograd.errors import OperationError
from minillm.models.config import Config, one_of, positive
from minillm.nn import functional as F
from minillm.ops import Tensor

PROBLEM_TYPES = (None, "regression", "single_label_classification", "multi_label_classification")


@dataclasses.dataclass
class LabelsConfig(Config):
    """The settings of labels.

    Attributes:
        num_labels: number of labels; that of ``id2label``, or 2 by default.
        id2label: names of the labels by number; ``LABEL_0``, ... by default.
        label2id: numbers of the labels by name.
        problem_type: what kind of labels they are; told from the labels themselves by default.
    """

    num_labels: int = dataclasses.field(default=0, kw_only=True)
    id2label: dict[int, str] | None = dataclasses.field(default=None, kw_only=True)
    label2id: dict[str, int] | None = dataclasses.field(default=None, kw_only=True)
    problem_type: str | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.id2label is not None:
            self.id2label = {int(number): name for number, name in self.id2label.items()}
            if self.num_labels not in (0, len(self.id2label)):
                raise ValueError(
                    f"{type(self).__name__}: num_labels is {self.num_labels}, and id2label has "
                    f"{len(self.id2label)}"
                )
            self.num_labels = len(self.id2label)
        else:
            self.num_labels = self.num_labels or 2
            positive(self, num_labels=self.num_labels)
            self.id2label = {number: f"LABEL_{number}" for number in range(self.num_labels)}
            self.label2id = None
        if self.label2id is None:
            self.label2id = {name: number for number, name in self.id2label.items()}
        one_of(self, PROBLEM_TYPES, problem_type=self.problem_type)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, as ``config.json`` holds them: the number of labels is that of their names."""
        values = super().to_dict()
        del values["num_labels"]
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any], **changes: Any) -> Any:
        """Return the settings from a dictionary; a changed number of labels gives them new names."""
        count = changes.get("num_labels")
        if count is not None and "id2label" not in changes and len(values.get("id2label") or ()) != count:
            values = {name: value for name, value in values.items() if name not in ("id2label", "label2id")}
        return super().from_dict(values, **changes)


def classification_loss(logits: Tensor, labels: Tensor, config: LabelsConfig) -> Tensor:
    """Return the loss of a classifier.

    Args:
        logits: (B, L).
        labels: (B,) whole numbers; (B, L) floats for several labels; (B,) or (B, L) floats for numbers.
        config: with ``num_labels`` and ``problem_type``.

    Raises:
        OperationError: labels of another shape.
    """
    problem = config.problem_type
    if problem is None:
        if config.num_labels == 1:
            problem = "regression"
        else:
            problem = "single_label" if labels.dtype.kind in "iu" else "multi_label"
    if problem.startswith("single_label"):
        return choice_loss(logits, labels)
    if config.num_labels == 1 and labels.numel() == logits.shape[0]:
        labels = labels.reshape(logits.shape)
    if labels.shape != logits.shape:
        raise OperationError(f"labels: got shape {labels.shape}; it needs {logits.shape}, as the logits")
    labels = labels.to(dtype=logits.dtype)
    if problem == "regression":
        return F.mse_loss(logits, labels)
    return F.binary_cross_entropy_with_logits(logits, labels)


def choice_loss(logits: Tensor, labels: Tensor, name: str = "labels") -> Tensor:
    """Return the mean cross-entropy of the one right label of several, -100 left out: (B, L) and (B,).

    Args:
        logits: (B, L).
        labels: (B,) whole numbers, in any shape.
        name: of the labels, for errors.

    Raises:
        OperationError: another number of labels.
    """
    if labels.numel() != logits.shape[0]:
        raise OperationError(f"{name}: got shape {labels.shape}; it needs ({logits.shape[0]},)")
    return F.cross_entropy(logits, labels.reshape(-1), ignore_index=-100)


def token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy over tokens whose label is not -100: (B, T, L) and (B, T)."""
    if labels.shape != logits.shape[:2]:
        raise OperationError(f"labels: got shape {labels.shape}; it needs {logits.shape[:2]}, as input_ids")
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), ignore_index=-100)


def span_loss(start_logits: Tensor, end_logits: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
    """Return the mean cross-entropy of the first and the last place of answers.

    Args:
        start_logits: (B, T).
        end_logits: (B, T).
        starts: (B,); a place beyond the text, such as T, is left out of the loss.
        ends: (B,), likewise.
    """
    length = start_logits.shape[1]
    losses = []
    for logits, places in ((start_logits, starts), (end_logits, ends)):
        if places.numel() != logits.shape[0]:
            raise OperationError(f"positions: got shape {places.shape}; it needs ({logits.shape[0]},)")
        places = places.reshape(-1).clamp(0, length)
        losses.append(F.cross_entropy(logits, places, ignore_index=length))
    return (losses[0] + losses[1]) / 2
