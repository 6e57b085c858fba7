"""``pipeline``: texts in, labels or texts out, in the signature of Hugging Face's library.

Each text is read alone, without padding, so that its answer does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minillm import ops
from minillm.autograd import no_grad
from minillm.backend import to_numpy
from minillm.inference.context import evaluating
from minillm.ops import Tensor


class Pipeline:
    """Base of pipelines: a model with its tokenizer.

    Args:
        model: in memory, on any device.
        tokenizer: of the model.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer

    def _tokens(self, text: str, **options: Any) -> dict[str, Tensor]:
        """Return what the model reads of one text, (1, T) each."""
        device = next(iter(self.model.parameters())).device
        return {name: ops.tensor([ids], device=device) for name, ids in self.tokenizer(text, **options).items()}


class TextClassificationPipeline(Pipeline):
    """Labels texts, with the probability of the label."""

    def __call__(self, inputs: str | Sequence[str], truncation: bool = True, **options: Any) -> Any:
        """Return ``{"label": ..., "score": ...}`` for each text.

        Args:
            inputs: a text, or several.
            truncation: cut texts that are too long for the model.
            options: ``top_k``: a list of so many best labels for each text, None for all of them.

        Raises:
            TypeError: an option that is not offered.
        """
        if unknown := options.keys() - {"top_k"}:
            raise TypeError(f"text-classification: {', '.join(sorted(unknown))} is not offered; top_k is")
        texts = [inputs] if isinstance(inputs, str) else list(inputs)
        answers = [self._labels(text, truncation) for text in texts]
        if "top_k" not in options:
            return [labels[0] for labels in answers]
        answers = [labels[: options["top_k"]] for labels in answers]
        return answers[0] if isinstance(inputs, str) else answers

    def _labels(self, text: str, truncation: bool) -> list[dict[str, Any]]:
        """Return all labels of a text, the most probable first."""
        config = self.model.config
        with evaluating(self.model), no_grad():
            logits = self.model(**self._tokens(text, truncation=truncation), return_dict=True).logits[0]
        several = config.problem_type == "multi_label_classification" or config.num_labels == 1
        if config.problem_type == "regression":
            scores = to_numpy(logits.array)
        else:
            scores = to_numpy((logits.sigmoid() if several else logits.softmax(-1)).array)
        order = np.argsort(-scores, kind="stable").tolist()
        return [{"label": config.id2label[i], "score": float(scores[i])} for i in order]


class TextGenerationPipeline(Pipeline):
    """Goes on with texts."""

    def __call__(self, text_inputs: str | Sequence[str], return_full_text: bool = True, **options: Any) -> Any:
        """Return a list of ``{"generated_text": ...}`` for each prompt; for one prompt, its list.

        Args:
            text_inputs: a prompt, or several.
            return_full_text: False leaves the prompt out.
            options: as for ``model.generate``; by default up to 256 tokens are drawn at a temperature of 0.7.
        """
        if not {"max_new_tokens", "max_length"} & options.keys():
            options["max_new_tokens"] = 256
        options = {"do_sample": True, **options}
        if options["do_sample"]:
            options = {"temperature": 0.7, **options}
        texts = [text_inputs] if isinstance(text_inputs, str) else list(text_inputs)
        answers = [self._texts(text, return_full_text, options) for text in texts]
        return answers[0] if isinstance(text_inputs, str) else answers

    def _texts(self, prompt: str, full: bool, options: dict[str, Any]) -> list[dict[str, str]]:
        """Return what the model writes after one prompt."""
        given = self._tokens(prompt)
        read = len(self.tokenizer.decode(given["input_ids"][0].tolist(), skip_special_tokens=True))
        rows = self.model.generate(**given, **options).tolist()
        new = [self.tokenizer.decode(row, skip_special_tokens=True)[read:] for row in rows]
        return [{"generated_text": prompt + text if full else text} for text in new]


TASKS = {
    "text-classification": TextClassificationPipeline, "sentiment-analysis": TextClassificationPipeline,
    "text-generation": TextGenerationPipeline,
}  # fmt: skip


def pipeline(task: str, model: Any = None, tokenizer: Any = None) -> Any:
    """Return a pipeline: call it with a text, or with several.

    Args:
        task: ``"text-classification"`` (or ``"sentiment-analysis"``), or ``"text-generation"``.
        model: for the task, in memory; nothing is downloaded.
        tokenizer: of the model, in memory.

    Raises:
        ValueError: a task that is not offered.
        TypeError: no model or tokenizer, or a name in its place.

    Example:
        >>> from minillm.tokenizers import CharTokenizer
        >>> from minillm.transformers import BertConfig, BertForSequenceClassification
        >>> tokenizer = CharTokenizer.from_text("abc", model_max_length=8)
        >>> model = BertForSequenceClassification(BertConfig(vocab_size=9, hidden_size=8, num_attention_heads=2))
        >>> [sorted(answer) for answer in pipeline("text-classification", model, tokenizer)(["ab", "c"])]
        [['label', 'score'], ['label', 'score']]
    """
    if task not in TASKS:
        raise ValueError(f"pipeline: got the task {task!r}; known are {', '.join(TASKS)}")
    for name, given in (("model", model), ("tokenizer", tokenizer)):
        if given is None or isinstance(given, str):
            raise TypeError(f"pipeline: got {given!r} as {name}; it needs one in memory, as from_pretrained returns")
    return TASKS[task](model, tokenizer)
