r"""Entities in tagged sentences: which spans were found, whole and of the right type.

    Ada  Lovelace lived in London          BIO    B-PER I-PER O O B-LOC
                                           IOB1   I-PER I-PER O O I-LOC
                                           IOBES  B-PER E-PER O O S-LOC

A span counts as found only if its beginning, its end and its type are right; tags that are right one
by one count for nothing. In BIO (also called IOB2) each entity begins with B; in IOB1 only one that
follows another of its type does; in IOBES a last word is E and a single word S. (Tjong Kim Sang, De
Meulder: CoNLL-2003; Ratinov, Roth 2009.)

Without a scheme tags are read as CoNLL's script reads them, which makes a span of anything that looks
like one, such as an I after O. With a scheme, spans that break its rules are none. Both are as in
seqeval 1.2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from minillm.metrics.averages import PrecisionRecallF, ZeroDivision, precision_recall_f
from minillm.metrics.metric import Metric


class Entity(NamedTuple):
    """An entity: its type, and its words from `start` to before `end`."""

    type: str
    start: int
    end: int


@dataclass(frozen=True)
class Scheme:
    """The rules of a way to tag.

    Each rule is three letters: the kind of the tag before, that of the tag, and ``=`` (both of the same
    type), ``!`` (of different types) or ``*``. ``.`` stands for any kind.
    """

    kinds: str
    starts: str
    inside: str
    ends: str


_BIO = Scheme("BIO", ".B*", "BI= II=", "IO* II! IB* BO* BI! BB*")

SCHEMES = {
    "BIO": _BIO,
    "IOB2": _BIO,
    "IOB1": Scheme("BIO", "OI* II! BI* IB= BB=", "BI= II=", "II! IO* IB* BO* BI! BB="),
    "IOBES": Scheme("BIOES", ".B* .S*", "BI= BE= II= IE=", "S.* E.*"),
}


def entities(tags: Sequence[str], scheme: str | None = None) -> list[Entity]:
    """Return the entities of a tagged sentence, in order.

    Args:
        tags: The tag of each word: ``O``, or a kind, a hyphen and a type.
        scheme: ``"BIO"`` (``"IOB2"``), ``"IOB1"`` or ``"IOBES"``; None for the lenient way.

    Raises:
        ValueError: The scheme is unknown, or a tag has none of its kinds.

    Example:
        >>> entities(["B-PER", "I-PER", "O", "I-LOC"])
        [Entity(type='PER', start=0, end=2), Entity(type='LOC', start=3, end=4)]
        >>> entities(["B-PER", "I-PER", "O", "I-LOC"], scheme="BIO")
        [Entity(type='PER', start=0, end=2)]
    """
    pairs = [_split(tag, place) for place, tag in enumerate(tags)]
    return _lenient(pairs) if scheme is None else _strict(pairs, scheme)


def _split(tag: str, place: int) -> tuple[str, str]:
    if not tag or not isinstance(tag, str):
        raise ValueError(f"entities: the tag of word {place} must be a text such as 'B-PER', is {tag!r}")
    kind, _, type_ = tag.partition("-")
    if len(kind) != 1 or kind not in "BIOES":
        raise ValueError(
            f"entities: the tag of word {place} is {tag!r}; tags are 'O', or B, I, E or S with a hyphen and a type"
        )
    return kind, type_ or "_"


def _lenient(pairs: list[tuple[str, str]]) -> list[Entity]:
    found: list[Entity] = []
    begin = 0
    kind_before, type_before = "O", "_"
    for place, (kind, type_) in enumerate([*pairs, ("O", "_")]):
        changes = type_ != type_before
        ends = kind_before in "ES" or (kind_before in "BI" and (kind in "BSO" or changes))
        starts = kind in "BS" or (kind in "IE" and (kind_before in "OES" or changes))
        if ends:
            found.append(Entity(type_before, begin, place))
        if starts:
            begin = place
        kind_before, type_before = kind, type_
    return found


def _strict(pairs: list[tuple[str, str]], name: str) -> list[Entity]:
    if name not in SCHEMES:
        raise ValueError(f"entities: scheme={name!r} is none of {', '.join(SCHEMES)}")
    scheme = SCHEMES[name]
    for place, (kind, _) in enumerate(pairs):
        if kind not in scheme.kinds:
            raise ValueError(f"entities: the tag of word {place} begins with {kind!r}, which {name} does not have")
    tags = [*pairs, ("O", "_")]
    found: list[Entity] = []
    place, before = 0, ("O", "_")
    while place < len(tags):
        end = place + 1
        if _fits(scheme.starts, before, tags[place]):
            while end < len(tags) and _fits(scheme.inside, tags[end - 1], tags[end]):
                end += 1
            if end < len(tags) and _fits(scheme.ends, tags[end - 1], tags[end]):
                found.append(Entity(tags[place][1], place, end))
        place, before = end, tags[end - 1]
    return found


def _fits(rules: str, before: tuple[str, str], tag: tuple[str, str]) -> bool:
    same = "=" if before[1] == tag[1] else "!"
    return any(
        rule[0] in ("." + before[0]) and rule[1] in ("." + tag[0]) and rule[2] in ("*" + same)
        for rule in rules.split()
    )


class SpanScores(Metric):
    """Counts entities that are there, that were found, and that were found rightly, batch by batch.

    Args:
        scheme: As for `entities`.

    Example:
        >>> scores = SpanScores()
        >>> scores.update([["B-PER", "I-PER", "O"]], [["B-PER", "O", "O"]])
        >>> scores.update([["O", "B-LOC"]], [["O", "B-LOC"]])
        >>> scores.f1()
        0.5
    """

    def __init__(self, scheme: str | None = None) -> None:
        if scheme is not None and scheme not in SCHEMES:
            raise ValueError(f"SpanScores: scheme={scheme!r} is none of {', '.join(SCHEMES)}")
        self.scheme = scheme
        super().__init__()

    def reset(self) -> None:
        self._right: Counter[str] = Counter()
        self._found: Counter[str] = Counter()
        self._there: Counter[str] = Counter()

    def update(self, y_true: Sequence[Sequence[str]], y_pred: Sequence[Sequence[str]]) -> None:
        """Take the true and the predicted tags of sentences.

        Raises:
            ValueError: The numbers of sentences, or of tags in a sentence, differ; a tag is none.
        """
        if len(y_true) != len(y_pred):
            raise ValueError(f"SpanScores: {len(y_true)} true sentences, {len(y_pred)} predicted ones")
        counted = []
        for number, (true, guess) in enumerate(zip(y_true, y_pred, strict=True)):
            if isinstance(true, str) or isinstance(guess, str):
                raise ValueError("SpanScores: needs lists of sentences, each a list of tags; got one sentence")
            if len(true) != len(guess):
                raise ValueError(
                    f"SpanScores: sentence {number} has {len(true)} true tags and {len(guess)} predicted ones"
                )
            counted.append((entities(true, self.scheme), entities(guess, self.scheme)))
        for there, found in counted:
            self._there.update(entity.type for entity in there)
            self._found.update(entity.type for entity in found)
            self._right.update(entity.type for entity in set(there) & set(found))

    @property
    def types(self) -> list[str]:
        """The types of entities that are there or were found, sorted."""
        return sorted(self._there.keys() | self._found.keys())

    def precision_recall_f1(
        self,
        average: str | None = "micro",
        *,
        zero_division: ZeroDivision = "warn",
        measures: Sequence[str] = ("precision", "recall", "f"),
    ) -> PrecisionRecallF:
        """Return precision, recall, F1 and how many entities are there; see `averages`."""
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(f"SpanScores: average={average!r} is none of None, 'micro', 'macro', 'weighted'")
        types = self.types
        return precision_recall_f(
            [self._right[type_] for type_ in types],
            [self._found[type_] for type_ in types],
            [self._there[type_] for type_ in types],
            average=average,
            zero_division=zero_division,
            measures=measures,
        )

    def compute(self) -> dict[str, float]:
        scores = self.precision_recall_f1()
        return {"precision": scores.precision, "recall": scores.recall, "f1": scores.f}

    def precision(self, average: str | None = "micro", **options: Any) -> Any:
        """Of the entities that were found, the share that is right."""
        return self.precision_recall_f1(average, measures=["precision"], **options).precision

    def recall(self, average: str | None = "micro", **options: Any) -> Any:
        """Of the entities that are there, the share that was found."""
        return self.precision_recall_f1(average, measures=["recall"], **options).recall

    def f1(self, average: str | None = "micro", **options: Any) -> Any:
        """The harmonic mean of both."""
        return self.precision_recall_f1(average, measures=["f"], **options).f


def span_f1(
    y_true: Sequence[Sequence[str]],
    y_pred: Sequence[Sequence[str]],
    *,
    scheme: str | None = None,
    average: str | None = "micro",
    zero_division: ZeroDivision = "warn",
) -> Any:
    """Return the F1 of entities in tagged sentences.

    Args:
        y_true: The true tags, a list for each sentence.
        y_pred: The predicted tags.
        scheme: None, ``"BIO"``, ``"IOB1"`` or ``"IOBES"``; see `entities`.
        average: ``"micro"`` over all entities, ``"macro"`` or ``"weighted"`` over types, or None for one
            value a type, in sorted order.
        zero_division: What stands for 0 / 0: ``"warn"`` (0, and a warning), 0, 1 or NaN.

    Raises:
        ValueError: The numbers of sentences or tags differ, or a tag is none.

    Example:
        >>> true = [["B-PER", "I-PER", "O", "B-LOC"]]
        >>> guess = [["B-PER", "I-PER", "O", "B-ORG"]]
        >>> span_f1(true, guess)
        0.5
    """
    return _scores(y_true, y_pred, scheme).f1(average, zero_division=zero_division)


def span_precision_recall_f1(
    y_true: Sequence[Sequence[str]],
    y_pred: Sequence[Sequence[str]],
    *,
    scheme: str | None = None,
    average: str | None = "micro",
    zero_division: ZeroDivision = "warn",
) -> PrecisionRecallF:
    """Return precision, recall and F1 of entities, and how many there are; see `span_f1`.

    Example:
        >>> scores = span_precision_recall_f1([["B-PER", "O"]], [["B-PER", "B-LOC"]])
        >>> scores.precision, scores.recall, scores.support
        (0.5, 1.0, 1)
    """
    return _scores(y_true, y_pred, scheme).precision_recall_f1(average, zero_division=zero_division)


def _scores(
    y_true: Sequence[Sequence[str]], y_pred: Sequence[Sequence[str]], scheme: str | None
) -> SpanScores:
    scores = SpanScores(scheme)
    scores.update(y_true, y_pred)
    return scores
