"""The loss of a language model: the mean cross-entropy of each next token, in nats.

loss = -1/n sum_t log p(token_{t+1} | token_1, ..., token_t), over the n places whose target is not -100.
"""

from __future__ import annotations

from minillm import ops
from minillm.autograd.errors import OperationError
from minillm.nn import functional as F
from minillm.ops import Tensor

IGNORED = -100


def language_model_loss(logits: Tensor, labels: Tensor | None, targets: Tensor | None) -> Tensor | None:
    """Return the loss for labels or for targets; None where neither is given.

    Args:
        logits: (B, T, V).
        labels: (B, T), the tokens that were read: place t is to predict label t + 1.
        targets: (B, T), the next tokens themselves: place t is to predict target t.

    Raises:
        OperationError: both are given, or of another shape than (B, T).
    """
    if labels is None and targets is None:
        return None
    if labels is not None and targets is not None:
        raise OperationError("loss: got labels and targets; it needs one of both")
    name, given = ("labels", labels) if labels is not None else ("targets", targets)
    assert given is not None
    if tuple(given.shape) != logits.shape[:2]:
        raise OperationError(
            f"{name}: got shape {tuple(given.shape)}; it needs {logits.shape[:2]}, a token for each place"
        )
    if labels is not None:
        given = next_tokens(labels)
    return F.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), given.reshape(-1), ignore_index=IGNORED
    )


def next_tokens(labels: Tensor) -> Tensor:
    """Return, for each place, the label of the next one; the last place has none.

    Moving the labels rather than cutting the logits saves a copy of the logits, the largest array of all.
    """
    if labels.shape[1] < 2:
        raise OperationError("labels: a text of one token has no next token; it needs at least two")
    end = ops.full((labels.shape[0], 1), IGNORED, dtype=labels.dtype, device=labels.device)
    return ops.cat([labels[:, 1:], end], dim=1)
