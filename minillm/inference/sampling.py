"""How the next token is chosen from its logits: the most probable one, or a draw from the probable ones.

p = softmax(logits / temperature), with all but the most probable tokens left out:

- ``top_k``: the k most probable (Fan, Lewis and Dauphin, "Hierarchical Neural Story Generation", 2018);
- ``top_p``: the fewest that together have the probability p (Holtzman et al., "The Curious Case of Neural
  Text Degeneration", 2020);
- ``min_p``: those at least ``min_p`` times as probable as the most probable one (Nguyen et al., "Turning Up
  the Heat", 2024).

The filters work on plain arrays, (B, V), in the order above, as those of Hugging Face's library do.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minillm.backend import Array, Generator, default_generator, to_numpy, xp_of


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How to choose a token; checked when it is made.

    Attributes:
        do_sample: draw a token; False takes the most probable one. By default, a token is drawn where one of
            temperature, top_k, top_p and min_p is given.
        temperature: below 1 favours probable tokens, above 1 makes all more alike; positive.
        top_k: draw from so many most probable tokens; 0 for all.
        top_p: draw from the fewest tokens with this probability together, in (0, 1].
        min_p: draw from tokens at least this times as probable as the first, in [0, 1].

    Raises:
        ValueError: a value out of its range.

    Example:
        >>> Sampling(temperature=0.8, top_k=40).samples
        True
        >>> Sampling(top_p=1.5)
        Traceback (most recent call last):
        ...
        ValueError: top_p is 1.5; it needs to lie in (0, 1]
    """

    do_sample: bool | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None

    def __post_init__(self) -> None:
        positive = "be positive; for the most probable tokens give do_sample=False"
        check_value("temperature", self.temperature, positive, lambda t: 0 < t < math.inf)
        check_value("top_k", self.top_k, "be 0 or more", lambda k: k >= 0 and k == int(k))
        check_value("top_p", self.top_p, "lie in (0, 1]", lambda p: 0 < p <= 1)
        check_value("min_p", self.min_p, "lie in [0, 1]", lambda p: 0 <= p <= 1)

    @property
    def samples(self) -> bool:
        """Whether tokens are drawn, and not the most probable ones taken."""
        if self.do_sample is not None:
            return self.do_sample
        return any(v is not None for v in (self.temperature, self.top_k, self.top_p, self.min_p))

    def filtered(self, logits: Array, least: int = 1) -> Array:
        """Return the logits, (B, V), as they are drawn from: -inf for tokens that are left out.

        Args:
            logits: (B, V).
            least: so many tokens stay in any case.
        """
        if self.temperature is not None and self.temperature != 1:
            logits = logits / self.temperature
        if self.top_k:
            logits = keep_top_k(logits, max(int(self.top_k), least))
        if self.top_p is not None and self.top_p < 1:
            logits = keep_top_p(logits, self.top_p, least)
        if self.min_p:
            logits = keep_min_p(logits, self.min_p, least)
        return logits

    def choose(self, logits: Array, generators: Sequence[Generator]) -> list[int]:
        """Return the token of each row.

        Args:
            logits: (B, V), before any filter.
            generators: one for each row, so that a row's draws do not depend on the others.

        Raises:
            ValueError: a row of logits with NaN, as a model gives whose training went wrong.
        """
        xp = xp_of(logits)
        if bool(xp.isnan(logits).any()):
            raise ValueError("generate: the model's logits are not numbers (NaN); its weights are damaged")
        if not self.samples:
            tokens: list[int] = to_numpy(logits.argmax(axis=-1)).tolist()
            return tokens
        logits = self.filtered(logits)
        weights = xp.exp(logits - logits.max(axis=-1, keepdims=True))
        return [int(generator.choice(row)) for generator, row in zip(generators, weights, strict=True)]


def check_value(name: str, value: Any, needs: str, fits: Any) -> None:
    """Raise an error unless a number is None or fits."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not fits(value):
        raise ValueError(f"{name} is {value!r}; it needs to {needs}")


def keep_top_k(logits: Array, k: int) -> Array:
    """Return the logits, (B, V), with -inf for all but the k largest of each row; equal ones stay.

    Example:
        >>> import numpy as np
        >>> keep_top_k(np.array([[1.0, 3.0, 2.0]]), 2)
        array([[-inf,   3.,   2.]])
    """
    xp = xp_of(logits)
    size = logits.shape[-1]
    if k >= size:
        return logits
    least = xp.partition(logits, size - k, axis=-1)[..., size - k, None]
    return xp.where(logits < least, -math.inf, logits)


def keep_top_p(logits: Array, p: float, least: int = 1) -> Array:
    """Return the logits, (B, V), with -inf for all but the fewest tokens whose probabilities reach p.

    At least so many stay as ``least`` says.

    Example:
        >>> import numpy as np
        >>> keep_top_p(np.log(np.array([[0.1, 0.6, 0.3]])), 0.8).argsort()
        array([[0, 2, 1]])
    """
    xp = xp_of(logits)
    weights = xp.exp(logits - logits.max(axis=-1, keepdims=True))
    falling = -xp.sort(-weights, axis=-1)
    total = xp.cumsum(falling, axis=-1, dtype=np.float64)  # in float32 a sum near 1 loses the last tokens
    before = total - falling  # the weight of those that come first
    kept = xp.maximum((before < p * total[..., -1:]).sum(axis=-1, keepdims=True), min(least, logits.shape[-1]))
    return xp.where(weights < xp.take_along_axis(falling, kept - 1, axis=-1), -math.inf, logits)


def keep_min_p(logits: Array, p: float, least: int = 1) -> Array:
    """Return the logits, (B, V), with -inf for tokens less than p times as probable as the first.

    At least so many stay as ``least`` says.

    Example:
        >>> import numpy as np
        >>> keep_min_p(np.log(np.array([[0.05, 0.6, 0.35]])), 0.1).argmin()
        np.int64(0)
    """
    xp = xp_of(logits)
    bound = logits.max(axis=-1, keepdims=True) + math.log(p)
    if least > 1:
        place = max(logits.shape[-1] - least, 0)
        bound = xp.minimum(bound, xp.partition(logits, place, axis=-1)[..., place, None])
    return xp.where(logits < bound, -math.inf, logits)


def generators_for(
    rows: int, seed: int | Sequence[int] | None = None, generator: Generator | None = None
) -> list[Generator]:
    """Return a generator for each row of a batch, each with a stream of its own.

    So a row's draws do not depend on what else stands in the batch: row i of a batch draws as row i of any
    other with the same seed.

    Args:
        rows: number of rows, B.
        seed: a number, or one for each row (then each row draws as if it stood alone); by default a fresh
            one is drawn from ``generator``.
        generator: to draw a fresh seed from; the default generator by default.

    Raises:
        ValueError: seeds that are not one for each row, or a seed and a generator.
    """
    if seed is not None and generator is not None:
        raise ValueError("generate: got a seed and a generator; give one of both")
    if seed is None:
        seed = int((generator or default_generator()).integers(0, 2**62))
    if isinstance(seed, Sequence):
        if len(seed) != rows:
            raise ValueError(f"generate: got {len(seed)} seeds for {rows} prompts; it needs one for each")
        return [Generator(s).at("generate", 0) for s in seed]
    return [Generator(seed).at("generate", row) for row in range(rows)]
