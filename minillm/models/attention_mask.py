"""Who may look at whom in a decoder: each token at those before it, and never at padding."""

from __future__ import annotations

from typing import Any

from minillm import ops
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
        Booleans, (B or 1, 1, new, past + new), True where a row's token may look.

    Example:
        >>> causal_mask(None, past=1, new=2, device="cpu")[0, 0]
        tensor([[ True,  True, False],
                [ True,  True,  True]])
    """
    if new == 1:  # it may look at all that was read
        return None if seen is None else seen.reshape(-1, 1, 1, past + 1)
    if seen is None and not past and not always:
        return None
    query = ops.arange(past, past + new, device=device).reshape(new, 1)
    key = ops.arange(past + new, device=device).reshape(1, past + new)
    causal = (key <= query).reshape(1, 1, new, past + new)
    if seen is None:
        return causal
    # Padding looks at itself: a row without any key would have no softmax.
    return (causal & seen.reshape(-1, 1, 1, past + new)) | (key == query)


def positions_of(seen: Tensor, new: int) -> Tensor:
    """Return the places of the last ``new`` tokens, counted from the first that is no padding: (B, new).

    Example:
        >>> positions_of(ops.tensor([[0, 0, 1, 1], [1, 1, 1, 1]]) != 0, new=4)
        tensor([[0, 0, 0, 1],
                [0, 1, 2, 3]])
    """
    counted = (seen.long().cumsum(-1) - 1).clamp(min=0)
    return counted[:, counted.shape[1] - new :]
