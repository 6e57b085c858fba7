"""One token a character: the simplest tokenizer, and the one to begin with.

The vocabulary is the characters of the training text in Unicode's order. It is small (65 for
Shakespeare) and rows of ids are long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minillm.tokenizers.base import Tokenizer, check_text
from minillm.tokenizers.batching import Word
from minillm.tokenizers.special_tokens import AddedToken


class CharTokenizer(Tokenizer):
    """A tokenizer whose tokens are characters.

    Args:
        vocab: The characters and their ids. Longer entries must be special tokens.
        unk_token: The token for characters that the vocabulary lacks. Without it they are an error.
        **options: As for `Tokenizer`.

    Example:
        >>> tokenizer = CharTokenizer.from_text("hello world")
        >>> tokenizer.vocab_size, tokenizer.encode("low")
        (8, [4, 5, 7])
        >>> tokenizer.decode([3, 2, 4, 4, 5])
        'hello'
        >>> tokenizer.encode("help")
        Traceback (most recent call last):
        ValueError: encode: the vocabulary lacks 'p' (U+0070), character 3 of the text; ...
    """

    def __init__(self, vocab: Mapping[str, int], *, unk_token: str | None = None, **options: Any) -> None:
        if unk_token is not None:
            options["special_names"] = {**options.get("special_names", {}), "unk_token": unk_token}
        super().__init__(vocab, **options)
        added = self._added.tokens
        self._characters = {char: i for char, i in self._vocab.items() if char not in added}
        for token in self._characters:
            if len(token) != 1:
                raise ValueError(
                    f"CharTokenizer: {token!r} is not one character; longer tokens must be special"
                )

    @classmethod
    def train_from_iterator(
        cls, texts: Iterable[str], *, special_tokens: Sequence[str] = (), **options: Any
    ) -> CharTokenizer:
        """Take the characters of the texts as the vocabulary.

        Special tokens (those of `special_names`, and `unk_token`, too) get the first ids, the
        characters the next, in Unicode's order.

        Raises:
            ValueError: The texts are empty.
        """
        names = {**options.get("special_names", {})}
        if options.get("unk_token") is not None:
            names["unk_token"] = options["unk_token"]
        specials = list(dict.fromkeys([*special_tokens, *names.values()]))
        added = [AddedToken(token) for token in specials]
        untrained = cls({}, added_tokens=added)
        characters: set[str] = set()
        for text in texts:
            check_text(text, "CharTokenizer training")
            for token_id, start, end in untrained._added.split(text, allowed="all"):
                if token_id is None:
                    characters.update(text[start:end])
        if not characters:
            raise ValueError("CharTokenizer training: the training text is empty")
        tokens = [*specials, *sorted(characters - set(specials))]
        vocab = {token: token_id for token_id, token in enumerate(tokens)}
        return cls(vocab, added_tokens=added, **options)

    def _encode_plain(self, text: str, start: int) -> list[int]:
        unknown = self.unk_token_id
        if unknown is not None:
            known = self._characters.get
            return [known(char, unknown) for char in text]
        try:
            return list(map(self._characters.__getitem__, text))
        except KeyError as error:
            char = error.args[0]
            raise ValueError(
                f"encode: the vocabulary lacks {char!r} (U+{ord(char):04X}), character "
                f"{start + text.index(char)} of the text; train on a text that holds it, or give "
                "the tokenizer an unk_token"
            ) from None

    def _encode_words(self, text: str, start: int) -> list[Word]:
        ids = self._encode_plain(text, start)
        return [([token_id], [(place, place + 1)]) for place, token_id in enumerate(ids, start)]

    def _decode_plain(self, ids: Sequence[int]) -> str:
        return "".join([self._tokens[token_id] for token_id in ids])

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        """Return the text of tokens, and of words among them that are no tokens."""
        return "".join(tokens)

    def _save(self, directory: Path) -> None:
        from minillm.tokenizers.files import char_files

        char_files.save(self, directory)

    @classmethod
    def _load(cls, directory: Path) -> CharTokenizer:
        from minillm.tokenizers.files import char_files

        return char_files.load(cls, directory)
