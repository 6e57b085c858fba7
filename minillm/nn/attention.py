"""Multi-head attention as a module, with its projections as parameters."""

from __future__ import annotations

from typing import Any

from minillm.autograd.errors import OperationError
from minillm.nn import init
from minillm.nn.functional.multi_head_attention import multi_head_attention_forward
from minillm.nn.linear import Linear
from minillm.nn.module import Module
from minillm.ops import Parameter, Tensor, empty


class MultiheadAttention(Module):
    """y = concat(head_1, ..., head_H) W_out^T + b_out, each head an attention on its own projections.

    Source: Vaswani et al., "Attention is all you need", 2017, arXiv:1706.03762, section 3.2.2.

    Args:
        embed_dim: E, the size of query and output.
        num_heads: H; E needs to be a multiple.
        dropout: the probability with which a weight is dropped while training.
        bias: add biases to the projections.
        add_bias_kv: append a key and a value that are learned.
        add_zero_attn: append a key and a value of zeros.
        kdim: Ek, the size of keys; E by default.
        vdim: Ev, the size of values; E by default.
        batch_first: inputs and output are (batch, length, features), not (length, batch, features).
        device: of the parameters.
        dtype: of the parameters.

    Attributes:
        in_proj_weight: (3 E, E), the projections of query, key and value; None where ``kdim`` or ``vdim``
            differ from E, with ``q_proj_weight`` (E, E), ``k_proj_weight`` (E, Ek) and ``v_proj_weight``
            (E, Ev) in its place.
        in_proj_bias: (3 E,), or None.
        out_proj: the linear layer at the end.

    Example:
        >>> import minillm
        >>> attention = minillm.nn.MultiheadAttention(embed_dim=8, num_heads=2, batch_first=True)
        >>> x = minillm.randn(3, 5, 8)
        >>> y, weights = attention(x, x, x)
        >>> y.shape, weights.shape
        ((3, 5, 8), (3, 5, 5))
    """

    in_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, add_bias_kv: bool = False,
        add_zero_attn: bool = False, kdim: int | None = None, vdim: int | None = None, batch_first: bool = False,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        if embed_dim <= 0 or num_heads <= 0 or embed_dim % num_heads:
            raise OperationError(
                f"MultiheadAttention: got embed_dim={embed_dim} and num_heads={num_heads}; both need to be above "
                "0, and the first a multiple of the second"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        joint = self.kdim == self.vdim == embed_dim
        sizes: dict[str, tuple[int, ...] | None] = {
            "q_proj_weight": None if joint else (embed_dim, embed_dim),
            "k_proj_weight": None if joint else (embed_dim, self.kdim),
            "v_proj_weight": None if joint else (embed_dim, self.vdim),
            "in_proj_weight": (3 * embed_dim, embed_dim) if joint else None,
            "in_proj_bias": (3 * embed_dim,) if bias else None,
            "bias_k": (1, 1, embed_dim) if add_bias_kv else None,
            "bias_v": (1, 1, embed_dim) if add_bias_kv else None,
        }
        for name, size in sizes.items():
            parameter = None if size is None else Parameter(empty(size, device=device, dtype=dtype))
            self.register_parameter(name, parameter)
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights of the projections of the inputs anew, and set all biases to zero."""
        for weight in (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight, self.in_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for appended in (self.bias_k, self.bias_v):
            if appended is not None:
                init.xavier_normal_(appended)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """Return the attention of each query to all keys, and its weights.

        Args:
            query: (L, N, E); with ``batch_first`` (N, L, E); without a batch (L, E).
            key: (S, N, Ek), likewise.
            value: (S, N, Ev), likewise.
            key_padding_mask: (N, S), without a batch (S,). Booleans: True for keys that are left out. Floats:
                added to the scores.
            need_weights: return the weights; without them it takes less time and memory.
            attn_mask: (L, S), or (N H, L, S) for each head. Booleans: True where a key is left out, the other
                way round than in ``scaled_dot_product_attention``. Floats: added to the scores.
            average_attn_weights: the weights are (N, L, S), the mean over the heads, not (N, H, L, S).
            is_causal: a hint that ``attn_mask`` is the causal mask, which is needed nevertheless.

        Returns:
            The output, in the layout of ``query``, and the weights or None. For a query that may see no key,
            the weights are 0, and the output is the bias of ``out_proj``.

        Raises:
            OperationError: shapes or dtypes that do not fit.
        """
        return multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias, self.bias_k,
            self.bias_v, self.add_zero_attn, self.dropout, self.out_proj.weight, self.out_proj.bias,
            training=self.training, key_padding_mask=key_padding_mask, need_weights=need_weights, attn_mask=attn_mask,
            use_separate_proj_weight=self.in_proj_weight is None, q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight, v_proj_weight=self.v_proj_weight,
            average_attn_weights=average_attn_weights, is_causal=is_causal, batch_first=self.batch_first,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}, batch_first={self.batch_first}"
