"""Question answering: the span of a context that answers a question, with its probability.

A span from token s to token e has the probability p(s begins) p(e ends), over the tokens of the context; a context
that is too long is read in windows that overlap. Source: Devlin et al., "BERT" (2019), section 4.2; what is counted
and what is left out is as in Hugging Face's library, up to its version 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minillm.inference.pipelines.base import Pipeline, numbers, softmax

LONGEST_WINDOW = 384  # tokens, of question and context together
OVERLAP = 128
NOWHERE = -10000.0  # the score of tokens outside the context


class QuestionAnsweringPipeline(Pipeline):
    """Answers questions with parts of texts."""

    task = "question-answering"
    offered = ("align_to_words", "doc_stride", "handle_impossible_answer", "max_answer_len", "max_seq_len", "top_k")

    def __call__(
        self,
        inputs: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None,
        *,
        question: str | Sequence[str] | None = None,
        context: str | Sequence[str] | None = None,
        **options: Any,
    ) -> Any:
        """Return ``{"score": ..., "start": ..., "end": ..., "answer": ...}`` for each question.

        Args:
            inputs: ``{"question": ..., "context": ...}``, or several, in place of the next two.
            question: a question, or several.
            context: the text that has the answer: one for all questions, or one for each.
            options: ``top_k``: a list of so many answers for each question; ``max_answer_len``: in tokens, 15;
                ``handle_impossible_answer``: whether "" may be the answer, with the probability that there is none;
                ``align_to_words``: whether answers begin and end with words, True; ``max_seq_len`` and
                ``doc_stride``: tokens of a window, and how many of them the next one repeats.

        Raises:
            TypeError: no question or context, or an option that is not offered.
            ValueError: an option out of range, or another number of questions than of contexts.
        """
        settings = self._settings(options)
        examples = [(pair["question"], pair["context"]) for pair in _pairs(inputs, question, context)]
        answers = [self._answers(*example, **settings) for example in examples]
        return answers[0] if len(answers) == 1 else answers

    def _settings(self, options: dict[str, Any]) -> dict[str, Any]:
        settings = super()._settings(options)
        for name in ("max_answer_len", "top_k"):
            value = settings.get(name, 1)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{self.task}: {name} is {value!r}; it needs a positive whole number")
        return settings

    def _answers(
        self,
        question: str,
        context: str,
        top_k: int = 1,
        max_answer_len: int = 15,
        max_seq_len: int | None = None,
        doc_stride: int | None = None,
        handle_impossible_answer: bool = False,
        align_to_words: bool = True,
    ) -> Any:
        """Return the best answer to one question, or a list of the best."""
        length = max_seq_len or min(self.tokenizer.model_max_length or LONGEST_WINDOW, LONGEST_WINDOW)
        encoding = self.tokenizer(
            [question], [context], truncation="only_second", max_length=length, return_overflowing_tokens=True,
            stride=min(length // 2, OVERLAP) if doc_stride is None else doc_stride, return_offsets_mapping=True,
        )  # fmt: skip
        # Spans that are the same words count as one, so more of them are looked at than are asked for.
        count = 2 * top_k + 10 if align_to_words else top_k
        found: dict[str, dict[str, Any]] = {}
        impossible = np.inf
        for row, ids in enumerate(encoding["input_ids"]):
            allowed = np.array([sequence == 1 for sequence in encoding.sequence_ids(row)])
            allowed |= np.array(ids) == self.tokenizer.cls_token_id  # which has the answer where there is none
            read = self._read(encoding, row)
            starts, ends = (
                softmax(np.where(allowed, numbers(logits)[0], np.float32(NOWHERE)))
                for logits in (read.start_logits, read.end_logits)
            )
            impossible = min(impossible, float(starts[0] * ends[0]))
            starts[0] = ends[0] = 0
            for first, last, score in best_spans(starts, ends, count, max_answer_len):
                if not allowed[first] or not allowed[last]:
                    continue
                start, end = _characters(encoding, row, first, last, align_to_words)
                text = context[start:end]
                answer = found.setdefault(text.lower(), {"score": 0.0, "start": start, "end": end, "answer": text})
                answer["score"] += score
        answers = list(found.values())
        if handle_impossible_answer:
            answers.append({"score": impossible, "start": 0, "end": 0, "answer": ""})
        answers = sorted(answers, key=lambda answer: -answer["score"])[:top_k]
        return answers[0] if len(answers) == 1 else answers


def best_spans(starts: Any, ends: Any, count: int, longest: int) -> list[tuple[int, int, float]]:
    """Return the first and last tokens of the most probable spans, and their probabilities, the best first.

    Args:
        starts: (T,), the probability of each token to be the first.
        ends: (T,), to be the last.
        count: of spans, at most.
        longest: tokens of a span.

    Example:
        >>> best_spans(np.array([0.0, 0.75, 0.25]), np.array([0.5, 0.25, 0.25]), count=2, longest=2)
        [(1, 1, 0.1875), (1, 2, 0.1875)]
    """
    products = np.tril(np.triu(np.outer(starts, ends)), longest - 1)  # (T, T)
    best = np.argsort(-products, axis=None, kind="stable")[:count]
    firsts, lasts = np.unravel_index(best, products.shape)
    return [(int(s), int(e), float(products[s, e])) for s, e in zip(firsts, lasts, strict=True)]


def _characters(encoding: Any, row: int, first: int, last: int, by_words: bool) -> tuple[int, int]:
    """Return the characters of the context from one token to another, or of the words that these belong to."""
    offsets, words = encoding["offset_mapping"][row], encoding.word_ids(row)
    if by_words and words[first] is not None and words[last] is not None:
        sequences = encoding.sequence_ids(row)
        places = [
            [i for i, word in enumerate(words) if word == words[token] and sequences[i] == 1] for token in (first, last)
        ]
        first, last = places[0][0], places[1][-1]
    return offsets[first][0], offsets[last][1]


def _pairs(inputs: Any, question: Any, context: Any) -> list[Mapping[str, str]]:
    """Return questions with their contexts, however they were given."""
    if inputs is not None:
        return [inputs] if isinstance(inputs, Mapping) else list(inputs)
    if question is None or context is None:
        raise TypeError("question-answering: it needs question=... and context=...")
    questions = [question] if isinstance(question, str) else list(question)
    contexts = [context] * len(questions) if isinstance(context, str) else list(context)
    if len(questions) != len(contexts):
        raise ValueError(f"question-answering: got {len(questions)} questions and {len(contexts)} contexts")
    return [{"question": q, "context": c} for q, c in zip(questions, contexts, strict=True)]
