"""Text classification: each text has the label that is most probable, or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minillm.inference.pipelines.base import Pipeline, numbers, softmax


class TextClassificationPipeline(Pipeline):
    """Labels texts, with the probability of the label."""

    task = "text-classification"
    offered = ("function_to_apply", "top_k", "truncation")

    def __call__(self, inputs: str | Mapping[str, str] | Sequence[Any], **options: Any) -> Any:
        """Return ``{"label": ..., "score": ...}`` for each text.

        Args:
            inputs: a text, or several; a pair of texts is ``{"text": ..., "text_pair": ...}``.
            options: ``top_k``: a list of so many best labels for each text, None for all of them;
                ``function_to_apply``: ``"softmax"``, ``"sigmoid"`` or ``"none"``, by default as the labels ask for;
                ``truncation``: False refuses texts that are too long for the model, which are cut otherwise.

        Raises:
            TypeError: an option that is not offered.
        """
        settings = self._settings(options)
        single = isinstance(inputs, str | Mapping)
        texts: Any = [inputs] if single else list(inputs)
        truncation, function = settings.get("truncation", True), settings.get("function_to_apply")
        answers: Any = [self._labels(text, truncation, function) for text in texts]
        answers = [labels[: settings["top_k"]] if "top_k" in settings else labels[0] for labels in answers]
        return answers[0] if single and ("top_k" in options or not isinstance(inputs, str)) else answers

    def _labels(self, text: Any, truncation: bool, function: str | None) -> list[dict[str, Any]]:
        """Return all labels of a text, the most probable first."""
        config = self.model.config
        if isinstance(text, str):
            text = {"text": text}
        encoding = self.tokenizer([text["text"]], _listed(text.get("text_pair")), truncation=truncation)
        logits = numbers(self._read(encoding).logits)[0]
        scores = _FUNCTIONS[_function(config) if function is None else function](logits)
        order = np.argsort(-scores, kind="stable").tolist()
        return [{"label": config.id2label[i], "score": float(scores[i])} for i in order]


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else [text]


def _function(config: Any) -> str:
    """Return how scores become probabilities: each alone where a text may have several labels."""
    if config.problem_type == "regression":
        return "none"
    return "sigmoid" if config.problem_type == "multi_label_classification" or config.num_labels == 1 else "softmax"


_FUNCTIONS = {
    "none": lambda logits: logits,
    "sigmoid": lambda logits: 1 / (1 + np.exp(-logits)),
    "softmax": softmax,
}
