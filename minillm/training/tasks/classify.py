"""Classification: a text, or a pair of texts, gets one label of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minillm import metrics
from minillm.autograd import no_grad
from minillm.backend import to_numpy
from minillm.nn import functional as F
from minillm.ops import Tensor
from minillm.ops import tensor as as_tensor
from minillm.training.tasks.task import Features, Scores, Task, device_of


class Classify(Task):
    """Examples are ``{"text": ..., "label": ...}``, with ``"text_b"`` for pairs.

    Args:
        tokenizer: of the model.
        labels: names, in the order of the model's outputs.
        max_length: the longest text, in tokens.
        class_weights: of each label in the loss; ``"balanced"`` is n / (labels x examples of the label), from the
            first examples that are seen.

    Example:
        >>> from minillm.tokenizers import WordTokenizer
        >>> tokenizer = WordTokenizer()
        >>> tokenizer.fit_on_texts(["good film", "bad film"])
        >>> task = Classify(tokenizer, ["neg", "pos"])
        >>> task.features([{"text": "a good film", "label": "pos"}])[0]["labels"]
        1
    """

    name = "classify"
    metric = "accuracy"

    def __init__(
        self,
        tokenizer: Any,
        labels: Sequence[str],
        max_length: int | None = 128,
        class_weights: str | Sequence[float] | None = None,
    ) -> None:
        self.tokenizer, self.labels, self.max_length = tokenizer, list(labels), max_length
        self.number = {label: i for i, label in enumerate(self.labels)}
        self.class_weights = class_weights
        padding = tokenizer.pad_token_id
        self.fillers = {"input_ids": 0 if padding is None else padding}

    def features(self, examples: Sequence[Any]) -> list[Features]:
        """Return tokens and labels."""
        found = []
        for i, example in enumerate(examples):
            feature = encode(self.tokenizer, example["text"], example.get("text_b"), self.max_length)
            label = example.get("label")
            if label is not None:
                if label not in self.number:
                    raise ValueError(f"example {i + 1}: the label {label!r} is none of {', '.join(self.labels)}")
                feature["labels"] = self.number[label]
            found.append(feature)
        if self.class_weights == "balanced":
            counts = np.bincount([f["labels"] for f in found], minlength=len(self.labels))
            self.class_weights = (len(found) / (len(self.labels) * np.maximum(counts, 1))).tolist()
        return found

    def loss(self, model: Any, batch: dict[str, Tensor]) -> Tensor:
        """Return the mean cross-entropy, weighed by class where weights are given."""
        if self.class_weights is None:
            return super().loss(model, batch)
        labels = batch.pop("labels")
        logits = model(**batch).logits
        weight = as_tensor(np.asarray(self.class_weights, np.float32), device=logits.device)
        return F.cross_entropy(logits, labels, weight)

    def count(self, features: list[Features]) -> float:
        """Return over what the loss of a batch is the mean: its examples, or their weights."""
        if self.class_weights is None:
            return len(features)
        return sum(float(self.class_weights[f["labels"]]) for f in features)

    def probabilities(self, model: Any, examples: Sequence[Any]) -> Any:
        """Return the probability of each label for each example, (n, labels), an array."""
        features = [{k: v for k, v in f.items() if k != "labels"} for f in self.features(examples)]
        table = np.zeros((len(features), len(self.labels)), np.float32)
        with no_grad():
            for chosen, batch in self.batches(features, device_of(model)):
                table[chosen] = to_numpy(F.softmax(model(**batch).logits, dim=-1).array)
        return table

    def scores(self, model: Any, examples: list[Any]) -> Scores:
        """Return accuracy, and macro-averaged precision, recall and F1."""
        guesses = self.probabilities(model, examples).argmax(axis=1)
        truth = np.asarray([self.number[example["label"]] for example in examples])
        found = metrics.precision_recall_f1(truth, guesses, average="macro", zero_division=0)
        return {
            "accuracy": float(metrics.accuracy(truth, guesses)),
            "precision": float(found.precision),
            "recall": float(found.recall),
            "f1": float(found.f),
        }


def encode(tokenizer: Any, text: str, other: str | None, max_length: int | None) -> Features:
    """Return what a model reads of a text or of a pair."""
    options = {} if other is None else {"text_pair": other}
    encoded = tokenizer(text, truncation=max_length is not None, max_length=max_length, **options)
    ids = encoded["input_ids"]
    if not ids:  # a text without any known word
        filler = getattr(tokenizer, "unk_token_id", None)
        ids = [0 if filler is None else filler]
    feature: Features = {"input_ids": ids, "attention_mask": [1] * len(ids)}
    if "token_type_ids" in encoded:
        feature["token_type_ids"] = encoded["token_type_ids"]
    return feature
