"""Text from text: prompts are encoded, and what the model writes is decoded as it comes.

A stop string may span several tokens, so text that could be the beginning of one is held back until it is
clear whether it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from minillm.inference.context import evaluating
from minillm.inference.generation import TokenStream, stream_tokens


class StopStrings:
    """Passes text on as it comes, up to the stop string that is complete first.

    Args:
        stop: the strings that end the text; they are not passed on.

    Attributes:
        found: whether one has come.

    Raises:
        ValueError: an empty stop string, which would end every text at once.

    Example:
        >>> watch = StopStrings(["END"])
        >>> watch.push("one E"), watch.push("N"), watch.push("D two"), watch.found
        ('one ', '', '', True)
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self.stop: list[Any] = [stop] if isinstance(stop, str) else list(stop)
        if not all(isinstance(text, str) and text for text in self.stop):
            raise ValueError(f"stop is {stop!r}; it needs strings that are not empty")
        self.found = False
        self._held = ""

    def push(self, text: str) -> str:
        """Take new text and return what is certain to stand before any stop string."""
        if self.found:
            return ""
        self._held += text
        # That which ends first counts, so that it does not matter in what pieces the text came.
        places = [(self._held.find(text) + len(text), self._held.find(text)) for text in self.stop]
        places = [(end, start) for end, start in places if start >= 0]
        if places:
            self.found = True
            passed, self._held = self._held[: min(places)[1]], ""
            return passed
        cut = len(self._held) - self._beginning()
        passed, self._held = self._held[:cut], self._held[cut:]
        return passed

    def _beginning(self) -> int:
        """Return the length of the longest end of the held text that a stop string begins with."""
        longest = min(len(self._held), max(map(len, self.stop), default=1) - 1)
        for length in range(longest, 0, -1):
            if any(text.startswith(self._held[-length:]) for text in self.stop):
                return length
        return 0

    def finish(self) -> str:
        """Return what was held back, now that the text has ended."""
        rest, self._held = self._held, ""
        return rest


class _Row:
    """One text of a batch, as it is written."""

    def __init__(self, tokenizer: Any, stop: Sequence[str], skip_special_tokens: bool) -> None:
        self.decoder = tokenizer.stream_decoder(skip_special_tokens=skip_special_tokens)
        self.watch = StopStrings(stop)
        self.ended = False

    def push(self, token: int) -> str:
        return self.watch.push(self.decoder.push(token))

    def finish(self) -> str:
        self.ended = True
        return self.watch.push(self.decoder.finish()) + self.watch.finish()


def generate_text(
    model: Any,
    tokenizer: Any,
    prompt: str | Sequence[str],
    max_new_tokens: int | None = None,
    *,
    stop: str | Sequence[str] = (),
    skip_special_tokens: bool = True,
    **options: Any,
) -> Any:
    """Return what a language model writes after a prompt, or after each of several.

    Args:
        model: as for :func:`~minillm.inference.generate`.
        tokenizer: of the model.
        prompt: a text, or several; an empty one begins with the model's ``bos_token_id``.
        max_new_tokens: the most tokens to write; 20 by default.
        stop: strings that end a text; they are left out, and may span tokens.
        skip_special_tokens: leave special tokens out of the text.
        options: as for :func:`~minillm.inference.stream_tokens`.

    Returns:
        The new text, without the prompt; a list of them for several prompts.

    Raises:
        ValueError: as for :func:`~minillm.inference.generate`, or an empty stop string.

    Example:
        >>> from minillm.models import RNNLMConfig, RNNLMHeadModel
        >>> from minillm.tokenizers import CharTokenizer
        >>> tokenizer = CharTokenizer.from_text("abc")
        >>> model = RNNLMHeadModel(RNNLMConfig(vocab_size=3, embedding_dim=8, hidden_size=8))
        >>> len(generate_text(model, tokenizer, "ab", max_new_tokens=5, temperature=1.0, seed=0))
        5
    """
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    with evaluating(model):
        texts = [""] * len(prompts)
        for pieces in _pieces(model, tokenizer, prompts, max_new_tokens, stop, skip_special_tokens, options):
            texts = [text + piece for text, piece in zip(texts, pieces, strict=True)]
    return texts[0] if isinstance(prompt, str) else texts


def stream_text(
    model: Any,
    tokenizer: Any,
    prompt: str,
    max_new_tokens: int | None = None,
    *,
    stop: str | Sequence[str] = (),
    skip_special_tokens: bool = True,
    **options: Any,
) -> Iterator[str]:
    """Return an iterator over what a language model writes after a prompt, piece by piece.

    Arguments and errors are those of :func:`generate_text`, for one prompt. The pieces are never empty, never
    end within a character, and join to what that returns.

    Example:
        >>> from minillm.models import RNNLMConfig, RNNLMHeadModel
        >>> from minillm.tokenizers import CharTokenizer
        >>> tokenizer = CharTokenizer.from_text("abc")
        >>> model = RNNLMHeadModel(RNNLMConfig(vocab_size=3, embedding_dim=8, hidden_size=8))
        >>> len("".join(stream_text(model, tokenizer, "ab", max_new_tokens=5)))
        5
    """
    pieces = _pieces(model, tokenizer, [prompt], max_new_tokens, stop, skip_special_tokens, options)
    return (piece for (piece,) in pieces if piece)


def _pieces(
    model: Any,
    tokenizer: Any,
    prompts: list[str],
    max_new_tokens: int | None,
    stop: str | Sequence[str],
    skip_special_tokens: bool,
    options: dict[str, Any],
) -> Iterator[list[str]]:
    """Return an iterator over the new text of each row at each step, and what was held back at the end."""
    rows = [_Row(tokenizer, stop, skip_special_tokens) for _ in prompts]
    options = {"num_tokens": len(tokenizer), **options}
    ids = [_encode(model, tokenizer, text) for text in prompts]
    stream = stream_tokens(model, ids, max_new_tokens, **options)  # here, so that its errors come at once
    return _decoded(stream, rows)


def _decoded(stream: TokenStream, rows: list[_Row]) -> Iterator[list[str]]:
    for tokens in stream:
        pieces = [""] * len(rows)
        for i, (row, token) in enumerate(zip(rows, tokens, strict=True)):
            if row.ended:
                continue
            pieces[i] = row.push(token)
            if row.watch.found:
                stream.end(i)
            if stream.finished[i]:
                pieces[i] += row.finish()
        yield pieces
    yield ["" if row.ended else row.finish() for row in rows]


def _encode(model: Any, tokenizer: Any, text: str) -> list[int]:
    """Return the tokens of a prompt; for an empty one, that which begins a text."""
    ids: list[int] = tokenizer.encode(text)
    if not ids:
        for owner in (getattr(model, "config", None), tokenizer):
            first = getattr(owner, "bos_token_id", None)
            if first is not None:
                return [first]
        raise ValueError(
            "generate: the prompt is empty, and the model has no token that begins a text; give at least one "
            "character"
        )
    return ids
