"""What attention needs beside its formula: who may look at whom, where tokens stand, and the weights to see.

In a decoder each token looks at those before it, and in no model at padding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minillm import ops
from minillm.autograd.errors import OperationError
from minillm.nn import functional as F
from minillm.ops import Tensor


def causal_mask(
    seen: Tensor | None, past: int, new: int, device: Any, always: bool = False
) -> Tensor | None:
    """Return the mask of attention; None where plain causality says it all.

    Args:
        seen: (B, past + new), False for padding; None where there is none.
        past: number of tokens read before, whose keys come first.
        new: number of tokens that look.
        device: where the mask is needed.
        always: return a mask for plain causality, too.

    Returns:
        Booleans, (B or 1, 1, new, past + new), True where a row's token may look. Padding on the left may look
        nowhere, and attention gives it zeros, as PyTorch's does.

    Example:
        >>> causal_mask(None, past=1, new=2, device="cpu")[0, 0]
        tensor([[ True,  True, False],
                [ True,  True,  True]])
    """
    if seen is None and (new == 1 or not (past or always)):
        return None
    if new == 1 and seen is not None and bool(seen.array[:, -1].all()):  # it may look at all that was read
        return seen.reshape(-1, 1, 1, past + 1)
    query = ops.arange(past, past + new, device=device).reshape(new, 1)
    key = ops.arange(past + new, device=device).reshape(1, past + new)
    causal = (key <= query).reshape(1, 1, new, past + new)
    if seen is None:
        return causal
    return causal & seen.reshape(-1, 1, 1, past + new)


def bidirectional_mask(attention_mask: Tensor | None, batch: int, length: int) -> Tensor | None:
    """Return the mask of attention in an encoder, where each token looks at all that are no padding.

    Args:
        attention_mask: (B, T), not 0 for tokens and 0 for padding, or (B, T, T), not 0 where a row's token
            may look; None where there is no padding.
        batch: number of sequences, B.
        length: of the sequences, T.

    Returns:
        Booleans, (B, 1, 1 or T, T); None where all may look everywhere, which is quicker.

    Raises:
        OperationError: another shape.
    """
    if attention_mask is None:
        return None
    if tuple(attention_mask.shape) not in {(batch, length), (batch, length, length)}:
        raise OperationError(
            f"attention_mask: got shape {tuple(attention_mask.shape)}; it needs {(batch, length)}, as "
            f"input_ids, or {(batch, length, length)}"
        )
    seen = attention_mask != 0
    if bool(seen.all()):
        return None
    return seen.reshape(batch, 1, 1 if seen.ndim == 2 else length, length)


def attention_with_weights(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float, scale: float
) -> tuple[Tensor, Tensor]:
    """Return attention step by step, and its weights, (B, H, T, S), which the fused form never shows."""
    group = q.shape[1] // k.shape[1]
    if group > 1:  # heads of queries that share keys and values
        k, v = (part.unsqueeze(2).expand(-1, -1, group, -1, -1).flatten(1, 2) for part in (k, v))
    scores = (q @ k.transpose(-1, -2)) * scale
    if mask is None:
        weights = F.softmax(scores, dim=-1)
    else:  # where all is masked, a softmax of -inf would be no number
        least = float(np.finfo(scores.dtype).min)
        weights = F.softmax(scores.masked_fill(~mask, least), dim=-1).masked_fill(~mask, 0)
    weights = F.dropout(weights, dropout, training=dropout > 0)
    return weights @ v, weights
