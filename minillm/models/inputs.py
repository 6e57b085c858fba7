"""What a model is given to read: tokens, or embeddings in their place."""

from __future__ import annotations

from minillm.autograd.errors import OperationError
from minillm.ops import Tensor


def one_of_both(model: object, input_ids: Tensor | None, inputs_embeds: Tensor | None) -> Tensor:
    """Return the one that is given: tokens, (B, T), or embeddings, (B, T, C).

    Raises:
        OperationError: none or both are given, or of another shape, or without any token.
    """
    name = type(model).__name__
    given = inputs_embeds if input_ids is None else input_ids
    if given is None or (input_ids is not None and inputs_embeds is not None):
        raise OperationError(f"{name}: it needs one of input_ids and inputs_embeds")
    if given.ndim != (3 if input_ids is None else 2) or not given.shape[1]:
        needed = "(B, T, C)" if input_ids is None else "(B, T)"
        raise OperationError(f"{name}: got tokens of shape {given.shape}; it needs {needed}, at least one")
    return given
