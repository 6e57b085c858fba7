"""Byte-level byte-pair encoding, the tokenizer of GPT-2, GPT-4 and Llama 3.

A text is cut into pieces (`split_patterns`); a piece is its UTF-8 bytes; learned merges join bytes
to ever longer tokens (`bpe_merge`, `bpe_training`). With all 256 bytes in the vocabulary every text
has ids and every row of ids a text: no token stands for the unknown.

Sennrich, Haddow, Birch: Neural machine translation of rare words with subword units, ACL 2016.
Radford et al.: Language models are unsupervised multitask learners, 2019 (GPT-2), section 2.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

from minillm.tokenizers.base import Tokenizer, check_text
from minillm.tokenizers.batching import Encoded, Offset, Word
from minillm.tokenizers.bpe_merge import Pair, merge
from minillm.tokenizers.bpe_training import count_pieces, learn_merges
from minillm.tokenizers.byte_alphabet import (
    ALPHABET,
    BYTE_TO_CHAR,
    CHAR_TO_BYTE,
    bytes_to_token,
    token_to_bytes,
)
from minillm.tokenizers.remembering import Remembered
from minillm.tokenizers.special_tokens import AddedToken
from minillm.tokenizers.split_patterns import Splitter
from minillm.tokenizers.streaming import ByteStreamDecoder

#: The space as the vocabulary writes it, and white space as added tokens may hold it.
_BLANKS = BYTE_TO_CHAR[0x20] + " \t\n\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)


class BPETokenizer(Tokenizer):
    """Byte-level BPE.

    Args:
        vocab: The tokens, bytes written as in GPT-2's `vocab.json` (see `byte_alphabet`), and their
            ids.
        merges: The pairs of tokens that are merged, the first learned first.
        pattern: How text is cut into pieces: ``"gpt2"``, ``"gpt4"``, ``"gpt4o"`` or a regular
            expression.
        add_prefix_space: Put a space before a text that begins without one, so that its first word
            gets the token it has elsewhere.
        trim_offsets: Leave the spaces at a token's ends out of its offsets (RoBERTa does).
        ignore_merges: A piece that is a token as a whole is that token, whatever the merges say
            (Llama 3, tiktoken).
        cache_size: How many different pieces are remembered with their ids.
        **options: As for `Tokenizer`: `added_tokens`, `special_names`, `model_max_length` ...

    Example:
        >>> tokenizer = BPETokenizer.from_text("low low lower lowest", vocab_size=260)
        >>> ids = tokenizer.encode("low lower")
        >>> tokenizer.convert_ids_to_tokens(ids), tokenizer.decode(ids)
        (['low', 'Ġlowe', 'r'], 'low lower')
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        merges: Iterable[tuple[str, str]],
        *,
        pattern: str = "gpt2",
        add_prefix_space: bool = False,
        trim_offsets: bool = False,
        ignore_merges: bool = False,
        cache_size: int = 100_000,
        **options: Any,
    ) -> None:
        super().__init__(vocab, **options)
        self.merges = list(merges)
        self.add_prefix_space = add_prefix_space
        self.trim_offsets = trim_offsets
        self.ignore_merges = ignore_merges
        self._splitter = Splitter(pattern)
        self._model_vocab = dict(vocab)
        self._byte_ids = [vocab.get(char, -1) for char in BYTE_TO_CHAR]
        self._ranks: dict[Pair, int] = {}
        merged: list[int] = []
        for rank, (first, second) in enumerate(self.merges):
            for token in (first, second, first + second):
                if token not in vocab:
                    raise ValueError(
                        f"BPE merge {rank + 1} ({first!r} {second!r}): the vocabulary does not hold {token!r}"
                    )
            self._ranks[vocab[first], vocab[second]] = rank
            merged.append(vocab[first + second])
        self._merged: Sequence[int] = merged
        self._learned = {*self._byte_ids, *merged}
        self._bytes_of = {i: self._bytes_of_token(token, i) for token, i in self._vocab.items()}
        self._cache = Remembered(self._encode_piece, cache_size)

    @property
    def pattern(self) -> str:
        """The regular expression that cuts text into pieces."""
        return self._splitter.pattern

    # Training.

    @classmethod
    def train_from_iterator(
        cls,
        texts: Iterable[str],
        vocab_size: int = 30_000,
        *,
        min_frequency: int = 0,
        special_tokens: Sequence[str] = (),
        pattern: str = "gpt2",
        add_prefix_space: bool = False,
        show_progress: bool = True,
        **options: Any,
    ) -> BPETokenizer:
        """Learn a vocabulary from texts.

        Special tokens get the first ids, the 256 bytes the next, merges the rest, as in Hugging
        Face's trainers; where they stand in the texts they are cut out and teach nothing. (Those
        trainers would spend merges on their letters.)

        Args:
            texts: The texts; no token crosses from one to the next.
            vocab_size: The number of tokens, special ones and bytes included. There are fewer if
                the texts hold too few different pairs.
            min_frequency: Merge only pairs that stand in the texts at least so often.
            special_tokens: Special tokens. The names that models use for them can be given in
                `special_names`, as ``{"eos_token": "<|endoftext|>"}``.
            pattern: As for the class.
            add_prefix_space: As for the class.
            show_progress: Show a progress bar if it takes longer than a second.
            **options: As for the class.

        Raises:
            ValueError: The texts are empty, or `vocab_size` has no room for the bytes.
        """
        specials = list(dict.fromkeys([*special_tokens, *options.get("special_names", {}).values()]))
        if vocab_size < len(specials) + 256:
            raise ValueError(
                f"BPE training: vocab_size={vocab_size} has no room for 256 bytes and "
                f"{len(specials)} special tokens; it needs at least {len(specials) + 256}"
            )
        tokens = [*specials, *(char for char in ALPHABET if char not in specials)]
        added = [AddedToken(token) for token in specials]
        vocab = {token: token_id for token_id, token in enumerate(tokens)}
        settings = {"pattern": pattern, "add_prefix_space": add_prefix_space, **options}
        untrained = cls(vocab, [], added_tokens=added, **settings)

        pieces = count_pieces(texts, untrained._training_pieces, show_progress=show_progress)
        if not pieces:
            raise ValueError("BPE training: the training text is empty")
        byte_ids = untrained._byte_ids
        words = {
            tuple([byte_ids[byte] for byte in piece.encode("utf-8")]): count
            for piece, count in pieces.items()
        }
        merges = learn_merges(
            words, tokens, vocab_size, min_frequency=min_frequency, show_progress=show_progress
        )
        vocab = {token: token_id for token_id, token in enumerate(tokens)}
        named = [(tokens[first], tokens[second]) for first, second in merges]
        return cls(vocab, named, added_tokens=added, **settings)

    def _training_pieces(self, text: str) -> list[str]:
        check_text(text, "BPE training")
        pieces: list[str] = []
        for token_id, start, end in self._added.split(text, allowed="all"):
            if token_id is None:
                pieces += self._splitter.split(self._prefixed(text[start:end]))
        return pieces

    @classmethod
    def from_tiktoken(
        cls,
        mergeable_ranks: Mapping[bytes, int],
        *,
        pattern: str = "gpt4",
        special_tokens: Mapping[str, int] | None = None,
        **options: Any,
    ) -> BPETokenizer:
        """Make a tokenizer from tiktoken's ranks.

        tiktoken merges any two neighbours that spell a token, the token of lowest rank first. So
        every way to cut a token in two is a merge, and its rank is the token's.

        Args:
            mergeable_ranks: The tokens' bytes and their ranks, which are their ids.
            pattern: As for the class (tiktoken's `pat_str`).
            special_tokens: Special tokens and their ids.
            **options: As for the class.
        """
        vocab = {bytes_to_token(data): rank for data, rank in mergeable_ranks.items()}
        names = {token_id: token for token, token_id in vocab.items()}
        ranks: dict[Pair, int] = {}
        for data, rank in sorted(mergeable_ranks.items(), key=lambda item: item[1]):
            for cut in range(1, len(data)):
                first, second = mergeable_ranks.get(data[:cut]), mergeable_ranks.get(data[cut:])
                if first is not None and second is not None:
                    ranks[first, second] = rank
        added = {token_id: AddedToken(token) for token, token_id in (special_tokens or {}).items()}
        tokenizer = cls(
            vocab,
            [(names[first], names[second]) for first, second in ranks],
            pattern=pattern,
            added_tokens=added,
            ignore_merges=True,
            **options,
        )
        tokenizer._ranks = ranks
        tokenizer._merged = range(max(names, default=-1) + 1)
        return tokenizer

    # Text to ids.

    def _prefixed(self, text: str) -> str:
        return " " + text if self.add_prefix_space and not text.startswith(" ") else text

    def _encode_plain(self, text: str, start: int) -> list[int]:
        pieces = self._splitter.split(self._prefixed(text))
        return list(chain.from_iterable(map(self._cache.__getitem__, pieces)))

    def _encode_piece(self, piece: str) -> tuple[int, ...]:
        data = piece.encode("utf-8")
        if self.ignore_merges:
            whole = self._model_vocab.get(bytes_to_token(data))
            if whole is not None:
                return (whole,)
        ids = [self._byte_ids[byte] for byte in data]
        if -1 in ids:
            raise ValueError(
                f"encode: the vocabulary lacks the byte 0x{data[ids.index(-1)]:02x}, which "
                f"{piece!r} needs; a byte-level vocabulary that was trained without the full "
                "alphabet of 256 bytes cannot encode every text"
            )
        return tuple(merge(ids, self._ranks, self._merged))

    def _encode_words(self, text: str, start: int) -> list[Word]:
        words: list[Word] = []
        prefixed = self._prefixed(text)
        place = start - (len(prefixed) - len(text))
        for piece in self._splitter.split(prefixed):
            ids = self._cache[piece]
            offsets = []
            for first, last in self._offsets(piece, ids):
                if place + first < start:  # the space put before the text: its first character
                    offsets.append((start, max(place + last, start + 1)))
                else:
                    offsets.append((place + first, place + last))
            words.append((ids, offsets))
            place += len(piece)
        return words

    def _offsets(self, piece: str, ids: Sequence[int]) -> Iterator[Offset]:
        """The characters of each token; one that ends within a character counts it whole."""
        char_of: Sequence[int] = range(len(piece))
        if not piece.isascii():
            char_of = [place for place, char in enumerate(piece) for _ in range(len(char.encode("utf-8")))]
        begin = 0
        for end in accumulate([len(self._bytes_of[token_id]) for token_id in ids]):
            yield char_of[begin], char_of[end - 1] + 1
            begin = end

    def encode_with_offsets(self, text: str, **options: Any) -> Encoded:
        encoded = super().encode_with_offsets(text, **options)
        if self.trim_offsets:
            for place, token_id in enumerate(encoded.ids):
                start, end = encoded.offsets[place]
                token = self._tokens[token_id]
                if token in self._added.tokens and token_id not in self._learned:
                    token = text[start:end]  # with the white space that it took along
                encoded.offsets[place] = self._trimmed(token, start, end)
        return encoded

    def _trimmed(self, token: str, start: int, end: int) -> Offset:
        """The offset of a token without the spaces at its ends; the rule of `tokenizers`."""
        before = len(token) - len(token.lstrip(_BLANKS))
        after = len(token) - len(token.rstrip(_BLANKS))
        if not (self.add_prefix_space and start == 0):  # there it is the space that was added
            start = min(start + before, end)
        if end >= after:
            end = max(end - after, start)
        return start, end

    # Ids to text.

    def _bytes_of_token(self, token: str, token_id: int) -> bytes:
        # An added token is written as it is, unless it is also one that stands for bytes.
        if token in self._added.tokens and token_id not in self._learned:
            return token.encode("utf-8")
        try:
            return token_to_bytes(token)
        except KeyError as error:
            raise ValueError(
                f"BPE vocabulary: the token {token!r} holds the character {error.args[0]!r}, "
                "which stands for no byte; is this the vocabulary of a byte-level BPE?"
            ) from None

    def _add(self, token: AddedToken, token_id: int | None = None) -> None:
        super()._add(token, token_id)
        if hasattr(self, "_bytes_of"):
            token_id = self._vocab[token.content]
            self._bytes_of[token_id] = self._bytes_of_token(token.content, token_id)

    def _decode_plain(self, ids: Sequence[int]) -> str:
        data = b"".join(map(self._bytes_of.__getitem__, ids))
        return data.decode("utf-8", errors="replace")

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        """Return the text of tokens, and of words among them that are no tokens."""
        return b"".join(map(self._bytes_of_any, tokens)).decode("utf-8", errors="replace")

    def _bytes_of_any(self, token: str) -> bytes:
        known = self._vocab.get(token)
        if known is not None:
            return self._bytes_of[known]
        return token_to_bytes(token) if CHAR_TO_BYTE.keys() >= set(token) else token.encode("utf-8")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Return the bytes of ids, UTF-8 or not."""
        return b"".join([self._bytes_of[token_id] for token_id in self._checked(ids)])

    def stream_decoder(self, *, skip_special_tokens: bool = False) -> ByteStreamDecoder:
        """Return a decoder that takes ids one by one and never breaks a character.

        Example:
            >>> tokenizer = BPETokenizer.from_text("x", vocab_size=256)
            >>> decoder = tokenizer.stream_decoder()
            >>> [decoder.push(token_id) for token_id in tokenizer.encode("né")]
            ['n', '', 'é']
        """
        return ByteStreamDecoder(self, self._bytes_of, skip_special_tokens=skip_special_tokens)

    # Files.

    def _save(self, directory: Path) -> None:
        from minillm.tokenizers.files import bpe_files

        bpe_files.save(self, directory)

    @classmethod
    def _load(cls, directory: Path) -> BPETokenizer:
        from minillm.tokenizers.files import bpe_files

        return bpe_files.load(cls, directory)
