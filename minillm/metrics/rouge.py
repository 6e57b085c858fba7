r"""ROUGE: how much of a reference summary stands in a summary.

    ROUGE-N: n-grams that both share,          precision = shared / n-grams of the summary
    ROUGE-L: the longest common subsequence,   recall    = shared / n-grams of the reference
                                               F         = harmonic mean of both

A subsequence is words in the same order with anything between. (Lin: ROUGE, ACL workshop 2004; tokens
as in Google's rouge-score: small letters and digits, everything else is a gap.) Scores go from 0 to 1.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from minillm.metrics.bleu import References, checked_pairs, ngrams
from minillm.metrics.metric import Metric

_GAPS = re.compile(r"[^a-z0-9]+")


class RougeScore(NamedTuple):
    """Precision, recall and their harmonic mean."""

    precision: float
    recall: float
    fmeasure: float


def rouge_tokens(text: str, stem: Callable[[str], str] | None = None) -> list[str]:
    """Return the words that ROUGE counts: small ASCII letters and digits.

    Args:
        text: The text.
        stem: Takes the ending off a word, such as the `stem` of NLTK's Porter stemmer; words of up to
            three letters stay.

    Example:
        >>> rouge_tokens("It's the 2nd Été!")
        ['it', 's', 'the', '2nd', 't']
    """
    words = _GAPS.sub(" ", text.lower()).split()
    if stem is None:
        return words
    stems = [stem(word) if len(word) > 3 else word for word in words]
    return [word for word in stems if word and not _GAPS.search(word)]


def rouge(
    prediction: str,
    references: str | Sequence[str],
    *,
    kinds: Sequence[str] = ("rouge1", "rouge2", "rougeL"),
    tokenize: Callable[[str], Sequence[str]] = rouge_tokens,
) -> dict[str, RougeScore]:
    """Return the scores of one summary.

    Args:
        prediction: The summary.
        references: A reference, or several, of which for each kind that of the highest F counts.
        kinds: ``"rouge1"`` to ``"rouge9"``, and ``"rougeL"``.
        tokenize: Cuts a text into words. The usual way leaves out everything but ASCII, so for other
            languages give another, such as ``list`` for Chinese.

    Example:
        >>> rouge("the cat sat", "the cat sat on the mat")["rougeL"]
        RougeScore(precision=1.0, recall=0.5, fmeasure=0.6666666666666666)
    """
    several = [references] if isinstance(references, str) else list(references)
    if not several:
        raise ValueError("rouge: there is no reference")
    words = tokenize(prediction)
    wanted = [tokenize(reference) for reference in several]
    scores = {}
    for kind in kinds:
        # Of equal ones the first.
        scores[kind] = max((_score(kind, words, other) for other in wanted), key=lambda s: s.fmeasure)
    return scores


def _score(kind: str, words: Sequence[str], wanted: Sequence[str]) -> RougeScore:
    if kind == "rougeL":
        shared, given, there = common_subsequence(words, wanted), len(words), len(wanted)
    elif re.fullmatch("rouge[1-9]", kind):
        mine, theirs = ngrams(words, int(kind[-1])), ngrams(wanted, int(kind[-1]))
        shared, given, there = (mine & theirs).total(), mine.total(), theirs.total()
    else:
        raise ValueError(f"rouge: {kind!r} is none of rouge1 to rouge9 and rougeL")
    precision, recall = shared / max(given, 1), shared / max(there, 1)
    f = 2 * precision * recall / (precision + recall) if shared else 0.0
    return RougeScore(precision, recall, f)


def common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest common subsequence.

    For each word of `first`, from the left, its places in `second` are put, from the right, into the
    list of the smallest ends of common subsequences of each length (Hunt, Szymanski 1977): the usual
    table has a row for each word, this looks only at words that both have.

    Example:
        >>> common_subsequence("a b c d".split(), "b x c a d".split())
        3
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, word in enumerate(second):
        places[word].append(place)
    ends: list[int] = []
    for word in first:
        for place in reversed(places.get(word, [])):
            length = bisect_left(ends, place)
            ends[length : length + 1] = [place]
    return len(ends)


class ROUGE(Metric):
    """Means of the scores of summaries, batch by batch.

    Args:
        kinds: As for `rouge`.
        tokenize: As for `rouge`.

    Example:
        >>> metric = ROUGE(kinds=["rouge1"])
        >>> metric.update(["the cat"], ["the cat sat"])
        >>> metric.update(["a dog"], ["a dog"])
        >>> metric.compute()["rouge1"].recall.__round__(3)
        0.833
    """

    def __init__(
        self,
        *,
        kinds: Sequence[str] = ("rouge1", "rouge2", "rougeL"),
        tokenize: Callable[[str], Sequence[str]] = rouge_tokens,
    ) -> None:
        self.kinds = list(kinds)
        self.tokenize = tokenize
        rouge("", "", kinds=kinds)  # raises for a kind that there is not
        super().__init__()

    def reset(self) -> None:
        self._sums = {kind: [0.0, 0.0, 0.0] for kind in self.kinds}
        self._count = 0

    def update(self, predictions: Sequence[str], references: References) -> None:
        """Take summaries and, for each, its reference or references.

        Raises:
            ValueError: There are more of one than of the other, or a summary has no reference.
            TypeError: One text is given instead of a list.
        """
        for prediction, several in checked_pairs(predictions, references, "rouge"):
            for kind, score in rouge(prediction, several, kinds=self.kinds, tokenize=self.tokenize).items():
                self._sums[kind] = [total + part for total, part in zip(self._sums[kind], score, strict=True)]
            self._count += 1

    def compute(self) -> dict[str, RougeScore]:
        if self._count == 0:
            raise ValueError("rouge: there are no summaries yet")
        return {kind: RougeScore(*(total / self._count for total in sums)) for kind, sums in self._sums.items()}
