"""``pipeline``: texts in, labels, entities, answers or texts out, in the signatures of Hugging Face's library."""

from __future__ import annotations

from typing import Any

from minillm.inference.pipelines.answers import QuestionAnsweringPipeline
from minillm.inference.pipelines.base import Pipeline
from minillm.inference.pipelines.labels import TextClassificationPipeline
from minillm.inference.pipelines.masks import FillMaskPipeline
from minillm.inference.pipelines.tokens import TokenClassificationPipeline
from minillm.inference.pipelines.writing import TextGenerationPipeline, TranslationPipeline

__all__ = [
    "TASKS",
    "FillMaskPipeline",
    "Pipeline",
    "QuestionAnsweringPipeline",
    "TextClassificationPipeline",
    "TextGenerationPipeline",
    "TokenClassificationPipeline",
    "TranslationPipeline",
    "pipeline",
    "task_of",
]

TASKS: dict[str, type[Pipeline]] = {
    kind.task: kind
    for kind in (
        TextClassificationPipeline, TokenClassificationPipeline, QuestionAnsweringPipeline, FillMaskPipeline,
        TextGenerationPipeline, TranslationPipeline,
    )
}  # fmt: skip
_OTHER_NAMES = {"sentiment-analysis": TextClassificationPipeline.task, "ner": TokenClassificationPipeline.task}


def task_of(name: str) -> str:
    """Return the task of a name, which may be another one of it; ``translation_en_to_fr`` is a translation.

    Raises:
        ValueError: a task that is not offered.

    Example:
        >>> task_of("ner"), task_of("translation_en_to_fr")
        ('token-classification', 'translation')
    """
    task = "translation" if name.startswith("translation_") else _OTHER_NAMES.get(name, name)
    if task not in TASKS:
        raise ValueError(f"pipeline: got the task {name!r}; known are {', '.join([*TASKS, *_OTHER_NAMES])}")
    return task


def pipeline(task: str, model: Any = None, tokenizer: Any = None, **options: Any) -> Any:
    """Return a pipeline: call it with a text, or with several.

    Args:
        task: ``"text-classification"`` (or ``"sentiment-analysis"``), ``"token-classification"`` (or ``"ner"``),
            ``"question-answering"``, ``"fill-mask"``, ``"text-generation"`` or ``"translation"``.
        model: for the task, in memory.
        tokenizer: of the model, in memory.
        options: those of every call that does not give its own.

    Raises:
        ValueError: a task that is not offered.
        TypeError: no model or tokenizer, or a name in its place; an option that is not offered.

    Example:
        >>> from minillm.tokenizers import CharTokenizer
        >>> from minillm.transformers import BertConfig, BertForSequenceClassification
        >>> tokenizer = CharTokenizer.from_text("abc", model_max_length=8)
        >>> model = BertForSequenceClassification(BertConfig(vocab_size=9, hidden_size=8, num_attention_heads=2))
        >>> [sorted(answer) for answer in pipeline("text-classification", model, tokenizer)(["ab", "c"])]
        [['label', 'score'], ['label', 'score']]
    """
    kind = TASKS[task_of(task)]
    for name, given in (("model", model), ("tokenizer", tokenizer)):
        if given is None or isinstance(given, str):
            raise TypeError(f"pipeline: got {given!r} as {name}; it needs one in memory, as from_pretrained returns")
    return kind(model, tokenizer, **options)
