"""Answers to questions: exact match and F1 of words, as the script of SQuAD counts them.

Answers are compared without case, punctuation, articles and extra spaces, with each of the given
answers, and the best counts. F1 is the harmonic mean of how many of the words given are right and how
many of the right words were given. (Rajpurkar et al. 2016, section 6; 2018 for questions without an
answer: the right answer to those is "".)
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

from minillm.metrics.metric import Metric

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """Return an answer without case, punctuation, articles and extra spaces.

    Example:
        >>> normalize_answer("The  Eiffel Tower!")
        'eiffel tower'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, answers: str | Sequence[str]) -> float:
    """Return 1 if the prediction is one of the answers, else 0.

    Args:
        prediction: What the model said.
        answers: The answer, or several that are all right.

    Example:
        >>> exact_match("the Eiffel tower", ["Eiffel Tower", "Tour Eiffel"])
        1.0
    """
    given = normalize_answer(prediction)
    return float(any(given == normalize_answer(answer) for answer in _several(answers)))


def answer_f1(prediction: str, answers: str | Sequence[str]) -> float:
    """Return the F1 of the prediction's words, with the answer that it is nearest to.

    Example:
        >>> round(answer_f1("in the Eiffel tower", "Eiffel Tower"), 3)
        0.8
    """
    return max(_f1(prediction, answer) for answer in _several(answers))


def _f1(prediction: str, answer: str) -> float:
    given, right = normalize_answer(prediction).split(), normalize_answer(answer).split()
    if not given or not right:  # no answer is right only where there is none
        return float(given == right)
    shared = (Counter(given) & Counter(right)).total()
    return 2 * shared / (len(given) + len(right))


def _several(answers: str | Sequence[str]) -> Sequence[str]:
    several = [answers] if isinstance(answers, str) else answers
    return several or [""]


class QuestionAnswering(Metric):
    """Means of exact match and F1 over questions, in percent.

    Example:
        >>> metric = QuestionAnswering()
        >>> metric.update(["Paris", "in 1889"], [["Paris"], ["1889"]])
        >>> metric.compute()
        {'exact_match': 50.0, 'f1': 83.33333333333333}
    """

    def reset(self) -> None:
        self._exact = self._f1 = 0.0
        self._count = 0

    def update(self, predictions: Sequence[str], answers: Sequence[str | Sequence[str]]) -> None:
        """Take predictions and, for each, the answer or the answers that are right.

        An empty list of answers means that the question has none: then "" is right.

        Raises:
            ValueError: There are more of one than of the other.
            TypeError: `predictions` is one text.
        """
        if isinstance(predictions, str):
            raise TypeError("QuestionAnswering: needs a list of predictions, got one text")
        if len(predictions) != len(answers):
            raise ValueError(f"QuestionAnswering: {len(predictions)} predictions for {len(answers)} questions")
        for prediction, right in zip(predictions, answers, strict=True):
            self._exact += exact_match(prediction, right)
            self._f1 += answer_f1(prediction, right)
            self._count += 1

    def compute(self) -> dict[str, float]:
        if self._count == 0:
            raise ValueError("QuestionAnswering: there are no questions yet")
        return {"exact_match": 100 * self._exact / self._count, "f1": 100 * self._f1 / self._count}
