"""Streamers: what ``model.generate(..., streamer=...)`` hands each token to as soon as it is there.

Names and arguments are those of Hugging Face's library; a piece of text is passed on as soon as it is certain.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any


class TextStreamer:
    """Prints the text as it is written.

    Args:
        tokenizer: of the model.
        skip_prompt: leave the prompt out.
        decode_kwargs: ``skip_special_tokens``; other options of ``decode`` are without effect.

    Example:
        >>> from minillm.tokenizers import CharTokenizer
        >>> import numpy as np
        >>> streamer = TextStreamer(CharTokenizer.from_text("abc"), skip_prompt=True)
        >>> streamer.put(np.array([[2, 2]])); streamer.put(np.array([0])); streamer.put(np.array([1])); streamer.end()
        ab
    """

    def __init__(self, tokenizer: Any, skip_prompt: bool = False, **decode_kwargs: Any) -> None:
        self.tokenizer = tokenizer
        self.skip_prompt = skip_prompt
        self.skip_special_tokens = bool(decode_kwargs.get("skip_special_tokens", False))
        self._start()

    def _start(self) -> None:
        self._decoder = self.tokenizer.stream_decoder(skip_special_tokens=self.skip_special_tokens)
        self._at_prompt = True

    def put(self, value: Any) -> None:
        """Take the prompt, (1, T), or a new token, (1,).

        Raises:
            ValueError: several texts at once.
        """
        if len(value.shape) > 1 and value.shape[0] > 1:
            raise ValueError(f"TextStreamer: got {value.shape[0]} texts at once; it takes one")
        if self._at_prompt and self.skip_prompt:
            self._at_prompt = False
            return
        self._at_prompt = False
        text = "".join(self._decoder.push(token) for token in value.reshape(-1).tolist())
        if text:
            self.on_finalized_text(text)

    def end(self) -> None:
        """Pass on what was held back; the next text may begin."""
        self.on_finalized_text(self._decoder.finish(), stream_end=True)
        self._start()

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Print a piece of text, at the end with a new line."""
        print(text, flush=True, end=None if stream_end else "")


class TextIteratorStreamer(TextStreamer):
    """Hands the text to who iterates over it, while ``generate`` runs in another thread.

    Args:
        tokenizer: of the model.
        skip_prompt: leave the prompt out.
        timeout: seconds to wait for the next piece; None waits for ever.
        decode_kwargs: as for :class:`TextStreamer`.

    Example:
        >>> from minillm.tokenizers import CharTokenizer
        >>> import numpy as np
        >>> streamer = TextIteratorStreamer(CharTokenizer.from_text("abc"))
        >>> streamer.put(np.array([[0, 1]])); streamer.put(np.array([2])); streamer.end()
        >>> "".join(streamer)
        'abc'
    """

    def __init__(
        self, tokenizer: Any, skip_prompt: bool = False, timeout: float | None = None, **decode_kwargs: Any
    ) -> None:
        super().__init__(tokenizer, skip_prompt, **decode_kwargs)
        self.timeout = timeout
        self._pieces: queue.Queue[str | None] = queue.Queue()

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Pass on a piece of text."""
        self._pieces.put(text)
        if stream_end:
            self._pieces.put(None)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        piece = self._pieces.get(timeout=self.timeout)
        if piece is None:
            raise StopIteration
        return piece
