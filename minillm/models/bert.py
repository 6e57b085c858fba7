"""BERT: an encoder that reads a text in both directions at once; its heads are beside.

Source: Devlin, Chang, Lee and Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for Language
Understanding" (2019); each part is followed by layer norm (post-norm), as in Vaswani et al. (2017)::

    x = layer_norm(token + position + segment embedding)        (B, T, C)
    for each layer:
        x = layer_norm(x + attention(x))
        x = layer_norm(x + mlp(x))
    pooled = tanh(W x_0 + b)                                    (B, C), of the first token, [CLS]

The names of the parameters are those of Hugging Face's files.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

from minillm import nn
from minillm.autograd.errors import OperationError
from minillm.models.activations import ACTIVATIONS, activated_linear
from minillm.models.attention import attention_with_weights, bidirectional_mask
from minillm.models.config import divisible, one_of, positive, probability
from minillm.models.inputs import one_of_both
from minillm.models.labels import LabelsConfig
from minillm.models.output import ModelOutput
from minillm.models.pretrained import PretrainedModel
from minillm.models.recomputed import Stack
from minillm.nn import functional as F
from minillm.ops import Tensor


@dataclasses.dataclass
class BertConfig(LabelsConfig):
    """The settings of a BERT; the defaults are those of the base model (110 M parameters).

    Attributes:
        vocab_size: number of tokens, V.
        hidden_size: width, C.
        num_hidden_layers: number of layers.
        num_attention_heads: number of attention heads, H; C is divided between them.
        intermediate_size: width inside the MLP.
        hidden_act: activation of the MLP.
        hidden_dropout_prob: dropout after the embeddings, attention and MLP.
        attention_probs_dropout_prob: dropout of the attention weights.
        max_position_embeddings: the longest text, in tokens.
        type_vocab_size: number of segments.
        initializer_range: standard deviation of the initial weights.
        layer_norm_eps: added to the variance in layer norm.
        pad_token_id: token that fills up short texts of a batch; its embedding is not trained.
        classifier_dropout: dropout before the head; ``hidden_dropout_prob`` by default.
        tie_word_embeddings: whether the masked language model's head shares the token embedding.
    """

    model_type: ClassVar[str] = "bert"

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    classifier_dropout: float | None = None
    tie_word_embeddings: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in (
            "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
            "max_position_embeddings", "type_vocab_size",
        ):  # fmt: skip
            positive(self, **{name: getattr(self, name)})
        divisible(self, hidden_size=self.hidden_size, num_attention_heads=self.num_attention_heads)
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            probability(self, **{name: getattr(self, name)})
        if self.classifier_dropout is not None:
            probability(self, classifier_dropout=self.classifier_dropout)
        one_of(self, ACTIVATIONS, hidden_act=self.hidden_act)
        for name in ("is_decoder", "add_cross_attention"):
            if self.other.get(name):
                raise ValueError(f"BertConfig: {name} is set; a BERT that decodes is not offered")
        kind = self.other.get("position_embedding_type", "absolute")
        if kind != "absolute":
            raise ValueError(f"BertConfig: position_embedding_type is {kind!r}; only 'absolute' is offered")


class BertEmbeddings(nn.Module):
    """The sum of the embeddings of token, place and segment."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size, config.pad_token_id)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(
        self,
        input_ids: Tensor | None,
        token_type_ids: Tensor | None,
        position_ids: Tensor | None,
        inputs_embeds: Tensor | None,
    ) -> Tensor:
        x = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        length, places = x.shape[1], self.position_embeddings.num_embeddings
        if length > places:
            raise OperationError(
                f"BertModel: {length} tokens are more than the {places} positions that it has; cut the text "
                "(truncation=True), or give a model with larger max_position_embeddings"
            )
        if token_type_ids is None:
            x = x + self.token_type_embeddings.weight[0]
        else:
            x = x + self.token_type_embeddings(token_type_ids)
        if position_ids is None:
            x = x + self.position_embeddings.weight[:length]
        else:
            x = x + self.position_embeddings(position_ids)
        return self.dropout(self.LayerNorm(x))


class BertSelfAttention(nn.Module):
    """Multi-head attention of each token to all: softmax(q k^T / sqrt(D)) v."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.num_heads = config.num_attention_heads
        self.dropout_p = config.attention_probs_dropout_prob
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor, mask: Tensor | None, attentions: list[Tensor] | None) -> Tensor:
        B, T, C = x.shape
        D = C // self.num_heads
        q, k, v = (
            part(x).reshape(B, T, self.num_heads, D).transpose(1, 2)  # (B, H, T, D)
            for part in (self.query, self.key, self.value)
        )
        dropout = self.dropout_p if self.training else 0.0
        if attentions is None:
            y = F.scaled_dot_product_attention(q, k, v, mask, dropout)
        else:
            y, weights = attention_with_weights(q, k, v, mask, dropout, 1 / math.sqrt(D))
            attentions.append(weights)
        return y.transpose(1, 2).reshape(B, T, C)


class BertAddNorm(nn.Module):
    """layer_norm(x + dropout(W y + b)): how each part returns to the stream."""

    def __init__(self, config: BertConfig, size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        return self.LayerNorm(x + self.dropout(self.dense(y)))


class BertAttention(nn.Module):
    """Self-attention and its way back to the stream."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.self = BertSelfAttention(config)
        self.output = BertAddNorm(config, config.hidden_size)

    def forward(self, x: Tensor, mask: Tensor | None, attentions: list[Tensor] | None) -> Tensor:
        return self.output(self.self(x, mask, attentions), x)


class BertIntermediate(nn.Module):
    """The first half of the MLP."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.act = ACTIVATIONS[config.hidden_act]

    def forward(self, x: Tensor) -> Tensor:
        return activated_linear(self.act, self.dense, x)


class BertLayer(nn.Module):
    """Attention and MLP."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.attention = BertAttention(config)
        self.intermediate = BertIntermediate(config)
        self.output = BertAddNorm(config, config.intermediate_size)

    def forward(self, x: Tensor, mask: Tensor | None, attentions: list[Tensor] | None) -> Tensor:
        x = self.attention(x, mask, attentions)
        return self.output(self.intermediate(x), x)


class BertEncoder(Stack):
    """The stack of layers."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList([BertLayer(config) for _ in range(config.num_hidden_layers)])

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None,
        attentions: list[Tensor] | None,
        hidden_states: list[Tensor] | None,
    ) -> Tensor:
        for layer in self.layer:
            x = self.caller(layer, attentions is None)(x, mask, attentions)
            if hidden_states is not None:
                hidden_states.append(x)
        return x


class BertPooler(nn.Module):
    """tanh(W x_0 + b), of the first token."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(x[:, 0]).tanh()


class BertPretrainedModel(PretrainedModel):
    """What BERT with and without a head have in common: settings, files, initial weights."""

    config_class = BertConfig
    base_model_prefix = "bert"
    input_embeddings = "embeddings.word_embeddings"
    renamed: ClassVar[dict[str, str]] = {
        "LayerNorm.gamma": "LayerNorm.weight",
        "LayerNorm.beta": "LayerNorm.bias",
    }

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            nn.init.zeros_(module.weight.data[module.padding_idx])

    @property
    def max_length(self) -> int:
        """The longest text, in tokens."""
        return int(self.config.max_position_embeddings)


class BertModel(BertPretrainedModel):
    """The encoder: tokens in, hidden states out, and the pooled state of the first token.

    Args:
        config: the settings.
        add_pooling_layer: whether there is a pooler.

    Example:
        >>> import minillm
        >>> config = BertConfig(vocab_size=65, hidden_size=32, num_hidden_layers=2, num_attention_heads=4)
        >>> output = BertModel(config)(minillm.zeros(2, 8, dtype="int64"))
        >>> output.last_hidden_state.shape, output.pooler_output.shape
        ((2, 8, 32), (2, 32))
    """

    def __init__(self, config: BertConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        self.embeddings = BertEmbeddings(config)
        self.encoder = BertEncoder(config)
        self.pooler = BertPooler(config) if add_pooling_layer else None
        self.apply(self._init_weights)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> ModelOutput | tuple[Any, ...]:
        """Return the hidden states.

        Args:
            input_ids: tokens, (B, T).
            attention_mask: (B, T), 1 for tokens and 0 for padding; or (B, T, T), 1 where a row's token may
                look.
            token_type_ids: (B, T), the segment of each token; 0 by default.
            position_ids: (B, T) or (1, T); counted from 0 by default.
            inputs_embeds: (B, T, C), embeddings in the place of ``input_ids``.
            output_attentions: return the attention weights of every layer.
            output_hidden_states: return the hidden states before and after every layer.
            return_dict: False returns a plain tuple; for this and the two above, None is as the config says.

        Returns:
            ``last_hidden_state`` (B, T, C), ``pooler_output`` (B, C) where there is a pooler, and where asked
            for ``hidden_states`` (a tuple of layers + 1) and ``attentions`` (a tuple, (B, H, T, T) each).
        """
        output_attentions, output_hidden_states = self._shown(output_attentions, output_hidden_states)
        given = one_of_both(self, input_ids, inputs_embeds)
        mask = bidirectional_mask(attention_mask, given.shape[0], given.shape[1])
        x = self.embeddings(input_ids, token_type_ids, position_ids, inputs_embeds)
        attentions: list[Tensor] | None = [] if output_attentions else None
        hidden_states: list[Tensor] | None = [x] if output_hidden_states else None
        x = self.encoder(x, mask, attentions, hidden_states)
        return ModelOutput(
            last_hidden_state=x,
            pooler_output=None if self.pooler is None else self.pooler(x),
            hidden_states=None if hidden_states is None else tuple(hidden_states),
            attentions=None if attentions is None else tuple(attentions),
        ).unless_tuple(self._returns_dict(return_dict))
