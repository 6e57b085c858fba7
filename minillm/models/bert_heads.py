"""BERT's heads: what answers from what the encoder read.

Each is a linear layer on hidden states: on that of [CLS], pooled, for a label of the whole text; on each for a
label of every token, for the begin and end of an answer, or for the token that was masked.

Source: Devlin, Chang, Lee and Toutanova, "BERT" (2019), sections 3.1 and 4. The names of the parameters are
those of Hugging Face's files.
"""

from __future__ import annotations

from typing import Any, ClassVar

from minillm import nn, ops
from minillm.models.activations import ACTIVATIONS
from minillm.models.bert import BertConfig, BertModel, BertPretrainedModel
from minillm.models.labels import classification_loss, span_loss, token_loss
from minillm.models.output import ModelOutput
from minillm.models.resizing import resize_rows
from minillm.ops import Tensor


class BertHeadModel(BertPretrainedModel):
    """Base of the models with a head: they read alike, and differ in logits and loss."""

    def __init__(self, config: BertConfig, add_pooling_layer: bool = False) -> None:
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer)

    def head_dropout(self) -> nn.Dropout:
        """Return the dropout before the head."""
        p = self.config.classifier_dropout
        return nn.Dropout(self.config.hidden_dropout_prob if p is None else p)

    def _logits(self, encoded: ModelOutput) -> Tensor:
        """Return the scores that the head gives."""
        raise NotImplementedError

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return how far the scores are from the labels: for labels of tokens, unless a head says otherwise."""
        return token_loss(logits, labels)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        return_dict: bool | None = None,
        **options: Any,
    ) -> ModelOutput | tuple[Any, ...]:
        """Return ``logits``, and ``loss`` where labels are given.

        Args:
            input_ids: see :meth:`BertModel.forward` for this and all that is not told here.
            attention_mask: 1 for tokens and 0 for padding.
            token_type_ids: segments.
            position_ids: places.
            inputs_embeds: embeddings in the place of ``input_ids``.
            labels: of each text for a classifier, (B,), see :func:`~minillm.models.labels.classification_loss`;
                of each token otherwise, (B, T), -100 is left out.
            return_dict: False returns a plain tuple; as the config says by default.
            options: ``output_attentions`` and ``output_hidden_states``.
        """
        encoded = self.bert(
            input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, return_dict=True, **options
        )
        logits = self._logits(encoded)
        return ModelOutput(
            loss=None if labels is None else self._loss(logits, labels),
            logits=logits,
            hidden_states=encoded.hidden_states,
            attentions=encoded.attentions,
        ).unless_tuple(self._returns_dict(return_dict))


class BertForSequenceClassification(BertHeadModel):
    """BERT that labels a text, or a pair of texts: a linear layer on the pooled state of [CLS].

    Example:
        >>> import minillm
        >>> config = BertConfig(vocab_size=65, hidden_size=32, num_hidden_layers=2, num_attention_heads=4)
        >>> model = BertForSequenceClassification(config)
        >>> model(minillm.zeros(2, 8, dtype="int64"), labels=minillm.tensor([0, 1])).logits.shape
        (2, 2)
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config, add_pooling_layer=True)
        self.dropout = self.head_dropout()
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.classifier.apply(self._init_weights)

    def _logits(self, encoded: ModelOutput) -> Tensor:
        return self.classifier(self.dropout(encoded.pooler_output))  # (B, L)

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return classification_loss(logits, labels, self.config)


class BertForTokenClassification(BertHeadModel):
    """BERT that labels every token: a linear layer on each hidden state.

    Example:
        >>> import minillm
        >>> config = BertConfig(
        ...     vocab_size=65, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_labels=5
        ... )
        >>> BertForTokenClassification(config)(minillm.zeros(2, 8, dtype="int64")).logits.shape
        (2, 8, 5)
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.dropout = self.head_dropout()
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.classifier.apply(self._init_weights)

    def _logits(self, encoded: ModelOutput) -> Tensor:
        return self.classifier(self.dropout(encoded.last_hidden_state))  # (B, T, L)


class BertForQuestionAnswering(BertHeadModel):
    """BERT that marks where in a text the answer to a question begins and ends.

    Example:
        >>> import minillm
        >>> config = BertConfig(vocab_size=65, hidden_size=32, num_hidden_layers=2, num_attention_heads=4)
        >>> BertForQuestionAnswering(config)(minillm.zeros(2, 8, dtype="int64")).end_logits.shape
        (2, 8)
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        if config.num_labels != 2:
            raise ValueError(
                f"BertForQuestionAnswering: num_labels is {config.num_labels}; it needs 2, begin and end"
            )
        self.qa_outputs = nn.Linear(config.hidden_size, 2)
        self.qa_outputs.apply(self._init_weights)

    def _logits(self, encoded: ModelOutput) -> Tensor:
        return self.qa_outputs(encoded.last_hidden_state)  # (B, T, 2)

    def forward(
        self,
        *inputs: Any,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        return_dict: bool | None = None,
        **options: Any,
    ) -> ModelOutput | tuple[Any, ...]:
        """Return ``start_logits`` and ``end_logits``, (B, T), and the loss where the places are given.

        Args:
            inputs: as for :meth:`BertModel.forward`: first ``input_ids``, (B, T).
            start_positions: (B,), the first token of each answer; one beyond the text is left out.
            end_positions: (B,), the last token of each answer, likewise.
            return_dict: False returns a plain tuple; as the config says by default.
            options: as for :meth:`BertModel.forward`, by name.
        """
        output = super().forward(*inputs, return_dict=True, **options)
        assert isinstance(output, ModelOutput)
        start, end = output.logits[:, :, 0], output.logits[:, :, 1]
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = span_loss(start, end, start_positions, end_positions)
        return ModelOutput(
            loss=loss,
            start_logits=start,
            end_logits=end,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        ).unless_tuple(self._returns_dict(return_dict))


class BertPredictionTransform(nn.Module):
    """layer_norm(act(W x + b))."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.act = ACTIVATIONS[config.hidden_act]
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        return self.LayerNorm(self.act(self.dense(x)))


class BertPredictionHead(nn.Module):
    """The scores of each token of the vocabulary: layer_norm(act(W x + b)) E^T + c, E the token embedding."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.bias: Tensor = nn.Parameter(ops.zeros(config.vocab_size))
        self.transform = BertPredictionTransform(config)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)
        if config.tie_word_embeddings:  # else files have both, and the decoder's own counts
            self.decoder.bias = self.bias

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.transform(x))


class BertMaskedHead(nn.Module):
    """Holds the head under the name that it has in files."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.predictions = BertPredictionHead(config)

    def forward(self, x: Tensor) -> Tensor:
        return self.predictions(x)


class BertForMaskedLM(BertHeadModel):
    """BERT that guesses tokens that were masked: how it is pretrained.

    Example:
        >>> import minillm
        >>> config = BertConfig(vocab_size=65, hidden_size=32, num_hidden_layers=2, num_attention_heads=4)
        >>> BertForMaskedLM(config)(minillm.zeros(2, 8, dtype="int64")).logits.shape
        (2, 8, 65)
    """

    output_embeddings: ClassVar[str | None] = "cls.predictions.decoder"

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.cls = BertMaskedHead(config)
        self.cls.apply(self._init_weights)
        if config.tie_word_embeddings:
            self.cls.predictions.decoder.weight = self.bert.embeddings.word_embeddings.weight

    def _logits(self, encoded: ModelOutput) -> Tensor:
        return self.cls(encoded.last_hidden_state)  # (B, T, V)

    def resize_token_embeddings(
        self, new_num_tokens: int | None = None, pad_to_multiple_of: int | None = None
    ) -> Any:
        """Give the model so many tokens; the bias of the scores stands under two names."""
        embedding = super().resize_token_embeddings(new_num_tokens, pad_to_multiple_of)
        predictions, tied = self.cls.predictions, self.config.tie_word_embeddings
        bias = predictions.decoder.bias if tied else resize_rows(predictions.bias, len(embedding.weight))
        assert bias is not None
        predictions.bias = bias
        return embedding
