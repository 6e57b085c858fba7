r"""BLEU: how many of a translation's n-grams stand in a reference.

    BLEU = BP · exp(¼ Σ_{n=1..4} log p_n)
    p_n  = n-grams of the translation that stand in a reference / n-grams of the translation
    BP   = min(1, exp(1 - length of the references / length of the translations))

An n-gram counts at most as often as it stands in the reference where it is most frequent; all counts
are summed over the corpus before they are divided. BP punishes translations that are too short, for
which precision alone would be easy. (Papineni et al., ACL 2002; tokens and smoothing as in sacrebleu,
Post 2018; Chen, Cherry 2014.) Scores go from 0 to 100.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from minillm.metrics.metric import Metric
from minillm.metrics.translation_tokens import TOKENIZERS, tokens_for_bleu

#: The ways to treat a precision of 0, and their usual values.
SMOOTHING = {"exp": 0.0, "floor": 0.1, "add-k": 1.0, "none": 0.0}

#: One reference for each translation, or several.
References = Sequence[str | Sequence[str]]


@dataclass(frozen=True)
class BLEUScore:
    """The score and what it is made of.

    Attributes:
        score: BLEU, 0 to 100.
        precisions: p_1 to p_4, smoothed, in percent.
        bp: The brevity penalty.
        sys_len: The number of tokens of the translations.
        ref_len: That of the references, for each translation that of the nearest length.
        counts: For each n the n-grams that stand in a reference.
        totals: For each n the n-grams of the translations.
    """

    score: float
    precisions: list[float]
    bp: float
    sys_len: int
    ref_len: int
    counts: list[float]
    totals: list[float]

    def __str__(self) -> str:
        precisions = "/".join(f"{p:.1f}" for p in self.precisions)
        return (
            f"BLEU = {self.score:.2f} {precisions} (BP = {self.bp:.3f} hyp_len = {self.sys_len} "
            f"ref_len = {self.ref_len})"
        )


class BLEU(Metric):
    """Counts n-grams of translations batch by batch.

    Args:
        tokenize: How texts are cut, ``"13a"``, ``"intl"``, ``"zh"``, ``"char"`` or ``"none"``; see
            `translation_tokens`.
        lowercase: Compare without case.
        smooth_method: What is put for a precision of 0: ``"exp"`` halves it each time that it happens,
            ``"floor"`` takes `smooth_value` as the count, ``"add-k"`` adds it to all counts from
            bigrams on, ``"none"`` leaves it 0.
        smooth_value: For ``"floor"`` (0.1) and ``"add-k"`` (1).
        max_ngram_order: The longest n-grams.
        effective_order: Leave out orders that the translations are too short for; for single sentences.

    Example:
        >>> metric = BLEU()
        >>> metric.update(["the cat sat on the mat"], ["the cat is on the mat"])
        >>> metric.update(["a dog"], [["a dog", "the dog"]])
        >>> print(metric.compute())
        BLEU = 39.48 87.5/66.7/25.0/16.7 (BP = 1.000 hyp_len = 8 ref_len = 8)
    """

    def __init__(
        self,
        *,
        tokenize: str = "13a",
        lowercase: bool = False,
        smooth_method: str = "exp",
        smooth_value: float | None = None,
        max_ngram_order: int = 4,
        effective_order: bool = False,
    ) -> None:
        if tokenize not in TOKENIZERS:
            raise ValueError(f"bleu: tokenize={tokenize!r} is none of {', '.join(TOKENIZERS)}")
        if smooth_method not in SMOOTHING:
            raise ValueError(f"bleu: smooth_method={smooth_method!r} is none of {', '.join(SMOOTHING)}")
        if max_ngram_order < 1:
            raise ValueError(f"bleu: max_ngram_order must be positive, got {max_ngram_order}")
        self.tokenize = tokenize
        self.lowercase = lowercase
        self.smooth_method = smooth_method
        self.smooth_value = SMOOTHING[smooth_method] if smooth_value is None else smooth_value
        self.max_ngram_order = max_ngram_order
        self.effective_order = effective_order
        super().__init__()

    def reset(self) -> None:
        self._counts = [0] * self.max_ngram_order
        self._totals = [0] * self.max_ngram_order
        self._sys_len = self._ref_len = self._num_texts = 0

    def update(self, hypotheses: Sequence[str], references: References) -> None:
        """Take translations and, for each, its reference or references.

        Raises:
            ValueError: There are more of one than of the other, or a translation has no reference.
            TypeError: One text is given instead of a list.
        """
        for hypothesis, several in checked_pairs(hypotheses, references, "bleu"):
            tokens = self._tokens(hypothesis)
            given = [self._tokens(reference) for reference in several]
            self._sys_len += len(tokens)
            # Of references equally near the shorter.
            self._ref_len += min((abs(len(g) - len(tokens)), len(g)) for g in given)[1]
            self._num_texts += 1
            for n in range(1, self.max_ngram_order + 1):
                found, allowed = ngrams(tokens, n), Counter[tuple[str, ...]]()
                for reference in given:
                    allowed |= ngrams(reference, n)
                self._counts[n - 1] += (found & allowed).total()
                self._totals[n - 1] += found.total()

    def _tokens(self, text: str) -> list[str]:
        return tokens_for_bleu(text.lower() if self.lowercase else text, self.tokenize)

    def compute(self) -> BLEUScore:
        if self._num_texts == 0:
            raise ValueError("bleu: there are no translations yet")
        counts, totals = [float(n) for n in self._counts], [float(n) for n in self._totals]
        bp = 1.0
        if self._sys_len < self._ref_len:
            bp = math.exp(1 - self._ref_len / self._sys_len) if self._sys_len else 0.0
        precisions = [0.0] * self.max_ngram_order
        score = 0.0
        if any(counts):
            orders = self._smoothed(counts, totals, precisions)
            if all(precisions[:orders]):
                score = bp * math.exp(sum(map(math.log, precisions[:orders])) / orders)
        return BLEUScore(score, precisions, bp, self._sys_len, self._ref_len, counts, totals)

    def _smoothed(self, counts: list[float], totals: list[float], precisions: list[float]) -> int:
        """Write the precisions, and return how many orders to average."""
        orders, halved = self.max_ngram_order, 1.0
        for n in range(self.max_ngram_order):
            if self.smooth_method == "add-k" and n > 0:
                counts[n] += self.smooth_value
                totals[n] += self.smooth_value
            if totals[n] == 0:
                break
            if self.effective_order:
                orders = n + 1
            if counts[n] > 0:
                precisions[n] = 100 * counts[n] / totals[n]
            elif self.smooth_method == "exp":
                halved /= 2
                precisions[n] = 100 * halved / totals[n]
            elif self.smooth_method == "floor":
                precisions[n] = 100 * self.smooth_value / totals[n]
        return orders


def bleu(hypotheses: Sequence[str], references: References, **options: object) -> float:
    """Return the BLEU of a corpus, 0 to 100.

    Args:
        hypotheses: The translations.
        references: For each its reference, or a list of them. (sacrebleu takes lists the other way
            round: the first references of all, the second ones of all.)
        **options: As for `BLEU`.

    Raises:
        ValueError: The lists are empty or of different lengths.

    Example:
        >>> round(bleu(["the cat sat on the mat"], ["the cat is on the mat"]), 2)
        37.99
    """
    metric = BLEU(**options)  # type: ignore[arg-type]
    metric.update(hypotheses, references)
    return metric.compute().score


def sentence_bleu(hypothesis: str, references: str | Sequence[str], **options: object) -> float:
    """Return the BLEU of one sentence, without the orders that it is too short for.

    Example:
        >>> round(sentence_bleu("a cat", "a cat"), 2)
        100.0
    """
    return bleu([hypothesis], [references], **{"effective_order": True, **options})


def ngrams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    """Count the stretches of `n` tokens.

    Example:
        >>> ngrams(["a", "b", "a", "b"], 2)[("a", "b")]
        2
    """
    return Counter(zip(*(tokens[start:] for start in range(n)), strict=False))


def checked_pairs(
    hypotheses: Sequence[str], references: References, name: str
) -> list[tuple[str, list[str]]]:
    """Return each text with the list of its references, or raise if something does not fit."""
    if isinstance(hypotheses, str) or isinstance(references, str):
        raise TypeError(f"{name}: needs lists of texts, got one text")
    if len(hypotheses) != len(references):
        raise ValueError(f"{name}: {len(hypotheses)} texts, references for {len(references)}")
    pairs = []
    for place, (hypothesis, given) in enumerate(zip(hypotheses, references, strict=True)):
        several = [given] if isinstance(given, str) else list(given)
        if not several:
            raise ValueError(f"{name}: text {place} has no reference")
        if not all(isinstance(text, str) for text in (hypothesis, *several)):
            raise TypeError(f"{name}: text {place} or one of its references is no text")
        pairs.append((hypothesis, several))
    return pairs
