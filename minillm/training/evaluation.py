"""How well a model predicts a text: loss, perplexity, bits per character.

    loss                   mean of -log p(next token), in nats
    perplexity             exp(loss): among how many equally likely tokens the model seems to choose
    bits per character     loss * tokens / (characters * log 2)

The last compares models with different tokenizers. Shannon (1951) estimated 0.6 to 1.3 bits for English.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np

from minillm import nn
from minillm.autograd import no_grad
from minillm.data import sequential_windows
from minillm.data.token_batches import Batch, Tokens
from minillm.ops import Tensor
from minillm.training.objective import Objective, count_targets, device_of_model, next_token_loss


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        loss: mean negative log-likelihood of a token, in nats.
        tokens: how many tokens were predicted.

    Example:
        >>> guess = Evaluation(loss=math.log(64), tokens=1000)
        >>> round(guess.perplexity, 9), guess.bits_per_character(1000)
        (64.0, 6.0)
    """

    loss: float
    tokens: int

    @property
    def perplexity(self) -> float:
        """exp(loss); infinity where that is too large for a float."""
        return math.exp(self.loss) if self.loss < 709 else math.inf

    def bits_per_character(self, characters: int) -> float:
        """Return the bits that each character of the text costs.

        Args:
            characters: of the text that the predicted tokens stand for.
        """
        return self.loss * self.tokens / (characters * math.log(2))


def evaluate(
    model: nn.Module,
    tokens: Tokens,
    block_size: int,
    batch_size: int = 16,
    *,
    max_windows: int | None = None,
    objective: Objective = next_token_loss,
    progress: Callable[[int], object] = lambda windows: None,
) -> Evaluation:
    """Measure a model on a text, in windows side by side: each token but the first is predicted once.

    The model is in evaluation mode while it is measured, and then again as it was.

    Args:
        model: a language model.
        tokens: (num_tokens,) of the text.
        block_size: tokens in a window; the first of a window is predicted from one token alone.
        batch_size: windows at a time.
        max_windows: read only so many whole windows, at equal distances; None for the whole text.
        objective: the mean loss of a batch.
        progress: called after each batch with the number of its windows; what it raises ends the evaluation.

    Raises:
        ValueError: the text has fewer than two tokens.
    """
    windows = evaluation_windows(tokens, block_size, batch_size, max_windows)
    device = device_of_model(model)
    training, total, count = model.training, 0.0, 0
    model.eval()
    try:
        with no_grad():
            for x, y in windows:
                number = count_targets(y)
                loss = objective(model, Tensor(x, device=device), Tensor(y, device=device))
                total += loss.item() * number
                count += number
                progress(len(x))
    finally:
        model.train(training)
    return Evaluation(total / max(count, 1), count)


def evaluation_windows(
    tokens: Tokens, block_size: int, batch_size: int, max_windows: int | None = None
) -> Iterator[Batch]:
    """Yield the windows that an evaluation reads; see :func:`evaluate`.

    Example:
        >>> [x.tolist() for x, y in evaluation_windows(np.arange(13), 3, batch_size=2, max_windows=3)]
        [[[0, 1, 2], [6, 7, 8]], [[9, 10, 11]]]
    """
    whole = (len(tokens) - 1) // block_size
    if max_windows is None or whole <= max_windows:
        return sequential_windows(tokens, block_size, batch_size)
    chosen = np.linspace(0, whole - 1, max_windows).round().astype(np.int64)
    return _chosen_windows(tokens, chosen, block_size, batch_size)


def _chosen_windows(tokens: Tokens, chosen: Tokens, block_size: int, batch_size: int) -> Iterator[Batch]:
    for first in range(0, len(chosen), batch_size):
        places = chosen[first : first + batch_size, None] * block_size + np.arange(block_size + 1)
        windows = tokens[places].astype(np.int64)  # (B, T + 1)
        yield windows[:, :-1], windows[:, 1:]
