"""Question answering: the answer is a span of the context, from its first token to its last.

A context that is too long is read in windows that overlap; of the spans of all windows, the one with the largest sum
of scores is the answer. Source: Devlin et al., "BERT" (2019), section 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minillm import metrics
from minillm.autograd import no_grad
from minillm.backend import to_numpy
from minillm.training.tasks.task import Features, Scores, Task, device_of


class Answer(Task):
    """Examples are those of :func:`minillm.data.read_squad`: question, context, and answers with their places.

    Args:
        tokenizer: of the model, with offsets.
        max_length: tokens of a window, question and context together.
        stride: tokens that two windows of a context share.
        longest_answer: in tokens.
    """

    name = "qa"
    metric = "f1"

    def __init__(self, tokenizer: Any, max_length: int = 384, stride: int = 128, longest_answer: int = 30) -> None:
        self.tokenizer, self.max_length, self.stride = tokenizer, max_length, stride
        self.longest_answer = longest_answer
        padding = tokenizer.pad_token_id
        self.fillers = {"input_ids": 0 if padding is None else padding}

    def features(self, examples: Sequence[Any]) -> list[Features]:
        """Return a feature for each window, with where the answer begins and ends: at 0 where it is not there."""
        found = []
        for example in examples:
            answers = example["answers"]
            start = answers["answer_start"][0] if answers["text"] else -1
            end = start + len(answers["text"][0]) if answers["text"] else -1
            for feature, offsets in self._windows(example["question"], example["context"]):
                places = [i for i, span in enumerate(offsets) if span is not None and span[0] < end and span[1] > start]
                whole = places and offsets[places[0]][0] <= start and offsets[places[-1]][1] >= end
                feature["start_positions"], feature["end_positions"] = (places[0], places[-1]) if whole else (0, 0)
                found.append(feature)
        return found

    def _windows(self, question: str, context: str) -> list[tuple[Features, list[Any]]]:
        """Return what the model reads of each window, and the characters of the context that each token stands for."""
        encoded = self.tokenizer(
            question, context, truncation="only_second", max_length=self.max_length, stride=self.stride,
            return_overflowing_tokens=True, return_offsets_mapping=True,
        )  # fmt: skip
        windows = []
        for i, ids in enumerate(encoded["input_ids"]):
            offsets = [
                span if sequence == 1 else None
                for span, sequence in zip(encoded["offset_mapping"][i], encoded.sequence_ids(i), strict=True)
            ]
            feature = {"input_ids": ids, "attention_mask": [1] * len(ids)}
            if "token_type_ids" in encoded:
                feature["token_type_ids"] = encoded["token_type_ids"][i]
            windows.append((feature, offsets))
        return windows

    def answers(self, model: Any, examples: Sequence[Any]) -> list[str]:
        """Return the answer to each question, a part of its context."""
        windows = [
            (i, *window) for i, e in enumerate(examples) for window in self._windows(e["question"], e["context"])
        ]
        best: list[tuple[float, str]] = [(-np.inf, "") for _ in examples]
        with no_grad():
            for chosen, batch in self.batches([feature for _, feature, _ in windows], device_of(model)):
                output = model(**batch)
                scores = zip(*(to_numpy(x.array) for x in (output.start_logits, output.end_logits)), strict=True)
                for place, (starts, ends) in zip(chosen, scores, strict=True):
                    i, _, offsets = windows[place]
                    score, span = best_span(starts, ends, offsets, self.longest_answer)
                    if score > best[i][0]:
                        best[i] = (score, examples[i]["context"][slice(*span)])
        return [text for _, text in best]

    def scores(self, model: Any, examples: list[Any]) -> Scores:
        """Return exact match and F1 of words, as SQuAD counts them."""
        texts = self.answers(model, examples)
        pairs = [(text, example["answers"]["text"] or [""]) for text, example in zip(texts, examples, strict=True)]
        return {
            "f1": sum(metrics.answer_f1(*pair) for pair in pairs) / len(pairs),
            "exact_match": sum(metrics.exact_match(*pair) for pair in pairs) / len(pairs),
        }


def best_span(starts: Any, ends: Any, offsets: Sequence[Any], longest: int) -> tuple[float, tuple[int, int]]:
    """Return the largest sum of scores of a first and a last token, and the characters from one to the other.

    Args:
        starts: (T,), scores to be the first token.
        ends: (T,), scores to be the last.
        offsets: for each token of the context its characters (start, end), else None.
        longest: tokens of a span.

    Example:
        >>> best_span(np.array([9.0, 1, 2]), np.array([0.0, 5, 1]), [None, (0, 3), (4, 7)], longest=2)
        (6.0, (0, 3))
    """
    places = np.array([i for i, span in enumerate(offsets) if span is not None])
    if not len(places):
        return -np.inf, (0, 0)
    sums = starts[places, None] + ends[None, places]
    distance = places[None, :] - places[:, None]
    sums = np.where((distance >= 0) & (distance < longest), sums, -np.inf)
    first, last = np.unravel_index(int(sums.argmax()), sums.shape)
    return float(sums[first, last]), (offsets[places[first]][0], offsets[places[last]][1])
