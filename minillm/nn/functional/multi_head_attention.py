"""Multi-head attention: several attentions beside each other, each on its own projections of the inputs.

y = concat(head_1, ..., head_H) W_out^T + b_out,  head_i = attention(q W_i^q, k W_i^k, v W_i^v)

Source: Vaswani et al., "Attention is all you need", 2017, arXiv:1706.03762, section 3.2.2.
"""

from __future__ import annotations

import math
from typing import Any

from minillm import ops
from minillm.autograd.errors import OperationError, OperationTypeError
from minillm.autograd.function import Function
from minillm.backend import Array
from minillm.nn.functional.attention import attention_weights, scaled_dot_product_attention
from minillm.nn.functional.dropout import dropout
from minillm.nn.functional.linear import linear
from minillm.ops import Tensor


class SplitHeads(Function):
    """Cut x, ``count`` projections side by side, into heads: (L, N, count E) -> ``count`` of (N, H, L, E / H).

    The results are views of x. Backward writes one array, where slices would fill ``count`` and add them up.
    """

    def forward(self, x: Array, count: int, num_heads: int, batch_first: bool) -> tuple[Array, ...]:
        self.batch_first = batch_first
        first, second, width = x.shape
        parts = x.reshape(first, second, count, num_heads, width // (count * num_heads))
        heads = parts.transpose((2, 0, 3, 1, 4) if batch_first else (2, 1, 3, 0, 4))
        return tuple(heads[i] for i in range(count))

    def backward(self, *dys: Any) -> Any:
        # (N, H, L, D) -> (L, N, H, D), or (N, L, H, D)
        order = (0, 2, 1, 3) if self.batch_first else (2, 0, 1, 3)
        dx = ops.stack([ops.permute(dy, order) for dy in dys], dim=2)
        return ops.reshape(dx, (*dx.shape[:2], -1))


def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int, in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float,
    out_proj_weight: Tensor, out_proj_bias: Tensor | None, training: bool = True,
    key_padding_mask: Tensor | None = None, need_weights: bool = True, attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False, q_proj_weight: Tensor | None = None, k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None, static_k: Tensor | None = None, static_v: Tensor | None = None,
    average_attn_weights: bool = True, is_causal: bool = False, batch_first: bool = False,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Return multi-head attention and, if asked for, its weights; what ``nn.MultiheadAttention`` calls.

    Args:
        query: (L, N, E), or (L, E) without a batch.
        key: (S, N, Ek), or (S, Ek).
        value: (S, N, Ev), or (S, Ev).
        embed_dim_to_check: E.
        num_heads: H; E needs to be a multiple.
        in_proj_weight: (3 E, E), the projections of query, key and value; or None with separate ones.
        in_proj_bias: (3 E,), or None.
        bias_k: (1, 1, E), a further key that is learned, or None.
        bias_v: (1, 1, E), its value.
        add_zero_attn: append a key and a value of zeros.
        dropout_p: the probability with which a weight is dropped while training.
        out_proj_weight: (E, E).
        out_proj_bias: (E,), or None.
        training: whether dropout applies.
        key_padding_mask: (N, S), or (S,). Booleans: True for keys that are left out. Floats: added.
        need_weights: return the weights, which takes longer.
        attn_mask: (L, S) or (N H, L, S). Booleans: True where a key is left out. Floats: added.
        use_separate_proj_weight: take the next three in place of ``in_proj_weight``.
        q_proj_weight: (E, E).
        k_proj_weight: (E, Ek).
        v_proj_weight: (E, Ev).
        static_k: (N H, S, E / H), in place of the projected key.
        static_v: (N H, S, E / H), in place of the projected value.
        average_attn_weights: return the mean of the weights over the heads.
        is_causal: a hint that ``attn_mask`` is the causal mask, which is needed nevertheless.
        batch_first: the batch is the first dimension of query, key, value and result. (PyTorch's function
            lacks this.)

    Returns:
        (L, N, E), and the weights, (N, L, S) or (N, H, L, S), or None. A query that may see no key gets
        weights of 0.

    Raises:
        OperationError: shapes or dtypes that do not fit, ``is_causal`` without a mask.
    """
    _check(query, key, value, key_padding_mask, attn_mask, embed_dim_to_check, num_heads, batch_first)
    if is_causal and attn_mask is None:
        raise OperationError(
            "multi_head_attention: is_causal is a hint about attn_mask, which is None; pass the mask too, made by "
            "nn.Transformer.generate_square_subsequent_mask"
        )
    # What comes from one input is projected at once.
    shares = [3] if query is key and key is value else [1, 2] if key is value else [1, 1, 1]
    batched = query.ndim == 3
    if not batched:
        query, key, value = (x.unsqueeze(0 if batch_first else 1) for x in (query, key, value))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    weights: list[Any] = [q_proj_weight, k_proj_weight, v_proj_weight]
    if use_separate_proj_weight:
        shares = [1, 1, 1]
    else:
        weights = _cut(in_proj_weight, shares)
    if any(weight is None for weight in weights):
        raise OperationError(
            "multi_head_attention: it needs in_proj_weight, or with use_separate_proj_weight q_proj_weight, "
            "k_proj_weight and v_proj_weight"
        )
    q, k, v = (  # (N, H, length, D)
        heads
        for x, weight, bias, share in zip(
            (query, key, value), weights, _cut(in_proj_bias, shares), shares, strict=False
        )
        for heads in SplitHeads.apply(linear(x, weight, bias), share, num_heads, batch_first)
    )
    N, H, _, D = q.shape
    k = k if static_k is None else _static("static_k", static_k, N, H, D)
    v = v if static_v is None else _static("static_v", static_v, N, H, D)

    if is_causal and key_padding_mask is None and not need_weights:
        mask = None
    else:
        is_causal = False
        mask = _merged(attn_mask, key_padding_mask, N, H, q.dtype)
    for added in _added(bias_k, bias_v, add_zero_attn, static_k, static_v):
        k, v, mask = _with_one_more(k, v, mask, added)

    dropout_p = dropout_p if training else 0.0
    attention = None
    if need_weights:
        attention = dropout(attention_weights(q, k, mask, False, 1 / math.sqrt(D)), dropout_p)  # (N, H, L, S)
        y = attention @ v
        attention = attention.mean(1) if average_attn_weights else attention
    else:
        y = scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal)
    order = (0, 2, 1, 3) if batch_first else (2, 0, 1, 3)
    y = y.permute(*order)  # (L, N, H, D)
    y = linear(y.reshape(*y.shape[:2], H * D), out_proj_weight, out_proj_bias)
    if not batched:
        y = y.squeeze(0 if batch_first else 1)
        attention = None if attention is None else attention.squeeze(0)
    return y, attention


def _cut(joint: Any, shares: list[int]) -> list[Any]:
    """Return the parts of a joint weight or bias that belong together, in shares of a third each."""
    if joint is None:
        return [None] * len(shares)
    third = joint.shape[0] // 3
    return [joint] if shares == [3] else list(ops.split(joint, [share * third for share in shares]))


def _static(name: str, given: Any, N: int, H: int, D: int) -> Any:
    """Return a key or value that is given in heads, as (N, H, S, D)."""
    if given.ndim != 3 or given.shape[0] != N * H or given.shape[2] != D:
        raise OperationError(
            f"multi_head_attention: got {name} of shape {given.shape}; it needs ({N * H}, length, {D}): "
            "batch times heads, and the size of a head"
        )
    return given.reshape(N, H, given.shape[1], D)


def _added(bias_k: Any, bias_v: Any, zeros: bool, static_k: Any, static_v: Any) -> list[Any]:
    """Return the pairs of key and value that are appended; None stands for zeros."""
    if (bias_k is None) != (bias_v is None):
        raise OperationError("multi_head_attention: got one of bias_k and bias_v; it needs both or none")
    added: list[Any] = []
    if bias_k is not None:
        if static_k is not None or static_v is not None:
            raise OperationError("multi_head_attention: bias_k and bias_v cannot be added to a static key or value")
        added.append((bias_k, bias_v))
    return [*added, None] if zeros else added


def _with_one_more(k: Any, v: Any, mask: Any, pair: Any) -> tuple[Any, Any, Any]:
    """Return key and value with one more place, and the mask that lets it be seen by all."""
    N, H, _, D = k.shape
    extended = []
    for x, bias in zip((k, v), pair or (None, None), strict=True):
        if bias is None:
            one = ops.zeros(N, H, 1, D, dtype=x.dtype, device=x.device)
        else:
            one = ops.broadcast_to(bias.reshape(1, H, 1, D), (N, H, 1, D))
        extended.append(ops.cat([x, one], dim=2))
    if mask is not None:
        seen = ops.full((*mask.shape[:-1], 1), mask.dtype.kind == "b", dtype=mask.dtype, device=mask.device)
        mask = ops.cat([mask, seen], dim=-1)
    return extended[0], extended[1], mask


def _merged(attn_mask: Any, key_padding_mask: Any, N: int, H: int, dtype: Any) -> Any:
    """Return both masks as one that broadcasts to (N, H, L, S); booleans are True for keys that are seen."""
    masks = []
    if attn_mask is not None:
        attn_mask = _seen(attn_mask, dtype)
        masks.append(attn_mask if attn_mask.ndim == 2 else attn_mask.reshape(N, H, *attn_mask.shape[1:]))
    if key_padding_mask is not None:
        masks.append(_seen(key_padding_mask, dtype).reshape(N, 1, 1, -1))
    if len(masks) < 2:
        return masks[0] if masks else None
    if all(mask.dtype.kind == "b" for mask in masks):
        return masks[0] & masks[1]
    first, second = (
        ops.where(mask, 0.0, -math.inf).astype(dtype) if mask.dtype.kind == "b" else mask for mask in masks
    )
    return first + second


def _seen(mask: Any, dtype: Any) -> Any:
    """Return a mask of booleans with True for keys that are seen, or one of floats of the dtype."""
    return ops.logical_not(mask) if mask.dtype.kind == "b" else mask.astype(dtype)


def _check(
    query: Any, key: Any, value: Any, padding: Any, mask: Any, embed_dim: int, num_heads: int, batch_first: bool
) -> None:
    """Raise an error where shapes or dtypes do not fit."""
    shapes = " and ".join(str(x.shape) for x in (query, key, value))
    got = f"multi_head_attention: got query, key and value of shapes {shapes}"
    if query.ndim not in (2, 3) or key.ndim != query.ndim or value.ndim != query.ndim:
        layout = "(batch, length, features)" if batch_first else "(length, batch, features)"
        raise OperationError(f"{got}; each needs {layout}, or each (length, features)")
    if query.shape[-1] != embed_dim:
        raise OperationError(f"{got}; the query needs embed_dim = {embed_dim} features")
    if num_heads < 1 or embed_dim % num_heads:
        raise OperationError(
            f"multi_head_attention: got embed_dim={embed_dim} and num_heads={num_heads}; the first needs to be a "
            "multiple of the second"
        )
    batched = query.ndim == 3
    length_dim = int(batched and batch_first)
    L, S = query.shape[length_dim], key.shape[length_dim]
    N = query.shape[1 - length_dim] if batched else 1
    if value.shape[length_dim] != S:
        raise OperationError(f"{got}; key and value need the same length")
    if batched and (key.shape[1 - length_dim] != N or value.shape[1 - length_dim] != N):
        raise OperationError(f"{got}; they need the same batch size, in dimension {1 - length_dim}")
    if padding is not None:
        _check_mask("key_padding_mask", padding, [(N, S)] if batched else [(S,)], "(batch, keys)")
    if mask is not None:
        _check_mask("attn_mask", mask, [(L, S), (N * num_heads, L, S)], "(queries, keys) or (batch * heads, ...)")


def _check_mask(name: str, mask: Any, shapes: list[tuple[int, ...]], meaning: str) -> None:
    if mask.dtype.kind not in "bf":
        raise OperationTypeError(
            f"multi_head_attention: got {mask.dtype} for {name}; it needs booleans (True: left out) or floats"
        )
    if mask.shape not in shapes:
        raise OperationError(
            f"multi_head_attention: got {name} of shape {mask.shape}; it needs "
            f"{' or '.join(map(str, shapes))}: {meaning}"
        )
