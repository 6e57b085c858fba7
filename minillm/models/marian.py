"""Marian: the Transformer as it was first described, an encoder and a decoder for translation.

Source: Vaswani et al., "Attention Is All You Need" (2017), with layer norm after each part; Junczys-Dowmunt et al.,
"Marian: Fast Neural Machine Translation in C++" (2018)::

    x = sqrt(C) embedding(tokens) + sinusoids                    (B, T, C)
    for each layer of the encoder:
        x = layer_norm(x + attention(x, x))
        x = layer_norm(x + mlp(x))
    for each layer of the decoder:
        y = layer_norm(y + causal attention(y, y))
        y = layer_norm(y + attention(y, x))                      it looks at the encoder's output
        y = layer_norm(y + mlp(y))
    logits = W y + b                                             (B, T, V)

The names of the parameters are those of Hugging Face's files, which hold over a thousand pairs of languages.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import numpy as np

from minillm import nn, ops
from minillm.autograd.errors import OperationError
from minillm.models.activations import ACTIVATIONS
from minillm.models.attention import attention_with_weights, bidirectional_mask, causal_mask
from minillm.models.cache import KVCache
from minillm.models.config import Config, divisible, one_of, positive, probability
from minillm.models.encoder_decoder import EncoderDecoder
from minillm.nn import functional as F
from minillm.ops import Tensor


@dataclasses.dataclass
class MarianConfig(Config):
    """The settings of a Transformer for translation; the names are those of Hugging Face's files.

    Attributes:
        vocab_size: number of tokens of the source, and of the target where both share them.
        decoder_vocab_size: number of tokens of the target; ``vocab_size`` by default.
        max_position_embeddings: the longest source or target, in tokens.
        d_model: width of a token's vector, C.
        encoder_layers: layers of the encoder.
        encoder_attention_heads: heads of attention in each.
        encoder_ffn_dim: width in the middle of its MLP.
        decoder_layers: layers of the decoder.
        decoder_attention_heads: heads of attention in each.
        decoder_ffn_dim: width in the middle of its MLP.
        activation_function: in the MLPs.
        dropout: of embeddings and of what each part adds.
        attention_dropout: of attention weights.
        activation_dropout: in the middle of the MLPs.
        init_std: standard deviation of the initial weights.
        scale_embedding: multiply embeddings by sqrt(C).
        share_encoder_decoder_embeddings: one embedding for source and target.
        tie_word_embeddings: the head's weight is the decoder's embedding.
        pad_token_id: token that fills up short texts of a batch.
        bos_token_id: of no use here.
        eos_token_id: token that ends a text.
        decoder_start_token_id: token that the decoder reads first.
        forced_eos_token_id: the last token of a text of the greatest length, where ``generate`` writes it.
    """

    model_type: ClassVar[str] = "marian"
    aliases: ClassVar[dict[str, str]] = {
        "num_attention_heads": "encoder_attention_heads", "hidden_size": "d_model",
        "num_hidden_layers": "encoder_layers",
    }  # fmt: skip

    vocab_size: int = 58101
    decoder_vocab_size: int | None = None
    max_position_embeddings: int = 1024
    d_model: int = 1024
    encoder_layers: int = 12
    encoder_attention_heads: int = 16
    encoder_ffn_dim: int = 4096
    decoder_layers: int = 12
    decoder_attention_heads: int = 16
    decoder_ffn_dim: int = 4096
    activation_function: str = "gelu"
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    init_std: float = 0.02
    scale_embedding: bool = False
    share_encoder_decoder_embeddings: bool = True
    tie_word_embeddings: bool = True
    pad_token_id: int = 58100
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = 0
    decoder_start_token_id: int = 58100
    forced_eos_token_id: int | list[int] | None = 0

    def __post_init__(self) -> None:
        if self.decoder_vocab_size is None:
            self.decoder_vocab_size = self.vocab_size
        for name in (
            "vocab_size", "decoder_vocab_size", "max_position_embeddings", "d_model", "encoder_layers",
            "encoder_attention_heads", "encoder_ffn_dim", "decoder_layers", "decoder_attention_heads",
            "decoder_ffn_dim",
        ):  # fmt: skip
            positive(self, **{name: getattr(self, name)})
        for side in ("encoder", "decoder"):
            heads = f"{side}_attention_heads"
            divisible(self, d_model=self.d_model, **{heads: getattr(self, heads)})
        for name in ("dropout", "attention_dropout", "activation_dropout"):
            probability(self, **{name: getattr(self, name)})
        one_of(self, ACTIVATIONS, activation_function=self.activation_function)
        if self.share_encoder_decoder_embeddings and self.decoder_vocab_size != self.vocab_size:
            raise ValueError(
                f"MarianConfig: shared embeddings need equal vocabularies, not {self.vocab_size} and "
                f"{self.decoder_vocab_size} tokens"
            )
        if self.d_model % 2:
            raise ValueError(f"MarianConfig: d_model is {self.d_model}; sinusoids need an even one")
        for name, size in (("pad_token_id", self.vocab_size), ("decoder_start_token_id", self.decoder_vocab_size)):
            if not 0 <= getattr(self, name) < size:
                raise ValueError(f"MarianConfig: {name} is {getattr(self, name)}; it needs to be one of {size} tokens")


def sinusoids(length: int, width: int) -> Any:
    """Return the code of each place, (length, width): sines of falling frequencies, then cosines of the same.

    Source: Vaswani et al. (2017), section 3.5; there, sines and cosines alternate.

    Example:
        >>> sinusoids(2, 4).round(2).tolist()
        [[0.0, 0.0, 1.0, 1.0], [0.8399999737739563, 0.009999999776482582, 0.5400000214576721, 1.0]]
    """
    angles = np.arange(length)[:, None] / 10000.0 ** (np.arange(0, width, 2) / width)  # (length, width / 2)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


class MarianAttention(nn.Module):
    """Multi-head attention of one sequence to another, or to itself."""

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads, self.dropout_p = num_heads, dropout
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def keys_and_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what others look at in x, (B, S, C): keys and values, (B, H, S, D) each."""
        return self._heads(self.k_proj(x)), self._heads(self.v_proj(x))

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, is_causal: bool = False, show: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Return what x, (B, T, C), finds, and where it looked if ``show``, (B, H, T, S)."""
        B, T, C = x.shape
        q, dropout, weights = self._heads(self.q_proj(x)), self.dropout_p if self.training else 0.0, None
        if show:
            y, weights = attention_with_weights(q, keys, values, mask, dropout, q.shape[-1] ** -0.5)
        else:
            y = F.scaled_dot_product_attention(q, keys, values, mask, dropout, is_causal)
        return self.out_proj(y.transpose(1, 2).reshape(B, T, C)), weights

    def _heads(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        return x.reshape(B, T, self.num_heads, C // self.num_heads).transpose(1, 2)


class MarianLayer(nn.Module):
    """What a layer of the encoder and one of the decoder share: self-attention and MLP."""

    def __init__(self, config: MarianConfig, num_heads: int, inner: int) -> None:
        super().__init__()
        self.self_attn = MarianAttention(config.d_model, num_heads, config.attention_dropout)
        self.self_attn_layer_norm = nn.LayerNorm(config.d_model)
        self.fc1 = nn.Linear(config.d_model, inner)
        self.fc2 = nn.Linear(inner, config.d_model)
        self.final_layer_norm = nn.LayerNorm(config.d_model)
        self.act = ACTIVATIONS[config.activation_function]
        self.drop = nn.Dropout(config.dropout)
        self.drop_inside = nn.Dropout(config.activation_dropout)

    def mlp(self, x: Tensor) -> Tensor:
        """Return layer_norm(x + the MLP of x)."""
        return self.final_layer_norm(x + self.drop(self.fc2(self.drop_inside(self.act(self.fc1(x))))))


class MarianEncoderLayer(MarianLayer):
    """Self-attention in both directions, and MLP."""

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        y, _ = self.self_attn(x, *self.self_attn.keys_and_values(x), mask)
        return self.mlp(self.self_attn_layer_norm(x + self.drop(y)))


class MarianDecoderLayer(MarianLayer):
    """Causal self-attention, attention to the encoder's output, and MLP."""

    def __init__(self, config: MarianConfig, num_heads: int, inner: int) -> None:
        super().__init__(config, num_heads, inner)
        self.encoder_attn = MarianAttention(config.d_model, num_heads, config.attention_dropout)
        self.encoder_attn_layer_norm = nn.LayerNorm(config.d_model)

    def forward(
        self,
        x: Tensor,
        past: tuple[KVCache, int] | None,
        source: tuple[Tensor, Tensor],
        mask: Tensor | None,
        show: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the layer's output, (B, T, C), and its attention to the source if ``show``.

        Args:
            x: (B, T, C).
            past: the cache of tokens read before, and the number of this layer in it.
            source: keys and values of the encoder's output.
            mask: of the source.
            show: whether the attention is asked for.
        """
        keys, values = self.self_attn.keys_and_values(x)
        causal, seen = x.shape[1] > 1, None
        if past is not None:
            cache, layer = past
            keys, values = cache.update(layer, keys, values)
            if causal and cache.length:
                seen = causal_mask(None, cache.length, x.shape[1], x.device)
        y, _ = self.self_attn(x, keys, values, seen, is_causal=causal and seen is None)
        x = self.self_attn_layer_norm(x + self.drop(y))
        y, weights = self.encoder_attn(x, *source, mask, show=show)
        return self.mlp(self.encoder_attn_layer_norm(x + self.drop(y))), weights


class MarianStack(nn.Module):
    """Embeddings and layers: the encoder, or the decoder."""

    def __init__(self, config: MarianConfig, embedding: nn.Embedding, layers: list[nn.Module]) -> None:
        super().__init__()
        self.embed_tokens = embedding
        self.layers = nn.ModuleList(layers)
        self.drop = nn.Dropout(config.dropout)
        self.scale = math.sqrt(config.d_model) if config.scale_embedding else 1.0
        places = ops.tensor(sinusoids(config.max_position_embeddings, config.d_model))
        self.register_buffer("places", places, persistent=False)

    def embed(self, tokens: Tensor, past: int = 0) -> Tensor:
        """Return the vectors of tokens, (B, T) -> (B, T, C), that come after ``past`` others."""
        end, most = past + tokens.shape[1], self.places.shape[0]
        if end > most:
            raise OperationError(
                f"MarianMTModel: {end} tokens are more than the {most} positions that it has; cut the text"
            )
        x = self.embed_tokens(tokens)
        return self.drop((x if self.scale == 1 else x * self.scale) + self.places[past:end])


class MarianModel(nn.Module):
    """Encoder and decoder, without the head."""

    def __init__(self, config: MarianConfig) -> None:
        super().__init__()
        encoder = decoder = _embedding(config.vocab_size, config)
        if not config.share_encoder_decoder_embeddings:
            decoder = _embedding(config.decoder_vocab_size or config.vocab_size, config)
        if config.share_encoder_decoder_embeddings:
            self.shared = encoder
        self.encoder = MarianStack(config, encoder, [
            MarianEncoderLayer(config, config.encoder_attention_heads, config.encoder_ffn_dim)
            for _ in range(config.encoder_layers)
        ])  # fmt: skip
        self.decoder = MarianStack(config, decoder, [
            MarianDecoderLayer(config, config.decoder_attention_heads, config.decoder_ffn_dim)
            for _ in range(config.decoder_layers)
        ])  # fmt: skip


def _embedding(size: int, config: MarianConfig) -> nn.Embedding:
    """Return an embedding in which padding, where it is one of the tokens, stays 0."""
    padding = config.pad_token_id
    return nn.Embedding(size, config.d_model, padding if padding < size else None)


class DecoderCache:
    """What a decoder remembers while it writes: its own keys and values, and those of the source.

    Attributes:
        own: of the tokens written so far.
        source: of the encoder's output, for each layer.
        mask: of the source, or None.
    """

    def __init__(self, own: KVCache, source: list[tuple[Tensor, Tensor]], mask: Tensor | None) -> None:
        self.own, self.source, self.mask = own, source, mask

    def reorder(self, rows: Tensor) -> None:
        """Keep these sequences of the batch, in this order; one may come several times (for beam search)."""
        self.own.reorder(rows)
        self.source = [(keys[rows], values[rows]) for keys, values in self.source]
        self.mask = None if self.mask is None else self.mask[rows]


class MarianMTModel(EncoderDecoder):
    """The Transformer for translation.

    Example:
        >>> import minillm
        >>> config = MarianConfig(vocab_size=65, d_model=16, encoder_layers=2, encoder_attention_heads=2,
        ...     encoder_ffn_dim=32, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=32,
        ...     pad_token_id=64, decoder_start_token_id=64)
        >>> model = MarianMTModel(config)
        >>> source, target = minillm.zeros(2, 8, dtype="int64"), minillm.zeros(2, 5, dtype="int64")
        >>> model(source, labels=target).logits.shape
        (2, 5, 65)
    """

    config_class = MarianConfig
    base_model_prefix = "model"
    input_embeddings = "encoder.embed_tokens"
    output_embeddings = "lm_head"
    final_logits_bias: Tensor

    def __init__(self, config: MarianConfig) -> None:
        super().__init__(config)
        self.model = MarianModel(config)
        size = config.decoder_vocab_size or config.vocab_size
        self.register_buffer("final_logits_bias", ops.zeros(1, size))
        self.lm_head = nn.Linear(config.d_model, size, bias=False)
        self.apply(self._init_weights)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.decoder.embed_tokens.weight

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=self.config.init_std)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            nn.init.zeros_(module.weight[module.padding_idx])

    @property
    def max_length(self) -> int:
        """The longest target, in tokens."""
        return int(self.config.max_position_embeddings)

    def encode(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return the encoder's output, (B, S, C); see :class:`EncoderDecoder`."""
        mask = bidirectional_mask(attention_mask, *input_ids.shape)
        x = self.model.encoder.embed(input_ids)
        for layer in self.model.encoder.layers:
            x = layer(x, mask)
        return x

    def start_cache(self, memory: Tensor, attention_mask: Tensor | None, max_length: int) -> DecoderCache:
        """Return the cache of a decoder: it computes the keys and values of the source once."""
        layers = self.model.decoder.layers
        source = [layer.encoder_attn.keys_and_values(memory) for layer in layers]
        mask = bidirectional_mask(attention_mask, memory.shape[0], memory.shape[1])
        return DecoderCache(KVCache(len(layers), min(max_length, self.max_length)), source, mask)

    def decode(
        self,
        decoder_input_ids: Tensor,
        memory: Tensor,
        attention_mask: Tensor | None = None,
        cache: DecoderCache | None = None,
        show: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the decoder's output and its last layer's attention to the source; see :class:`EncoderDecoder`."""
        decoder = self.model.decoder
        mask = bidirectional_mask(attention_mask, memory.shape[0], memory.shape[1]) if cache is None else cache.mask
        x = decoder.embed(decoder_input_ids, 0 if cache is None else cache.own.length)
        weights = None
        for i, layer in enumerate(decoder.layers):
            source = layer.encoder_attn.keys_and_values(memory) if cache is None else cache.source[i]
            past = None if cache is None else (cache.own, i)
            x, weights = layer(x, past, source, mask, show and i == len(decoder.layers) - 1)
        if cache is not None:
            cache.own.advance(x.shape[1])
        return x, weights

    def score(self, hidden: Tensor) -> Tensor:
        """Return the logits: (B, T, C) -> (B, T, V)."""
        return self.lm_head(hidden) + self.final_logits_bias
