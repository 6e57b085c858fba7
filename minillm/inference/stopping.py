"""What ends a text beside its last token and its length: functions of the tokens so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minillm import ops
from minillm.backend import to_numpy
from minillm.inference.context import Tokens
from minillm.ops import Tensor


def stopped_by(criteria: Sequence[Callable[[Any, Any], Any]], tokens: Tokens) -> Tokens:
    """Return which rows of tokens, (B, T), end by any of the criteria: (B,) booleans.

    Args:
        criteria: each is called with the tokens, a tensor, and None, and returns a boolean for all rows, or one
            for each.
        tokens: (B, T).

    Example:
        >>> stopped_by([lambda tokens, _: tokens[:, -1] == 7], np.array([[1, 7], [7, 1]]))
        array([ True, False])
    """
    stopped = np.zeros(len(tokens), bool)
    given = ops.tensor(tokens) if criteria else None
    for criterion in criteria:
        result = criterion(given, None)
        stopped |= to_numpy(result.array) if isinstance(result, Tensor) else np.asarray(result, bool)
    return stopped


class StopStringCriteria:
    """Ends texts with the token that completes one of several strings, which may begin and end within tokens.

    The string need not be a token, nor in the end of one: the text goes on to the end of the token that has its last
    letter. A string that was complete before, as in the prompt, does not count.

    Args:
        tokenizer: of the model.
        stop_strings: a string, or several.

    Raises:
        ValueError: an empty string, which would end every text at once.

    Example:
        >>> from minillm.tokenizers import CharTokenizer
        >>> tokenizer = CharTokenizer.from_text("abc")
        >>> ends = StopStringCriteria(tokenizer, "ab")
        >>> ends(ops.tensor([[2, 0, 1], [0, 1, 2], [0, 0, 0]]), None)
        array([ True, False, False])
    """

    def __init__(self, tokenizer: Any, stop_strings: str | Sequence[str]) -> None:
        strings: list[Any] = [stop_strings] if isinstance(stop_strings, str) else list(stop_strings)
        if not strings or not all(isinstance(text, str) and text for text in strings):
            raise ValueError(f"stop_strings is {stop_strings!r}; it needs strings that are not empty")
        self.tokenizer = tokenizer
        self._by_bytes = hasattr(tokenizer, "decode_bytes")  # where a token may be a part of a letter
        self._strings = [text.encode() for text in strings] if self._by_bytes else strings
        self._longest = max(map(len, self._strings))
        self._pieces: dict[int, Any] = {}

    def __call__(self, input_ids: Tensor, scores: Any, **options: Any) -> Any:
        """Return which rows of tokens, (B, T), end: (B,) booleans."""
        rows = to_numpy(input_ids.array)[:, -self._longest - 1 :].tolist()  # a token has a letter at least
        return np.array([self._ends(row) for row in rows], bool)

    def _ends(self, ids: list[int]) -> bool:
        *before, last = map(self._piece, ids)
        text = type(last)().join([*before, last])
        known = len(text) - len(last)
        return any(text.find(stop, max(0, known - len(stop) + 1)) >= 0 for stop in self._strings)

    def _piece(self, token_id: int) -> Any:
        """Return what a token adds to a text: bytes, or characters."""
        if token_id not in self._pieces:
            self._pieces[token_id] = self._spelled(token_id)
        return self._pieces[token_id]

    def _spelled(self, token_id: int) -> Any:
        token = self.tokenizer.id_to_token(token_id)
        if token is None:  # a model may have more rows than there are tokens
            return b"" if self._by_bytes else ""
        if self._by_bytes:
            return self.tokenizer.decode_bytes([token_id])
        first = next(iter(self.tokenizer.get_vocab()))  # any: a space before the token belongs to it
        both = self.tokenizer.convert_tokens_to_string([first, token])
        return both[len(self.tokenizer.convert_tokens_to_string([first])) :]
