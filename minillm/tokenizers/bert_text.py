r"""BERT's view of a text: cleaned, lower-cased, without accents, cut into words and signs.

    "Déjà  vu?\u200b 你好"   ->   deja | vu | ? | 你 | 好

The rules are those of the released code (Devlin et al. 2019, `tokenization.py`), in this order:

1. Controls are removed, white space of any kind becomes a space, and spaces are put around Chinese
   characters, since Chinese is written without.
2. Accents are stripped: letters are decomposed (``é`` is ``e`` and an accent), marks removed.
3. Letters become small.
4. The text is cut at white space, and each sign of punctuation is a word of its own.

For each character of what results it is known which character of the text it came from, so that an
answer found by a model can be shown in the text as it was written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from minillm.tokenizers.unicode_classes import (
    CHINESE,
    DECOMPOSED_SINCE_10,
    MARKS_8,
    NEW_LOWER,
    PUNCTUATION_8,
    REMOVED_8,
    WHITE_SPACE,
)

#: Stretches without white space; the rules can be applied to each on its own. (Three kinds of white
#: space are controls, which are removed: what they part is one word.)
CHUNKS = re.compile(rf"(?:[^{WHITE_SPACE.as_expression()}]|[\v\f\x85])+")

_WORDS = re.compile(
    f"[{PUNCTUATION_8.as_expression()}]"
    f"|[^{WHITE_SPACE.as_expression()}{PUNCTUATION_8.as_expression()}]+"
)

#: A word, and for each of its characters the place of the one in the text that it came from.
PlacedWord = tuple[str, Sequence[int]]


@dataclass(frozen=True)
class BertText:
    r"""The rules that a vocabulary was made with.

    Attributes:
        clean_text: Remove controls and make all white space spaces.
        tokenize_chinese_chars: Make each Chinese character a word.
        strip_accents: Remove accents; None means that this goes with `lowercase`.
        lowercase: Make letters small.

    Example:
        >>> BertText().split("Déjà  vu?\u200b 你好")
        ['deja', 'vu', '?', '你', '好']
    """

    clean_text: bool = True
    tokenize_chinese_chars: bool = True
    strip_accents: bool | None = None
    lowercase: bool = True
    _spelled: _Spelled = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_spelled", _Spelled(self))

    @property
    def strips(self) -> bool:
        """Whether accents are removed."""
        return self.lowercase if self.strip_accents is None else self.strip_accents

    def split(self, text: str) -> list[str]:
        """Return the words of `text`."""
        normalized = text.translate(self._spelled)
        if not self._spelled.in_context.isdisjoint(text):
            normalized, _ = self._normalize_in_context(text)
        words: list[str] = _WORDS.findall(normalized)
        return words

    def words(self, text: str) -> list[PlacedWord]:
        """Return the words of `text` with the places of their characters."""
        normalized, places = self.normalize(text)
        return [
            (match[0], places[match.start() : match.end()]) for match in _WORDS.finditer(normalized)
        ]

    def normalize(self, text: str) -> tuple[str, Sequence[int]]:
        """Return the text after steps 1 to 3, and the place that each character came from."""
        normalized = text.translate(self._spelled)
        if not self._spelled.in_context.isdisjoint(text):
            return self._normalize_in_context(text)
        lengths = [len(self._spelled[ord(character)]) for character in text]
        if lengths.count(1) == len(lengths):
            return normalized, range(len(text))
        return normalized, [place for place, length in enumerate(lengths) for _ in range(length)]

    def _normalize_in_context(self, text: str) -> tuple[str, Sequence[int]]:
        """The same, step by step."""
        cleaned: list[str] = []
        places: list[int] = []
        for place, character in enumerate(text):
            spelled = self.cleaned(character)
            cleaned += spelled
            places += [place] * len(spelled)
        kept, kept_places = _without_accents(cleaned, places)
        small = [self.small(character) for character in kept]
        places = [place for place, spelled in zip(kept_places, small, strict=True) for _ in spelled]
        return "".join(small), places

    def cleaned(self, character: str) -> str:
        """Return a character after step 1: nothing, itself, a space, or itself between spaces."""
        if self.clean_text and character in REMOVED_8:
            return ""
        if self.clean_text and character in WHITE_SPACE:
            return " "
        if self.tokenize_chinese_chars and character in CHINESE:
            return f" {character} "
        return character

    def small(self, character: str) -> str:
        """Return a character after step 3, on its own: the sigma that ends a word becomes σ too."""
        if not self.lowercase:
            return character
        return NEW_LOWER.get(character) or character.lower()


class _Spelled(dict[int, str]):
    """What each character of Unicode becomes, found out when it is first met.

    `in_context` are those that become something else next to other marks: when accents are
    stripped, what is no accent but is put in order with the accents.
    """

    def __init__(self, rules: BertText) -> None:
        super().__init__()
        self._rules = rules
        self.in_context: set[str] = set()

    def __missing__(self, code: int) -> str:
        rules = self._rules
        spelled = rules.cleaned(chr(code))
        if rules.strips:
            parts = [part for character in spelled for part in _decomposed(character)]
            spelled = "".join([part for part in parts if part not in MARKS_8])
            if any(_class_of(part) for part in spelled):
                self.in_context.add(chr(code))
        spelled = "".join(map(rules.small, spelled))
        self[code] = spelled
        return spelled

    def __reduce__(self) -> tuple[type[_Spelled], tuple[BertText]]:
        return _Spelled, (self._rules,)


def _class_of(character: str) -> int:
    """The combining class, as Unicode 9 has it; 0 for all that are no marks."""
    return 0 if character in DECOMPOSED_SINCE_10 else unicodedata.combining(character)


def _without_accents(characters: list[str], places: list[int]) -> tuple[list[str], list[int]]:
    """Decompose the characters, as Unicode 9 does, and leave out the marks.

    Marks that follow each other are put in the order of their classes (UAX 15). `tokenizers` gives
    the places out in the order that results; so do we.
    """
    parts: list[tuple[int, bool, str]] = []  # the mark's class; whether the first part; the part
    start = 0  # of the marks that are being put in order
    for character in characters:
        for number, part in enumerate(_decomposed(character)):
            mark_class = _class_of(part)
            if mark_class == 0:
                parts[start:] = sorted(parts[start:], key=_mark_class)
                start = len(parts) + 1
            parts.append((mark_class, number == 0, part))
    parts[start:] = sorted(parts[start:], key=_mark_class)

    kept: list[str] = []
    kept_places: list[int] = []
    taken = 0
    for _, is_first, part in parts:
        taken += is_first
        if part not in MARKS_8:
            kept.append(part)
            kept_places.append(places[taken - 1])
    return kept, kept_places


def _decomposed(character: str) -> str:
    if character.isascii() or character in DECOMPOSED_SINCE_10:
        return character
    return unicodedata.normalize("NFD", character)


def _mark_class(part: tuple[int, bool, str]) -> int:
    return part[0]
