"""Texts to the rows of a batch: pairs, truncation, overlapping windows, padding, arrays.

The meaning of every option is that of Hugging Face's tokenizers, so that a program written for
them gets the same numbers here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from minillm.tokenizers.truncation import truncate_pair

if TYPE_CHECKING:
    from minillm.tokenizers.base import Tokenizer
    from minillm.tokenizers.special_tokens import SpecialTokenSet

Value = TypeVar("Value")
Offset = tuple[int, int]
#: The ids of one word, and for each the characters (start, end) that it stands for.
Word = tuple[Sequence[int], Sequence[Offset]]


@dataclass
class Encoded:
    """The ids of a text, the characters each stands for, and the word each belongs to."""

    ids: list[int] = field(default_factory=list)
    offsets: list[Offset] = field(default_factory=list)
    word_ids: list[int] = field(default_factory=list)
    num_words: int = 0

    def append_word(self, ids: Sequence[int], offsets: Sequence[Offset]) -> None:
        """Add the ids of the next word."""
        self.ids += ids
        self.offsets += offsets
        self.word_ids += [self.num_words] * len(ids)
        self.num_words += 1

    def window(self, start: int, stop: int) -> Encoded:
        """Return the tokens from `start` to `stop`."""
        return Encoded(
            self.ids[start:stop], self.offsets[start:stop], self.word_ids[start:stop], self.num_words
        )


@dataclass
class Row:
    """One row of a batch; a special token has no word, no text and the offset (0, 0)."""

    sample: int
    ids: list[int] = field(default_factory=list)
    type_ids: list[int] = field(default_factory=list)
    offsets: list[Offset] = field(default_factory=list)
    word_ids: list[int | None] = field(default_factory=list)
    sequence_ids: list[int | None] = field(default_factory=list)
    mask: list[int] = field(default_factory=list)

    def append_special(self, token_id: int, type_id: int) -> None:
        """Add a special token of the model's format."""
        self.ids.append(token_id)
        self.type_ids.append(type_id)
        self.offsets.append((0, 0))
        self.word_ids.append(None)
        self.sequence_ids.append(None)
        self.mask.append(1)

    def append_text(self, encoded: Encoded, sequence_id: int, type_id: int) -> None:
        """Add the first text (`sequence_id` 0) or the second (1)."""
        length = len(encoded.ids)
        self.ids += encoded.ids
        self.type_ids += [type_id] * length
        self.offsets += encoded.offsets
        self.word_ids += encoded.word_ids
        self.sequence_ids += [sequence_id] * length
        self.mask += [1] * length

    def pad(self, length: int, pad_id: int, side: str) -> None:
        """Grow to `length` with padding, which the attention mask hides."""
        missing = length - len(self.ids)

        def grown(values: list[Value], filler: Value) -> list[Value]:
            fill = [filler] * missing
            return fill + values if side == "left" else values + fill

        self.ids = grown(self.ids, pad_id)
        self.type_ids = grown(self.type_ids, 0)
        self.offsets = grown(self.offsets, (0, 0))
        self.word_ids = grown(self.word_ids, None)
        self.sequence_ids = grown(self.sequence_ids, None)
        self.mask = grown(self.mask, 0)


class BatchEncoding(dict[str, Any]):
    """What a tokenizer returns: a dict whose entries are attributes too.

    Example:
        >>> from minillm.tokenizers import CharTokenizer
        >>> batch = CharTokenizer.from_text("abc")(["ab", "c"])
        >>> batch.input_ids, batch.tokens(0)
        ([[0, 1], [2]], ['a', 'b'])
    """

    def __init__(self, data: dict[str, Any], rows: list[Row], tokenizer: Tokenizer) -> None:
        super().__init__(data)
        self._rows = rows
        self._tokenizer = tokenizer

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"BatchEncoding: has no {name!r}; it holds {sorted(self)}") from None

    def to(self, device: Any) -> BatchEncoding:
        """Move the tensors to `device`; lists and NumPy arrays stay. Returns itself."""
        for name, value in self.items():
            if hasattr(value, "to"):
                self[name] = value.to(device)
        return self

    def tokens(self, batch_index: int = 0) -> list[str]:
        """Return the tokens of a row as they stand in the vocabulary."""
        tokens: list[str] = self._tokenizer.convert_ids_to_tokens(self._rows[batch_index].ids)
        return tokens

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return for each token of a row the number of its word; None for special tokens."""
        return self._rows[batch_index].word_ids

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return for each token of a row 0 or 1, its text; None for special tokens."""
        return self._rows[batch_index].sequence_ids


def encode_batch(
    tokenizer: Tokenizer,
    text: Any,
    text_pair: Any = None,
    *,
    add_special_tokens: bool = True,
    padding: bool | str = False,
    truncation: bool | str | None = False,
    max_length: int | None = None,
    stride: int = 0,
    is_split_into_words: bool = False,
    pad_to_multiple_of: int | None = None,
    padding_side: str | None = None,
    return_tensors: str | None = None,
    return_token_type_ids: bool | None = None,
    return_attention_mask: bool | None = None,
    return_overflowing_tokens: bool = False,
    return_special_tokens_mask: bool = False,
    return_offsets_mapping: bool = False,
    return_length: bool = False,
    allowed_special: SpecialTokenSet = "all",
    disallowed_special: SpecialTokenSet = (),
) -> BatchEncoding:
    """Encode a text, a pair, or a list of either, for a model.

    Args:
        tokenizer: The tokenizer.
        text: A text, or a list of texts, or a list of pairs (tuples). With `is_split_into_words` a
            list of words, or a list of such lists.
        text_pair: The second text, or a list of them. For a single text an empty one is none.
        add_special_tokens: Add what the model's format asks for.
        padding: True or ``"longest"`` pads to the longest row, ``"max_length"`` to `max_length`.
        truncation: True or ``"longest_first"`` shortens the longer text of a pair first,
            ``"only_first"`` and ``"only_second"`` that text alone.
        max_length: The longest row, special tokens included; default `tokenizer.model_max_length`.
        stride: How many tokens of a window the next one repeats.
        is_split_into_words: The texts are lists of words; offsets are then within the word.
        pad_to_multiple_of: Pad further, to a multiple of this.
        padding_side: ``"right"`` or ``"left"``; default `tokenizer.padding_side`.
        return_tensors: ``"np"`` for NumPy arrays, ``"pt"`` for minillm tensors (int64, shape
            ``(B, T)``), None for lists.
        return_token_type_ids: Give `token_type_ids`; default: if the model reads them.
        return_attention_mask: Give `attention_mask`; default: if the model reads it.
        return_overflowing_tokens: Give what truncation cut off in rows of its own, and for each
            row its text's number in `overflow_to_sample_mapping`.
        return_special_tokens_mask: Give 1 for each special token that the format added.
        return_offsets_mapping: Give `offset_mapping`, the characters (start, end) of each token.
        return_length: Give each row's length.
        allowed_special: Special tokens that are encoded as one id where they stand in the text.
        disallowed_special: Special tokens that are refused in the text.

    Returns:
        A `BatchEncoding`. A single text without tensors and windows gives plain lists, anything
        else a list of rows.

    Raises:
        TypeError: The texts are not strings.
        ValueError: The options contradict each other, or the texts are too long to be truncated.
    """
    _check_choice("padding", padding, (False, True, "do_not_pad", "longest", "max_length"))
    _check_choice(
        "truncation",
        truncation,
        (None, False, True, "do_not_truncate", "longest_first", "only_first", "only_second"),
    )
    _check_choice("return_tensors", return_tensors, (None, "np", "pt"))
    side = tokenizer.padding_side if padding_side is None else padding_side
    _check_choice("padding_side", side, ("left", "right"))

    batched, samples = _samples(text, text_pair, is_split_into_words)
    strategy = {True: "longest_first", None: False, "do_not_truncate": False}.get(truncation, truncation)
    if max_length is None and (strategy or padding == "max_length"):
        max_length = tokenizer.model_max_length
        if max_length is None:
            raise ValueError("tokenizer: truncation and padding='max_length' need max_length")

    pads = padding not in (False, "do_not_pad")
    if strategy:
        assert max_length is not None
        room = max_length - (tokenizer.template.num_added(False) if add_special_tokens else 0)
        if stride and stride > room:
            raise ValueError(
                f"tokenizer: stride={stride} is more than the {room} tokens of text in a row of "
                f"max_length={max_length}"
            )
        if pads and pad_to_multiple_of and max_length % pad_to_multiple_of:
            raise ValueError(
                f"tokenizer: max_length={max_length} is no multiple of pad_to_multiple_of="
                f"{pad_to_multiple_of}; rows cut to the one and padded to the other would be longer"
            )

    rows: list[Row] = []
    for number, sample in enumerate(samples):
        first, second = (
            None
            if part is None
            else _encode(tokenizer, part, is_split_into_words, allowed_special, disallowed_special)
            for part in sample
        )
        assert first is not None
        windows = [(first, second)]
        if strategy:
            assert max_length is not None
            added = tokenizer.template.num_added(second is not None) if add_special_tokens else 0
            windows = truncate_pair(
                first,
                second,
                max_length - added,
                strategy=str(strategy),
                stride=stride,
                side=tokenizer.truncation_side,
            )
        for window in windows if return_overflowing_tokens else windows[:1]:
            rows.append(_row(tokenizer, number, *window, add_special_tokens))

    if pads:
        _pad(tokenizer, rows, padding, max_length, pad_to_multiple_of, side)

    names = tokenizer.model_input_names
    data: dict[str, Any] = {"input_ids": [row.ids for row in rows]}
    if "token_type_ids" in names if return_token_type_ids is None else return_token_type_ids:
        data["token_type_ids"] = [row.type_ids for row in rows]
    if "attention_mask" in names if return_attention_mask is None else return_attention_mask:
        data["attention_mask"] = [row.mask for row in rows]
    if return_special_tokens_mask:
        data["special_tokens_mask"] = [
            [int(sequence is None) for sequence in row.sequence_ids] for row in rows
        ]
    if return_offsets_mapping:
        data["offset_mapping"] = [row.offsets for row in rows]
    if return_length:
        data["length"] = [len(row.ids) for row in rows]
    if return_overflowing_tokens:
        data["overflow_to_sample_mapping"] = [row.sample for row in rows]

    if return_tensors is not None:
        data = {name: as_tensor(name, values, return_tensors) for name, values in data.items()}
    elif not batched and not return_overflowing_tokens:  # `length` stays a list of one
        data = {name: values[0] if isinstance(values[0], list) else values for name, values in data.items()}
    return BatchEncoding(data, rows, tokenizer)


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if not any(value is choice or value == choice for choice in choices):
        raise ValueError(f"tokenizer: {name}={value!r} is none of {choices}")


def _samples(text: Any, text_pair: Any, words: bool) -> tuple[bool, list[tuple[Any, Any]]]:
    """Sort out what was given: whether it is a batch, and the (first, second) of each sample."""

    def is_text(value: Any) -> bool:
        if words:
            return isinstance(value, list | tuple) and all(isinstance(w, str) for w in value)
        return isinstance(value, str)

    kind = "a list of words" if words else "a str"
    if is_text(text) and not (words and text_pair is not None and not is_text(text_pair)):
        if text_pair is not None and not is_text(text_pair):
            raise TypeError(
                f"tokenizer: the text is {kind}, so text_pair must be one too; got {type(text_pair).__name__}"
            )
        return False, [(text, text_pair or None)]
    if not isinstance(text, list | tuple):
        raise TypeError(f"tokenizer: needs {kind}, or a list of them or of pairs; got {type(text).__name__}")
    if text_pair is not None:
        if not isinstance(text_pair, list | tuple) or len(text_pair) != len(text):
            raise ValueError(
                f"tokenizer: {len(text)} texts need as many in text_pair, got "
                f"{len(text_pair) if isinstance(text_pair, list | tuple) else repr(text_pair)}"
            )
        samples = list(zip(text, text_pair, strict=True))
    else:
        samples = [
            (entry[0], entry[1])
            if not is_text(entry) and isinstance(entry, list | tuple) and len(entry) == 2
            else (entry, None)
            for entry in text
        ]
    for number, sample in enumerate(samples):
        for part in sample:
            if part is not None and not is_text(part):
                raise TypeError(
                    f"tokenizer: text {number} needs {kind}, or a pair of them; got {type(part).__name__}"
                )
    return True, samples


def _encode(
    tokenizer: Tokenizer,
    part: Any,
    is_split_into_words: bool,
    allowed_special: SpecialTokenSet,
    disallowed_special: SpecialTokenSet,
) -> Encoded:
    if not is_split_into_words:
        return tokenizer.encode_with_offsets(
            part, allowed_special=allowed_special, disallowed_special=disallowed_special
        )
    encoded = Encoded()
    for word in part:
        pieces = tokenizer.encode_with_offsets(
            word, allowed_special=allowed_special, disallowed_special=disallowed_special
        )
        encoded.append_word(pieces.ids, pieces.offsets)
    return encoded


def _row(tokenizer: Tokenizer, sample: int, first: Encoded, second: Encoded | None, special: bool) -> Row:
    row = Row(sample)
    for slot, type_id in tokenizer.template.slots(second is not None):
        if slot == "A":
            row.append_text(first, 0, type_id)
        elif slot == "B":
            assert second is not None
            row.append_text(second, 1, type_id)
        elif special:
            row.append_special(slot, type_id)
    return row


def _pad(
    tokenizer: Tokenizer,
    rows: list[Row],
    padding: bool | str,
    max_length: int | None,
    multiple: int | None,
    side: str,
) -> None:
    # What truncation cut off can be longer than the row it was cut from; that row counts.
    firsts = {row.sample: row for row in reversed(rows)}.values()
    length = max((len(row.ids) for row in firsts), default=0)
    if padding == "max_length":
        assert max_length is not None
        length = max_length
    if multiple:
        length = math.ceil(length / multiple) * multiple
    if all(len(row.ids) >= length for row in rows):
        return
    if tokenizer.pad_token_id is None:
        raise ValueError(
            "tokenizer: padding needs a pad token; set tokenizer.pad_token = tokenizer.eos_token, "
            "or add one with tokenizer.add_special_tokens({'pad_token': '<pad>'})"
        )
    for row in rows:
        row.pad(length, tokenizer.pad_token_id, side)


def as_tensor(name: str, values: list[Any], kind: str) -> Any:
    """Return rows of one length as an array (``"np"``) or a tensor (``"pt"``)."""
    import numpy as np

    try:
        array = np.array(values, dtype=np.int64)
    except ValueError:
        lengths = sorted({len(row) for row in values})
        raise ValueError(
            f"tokenizer: the rows of {name} have {lengths[0]} to {lengths[-1]} tokens, an array "
            "needs them equal; pass padding=True (and truncation=True)"
        ) from None
    if kind == "np":
        return array
    from minillm import ops  # here alone: a tokenizer that gives no tensors loads none of the framework

    return ops.tensor(array)
