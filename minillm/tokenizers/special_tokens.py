"""Special tokens: which ones there are, what they are called, and where they stand in a text.

A special token such as ``<|endoftext|>`` or ``[MASK]`` is one id, whatever the algorithm would make
of its letters. So a text is first cut at its special tokens; the algorithm sees what lies between.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal, overload

from minillm.tokenizers.unicode_classes import UNASSIGNED_16

if TYPE_CHECKING:
    import regex

SpecialTokenSet = Literal["all"] | Collection[str]

#: The parts that a special token can play, with the names that Hugging Face gives them.
SPECIAL_TOKEN_NAMES = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
)


@dataclass(frozen=True)
class AddedToken:
    """A token that is looked for in the text itself, before the algorithm runs.

    Attributes:
        content: The token's text.
        special: Whether it is a control token, which `decode` can leave out.
        single_word: Match it only where no word character stands on either side.
        lstrip: The match takes the white space on its left with it.
        rstrip: The match takes the white space on its right with it.
        normalized: Look for it in the normalized text (lower-cased, say), not in the text as given.
    """

    content: str
    special: bool = True
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False


class AddedTokens:
    """The added tokens of one tokenizer and their ids, and the search for them in a text.

    Where several tokens match at one place the longest wins; matches do not overlap.

    Attributes:
        tokens: The tokens by their content.
        ids: Their ids.
        normalize: What is done to the text (and the content) before tokens with the flag
            `normalized` are looked for: gives the new text and the place of each of its characters.

    Example:
        >>> added = AddedTokens()
        >>> added.add(AddedToken("<end>"), 7)
        >>> list(added.split("to<end>be", allowed="all"))
        [(None, 0, 2), (7, 2, 7), (None, 7, 9)]
    """

    def __init__(self) -> None:
        self.tokens: dict[str, AddedToken] = {}
        self.ids: dict[str, int] = {}
        self.normalize: Callable[[str], tuple[str, Sequence[int]]] | None = None
        self._patterns: dict[frozenset[str], tuple[re.Pattern[str], dict[str, AddedToken]]] = {}

    def __bool__(self) -> bool:
        return bool(self.tokens)

    def add(self, token: AddedToken, token_id: int) -> None:
        """Make `token` stand for `token_id`; a token added before is replaced."""
        if not token.content:
            raise ValueError("special tokens: the empty string cannot be one")
        self.tokens[token.content] = token
        self.ids[token.content] = token_id
        self.forget()

    def forget(self) -> None:
        """Build the expressions anew at the next search: the tokens or `normalize` changed."""
        self._patterns.clear()

    @property
    def special(self) -> list[str]:
        """The tokens that are special, in the order of their ids."""
        special = [content for content, token in self.tokens.items() if token.special]
        return sorted(special, key=self.ids.__getitem__)

    def allowed(self, allowed_special: SpecialTokenSet) -> frozenset[str]:
        """Return the tokens to look for: the special ones in `allowed_special`, and all others."""
        if allowed_special == "all":
            return frozenset(self.tokens)
        chosen = _as_set(allowed_special, "allowed_special")
        return frozenset(
            content for content, token in self.tokens.items() if content in chosen or not token.special
        )

    def refuse(
        self, text: str, allowed_special: SpecialTokenSet, disallowed_special: SpecialTokenSet
    ) -> None:
        """Raise ValueError if `text` holds a disallowed special token, as tiktoken does."""
        if disallowed_special == "all":
            refused = frozenset(self.special) - self.allowed(allowed_special)
        else:
            refused = _as_set(disallowed_special, "disallowed_special")
        if refused and (match := _any_of(refused).search(text)):
            raise ValueError(
                f"encode: the text holds the special token {match[0]!r} at character "
                f"{match.start()}. To encode it as its one id pass "
                f"allowed_special={{{match[0]!r}}} (or 'all'); to encode its letters as any other "
                "text pass disallowed_special=()."
            )

    def split(
        self, text: str, *, allowed: Iterable[str] | Literal["all"]
    ) -> Iterator[tuple[int | None, int, int]]:
        """Cut `text` at the added tokens in `allowed`.

        Those that are looked for in the text as given come first; the others are looked for in
        what those leave.

        Yields:
            (id, start, end) for each added token, (None, start, end) for each stretch between them.
        """
        wanted = frozenset(self.tokens if allowed == "all" else allowed)
        normalized = frozenset(content for content in wanted if self.tokens[content].normalized)
        for token_id, start, end in self._cut(text, wanted - normalized):
            if token_id is not None or not normalized:
                yield token_id, start, end
                continue
            stretch, places = text[start:end], None
            if self.normalize is not None:
                stretch, places = self.normalize(stretch)
            for inner_id, first, last in self._cut(stretch, normalized):
                if places is not None:
                    first, last = places[first], places[last - 1] + 1
                yield inner_id, start + first, start + last

    def _cut(self, text: str, wanted: frozenset[str]) -> Iterator[tuple[int | None, int, int]]:
        done = 0
        pattern, found = self._pattern(wanted)
        for match in pattern.finditer(text) if found else ():
            token = found[match[0]]
            start, end = match.span()
            if token.single_word and (_is_word(text[start - 1 : start]) or _is_word(text[end : end + 1])):
                continue
            if token.lstrip:
                while start > done and _is_space(text[start - 1]):
                    start -= 1
                start = max(start, done)  # the token before can have taken white space of this one
            if token.rstrip:
                while end < len(text) and _is_space(text[end]):
                    end += 1
            if done < start:
                yield None, done, start
            yield self.ids[token.content], start, end
            done = end
        if done < len(text):
            yield None, done, len(text)

    def _pattern(self, tokens: frozenset[str]) -> tuple[re.Pattern[str], dict[str, AddedToken]]:
        """An expression that finds all tokens, and which token each of its matches is."""
        if tokens not in self._patterns:
            found: dict[str, AddedToken] = {}
            for content in sorted(tokens, key=self.ids.__getitem__):
                token = self.tokens[content]
                if token.normalized and self.normalize is not None:
                    content, _ = self.normalize(content)
                if content:
                    found.setdefault(content, token)
            self._patterns[tokens] = _any_of(frozenset(found)), found
        return self._patterns[tokens]


@lru_cache(maxsize=64)
def _any_of(contents: frozenset[str]) -> re.Pattern[str]:
    """One alternation, longest first, so that the longest match wins."""
    longest_first = sorted(contents, key=lambda content: (-len(content), content))
    return re.compile("|".join(map(re.escape, longest_first)))


def _as_set(tokens: SpecialTokenSet, name: str) -> frozenset[str]:
    if isinstance(tokens, str):
        raise TypeError(f"encode: {name} needs 'all' or a set of tokens, got the string {tokens!r}")
    return frozenset(tokens)


def _is_word(character: str) -> bool:
    r"""Whether Unicode's ``\w`` (letters, marks, digits, connectors, joiners) holds `character`."""
    if character == "" or character.isascii():
        return character == "_" or character.isalnum()
    return _word_pattern().match(character) is not None and character not in UNASSIGNED_16


@cache
def _word_pattern() -> regex.Pattern[str]:
    import regex  # here alone: few tokenizers have tokens that must be single words

    return regex.compile(r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]")


def _is_space(character: str) -> bool:
    """Whether Unicode's White_Space holds `character`; Python's `isspace` adds four controls."""
    return character.isspace() and character not in "\x1c\x1d\x1e\x1f"


class TokenName:
    """An attribute such as `eos_token`: the token that plays this part, or None."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, tokenizer: None, owner: type) -> TokenName: ...
    @overload
    def __get__(self, tokenizer: NamedTokens, owner: type) -> str | None: ...
    def __get__(self, tokenizer: NamedTokens | None, owner: type) -> TokenName | str | None:
        if tokenizer is None:
            return self
        return tokenizer._named.get(self.name)

    def __set__(self, tokenizer: NamedTokens, token: str | None) -> None:
        if token is None:
            tokenizer._named.pop(self.name, None)
        elif tokenizer.token_to_id(token) is None:
            raise ValueError(
                f"{self.name}: the vocabulary does not hold {token!r}; "
                f"add it with add_special_tokens({{{self.name!r}: {token!r}}})"
            )
        else:
            tokenizer._named[self.name] = token


class TokenNameId:
    """An attribute such as `eos_token_id`: the id of `eos_token`, or None."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name.removesuffix("_id")
        self.__doc__ = f"The id of `{self.name}`, or None where that is not set."

    @overload
    def __get__(self, tokenizer: None, owner: type) -> TokenNameId: ...
    @overload
    def __get__(self, tokenizer: NamedTokens, owner: type) -> int | None: ...
    def __get__(self, tokenizer: NamedTokens | None, owner: type) -> TokenNameId | int | None:
        if tokenizer is None:
            return self
        token = tokenizer._named.get(self.name)
        return None if token is None else tokenizer.token_to_id(token)

    def __set__(self, tokenizer: NamedTokens, token_id: int | None) -> None:
        token = None if token_id is None else tokenizer.id_to_token(token_id)
        if token_id is not None and token is None:
            raise ValueError(f"{self.name}_id: the vocabulary has no id {token_id!r}")
        setattr(tokenizer, self.name, token)


class NamedTokens:
    """The parts that special tokens play (`eos_token`, `pad_token` ...) and their ids.

    A part that is not played is None. Any token of the vocabulary can play it:
    ``tokenizer.pad_token = tokenizer.eos_token``.
    """

    bos_token = TokenName("The token that begins a text.")
    eos_token = TokenName("The token that ends a text.")
    unk_token = TokenName("The token that stands for what the vocabulary cannot spell.")
    sep_token = TokenName("The token between two texts, and after the last.")
    pad_token = TokenName("The token that fills short rows of a batch.")
    cls_token = TokenName("The token whose output a classifier reads.")
    mask_token = TokenName("The token that hides a word from the model.")

    bos_token_id = TokenNameId()
    eos_token_id = TokenNameId()
    unk_token_id = TokenNameId()
    sep_token_id = TokenNameId()
    pad_token_id = TokenNameId()
    cls_token_id = TokenNameId()
    mask_token_id = TokenNameId()

    def __init__(self) -> None:
        self._named: dict[str, str] = {}

    def token_to_id(self, token: str) -> int | None:
        """Return the id of `token`, or None if the vocabulary does not hold it."""
        raise NotImplementedError

    def id_to_token(self, token_id: int) -> str | None:
        """Return the token of `token_id`, or None if the vocabulary does not hold it."""
        raise NotImplementedError

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The parts that are played and by which token, as in `special_tokens_map.json`."""
        return dict(self._named)
