"""``PreTrainedTokenizer``: the signatures and defaults that programs for Transformers expect of a tokenizer.

minillm's own tokenizers treat a text as data and refuse special tokens in it unless they are asked for; here
they are read, as there. Stands before the class of the tokenizer.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minillm.tokenizers.base import Tokenizer
from minillm.tokenizers.batching import BatchEncoding, as_tensor
from minillm.tokenizers.bpe import BPETokenizer
from minillm.tokenizers.char import CharTokenizer
from minillm.tokenizers.files.disk import PathLike
from minillm.tokenizers.loading import kind_of
from minillm.tokenizers.padding import padded
from minillm.tokenizers.special_tokens import SPECIAL_TOKEN_NAMES
from minillm.tokenizers.word import WordTokenizer
from minillm.tokenizers.wordpiece import WordPieceTokenizer

logger = logging.getLogger("minillm")

# Where files come from, and which of two programs does the work: without effect here.
_WITHOUT_EFFECT = {
    "cache_dir", "clean_up_tokenization_spaces", "force_download", "legacy", "local_files_only", "revision", "token",
    "trust_remote_code", "use_fast",
}  # fmt: skip
_SETTINGS = ("model_max_length", "padding_side", "truncation_side")


class PreTrainedTokenizer(Tokenizer):
    """A tokenizer as programs for Transformers use it."""

    is_fast = True  # offsets and words of tokens are known

    @classmethod
    def from_pretrained(cls, directory: PathLike, **options: Any) -> Any:
        """Load a tokenizer, and change it.

        Args:
            directory: with the tokenizer's files.
            options: ``padding_side``, ``truncation_side``, ``model_max_length``, ``do_lower_case``, and special
                tokens by name, such as ``pad_token``; what says where files are downloaded to is without effect.

        Raises:
            FileNotFoundError: there is no such directory, or no tokenizer in it; nothing is downloaded.
            TypeError: an option that is not known.
        """
        tokenizer = super().from_pretrained(directory)
        for name, value in options.items():
            if name in _SETTINGS:
                setattr(tokenizer, name, value)
            elif name in SPECIAL_TOKEN_NAMES:
                tokenizer.add_special_tokens({name: value})
            elif name == "do_lower_case" and isinstance(tokenizer, WordPieceTokenizer):
                tokenizer.use_rules(dataclasses.replace(tokenizer.rules, lowercase=bool(value)))
            elif name not in _WITHOUT_EFFECT:
                raise TypeError(f"{cls.__name__}.from_pretrained: {name} is not known here")
        return tokenizer

    def __call__(self, text: Any, text_pair: Any = None, **options: Any) -> BatchEncoding:
        """Encode for a model; truncation without any longest row is left out, and a warning logged."""
        if options.get("truncation") and options.get("max_length") is None and self.model_max_length is None:
            logger.warning("tokenizer: truncation without max_length, and the tokenizer has none: nothing is cut off")
            options["truncation"] = False
        return super().__call__(text, text_pair, **options)

    def encode(  # type: ignore[override]  # as in Transformers: more options, and special tokens are read
        self, text: Any, text_pair: Any = None, add_special_tokens: bool = True, **options: Any
    ) -> Any:
        """Return the ids of a text, or of two: a list, or with ``return_tensors`` a tensor (1, T).

        Options are those of a call: ``padding``, ``truncation``, ``max_length``, ``return_tensors``.
        """
        if not options:
            return super().encode(
                text, text_pair, add_special_tokens=add_special_tokens, allowed_special="all", disallowed_special=()
            )
        return self(text, text_pair, add_special_tokens=add_special_tokens, **options)["input_ids"]

    def decode(  # type: ignore[override]  # as in Transformers: rows of ids, too
        self, token_ids: Any, skip_special_tokens: bool = False, **options: Any
    ) -> Any:
        """Return the text of ids, or for rows of ids a list of texts."""
        ids = token_ids.tolist() if hasattr(token_ids, "tolist") else token_ids
        if isinstance(ids, Sequence) and ids and isinstance(ids[0], Sequence | Mapping):
            return self.batch_decode(ids, skip_special_tokens)
        return super().decode(ids, skip_special_tokens=skip_special_tokens)

    def batch_decode(  # type: ignore[override]  # as in Transformers: by place, too
        self, sequences: Any, skip_special_tokens: bool = False, **options: Any
    ) -> list[str]:
        """Return the text of each row of ids."""
        rows = sequences.tolist() if hasattr(sequences, "tolist") else sequences
        return [self.decode(row, skip_special_tokens) for row in rows]

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """Return the token of an id, or of each of several."""
        ids = ids.tolist() if hasattr(ids, "tolist") else ids
        if skip_special_tokens and isinstance(ids, Sequence):
            special = set(self.all_special_ids)
            ids = [token_id for token_id in ids if token_id not in special]
        return super().convert_ids_to_tokens(ids)

    def pad(
        self,
        encoded_inputs: Any,
        padding: bool | str = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        return_tensors: str | None = None,
        **options: Any,
    ) -> BatchEncoding:
        """Return rows that were encoded before, padded to one length, as a collate function does.

        Args:
            encoded_inputs: dictionaries with ``input_ids`` and what else belongs to them, or one of lists.
            padding: True or ``"longest"``, or ``"max_length"``.
            max_length: for ``"max_length"``; ``model_max_length`` by default.
            pad_to_multiple_of: pad further, to a multiple of this.
            return_tensors: ``"pt"``, ``"np"``, or None for lists.
            options: without effect.

        Raises:
            ValueError: there is no pad token, or no length.
        """
        rows = encoded_inputs
        if isinstance(rows, Mapping):
            rows = [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]
        if padding == "max_length" and max_length is None:
            max_length = self.model_max_length
        data = padded(self, rows, max_length if padding == "max_length" else None, pad_to_multiple_of)
        if return_tensors is not None:
            data = {name: as_tensor(name, values, return_tensors) for name, values in data.items()}
        return BatchEncoding(data, [], self)

    @property
    def vocab(self) -> dict[str, int]:
        """The tokens and their ids, added ones too."""
        return self.get_vocab()

    @property
    def additional_special_tokens(self) -> list[str]:
        """The special tokens that play no part of a name."""
        named = set(self.special_tokens_map.values())
        return [token for token in self.all_special_tokens if token not in named]

    @property
    def max_len_single_sentence(self) -> int:
        """The longest text, without special tokens."""
        return (self.model_max_length or 10**30) - self.num_special_tokens_to_add()


class BertTokenizer(PreTrainedTokenizer, WordPieceTokenizer):
    """BERT's tokenizer, WordPiece."""


class GPT2Tokenizer(PreTrainedTokenizer, BPETokenizer):
    """GPT-2's tokenizer, byte-level BPE; that of Llama 3, too."""


class _CharTokenizer(PreTrainedTokenizer, CharTokenizer):
    """One token a character."""


class _WordTokenizer(PreTrainedTokenizer, WordTokenizer):
    """One token a word."""


class AutoTokenizer:
    """The tokenizer of a directory, of whatever kind."""

    def __init__(self) -> None:
        raise TypeError("AutoTokenizer: it only chooses a class; call from_pretrained")

    @staticmethod
    def from_pretrained(directory: PathLike, **options: Any) -> Any:
        """Load a tokenizer; options are those of :meth:`PreTrainedTokenizer.from_pretrained`.

        Raises:
            FileNotFoundError: there is no such directory, or no tokenizer in it; nothing is downloaded.
        """
        folder = Path(directory)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{folder}: no such directory, and nothing is downloaded by itself; fetch the files, e.g. by "
                "`hf download NAME --local-dir DIR`, and give DIR"
            )
        for found in (BertTokenizer, GPT2Tokenizer, _CharTokenizer, _WordTokenizer):
            if issubclass(found, kind_of(folder)):
                return found.from_pretrained(folder, **options)
        raise ValueError(f"{folder}: holds a tokenizer that is not known here")
