"""``Context``: the tokens so far, and a model's memory of them.

With a cache, a model reads each token once. A model with a longest text (n positions) cannot go on beyond
it: then it reads the end of the text anew and goes on from there, as if the text began there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minillm import nn, ops
from minillm.autograd import no_grad
from minillm.backend import Array
from minillm.ops import Tensor

Tokens = np.ndarray[Any, Any]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Set a model to evaluation (no dropout) inside a block, and its parts back afterwards."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


class Context:
    """The tokens of a batch so far, and what a model remembers of them.

    Args:
        model: takes tokens, (B, T), and returns logits, (B, T, V): itself, as ``logits`` of its output, or as
            the first of a tuple. The models of :mod:`minillm.models` are read with a cache.
        tokens: (B, T), the prompts.
        seen: (B, T), booleans, False for padding.
        capacity: the most tokens that a row will have.
        max_length: the longest text that the model reads, None for any.
        stride: how many new tokens fit in before the window is moved on; 1 moves it with each token.
        use_cache: False reads the whole window anew for each token.
        copies: how many texts go on from each prompt, side by side; the prompt itself is read once.

    Attributes:
        tokens: (B copies, capacity), of which ``length`` are there.
        seen: (B copies, capacity), False for padding.
        length: number of tokens in a row, padding included.
        prompt: the same of the prompts.
    """

    def __init__(
        self,
        model: Any,
        tokens: Tokens,
        seen: Tokens,
        capacity: int,
        max_length: int | None,
        stride: int,
        use_cache: bool = True,
        copies: int = 1,
    ) -> None:
        self.model = model
        self.max_length = max_length
        self.stride = stride
        self.knows_cache = hasattr(model, "start_cache")
        self.use_cache = use_cache and self.knows_cache
        self.length = self.prompt = tokens.shape[1]
        self.copies = copies
        capacity = max(capacity, self.length)
        self.tokens = np.empty((len(tokens) * copies, capacity), np.int64)
        self.tokens[:, : self.length] = np.repeat(tokens, copies, axis=0)
        self.seen = np.ones((len(tokens) * copies, capacity), bool)
        self.seen[:, : self.length] = np.repeat(seen, copies, axis=0)
        self.device = next((p.device for p in model.parameters()), None)
        self._start = 0  # of the window that the model sees
        self._read = 0  # tokens of each row that the cache holds, counted from the first
        self._cache: Any = None
        if not seen.all() and not self.knows_cache:
            raise ValueError(
                f"generate: the prompts have different lengths, and {type(model).__name__} cannot tell "
                "padding from tokens; generate for one prompt at a time, or for prompts of one length"
            )

    @property
    def written(self) -> Tokens:
        """The tokens so far, (B copies, length)."""
        return self.tokens[:, : self.length]

    def append(self, tokens: Any) -> None:
        """Add one token to each row."""
        self.tokens[:, self.length] = tokens
        self.length += 1

    def select(self, rows: Tokens) -> None:
        """Go on from these rows, in this order; one may come several times (for beam search)."""
        if (rows == np.arange(len(self.tokens))).all():
            return
        self.tokens, self.seen = self.tokens[rows], self.seen[rows]
        if self._cache is not None:
            self._cache.reorder(ops.tensor(rows, device=self.device))

    @no_grad()
    def logits(self) -> Array:
        """Return the logits of the next token of each row, (B copies, V)."""
        if self.max_length is not None and self.length - self._start > self.max_length:
            self._start = self.length - (self.max_length - self.stride + 1)
            self._cache = None
        if not self.use_cache or self._cache is None:
            self._read = self._start
        copies = self.copies if self.length == self.prompt else 1  # at first they are all alike
        options = self._options(copies)
        inputs = ops.tensor(self.tokens[::copies, self._read : self.length], device=self.device)
        output = self.model(inputs, **options)
        logits: Tensor = output[0] if isinstance(output, tuple) else getattr(output, "logits", output)
        self._read = self.length
        last = logits.array[:, -1]
        if copies == 1:
            return last
        rows = ops.tensor(np.arange(len(self.tokens)) // copies, device=self.device)
        if self._cache is not None:
            self._cache.reorder(rows)
        return last[rows.array]

    def _options(self, copies: int) -> dict[str, Any]:
        """Return what the model is told beside the tokens."""
        if not self.knows_cache:
            return {}
        options: dict[str, Any] = {"logits_to_keep": 1}
        if self.use_cache:
            if self._cache is None:
                columns = self.tokens.shape[1] - self._start
                self._cache = self.model.start_cache(min(columns, self.max_length or columns))
            options["past_key_values"] = self._cache
        seen = self.seen[::copies, self._start : self.length]
        if not seen.all():
            options["position_ids"] = ops.tensor(
                self._positions(seen)[:, self._read - self._start :], device=self.device
            )
            if self._read == self._start:  # the cache remembers it from then on
                options["attention_mask"] = ops.tensor(seen, device=self.device)
        return options

    def _positions(self, seen: Tokens) -> Tokens:
        """Return the places of the tokens of a window: padding has none, and new tokens go on from the last."""
        prompt = seen[:, : max(self.prompt - self._start, 0)]
        places = np.where(prompt, prompt.cumsum(axis=1) - 1, 0)
        last = places[:, -1:] if places.shape[1] else np.full((len(seen), 1), -1)
        return np.concatenate([places, last + 1 + np.arange(seen.shape[1] - prompt.shape[1])], axis=1)
