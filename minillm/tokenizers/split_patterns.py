r"""Cutting text into pieces before byte-pair encoding: the patterns of GPT-2 and GPT-4.

Byte-pair encoding alone would learn tokens such as ``dog.``, ``dog!`` and ``dog?``. So a regular
expression first cuts the text into words, numbers, punctuation and white space, and no token
crosses a cut (Radford et al. 2019, section 2.2). A word takes the space before it along, which
makes `` the`` one token and lets every text be rebuilt by joining its pieces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minillm.tokenizers.unicode_classes import UNASSIGNED_16

if TYPE_CHECKING:
    import regex

#: GPT-2: English contractions; letters; digits; other signs; white space, of which the last
#: character is left for the word that follows.
GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

#: GPT-4 (cl100k): contractions in capitals too, at most three digits, line ends kept together but
#: for those at the end of the text, where all white space is one piece.
GPT4_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s++$|\s*[\r\n]+|\s+(?!\S)|\s+"
)

#: GPT-4o (o200k): a capital after small letters begins a new word; marks belong to words.
GPT4O_PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

PATTERNS = {"gpt2": GPT2_PATTERN, "gpt4": GPT4_PATTERN, "gpt4o": GPT4O_PATTERN}


class Splitter:
    """Cuts text into pieces that join to the text again.

    Args:
        pattern: ``"gpt2"``, ``"gpt4"``, ``"gpt4o"``, or a regular expression in the syntax of the
            `regex` library. What the expression does not match becomes pieces too.

    Example:
        >>> Splitter("gpt2").split("I'll take 1000 apples!")
        ['I', "'ll", ' take', ' 1000', ' apples', '!']
        >>> Splitter("gpt4").split("I'll take 1000 apples!")
        ['I', "'ll", ' take', ' ', '100', '0', ' apples', '!']
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = PATTERNS.get(pattern, pattern)
        self._compiled: regex.Pattern[str] | None = None

    @property
    def compiled(self) -> regex.Pattern[str]:
        """The compiled expression, made on first use."""
        if self._compiled is None:
            import regex

            try:
                self._compiled = regex.compile(self.pattern)
            except regex.error as error:
                raise ValueError(f"split pattern {self.pattern!r}: {error}") from None
        return self._compiled

    def __getstate__(self) -> dict[str, object]:
        return {"pattern": self.pattern, "_compiled": None}

    def split(self, text: str) -> list[str]:
        """Return the pieces of `text`."""
        newer = {} if text.isascii() else _newer_characters(text)
        if not newer:
            return self._split(text)
        # Cut a copy in which they are what they were in Unicode 16, then the text at these cuts.
        pieces = []
        start = 0
        for piece in self._split(text.translate(newer)):
            pieces.append(text[start : start + len(piece)])
            start += len(piece)
        return pieces

    def _split(self, text: str) -> list[str]:
        pattern = self.compiled
        if pattern.groups == 0:
            pieces: list[str] = pattern.findall(text)
            if sum(map(len, pieces)) == len(text) and "" not in pieces:
                return pieces
        pieces = []
        done = 0
        for match in pattern.finditer(text):
            start, end = match.span()
            if start > done:
                pieces.append(text[done:start])
            if end > start:
                pieces.append(text[start:end])
            done = end
        if done < len(text):
            pieces.append(text[done:])
        return pieces


#: A code point that is unassigned for ever.
_NONCHARACTER = "\uffff"

#: Characters already found to be the same in Unicode 16 and later.
_unchanged: set[str] = set()


def _newer_characters(text: str) -> dict[int, str]:
    """What to read the characters as whose class has changed since Unicode 16."""
    newer = {}
    for character in set(text) - _unchanged:
        if character in UNASSIGNED_16:
            newer[ord(character)] = _NONCHARACTER
        elif character == "ʕ":  # a small letter then, a letter without case since Unicode 17
            newer[ord(character)] = "ʚ"
        else:
            _unchanged.add(character)
    return newer
