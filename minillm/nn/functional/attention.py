"""Scaled dot-product attention: each query takes the values of all keys, weighted by how well they match.

y = softmax(scale q k^T + mask) v

Source: Vaswani et al., "Attention is all you need", 2017, arXiv:1706.03762, equation 1. Groups of query heads
that share a head of keys and values: Ainslie et al., "GQA", 2023, arXiv:2305.13245.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minillm import ops
from minillm.autograd.errors import OperationError, OperationTypeError
from minillm.autograd.function import Function
from minillm.backend import Array, default_generator
from minillm.kernels import kernels_of
from minillm.ops import Tensor


def attention_weights(query: Any, key: Any, mask: Any, is_causal: bool, scale: float) -> Any:
    """Return softmax(scale query key^T + mask); zeros for a query that may see no key."""
    scores = query @ key.mT * scale  # (..., L, S)
    if is_causal:
        seen = ops.ones(scores.shape[-2:], dtype="bool", device=scores.device).tril()
        scores = ops.where(seen, scores, -math.inf)
    if mask is not None:
        scores = ops.where(mask, scores, -math.inf) if mask.dtype.kind == "b" else scores + mask
    if not scores.numel():  # nothing to look for the largest in
        return scores
    # A row of -inf: softmax would make it NaN, and so its gradient.
    empty = scores.detach().amax(-1, keepdim=True) == -math.inf
    weights = ops.softmax(ops.where(empty, 0.0, scores), -1)
    return ops.where(empty, 0.0, weights)


def attention_composite(
    query: Any, key: Any, value: Any, mask: Any, is_causal: bool, scale: float, kept: Any, kept_scale: float
) -> Any:
    """Return softmax(scale query key^T + mask) value, as a formula of operations."""
    weights = attention_weights(query, key, mask, is_causal, scale)
    if kept is not None:
        weights = weights * kept * kept_scale  # dropout
    return weights @ value


class ScaledDotProductAttention(Function):
    """y = softmax(scale q k^T + mask) v."""

    composite = attention_composite

    def forward(
        self, query: Array, key: Array, value: Array, mask: Array | None, is_causal: bool, scale: float,
        kept: Array | None, kept_scale: float,
    ) -> Array:  # fmt: skip
        recorded = any(edge is not None for edge in self.edges)
        y, saved = kernels_of(query).attention(query, key, value, mask, is_causal, scale, kept, kept_scale, recorded)
        if recorded:
            self.is_causal, self.scale, self.kept_scale = is_causal, scale, kept_scale
            self.save_for_backward(query, key, value, mask, kept, y, *saved)
        return y

    def backward(self, dy: Array) -> Any:
        query, key, value, mask, kept, y, *saved = self.saved
        return kernels_of(dy).attention_backward(
            dy, query, key, value, mask, y, tuple(saved), self.is_causal, self.scale, kept, self.kept_scale,
            self.needs(3),
        )  # fmt: skip


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """Return softmax(scale query key^T + attn_mask) value.

    Args:
        query: (..., L, E).
        key: (..., S, E).
        value: (..., S, Ev). Leading dimensions, such as batch and heads, broadcast.
        attn_mask: broadcasts to (..., L, S). Booleans: True where a query may see a key. Floats of the dtype
            of ``query``: added to the scores; a gradient flows to them.
        dropout_p: the probability with which a weight is dropped; the others are divided by 1 - dropout_p.
            Pass 0 when evaluating.
        is_causal: query i sees keys 0 to i alone; not together with a mask.
        scale: of the scores; 1 / sqrt(E) by default.
        enable_gqa: let groups of heads of ``query`` share a head of ``key`` and ``value``; heads are the
            third dimension from the right, and their number needs to be a multiple.

    Returns:
        (..., L, Ev); zeros for a query that may see no key.

    Raises:
        OperationError: shapes or dtypes that do not fit, a mask with ``is_causal``, or a probability out of
            range.

    Example:
        >>> import minillm
        >>> from minillm.nn import functional as F
        >>> q, k = minillm.ones(2, 4), minillm.ones(2, 4)
        >>> F.scaled_dot_product_attention(q, k, minillm.tensor([[1.0], [3.0]]))
        tensor([[2.],
                [2.]])
        >>> F.scaled_dot_product_attention(q, k, minillm.tensor([[1.0], [3.0]]), is_causal=True)
        tensor([[1.],
                [2.]])
    """
    lead = _check(query, key, value, attn_mask, is_causal, enable_gqa)
    if not 0 <= dropout_p <= 1:
        raise OperationError(
            f"scaled_dot_product_attention: got dropout_p={dropout_p}; a probability needs to lie between 0 and 1"
        )
    if scale is None:
        scale = 1 / math.sqrt(query.shape[-1]) if query.shape[-1] else 1.0
    if enable_gqa and query.shape[-3] != key.shape[-3]:
        return _grouped(query, key, value, attn_mask, dropout_p, is_causal, scale)
    kept, kept_scale = None, 1.0
    if dropout_p:
        shape = (*lead, query.shape[-2], key.shape[-2])
        kept = default_generator().keep_mask(shape, 1 - dropout_p, query.device)
        kept_scale = 1 / (1 - dropout_p) if dropout_p < 1 else 0.0
    return ScaledDotProductAttention.apply(query, key, value, attn_mask, is_causal, scale, kept, kept_scale)


def _grouped(query: Any, key: Any, value: Any, mask: Any, dropout_p: float, is_causal: bool, scale: float) -> Any:
    """Return attention where each head of key and value serves a group of heads of query."""
    *lead, heads, L, E = query.shape
    shared = key.shape[-3]
    group = heads // shared
    if mask is not None and mask.ndim > 2:
        *mask_lead, mask_heads, rows, columns = mask.shape
        split = (1, 1) if mask_heads == 1 else (shared, group)
        mask = mask.reshape(*mask_lead, *split, rows, columns)
    if L == 1 and not is_causal:
        # As in generation: the queries of a group become the rows of one matrix, and keys and values are read
        # once for all of them.
        q = query.reshape(*lead, shared, group, E)
        mask = mask if mask is None or mask.ndim == 2 else mask.squeeze(-2)
        y = scaled_dot_product_attention(q, key, value, mask, dropout_p, scale=scale).unsqueeze(-2)
    else:
        q = query.reshape(*lead, shared, group, L, E)
        k, v = key.unsqueeze(-3), value.unsqueeze(-3)
        y = scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal, scale)
    return y.reshape(*y.shape[:-4], heads, L, value.shape[-1])


def _check(query: Any, key: Any, value: Any, mask: Any, is_causal: bool, enable_gqa: bool) -> tuple[int, ...]:
    """Return the leading dimensions that query, key and value broadcast to, or say what does not fit."""

    def refuse(needs: str) -> OperationError:
        shapes = " and ".join(str(x.shape) for x in (query, key, value))
        extra = "" if mask is None else f" with a mask of shape {mask.shape}"
        return OperationError(f"scaled_dot_product_attention: got shapes {shapes}{extra}; {needs}")

    dtype = query.dtype
    if dtype.kind != "f" or key.dtype != dtype or value.dtype != dtype:
        raise OperationTypeError(
            f"scaled_dot_product_attention: got {dtype}, {key.dtype} and {value.dtype}; query, key and value "
            "need the same floating point dtype"
        )
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise refuse("each needs at least two dimensions, (length, features)")
    if query.shape[-1] != key.shape[-1]:
        raise refuse("query and key need the same number of features, their last dimension")
    if key.shape[-2] != value.shape[-2]:
        raise refuse("key and value need the same length, their second-last dimension")
    lead = tuple(query.shape[:-2])
    if key.shape[:-2] != lead or value.shape[:-2] != lead:
        lead = _broadcast_lead(lead, key, value, enable_gqa, refuse)
    if mask is not None:
        if is_causal:
            raise refuse("is_causal=True makes a mask of its own; pass one of the two")
        if mask.dtype.kind != "b" and mask.dtype != dtype:
            raise OperationTypeError(
                f"scaled_dot_product_attention: got a mask of {mask.dtype}; it needs booleans (True: may be "
                f"seen) or {dtype}, the dtype of the query (is added to the scores)"
            )
        full = (*lead, query.shape[-2], key.shape[-2])
        ends = full[len(full) - mask.ndim :]
        if mask.ndim > len(full) or any(m not in (1, n) for m, n in zip(mask.shape, ends, strict=True)):
            raise refuse(f"the mask needs to broadcast to {full}")
    return lead


def _broadcast_lead(lead: tuple[int, ...], key: Any, value: Any, enable_gqa: bool, refuse: Any) -> tuple[int, ...]:
    """Return the shape that leading dimensions broadcast to; with groups, the heads of the query count."""
    leads: Sequence[tuple[int, ...]] = (tuple(key.shape[:-2]), tuple(value.shape[:-2]))
    if enable_gqa:
        if not (lead and all(leads)) or leads[0][-1] != leads[1][-1]:
            raise refuse("with enable_gqa, key and value need the same number of heads, in dimension -3")
        if not leads[0][-1] or lead[-1] % leads[0][-1]:
            raise refuse(
                f"with enable_gqa, the {lead[-1]} heads of the query need to be a multiple of the "
                f"{leads[0][-1]} heads of key and value"
            )
        leads = [(*other[:-1], lead[-1]) for other in leads]
    try:
        return np.broadcast_shapes(lead, *leads)
    except ValueError:
        heads = lead and all(leads) and lead[-1] != leads[0][-1] and not enable_gqa
        raise refuse(
            "their leading dimensions need to broadcast"
            + ("; for heads that share keys and values pass enable_gqa=True" if heads else "")
        ) from None
