r"""How surprised a language model is by a text, in three units.

    perplexity = e^(NLL / tokens)      as if it chose among so many tokens each time
    bits per character = NLL / (ln 2 · characters)
    bits per byte      = NLL / (ln 2 · bytes)

NLL is the negative log-likelihood of the whole text in nats, the sum of the cross-entropy over its
tokens. Perplexities compare only models with the same tokens; bits per character and per byte compare
any, since they ask what the text costs however it was cut. (Shannon: Prediction and entropy of printed
English, 1951.)
"""

from __future__ import annotations

import math
from typing import Any

from minillm.metrics.metric import Metric


class Perplexity(Metric):
    """Adds up the loss of batches.

    Example:
        >>> metric = Perplexity()
        >>> metric.update(loss=math.log(2), num_tokens=10, text="ten tokens")
        >>> round(metric.compute(), 6), round(metric.bits_per_character(), 6)
        (2.0, 1.0)
    """

    def reset(self) -> None:
        self.nll = 0.0
        self.num_tokens = 0
        self.num_characters = 0
        self.num_bytes = 0

    def update(self, loss: Any, num_tokens: int, text: str | None = None) -> None:
        """Take a batch.

        Args:
            loss: The mean cross-entropy of the batch's tokens in nats: a number or a tensor.
            num_tokens: How many tokens it is the mean of.
            text: What the tokens spell, for bits per character and per byte.

        Raises:
            ValueError: `num_tokens` is not positive, or the loss is NaN.
        """
        if num_tokens < 1:
            raise ValueError(f"Perplexity: num_tokens must be positive, got {num_tokens}")
        value = float(loss)
        if math.isnan(value):
            raise ValueError("Perplexity: the loss is NaN")
        self.nll += value * num_tokens
        self.num_tokens += num_tokens
        if text is not None:
            self.num_characters += len(text)
            self.num_bytes += len(text.encode("utf-8"))

    def compute(self) -> float:
        return perplexity(self.nll, self.num_tokens)

    def bits_per_character(self) -> float:
        """Return the bits that a character of the texts costs."""
        return bits_per_character(self.nll, self.num_characters)

    def bits_per_byte(self) -> float:
        """Return the bits that a byte of the texts costs."""
        return bits_per_byte(self.nll, self.num_bytes)


def perplexity(nll: float, num_tokens: int) -> float:
    """Return the perplexity; infinite where it is too large for a number.

    Args:
        nll: The summed cross-entropy in nats.
        num_tokens: How many tokens it is the sum of.

    Example:
        >>> round(perplexity(10 * math.log(50), 10), 6)
        50.0
    """
    mean = _per(nll, num_tokens, "tokens")
    return math.exp(mean) if mean < 709 else math.inf


def bits_per_character(nll: float, num_characters: int) -> float:
    """Return the bits that each character of a text costs.

    Example:
        >>> round(bits_per_character(8 * math.log(2), 4), 6)
        2.0
    """
    return _per(nll, num_characters, "characters") / math.log(2)


def bits_per_byte(nll: float, num_bytes: int) -> float:
    """Return the bits that each byte of a text in UTF-8 costs.

    Example:
        >>> round(bits_per_byte(8 * math.log(2), len("né".encode())), 6)
        2.666667
    """
    return _per(nll, num_bytes, "bytes") / math.log(2)


def _per(nll: float, count: int, of: str) -> float:
    if count < 1:
        raise ValueError(f"metrics: there are no {of} yet")
    return nll / count
