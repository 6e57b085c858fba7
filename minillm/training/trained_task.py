"""``TrainedTask``: a task and the model that was trained for it, ready to answer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minillm.inference.text import generate_text
from minillm.metrics.spans import entities
from minillm.models.pretrained import PretrainedModel
from minillm.tokenizers import Tokenizer
from minillm.training.task_models import check_vocabulary, make_task, model_class, tokenizer_of
from minillm.training.tasks import instruction_prompt

NEW_TOKENS = 128  # of a continuation or a response


class TrainedTask:
    """A task and the model that was trained for it.

    Attributes:
        name: of the task.
        model: in evaluation mode.
        tokenizer: of the model.
        task: see :class:`~minillm.training.tasks.Task`.
        labels: in the order of the model's outputs; empty where there are none.
    """

    def __init__(
        self, name: str, model: PretrainedModel, tokenizer: Tokenizer, labels: Sequence[str], options: dict[str, Any]
    ) -> None:
        self.name, self.model, self.tokenizer, self.labels = name, model, tokenizer, list(labels)
        self.task: Any = make_task(name, tokenizer, self.labels, {**options, **_WITHOUT.get(name, {})})

    def predict(
        self,
        texts: str | Sequence[Any],
        *,
        context: str | None = None,
        input: str = "",
        max_new_tokens: int = NEW_TOKENS,
        **options: Any,
    ) -> Any:
        """Return what the model says of a text, or of each of several.

        Args:
            texts: texts; for ``tag`` words with blanks between, or lists of words; for ``classify`` also pairs of
                texts; questions for ``qa``, and instructions for ``instruct``.
            context: that the answers of ``qa`` stand in.
            input: that the instructions of ``instruct`` work on.
            max_new_tokens: of a continuation or a response.
            options: of their generation, as for :func:`~minillm.inference.generate_text`.

        Returns:
            For each text a dict: ``label``, ``probability`` and ``probabilities`` (classify); ``tokens``, ``tags`` and
            ``entities`` (tag); ``answer`` (qa); ``continuation`` (lm); ``response`` (instruct); ``translation``
            (translate). For one text the dict itself.

        Raises:
            ValueError: ``qa`` without a context, an empty text, or an option that does not fit the task.
        """
        one = isinstance(texts, str)
        wanted = [texts] if isinstance(texts, str) else list(texts)
        if self.name != "qa" and context is not None:
            raise ValueError(f"a context is for qa, not for {self.name}")
        if self.name != "instruct" and input:
            raise ValueError(f"an input is for instruct, not for {self.name}")
        if self.name not in ("lm", "instruct") and options:
            raise ValueError(f"{', '.join(options)}: of no use for {self.name}")
        for i, text in enumerate(wanted):
            if not text or (isinstance(text, str) and not text.strip() and self.name != "lm"):
                raise ValueError(f"text {i + 1} of {len(wanted)} is empty")
        if self.name == "classify":
            found = self._classify(wanted)
        elif self.name == "tag":
            found = self._tag(wanted)
        elif self.name == "qa":
            if context is None or not context.strip():
                raise ValueError("qa needs the context that the answer stands in")
            examples = [{"question": question, "context": context} for question in wanted]
            found = [{"answer": answer} for answer in self.task.answers(self.model, examples)]
        elif self.name == "translate":
            found = [{"translation": text} for text in self.task.targets(self.model, wanted)]
        else:
            found = [self._go_on(text, input, max_new_tokens, options) for text in wanted]
        return found[0] if one else found

    def _classify(self, texts: list[Any]) -> list[dict[str, Any]]:
        examples = [{"text": t} if isinstance(t, str) else {"text": t[0], "text_b": t[1]} for t in texts]
        found = []
        for row in self.task.probabilities(self.model, examples).tolist():
            best = max(range(len(row)), key=row.__getitem__)
            shares = dict(zip(self.labels, row, strict=True))
            found.append({"label": self.labels[best], "probability": row[best], "probabilities": shares})
        return found

    def _tag(self, texts: list[Any]) -> list[dict[str, Any]]:
        sentences = [text.split() if isinstance(text, str) else list(text) for text in texts]
        found = []
        for words, tags in zip(sentences, self.task.tags(self.model, sentences), strict=True):
            places = [
                {"type": e.type, "start": e.start, "end": e.end, "text": " ".join(words[e.start : e.end])}
                for e in entities(tags)
            ]
            found.append({"tokens": words, "tags": tags, "entities": places})
        return found

    def _go_on(self, text: str, given: str, count: int, options: dict[str, Any]) -> dict[str, Any]:
        name, prompt = "continuation", text
        if self.name == "instruct":
            name, prompt = "response", instruction_prompt({"instruction": text, "input": given})
        ends = {} if self.tokenizer.eos_token_id is None else {"eos_token_id": self.tokenizer.eos_token_id}
        options = {"do_sample": False, "truncate_prompt": True, **ends, **options}
        return {name: generate_text(self.model, self.tokenizer, prompt, count, **options)}


# What counts in training alone.
_WITHOUT: dict[str, dict[str, Any]] = {"classify": {"class_weights": None}}


def read_trained(directory: str | os.PathLike[str], name: str, labels: Sequence[str], options: dict[str, Any]) -> Any:
    """Return the trained task of a directory, given what its ``task.json`` says."""
    directory = os.fspath(directory)
    tokenizer = tokenizer_of(directory)
    model = model_class(name, Path(directory)).from_pretrained(directory)
    check_vocabulary(directory, model, tokenizer)
    if labels and model.config.num_labels != len(labels):
        raise ValueError(f"{directory}: the model has {model.config.num_labels} labels, and task.json {len(labels)}")
    return TrainedTask(name, model, tokenizer, labels, options)
