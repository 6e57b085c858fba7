"""Llama: a decoder-only Transformer with rotary positions, RMS norm, gated MLPs and shared keys and values.

Source: Touvron et al., "LLaMA: Open and Efficient Foundation Language Models" (2023), "Llama 2" (2023);
Grattafiori et al., "The Llama 3 Herd of Models" (2024)::

    x = token embedding                                         (B, T, C)
    for each layer:
        x = x + attention(rms_norm(x))      queries and keys turned by their places (RoPE)
        h = rms_norm(x)
        x = x + W_down (silu(W_gate h) * W_up h)                SwiGLU
    logits = W rms_norm(x)                                      (B, T, V)

Groups of query heads share a head of keys and values (Ainslie et al., "GQA", 2023). The names of the
parameters are those of Hugging Face's files.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

from minillm import nn
from minillm.autograd import is_grad_enabled
from minillm.autograd.function import wrap
from minillm.backend import Array, to_device, xp_of
from minillm.models.activations import ACTIVATIONS
from minillm.models.attention import attention_with_weights, causal_mask
from minillm.models.cache import KVCache
from minillm.models.causal_lm import CausalLM
from minillm.models.config import Config, divisible, one_of, positive, probability
from minillm.models.inputs import one_of_both
from minillm.models.one_token import activated, attend, normalized, plain, plain_linear, through
from minillm.models.output import ModelOutput
from minillm.models.pretrained import PretrainedModel
from minillm.models.recomputed import Stack
from minillm.models.rope import Rotate, frequencies, rope_settings
from minillm.nn import functional as F
from minillm.ops import Tensor

Turns = tuple[Array, Array]  # cosines and sines, (B or 1, T, 1, D / 2)


@dataclasses.dataclass
class LlamaConfig(Config):
    """The settings of a Llama; the defaults are those of the first one (7 B parameters).

    Attributes:
        vocab_size: number of tokens, V.
        hidden_size: width of the residual stream, C.
        intermediate_size: width inside the MLP.
        num_hidden_layers: number of layers.
        num_attention_heads: number of heads of queries, H.
        num_key_value_heads: number of heads of keys and values; H by default.
        head_dim: width of a head, D; C / H by default.
        hidden_act: activation of the MLP's gate.
        max_position_embeddings: the longest text, in tokens.
        initializer_range: standard deviation of the initial weights.
        rms_norm_eps: added to the mean square in RMS norm.
        attention_bias: whether the linear layers of attention have biases.
        attention_dropout: dropout of the attention weights.
        mlp_bias: whether the linear layers of the MLP have biases.
        tie_word_embeddings: whether the head shares the token embedding.
        rope_parameters: the settings of RoPE; see :mod:`minillm.models.rope`.
        rope_theta: the base of the frequencies, in old files.
        rope_scaling: the scaling of the frequencies, in old files.
        bos_token_id: token that begins a text.
        eos_token_id: token that ends a text, or several.
        pad_token_id: token that fills up short texts of a batch.
    """

    model_type: ClassVar[str] = "llama"

    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    hidden_act: str = "silu"
    max_position_embeddings: int = 2048
    initializer_range: float = 0.02
    rms_norm_eps: float = 1e-6
    attention_bias: bool = False
    attention_dropout: float = 0.0
    mlp_bias: bool = False
    tie_word_embeddings: bool = False
    rope_parameters: dict[str, Any] | None = None
    rope_theta: float | None = None
    rope_scaling: dict[str, Any] | None = None
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2
    pad_token_id: int | None = None

    def __post_init__(self) -> None:
        if self.num_key_value_heads is None:
            self.num_key_value_heads = self.num_attention_heads
        for name in (
            "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
            "num_key_value_heads", "max_position_embeddings",
        ):  # fmt: skip
            positive(self, **{name: getattr(self, name)})
        if self.head_dim is None:
            divisible(self, hidden_size=self.hidden_size, num_attention_heads=self.num_attention_heads)
            self.head_dim = self.hidden_size // self.num_attention_heads
        positive(self, head_dim=self.head_dim)
        divisible(self, head_dim=self.head_dim, pair=2)
        divisible(
            self, num_attention_heads=self.num_attention_heads, num_key_value_heads=self.num_key_value_heads
        )
        probability(self, attention_dropout=self.attention_dropout)
        one_of(self, ACTIVATIONS, hidden_act=self.hidden_act)
        self.rope_parameters = rope_settings(
            self.rope_parameters, self.rope_scaling, self.rope_theta, self.max_position_embeddings
        )
        self.rope_theta = self.rope_scaling = None

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, as ``config.json`` holds them: RoPE's in the form that files have today."""
        values = super().to_dict()
        del values["rope_theta"], values["rope_scaling"]
        return values


class LlamaAttention(nn.Module):
    """Causal multi-head self-attention with rotary positions; groups of queries share keys and values."""

    def __init__(self, config: LlamaConfig, layer: int) -> None:
        super().__init__()
        C, D, bias = config.hidden_size, config.head_dim or 0, config.attention_bias
        self.num_heads = config.num_attention_heads
        self.num_shared = config.num_key_value_heads or 0
        self.head_dim = D
        self.layer = layer
        self.dropout_p = config.attention_dropout
        self.q_proj = nn.Linear(C, self.num_heads * D, bias=bias)
        self.k_proj = nn.Linear(C, self.num_shared * D, bias=bias)
        self.v_proj = nn.Linear(C, self.num_shared * D, bias=bias)
        self.o_proj = nn.Linear(self.num_heads * D, C, bias=bias)

    def forward(
        self,
        x: Tensor,
        turns: Turns,
        mask: Tensor | None,
        cache: KVCache | None,
        attentions: list[Tensor] | None,
    ) -> Tensor:
        B, T, _ = x.shape
        D = self.head_dim
        q = Rotate.apply(self.q_proj(x).reshape(B, T, self.num_heads, D), *turns).transpose(1, 2)
        k = Rotate.apply(self.k_proj(x).reshape(B, T, self.num_shared, D), *turns).transpose(1, 2)
        v = self.v_proj(x).reshape(B, T, self.num_shared, D).transpose(1, 2)
        if cache is not None:
            k, v = cache.update(self.layer, k, v)
        dropout = self.dropout_p if self.training else 0.0
        if attentions is None:
            causal = mask is None and T > 1
            y = F.scaled_dot_product_attention(q, k, v, mask, dropout, causal, enable_gqa=True)
        else:
            y, weights = attention_with_weights(q, k, v, mask, dropout, 1 / math.sqrt(D))
            attentions.append(weights)
        return self.o_proj(y.transpose(1, 2).reshape(B, T, self.num_heads * D))


class LlamaMLP(nn.Module):
    """W_down (silu(W_gate x) * W_up x): one half of the width opens and closes the other."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        C, inner, bias = config.hidden_size, config.intermediate_size, config.mlp_bias
        self.gate_proj = nn.Linear(C, inner, bias=bias)
        self.up_proj = nn.Linear(C, inner, bias=bias)
        self.down_proj = nn.Linear(inner, C, bias=bias)
        self.act = ACTIVATIONS[config.hidden_act]

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.act(self.gate_proj(x)) * self.up_proj(x))


class LlamaLayer(nn.Module):
    """Attention and MLP, each added to the residual stream."""

    def __init__(self, config: LlamaConfig, layer: int) -> None:
        super().__init__()
        self.self_attn = LlamaAttention(config, layer)
        self.mlp = LlamaMLP(config)
        self.input_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.eps = config.rms_norm_eps

    def forward(
        self,
        x: Tensor,
        turns: Turns,
        mask: Tensor | None,
        cache: KVCache | None,
        attentions: list[Tensor] | None,
    ) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), turns, mask, cache, attentions)
        return x + self.mlp(self.post_attention_layernorm(x))

    def is_plain(self) -> bool:
        """Return whether nothing in this layer was hooked or put in another's place."""
        attn, mlp = self.self_attn, self.mlp
        linears = (
            attn.q_proj, attn.k_proj, attn.v_proj, attn.o_proj, mlp.gate_proj, mlp.up_proj, mlp.down_proj
        )  # fmt: skip
        return (
            plain(self, LlamaLayer)
            and plain(attn, LlamaAttention)
            and plain(mlp, LlamaMLP)
            and plain(self.input_layernorm, nn.RMSNorm)
            and plain(self.post_attention_layernorm, nn.RMSNorm)
            and all(plain_linear(part, nn.Linear) for part in linears)
        )

    def one_token(self, x: Array, turns: Turns, mask: Array | None, cache: KVCache) -> Array:
        """Do what ``forward`` does for one new token a row, on arrays: (B, C) -> (B, C)."""
        attn, mlp = self.self_attn, self.mlp
        B = len(x)
        shared, D = attn.num_shared, attn.head_dim
        h = normalized(self.input_layernorm, x)
        q = Rotate.apply(through(attn.q_proj, h).reshape(B, 1, attn.num_heads, D), *turns)
        k = Rotate.apply(through(attn.k_proj, h).reshape(B, 1, shared, D), *turns)
        v = through(attn.v_proj, h).reshape(B, shared, 1, D)
        held = cache.append(attn.layer, k.reshape(B, shared, 1, D), v)
        y = attend(q.reshape(B, shared, -1, D), *held, 1 / math.sqrt(D), mask)
        x = x + through(attn.o_proj, y.reshape(B, attn.num_heads * D))
        h = normalized(self.post_attention_layernorm, x)
        gate = activated(mlp.act, through(mlp.gate_proj, h))
        gate *= through(mlp.up_proj, h)
        x += through(mlp.down_proj, gate)
        return x


class LlamaPretrainedModel(PretrainedModel):
    """What Llama with and without a head have in common: settings, files, initial weights."""

    config_class = LlamaConfig
    base_model_prefix = "model"
    input_embeddings = "embed_tokens"

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            nn.init.zeros_(module.weight.data[module.padding_idx])

    @property
    def max_length(self) -> int:
        """The longest text, in tokens, that the settings provide for."""
        rope = self.config.rope_parameters
        stretch = rope["factor"] if rope["rope_type"] == "dynamic" else 1
        return int(self.config.max_position_embeddings * stretch)

    def start_cache(self, max_length: int | None = None) -> KVCache:
        """Return an empty cache, with room for so many tokens (the longest text by default)."""
        return KVCache(self.config.num_hidden_layers, max_length or self.max_length)


class LlamaModel(Stack, LlamaPretrainedModel):
    """The stack of layers: tokens in, hidden states out.

    Example:
        >>> import minillm
        >>> config = LlamaConfig(
        ...     vocab_size=65, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        ...     num_attention_heads=4, num_key_value_heads=2,
        ... )
        >>> LlamaModel(config)(minillm.zeros(2, 8, dtype="int64")).last_hidden_state.shape
        (2, 8, 32)
    """

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, config.pad_token_id)
        self.layers = nn.ModuleList([LlamaLayer(config, i) for i in range(config.num_hidden_layers)])
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.apply(self._init_weights)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: KVCache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> ModelOutput | tuple[Any, ...]:
        """Return the hidden states.

        Args:
            input_ids: tokens, (B, T).
            attention_mask: (B, T) or (B, past + T), 1 for tokens and 0 for padding.
            position_ids: (B, T) or (1, T); counted on from the tokens read before by default.
            past_key_values: the tokens read before, from :meth:`start_cache`; these are added to it.
            inputs_embeds: (B, T, C), embeddings in the place of ``input_ids``.
            use_cache: return a cache although none was given.
            output_attentions: return the attention weights of every layer.
            output_hidden_states: return the hidden states before every layer, and the last ones.
            return_dict: False returns a plain tuple; for this and the two above, None is as the config says.

        Returns:
            ``last_hidden_state`` (B, T, C), and where asked for ``past_key_values``, ``hidden_states`` (a
            tuple of layers + 1) and ``attentions`` (a tuple, (B, H, T, past + T) each).
        """
        output_attentions, output_hidden_states = self._shown(output_attentions, output_hidden_states)
        given = one_of_both(self, input_ids, inputs_embeds)
        B, T = given.shape[:2]
        cache = past_key_values
        if cache is None and use_cache:
            cache = self.start_cache()
        past = cache.length if cache is not None else 0
        memory = cache if cache is not None else KVCache(0, T)  # reads the mask alike
        seen = memory.seen(attention_mask, B, T)
        told = output_attentions or output_hidden_states
        mask = causal_mask(seen, past, T, given.device, always=output_attentions)

        x = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        turns = self._turns(position_ids, past, T, x)
        hidden_states = [x]
        attentions: list[Tensor] | None = [] if output_attentions else None
        if T == 1 and cache is not None and not told and self._is_plain(x):
            row = x.array.reshape(B, self.config.hidden_size)
            for layer in self.layers:
                row = layer.one_token(row, turns, None if mask is None else mask.array, cache)
            x = wrap(row.reshape(B, 1, self.config.hidden_size))
        else:
            plain = cache is None and attentions is None
            for layer in self.layers:
                x = self.caller(layer, plain)(x, turns, mask, cache, attentions)
                if output_hidden_states:
                    hidden_states.append(x)
        if cache is not None:
            cache.advance(T)
        x = self.norm(x)
        return ModelOutput(
            last_hidden_state=x,
            past_key_values=cache,
            hidden_states=(*hidden_states[:-1], x) if output_hidden_states else None,
            attentions=tuple(attentions) if attentions is not None else None,
        ).unless_tuple(self._returns_dict(return_dict))

    def _turns(self, position_ids: Tensor | None, past: int, new: int, x: Tensor) -> Turns:
        """Return the cosines and sines of the angles of the tokens' places."""
        xp = xp_of(x.array)
        if position_ids is None:
            places = xp.arange(past, past + new).reshape(1, new)
            length = past + new
        else:
            places = position_ids.array
            length = int(places.max()) + 1
        config = self.config
        w, factor = frequencies(
            config.rope_parameters, config.head_dim, config.max_position_embeddings, length
        )
        angles = places.astype(w.dtype)[:, :, None, None] * to_device(w, x.device)  # (B, T, 1, D / 2)
        return (xp.cos(angles) * factor).astype(x.dtype), (xp.sin(angles) * factor).astype(x.dtype)

    def _is_plain(self, x: Tensor) -> bool:
        """Return whether the layers may run on arrays: nothing is recorded, dropped, hooked or replaced."""
        return (
            not self.training
            and not is_grad_enabled()
            and x.dtype.itemsize > 2  # half precision adds up in float32, which the layers see to
            and all(layer.is_plain() for layer in self.layers)
        )


class LlamaForCausalLM(CausalLM, LlamaPretrainedModel):
    """Llama with its language-model head.

    Example:
        >>> import minillm
        >>> config = LlamaConfig(
        ...     vocab_size=65, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4
        ... )
        >>> LlamaForCausalLM(config)(minillm.zeros(2, 8, dtype="int64")).logits.shape
        (2, 8, 65)
    """

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__(config)
        self.model = LlamaModel(config)
        self._add_head(config.hidden_size, config.vocab_size)
