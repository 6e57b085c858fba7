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
        tokens: (B, T), the prompts, padded on the left.
        padding: (B,), how many tokens of each row are padding.
        capacity: the most tokens that a row will have.
        max_length: the longest text that the model reads, None for any.
        stride: how many new tokens fit in before the window is moved on; 1 moves it with each token.
        use_cache: False reads the whole window anew for each token.
    """

    def __init__(
        self,
        model: Any,
        tokens: Tokens,
        padding: Tokens,
        capacity: int,
        max_length: int | None,
        stride: int,
        use_cache: bool = True,
    ) -> None:
        self.model = model
        self.padding = padding
        self.max_length = max_length
        self.stride = stride
        self.knows_cache = hasattr(model, "start_cache")
        self.use_cache = use_cache and self.knows_cache
        self.length = tokens.shape[1]
        self.tokens = np.empty((len(tokens), max(capacity, self.length)), np.int64)
        self.tokens[:, : self.length] = tokens
        self.device = next((p.device for p in model.parameters()), None)
        self._start = 0  # of the window that the model sees
        self._read = 0  # tokens of each row that the cache holds, counted from the first
        self._cache: Any = None
        if padding.any() and not self.knows_cache:
            raise ValueError(
                f"generate: the prompts have different lengths, and {type(model).__name__} cannot tell "
                "padding from tokens; generate for one prompt at a time, or for prompts of one length"
            )

    def append(self, tokens: list[int]) -> None:
        """Add one token to each row."""
        self.tokens[:, self.length] = tokens
        self.length += 1

    @no_grad()
    def logits(self) -> Array:
        """Return the logits of the next token of each row, (B, V)."""
        if self.max_length is not None and self.length - self._start > self.max_length:
            self._start = self.length - (self.max_length - self.stride + 1)
            self._cache = None
        if not self.use_cache or self._cache is None:
            self._read = self._start
        options = self._options()
        inputs = ops.tensor(self.tokens[:, self._read : self.length], device=self.device)
        output = self.model(inputs, **options)
        logits: Tensor = output[0] if isinstance(output, tuple) else getattr(output, "logits", output)
        self._read = self.length
        return logits.array[:, -1]

    def _options(self) -> dict[str, Any]:
        """Return what the model is told beside the tokens."""
        if not self.knows_cache:
            return {}
        options: dict[str, Any] = {"logits_to_keep": 1}
        if self.use_cache:
            if self._cache is None:
                columns = self.tokens.shape[1] - self._start
                self._cache = self.model.start_cache(min(columns, self.max_length or columns))
            options["past_key_values"] = self._cache
        before = np.maximum(self.padding - self._start, 0)[:, None]  # padding inside the window
        if before.any():
            place = np.arange(self._read - self._start, self.length - self._start)[None]  # inside the window
            options["position_ids"] = ops.tensor(np.maximum(place - before, 0), device=self.device)
            if self._read == self._start:  # the cache remembers it from then on
                options["attention_mask"] = ops.tensor(place >= before, device=self.device)
        return options
