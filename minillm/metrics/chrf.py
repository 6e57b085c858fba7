r"""chrF: how many of a translation's stretches of characters stand in the reference, and the other way.

    chrF = (1 + β²) P R / (β² P + R),   β = 2: recall counts twice

P and R are the means over n = 1..6 of the precision and the recall of character n-grams, counted over
the whole corpus, without white space; chrF++ adds words and pairs of words (`word_order` 2). Characters
forgive other endings and need no tokenizer. (Popović, WMT 2015 and 2017; as in sacrebleu 2.) Scores go
from 0 to 100.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

from minillm.metrics.bleu import References, checked_pairs, ngrams
from minillm.metrics.metric import Metric

#: For each kind of n-gram: how many the text has, the reference has, and both share.
Statistics = list[tuple[int, int, int]]


class CHRF(Metric):
    """Counts n-grams batch by batch.

    Args:
        char_order: The longest stretches of characters.
        word_order: The longest stretches of words; 2 for chrF++.
        beta: How much more recall counts than precision.
        lowercase: Compare without case.
        whitespace: Count white space as characters.

    Example:
        >>> metric = CHRF()
        >>> metric.update(["the cats sat"], ["the cat sat"])
        >>> round(metric.compute(), 2)
        74.78
    """

    def __init__(
        self,
        *,
        char_order: int = 6,
        word_order: int = 0,
        beta: float = 2,
        lowercase: bool = False,
        whitespace: bool = False,
    ) -> None:
        if char_order < 0 or word_order < 0 or char_order + word_order < 1:
            raise ValueError(
                f"chrf: char_order and word_order must be at least 0, and one of them 1; got {char_order}, {word_order}"
            )
        self.char_order = char_order
        self.word_order = word_order
        self.beta = beta
        self.lowercase = lowercase
        self.whitespace = whitespace
        super().__init__()

    def reset(self) -> None:
        self._sums: Statistics = [(0, 0, 0)] * (self.char_order + self.word_order)
        self._num_texts = 0

    def update(self, hypotheses: Sequence[str], references: References) -> None:
        """Take translations and, for each, its reference or references, of which the nearest counts.

        Raises:
            ValueError: There are more of one than of the other, or a translation has no reference.
            TypeError: One text is given instead of a list.
        """
        for hypothesis, several in checked_pairs(hypotheses, references, "chrf"):
            found = self._ngrams(hypothesis)
            candidates = [_compare(found, self._ngrams(reference)) for reference in several]
            best = max(candidates, key=self._f)
            self._sums = [
                (a + d, b + e, c + f) for (a, b, c), (d, e, f) in zip(self._sums, best, strict=True)
            ]
            self._num_texts += 1

    def compute(self) -> float:
        if self._num_texts == 0:
            raise ValueError("chrf: there are no texts yet")
        return self._f(self._sums)

    def _ngrams(self, text: str) -> list[Counter[Any]]:
        if self.lowercase:
            text = text.lower()
        characters = text if self.whitespace else "".join(text.split())
        counted: list[Counter[Any]] = [ngrams(characters, n) for n in range(1, self.char_order + 1)]
        if self.word_order:
            words = _words(text)
            counted += [ngrams(words, n) for n in range(1, self.word_order + 1)]
        return counted

    def _f(self, statistics: Statistics) -> float:
        """The score; orders for which one side is too short are left out of the means."""
        orders = [(found, there, shared) for found, there, shared in statistics if found and there]
        if not orders:
            return 0.0
        precision = sum(shared / found for found, _, shared in orders) / len(orders)
        recall = sum(shared / there for _, there, shared in orders) / len(orders)
        if precision + recall == 0:
            return 0.0
        weight = self.beta**2
        return 100 * (1 + weight) * precision * recall / (weight * precision + recall)


def _compare(found: list[Counter[Any]], there: list[Counter[Any]]) -> Statistics:
    return [
        # What no n-gram of the reference could match does not count against the text.
        (mine.total() if theirs else 0, theirs.total(), (mine & theirs).total())
        for mine, theirs in zip(found, there, strict=True)
    ]


def _words(text: str) -> list[str]:
    """Words, with one sign of punctuation cut off at their end, or else at their beginning."""
    words: list[str] = []
    for word in text.split():
        if len(word) > 1 and word[-1] in string.punctuation:
            words += [word[:-1], word[-1]]
        elif len(word) > 1 and word[0] in string.punctuation:
            words += [word[0], word[1:]]
        else:
            words.append(word)
    return words


def chrf(hypotheses: Sequence[str], references: References, **options: Any) -> float:
    """Return the chrF of a corpus, 0 to 100.

    Args:
        hypotheses: The translations.
        references: For each its reference, or a list of them.
        **options: As for `CHRF`.

    Raises:
        ValueError: The lists are empty or of different lengths.

    Example:
        >>> round(chrf(["the cats sat"], ["the cat sat"], word_order=2), 2)
        64.44
    """
    metric = CHRF(**options)
    metric.update(hypotheses, references)
    return metric.compute()


def sentence_chrf(hypothesis: str, references: str | Sequence[str], **options: Any) -> float:
    """Return the chrF of one sentence, 0 to 100.

    Example:
        >>> sentence_chrf("a cat", ["a cat", "the cat"])
        100.0
    """
    return chrf([hypothesis], [references], **options)
