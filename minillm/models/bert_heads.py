"""BERT's heads for fine-tuning: what answers from what the encoder read; those of pretraining are beside.

Each is a linear layer on hidden states: on that of [CLS], pooled, for a label of the whole text, or for how well
it fits as a choice among several; on each for a label of every token, or for the begin and end of an answer.

Source: Devlin, Chang, Lee and Toutanova, "BERT" (2019), section 4. The names of the parameters are those of
Hugging Face's files.
"""

from __future__ import annotations

from typing import Any

from minillm import nn
from minillm.autograd.errors import OperationError
from minillm.models.bert import BertConfig, BertModel, BertPretrainedModel
from minillm.models.labels import choice_loss, classification_loss, span_loss, token_loss
from minillm.models.output import ModelOutput
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


class BertForMultipleChoice(BertHeadModel):
    """BERT that picks one of N texts, such as answers to a question: a linear layer on each text's pooled state.

    Example:
        >>> import minillm
        >>> config = BertConfig(vocab_size=65, hidden_size=32, num_hidden_layers=2, num_attention_heads=4)
        >>> model = BertForMultipleChoice(config)
        >>> model(minillm.zeros(2, 3, 8, dtype="int64"), labels=minillm.tensor([0, 2])).logits.shape
        (2, 3)
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config, add_pooling_layer=True)
        self.dropout = self.head_dropout()
        self.classifier = nn.Linear(config.hidden_size, 1)
        self.classifier.apply(self._init_weights)

    def _logits(self, encoded: ModelOutput) -> Tensor:
        return self.classifier(self.dropout(encoded.pooler_output))  # (B N, 1)

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
        """Return ``logits``, (B, N), and ``loss`` where labels are given; hidden states are those of B N texts.

        All that is read has one axis more than :meth:`BertModel.forward` says: ``input_ids`` is (B, N, T). Labels
        are the numbers of the right texts, (B,).

        Raises:
            OperationError: tokens or labels of another shape.
        """
        given = inputs_embeds if input_ids is None else input_ids
        axes = 4 if input_ids is None else 3
        if given is not None and given.ndim != axes:
            needed = "(B, N, T)" if axes == 3 else "(B, N, T, C)"
            raise OperationError(f"BertForMultipleChoice: got tokens of shape {given.shape}; it needs {needed}")
        read = (input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds)
        texts = (None if part is None else part.reshape(-1, *part.shape[2:]) for part in read)  # B N of them
        output = super().forward(*texts, return_dict=True, **options)
        assert isinstance(output, ModelOutput)
        assert given is not None
        logits = output.logits.reshape(given.shape[0], given.shape[1])
        return ModelOutput(
            loss=None if labels is None else choice_loss(logits, labels),
            logits=logits,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        ).unless_tuple(self._returns_dict(return_dict))


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
