"""``Task``: what examples are, how a model reads them, and how good its answers are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from minillm.data.pad_sequences import pad_sequences
from minillm.ops import Tensor
from minillm.ops import tensor as as_tensor

Features = dict[str, Any]
Scores = dict[str, float]

IGNORED = -100  # a label that does not count


class Task:
    """Base of the tasks that a model is fine-tuned for.

    A subclass turns examples (dicts) into features (dicts of lists of equal length, by the names of the model's
    arguments), and answers into scores.

    Attributes:
        name: of the task, on the command line.
        metric: the score by which weights are chosen.
        lower_is_better: whether that is a loss.
        fillers: what fills up short lists of a batch, by name; 0 by default.
    """

    name = ""
    metric = ""
    lower_is_better = False
    fillers: Mapping[str, int] = MappingProxyType({})
    eval_batch_size = 32

    def features(self, examples: Sequence[Any]) -> list[Features]:
        """Return what a model reads, for each example."""
        raise NotImplementedError

    def scores(self, model: Any, examples: list[Any]) -> Scores:
        """Return how good a model is on examples; ``metric`` is among the names."""
        raise NotImplementedError

    def loss(self, model: Any, batch: dict[str, Tensor]) -> Tensor:
        """Return the mean loss of a batch."""
        loss: Tensor = model(**batch).loss
        return loss

    def length(self, feature: Features) -> int:
        """Return how long an example is: batches are made of those of about the same length."""
        return len(feature["input_ids"])

    def count(self, features: list[Features]) -> float:
        """Return over how many items the loss of a batch is the mean: its examples, unless a task says otherwise."""
        return len(features)

    def batch(self, features: list[Features], device: Any = None) -> dict[str, Tensor]:
        """Return a batch of examples, filled up to the longest, as tensors."""
        return {name: as_tensor(self._column(name, [f[name] for f in features]), device=device) for name in features[0]}

    def _column(self, name: str, values: list[Any]) -> Any:
        if not isinstance(values[0], (list, tuple, np.ndarray)):
            return np.asarray(values)
        return pad_sequences(values, dtype="int64", padding="post", value=self.fillers.get(name, 0))

    def batches(self, features: list[Features], device: Any) -> Iterator[tuple[list[int], dict[str, Tensor]]]:
        """Yield batches for reading alone, the longest examples first, each with the places of its examples."""
        order = sorted(range(len(features)), key=lambda i: -self.length(features[i]))
        for start in range(0, len(order), self.eval_batch_size):
            chosen = order[start : start + self.eval_batch_size]
            yield chosen, self.batch([features[i] for i in chosen], device)


def device_of(model: Any) -> Any:
    """Return where a model's parameters lie."""
    return next(iter(model.parameters())).device
