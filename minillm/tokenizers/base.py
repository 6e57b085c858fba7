"""The one face of all tokenizers: text to ids and back, batches, special tokens, saving.

A tokenizer class supplies four things: the ids of a stretch of plain text, the same word by word
with offsets, the text of ids, and its files. Everything else is here, once: special tokens, pairs,
padding, truncation, windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from minillm.tokenizers.batching import BatchEncoding, Encoded, Word, encode_batch
from minillm.tokenizers.files.config import check_vocab
from minillm.tokenizers.files.disk import PathLike, read_lines
from minillm.tokenizers.special_tokens import (
    SPECIAL_TOKEN_NAMES,
    AddedToken,
    AddedTokens,
    NamedTokens,
    SpecialTokenSet,
)
from minillm.tokenizers.streaming import StreamDecoder
from minillm.tokenizers.template import Template

Self = TypeVar("Self", bound="Tokenizer")


class Tokenizer(NamedTokens):
    """Base of all tokenizers; `from_pretrained` of this class loads any of them.

    Args:
        vocab: The tokens and their ids.
        added_tokens: Tokens that are looked for in the text itself. Those that `vocab` lacks get
            the next free ids, or, given as a dict from ids to tokens, these ids.
        special_names: The parts that tokens play: ``{"eos_token": "<|endoftext|>"}``.
        template: The special tokens around a text; default none.
        model_max_length: The longest row that the model takes, the default of `max_length`.
        padding_side: ``"right"`` or ``"left"`` (for generation with decoders).
        truncation_side: The side that loses tokens when a text is too long.
        model_input_names: What a call returns if not told otherwise.
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        *,
        added_tokens: Iterable[AddedToken] | Mapping[int, AddedToken] = (),
        special_names: Mapping[str, str] | None = None,
        template: Template | None = None,
        model_max_length: int | None = None,
        padding_side: str = "right",
        truncation_side: str = "right",
        model_input_names: Sequence[str] = ("input_ids", "attention_mask"),
    ) -> None:
        super().__init__()
        self._set_vocab(vocab)
        self._added = AddedTokens()
        self.template = Template() if template is None else template
        self.model_max_length = model_max_length
        self.padding_side = padding_side
        self.truncation_side = truncation_side
        self.model_input_names = tuple(model_input_names)
        if isinstance(added_tokens, Mapping):
            for token_id, token in added_tokens.items():
                self._add(token, token_id)
        else:
            for token in added_tokens:
                self._add(token)
        for name, content in (special_names or {}).items():
            if name not in SPECIAL_TOKEN_NAMES:
                raise ValueError(f"special tokens: {name!r} is none of {SPECIAL_TOKEN_NAMES}")
            if content not in self._added.tokens:
                self._add(AddedToken(content))
            setattr(self, name, content)

    def _set_vocab(self, vocab: Mapping[str, int]) -> None:
        check_vocab(dict(vocab), type(self).__name__)
        self._vocab = dict(vocab)
        self._tokens = {token_id: token for token, token_id in self._vocab.items()}
        self._size = max(self._tokens, default=-1) + 1

    # What a tokenizer class supplies.

    def _encode_plain(self, text: str, start: int) -> list[int]:
        """Return the ids of `text`, in which special tokens mean nothing.

        `text` begins at character `start` of what the user gave, for the places in errors.
        """
        raise NotImplementedError

    def _encode_words(self, text: str, start: int) -> list[Word]:
        """Return the same ids word by word, each with its place in what the user gave."""
        raise NotImplementedError

    def _decode_plain(self, ids: Sequence[int]) -> str:
        """Return the text of ids that are all in the vocabulary."""
        raise NotImplementedError

    @classmethod
    def train_from_iterator(cls: type[Self], texts: Iterable[str], **options: Any) -> Self:
        """Train a tokenizer on `texts`; each is a unit of its own that no token crosses."""
        raise NotImplementedError

    def _save(self, directory: Path) -> None:
        """Write the tokenizer's files into `directory`."""
        raise NotImplementedError

    @classmethod
    def _load(cls: type[Self], directory: Path) -> Self:
        """Read the files that `_save`, or Hugging Face's library, wrote."""
        raise NotImplementedError

    # Training.

    @classmethod
    def train(cls: type[Self], files: PathLike | Sequence[PathLike], **options: Any) -> Self:
        """Train on UTF-8 files, line by line; options as for `train_from_iterator`."""
        return cls.train_from_iterator(read_lines(files), **options)

    @classmethod
    def from_text(cls: type[Self], text: str, **options: Any) -> Self:
        """Train on one text; options as for `train_from_iterator`."""
        check_text(text, "from_text")
        return cls.train_from_iterator([text], **options)

    # The vocabulary.

    @property
    def vocab_size(self) -> int:
        """The number of rows that a model's embedding needs: the highest id, plus one.

        Tokens added later count. (Hugging Face's `vocab_size` leaves them out, its `len` does not.)
        """
        return self._size

    def __len__(self) -> int:
        return self.vocab_size

    def get_vocab(self) -> dict[str, int]:
        """Return the tokens and their ids, added ones too."""
        return dict(self._vocab)

    def token_to_id(self, token: str) -> int | None:
        """Return the id of `token`, or None if the vocabulary does not hold it."""
        return self._vocab.get(token)

    def id_to_token(self, token_id: int) -> str | None:
        """Return the token of `token_id`, or None if the vocabulary does not hold it."""
        return self._tokens.get(token_id)

    def convert_tokens_to_ids(self, tokens: str | Sequence[str]) -> Any:
        """Return the id of a token, or of each of several; unknown ones get `unk_token_id`."""
        if isinstance(tokens, str):
            return self._vocab.get(tokens, self.unk_token_id)
        return [self._vocab.get(token, self.unk_token_id) for token in tokens]

    def convert_ids_to_tokens(self, ids: int | Sequence[int]) -> Any:
        """Return the token of an id, or of each of several; an id out of range is a ValueError."""
        if not isinstance(ids, Iterable):
            return self._tokens[self._checked([ids])[0]]
        return [self._tokens[token_id] for token_id in self._checked(ids)]

    # Special tokens.

    @property
    def all_special_tokens(self) -> list[str]:
        """The special tokens, in the order of their ids."""
        return self._added.special

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of the special tokens, ascending."""
        return [self._added.ids[token] for token in self._added.special]

    def add_special_tokens(
        self, tokens: Mapping[str, str | Sequence[str]] | Sequence[str | AddedToken]
    ) -> int:
        """Add special tokens at the end of the vocabulary.

        Args:
            tokens: Names and tokens, ``{"pad_token": "<pad>"}`` (under the name
                ``"additional_special_tokens"`` a list of them), or just a list of tokens.

        Returns:
            How many were new. A model's embedding must grow by as many rows.
        """
        before = len(self._vocab)
        if isinstance(tokens, Mapping):
            for name, content in tokens.items():
                if name in SPECIAL_TOKEN_NAMES and isinstance(content, str):
                    self._add(AddedToken(content))
                    setattr(self, name, content)
                elif name == "additional_special_tokens" and not isinstance(content, str):
                    self.add_special_tokens(content)
                else:
                    raise ValueError(
                        f"add_special_tokens: {name!r}: {content!r} is not understood; the names "
                        f"are {SPECIAL_TOKEN_NAMES} for one token each, and "
                        "'additional_special_tokens' for a list"
                    )
        else:
            self._add_all(tokens, special=True)
        return len(self._vocab) - before

    def add_tokens(self, tokens: Sequence[str | AddedToken]) -> int:
        """Add tokens that are found in the text like special ones, but are ordinary words.

        Returns:
            How many were new.
        """
        before = len(self._vocab)
        self._add_all(tokens, special=False)
        return len(self._vocab) - before

    def _add_all(self, tokens: Sequence[str | AddedToken], *, special: bool) -> None:
        if isinstance(tokens, str):
            raise TypeError(f"add tokens: needs a list of tokens, got the string {tokens!r}")
        for token in tokens:
            if isinstance(token, str):
                token = AddedToken(token, special=special, normalized=not special)
            self._add(token)

    def _add(self, token: AddedToken, token_id: int | None = None) -> None:
        content = check_text(token.content, "special token")
        known = self._vocab.get(content)
        if token_id is None:
            token_id = self._size if known is None else known
        if known not in (None, token_id):
            raise ValueError(
                f"special token {content!r}: is to have the id {token_id}, in the vocabulary it has {known}"
            )
        if self._tokens.setdefault(token_id, content) != content:
            raise ValueError(
                f"special token {content!r}: its id {token_id} is that of {self._tokens[token_id]!r}"
            )
        self._vocab[content] = token_id
        self._size = max(self._size, token_id + 1)
        self._added.add(token, token_id)

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """Return how many tokens a model's format adds around a text, or around two."""
        return self.template.num_added(pair)

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """Put the special tokens of the model's format around one sequence of ids, or two."""
        return self.template.ids(token_ids_0, token_ids_1)

    def create_token_type_ids_from_sequences(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """Return the token types of the row that `build_inputs_with_special_tokens` gives."""
        return self.template.type_ids(len(token_ids_0), None if token_ids_1 is None else len(token_ids_1))

    # Text to ids.

    def encode(
        self,
        text: str,
        pair: str | None = None,
        *,
        add_special_tokens: bool = True,
        allowed_special: SpecialTokenSet = (),
        disallowed_special: SpecialTokenSet = "all",
    ) -> list[int]:
        """Return the ids of a text, or of two.

        A text is data: a special token that stands in it, written there by whoever wrote the text,
        is refused unless `allowed_special` says that it is meant (the rule of tiktoken).

        Args:
            text: The text.
            pair: A second text, for models that read two.
            add_special_tokens: Add what the model's format asks for, ``[CLS]`` and ``[SEP]`` say.
            allowed_special: The special tokens to encode as their one id, or ``"all"``.
            disallowed_special: The special tokens to refuse. ``"all"`` means all that are not
                allowed. With ``()`` they are encoded as any other text.

        Raises:
            TypeError: `text` is not a string.
            ValueError: The text holds a disallowed special token or a lone surrogate.
        """
        ids = self._encode_one(text, allowed_special, disallowed_special)
        other = None if pair is None else self._encode_one(pair, allowed_special, disallowed_special)
        if add_special_tokens:
            return self.build_inputs_with_special_tokens(ids, other)
        return ids + other if other else ids

    def _encode_one(
        self, text: str, allowed_special: SpecialTokenSet, disallowed_special: SpecialTokenSet
    ) -> list[int]:
        check_text(text, "encode")
        if not self._added:
            return self._encode_plain(text, 0)
        self._added.refuse(text, allowed_special, disallowed_special)
        allowed = self._added.allowed(allowed_special)
        ids: list[int] = []
        for token_id, start, end in self._added.split(text, allowed=allowed):
            if token_id is None:
                ids += self._encode_plain(text[start:end], start)
            else:
                ids.append(token_id)
        return ids

    def encode_with_offsets(
        self,
        text: str,
        *,
        allowed_special: SpecialTokenSet = "all",
        disallowed_special: SpecialTokenSet = (),
    ) -> Encoded:
        """Return the ids of a text with their places in it; nothing is added around them."""
        check_text(text, "encode")
        encoded = Encoded()
        self._added.refuse(text, allowed_special, disallowed_special)
        allowed = self._added.allowed(allowed_special)
        for token_id, start, end in self._added.split(text, allowed=allowed):
            if token_id is None:
                for ids, offsets in self._encode_words(text[start:end], start):
                    encoded.append_word(ids, offsets)
            else:
                encoded.append_word([token_id], [(start, end)])
        return encoded

    def tokenize(self, text: str, *, allowed_special: SpecialTokenSet = "all") -> list[str]:
        """Return the tokens of a text as they stand in the vocabulary."""
        ids = self._encode_one(text, allowed_special, ())
        return [self._tokens[token_id] for token_id in ids]

    def encode_batch(self, texts: Iterable[str], *, num_workers: int = 0, **options: Any) -> list[list[int]]:
        """Return the ids of each text; see `encode_iter`."""
        return list(self.encode_iter(texts, num_workers=num_workers, **options))

    def encode_iter(
        self, texts: Iterable[str], *, num_workers: int = 0, **options: Any
    ) -> Iterator[list[int]]:
        """Yield the ids of each text, for more texts than fit in memory.

        Args:
            texts: The texts.
            num_workers: How many processes encode. With 0 this one does. Starting them takes some
                tenths of a second, so they pay from about ten megabytes of text on.
            **options: As for `encode`.

        Raises:
            TypeError, ValueError: As for `encode`; or `num_workers` is negative.

        Example:
            >>> from minillm.tokenizers import CharTokenizer
            >>> list(CharTokenizer.from_text("abc").encode_iter(["a", "cb"]))
            [[0], [2, 1]]
        """
        if num_workers < 0:
            raise ValueError(f"encode: num_workers must not be negative, got {num_workers}")
        if num_workers == 0:
            return (self.encode(text, **options) for text in texts)
        from minillm.tokenizers.parallel import encode_all

        return encode_all(self, texts, num_workers, options)

    def __call__(self, text: Any, text_pair: Any = None, **options: Any) -> BatchEncoding:
        """Encode for a model, as Hugging Face's tokenizers do; see `batching.encode_batch`."""
        return encode_batch(self, text, text_pair, **options)

    # Ids to text.

    def decode(self, ids: int | Iterable[int], *, skip_special_tokens: bool = False) -> str:
        """Return the text of ids.

        Raises:
            ValueError: An id is not in the vocabulary; the message names its place.
        """
        checked = self._checked([ids] if isinstance(ids, int) else ids)
        if skip_special_tokens:
            special = set(self.all_special_ids)
            checked = [token_id for token_id in checked if token_id not in special]
        return self._decode_plain(checked)

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        """Return the text of tokens, and of words among them that are no tokens."""
        return self._decode_plain(self.convert_tokens_to_ids(tokens))

    def batch_decode(self, batch: Iterable[Iterable[int]], *, skip_special_tokens: bool = False) -> list[str]:
        """Return the text of each row of ids."""
        return [self.decode(ids, skip_special_tokens=skip_special_tokens) for ids in batch]

    def _checked(self, ids: Iterable[Any]) -> list[int]:
        """The ids as Python ints (arrays and tensors give their own kinds), all in range."""
        if isinstance(ids, str):
            raise TypeError(f"decode: needs ids, got the string {ids!r}")
        tolist = getattr(ids, "tolist", None)
        result = list(ids) if tolist is None else tolist()
        if not isinstance(result, list):  # an array without axes holds one id
            result = [result]
        for place, token_id in enumerate(result if not self._knows(result) else ()):
            if not self._knows([token_id]):
                raise ValueError(
                    f"decode: {token_id!r} at place {place} is not an id of this vocabulary "
                    f"(ids are 0 to {self.vocab_size - 1})"
                )
        return result

    def _knows(self, ids: list[Any]) -> bool:
        try:
            return self._tokens.keys() >= set(ids)
        except TypeError:  # a list in the list
            return False

    def stream_decoder(self, *, skip_special_tokens: bool = False) -> StreamDecoder:
        """Return a decoder that takes ids one by one, as a model writes them."""
        return StreamDecoder(self, skip_special_tokens=skip_special_tokens)

    # Files.

    def save_pretrained(self, directory: PathLike) -> None:
        """Write the tokenizer's files into `directory`, which is made if it is not there."""
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        self._save(folder)

    @classmethod
    def from_pretrained(cls: type[Self], directory: PathLike) -> Self:
        """Load a tokenizer from the directory that `save_pretrained` wrote.

        Raises:
            FileNotFoundError: The directory or a file that must be in it does not exist.
            ValueError: A file is malformed, or holds another kind of tokenizer.
        """
        from minillm.tokenizers.loading import load

        return load(directory, cls)


def check_text(text: object, operation: str) -> str:
    """Return `text`, or raise unless it is a string that UTF-8 can hold."""
    if not isinstance(text, str):
        hint = "; decode the bytes first" if isinstance(text, bytes | bytearray) else ""
        raise TypeError(f"{operation}: needs a str, got {type(text).__name__}{hint}")
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{operation}: the text holds a lone surrogate, U+{ord(text[error.start]):04X} at "
            f"character {error.start}, which is no character of Unicode text"
        ) from None
    return text
