"""Decoding token by token as a model writes, without ever showing half a character.

A token of byte-level BPE can end in the middle of a character (an emoji is four bytes, often in
two or three tokens). The decoder keeps such bytes back until the character is whole.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minillm.tokenizers.base import Tokenizer


class StreamDecoder:
    """Turns ids into text as they come; the parts join to what `decode` gives for all of them.

    Args:
        tokenizer: The tokenizer whose ids come.
        skip_special_tokens: Leave special tokens out of the text.

    Example:
        >>> from minillm.tokenizers import CharTokenizer
        >>> tokenizer = CharTokenizer.from_text("abc")
        >>> decoder = tokenizer.stream_decoder()
        >>> decoder.push(2) + decoder.push(0) + decoder.finish()
        'ca'
    """

    def __init__(self, tokenizer: Tokenizer, *, skip_special_tokens: bool = False) -> None:
        self._tokenizer = tokenizer
        self._skipped = set(tokenizer.all_special_ids) if skip_special_tokens else set()
        self._last: list[int] = []

    def push(self, token_id: int) -> str:
        """Take the next id and return the text that it completes, perhaps none."""
        (token_id,) = self._tokenizer._checked([token_id])
        if token_id in self._skipped:
            return ""
        return self._append(token_id)

    def finish(self) -> str:
        """Return what was kept back, and be ready for another text."""
        self._last = []
        return ""

    def _append(self, token_id: int) -> str:
        # A token's text depends at most on whether another one stands before it.
        known = self._tokenizer._decode_plain(self._last)
        text = self._tokenizer._decode_plain([*self._last, token_id])
        self._last = [token_id]
        return text[len(known) :]


class ByteStreamDecoder(StreamDecoder):
    """The same for tokens that are bytes: keeps the first bytes of a character until it is whole.

    Bytes that are no UTF-8 come out as U+FFFD, as soon as it is certain that they are none.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        bytes_of: Mapping[int, bytes],
        *,
        skip_special_tokens: bool = False,
    ) -> None:
        super().__init__(tokenizer, skip_special_tokens=skip_special_tokens)
        self._bytes_of = bytes_of
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def finish(self) -> str:
        text = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return text

    def _append(self, token_id: int) -> str:
        return self._decoder.decode(self._bytes_of[token_id])
