"""BERT's heads for pretraining: guess the tokens that were masked, and whether one text follows another.

logits = layer_norm(act(W x + b)) E^T + c for a masked token, with E the token embedding; for a pair of texts a
linear layer on the pooled state of [CLS], where 0 says that the second follows the first, and 1 that it was drawn.
The loss is the sum of both.

Source: Devlin, Chang, Lee and Toutanova, "BERT" (2019), section 3.1. The names of the parameters are those of
Hugging Face's files.
"""

from __future__ import annotations

from typing import Any, ClassVar

from minillm import nn, ops
from minillm.models.activations import ACTIVATIONS
from minillm.models.bert import BertConfig
from minillm.models.bert_heads import BertHeadModel
from minillm.models.labels import choice_loss, token_loss
from minillm.models.output import ModelOutput
from minillm.models.resizing import resize_rows
from minillm.ops import Tensor


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


class BertPretrainingHeads(nn.Module):
    """Holds the heads under the names that they have in files."""

    def __init__(self, config: BertConfig, masked: bool, next_sentence: bool) -> None:
        super().__init__()
        if masked:
            self.predictions = BertPredictionHead(config)
        if next_sentence:
            self.seq_relationship = nn.Linear(config.hidden_size, 2)


class BertVocabularyModel(BertHeadModel):
    """Base of the models that score each token of the vocabulary: that layer shares the token embedding."""

    output_embeddings: ClassVar[str | None] = "cls.predictions.decoder"

    def __init__(self, config: BertConfig, next_sentence: bool) -> None:
        super().__init__(config, add_pooling_layer=next_sentence)
        self.cls = BertPretrainingHeads(config, masked=True, next_sentence=next_sentence)
        self.cls.apply(self._init_weights)
        if config.tie_word_embeddings:
            self.cls.predictions.decoder.weight = self.bert.embeddings.word_embeddings.weight

    def _logits(self, encoded: ModelOutput) -> Tensor:
        return self.cls.predictions(encoded.last_hidden_state)  # (B, T, V)

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


class BertForMaskedLM(BertVocabularyModel):
    """BERT that guesses tokens that were masked.

    Example:
        >>> import minillm
        >>> config = BertConfig(vocab_size=65, hidden_size=32, num_hidden_layers=2, num_attention_heads=4)
        >>> BertForMaskedLM(config)(minillm.zeros(2, 8, dtype="int64")).logits.shape
        (2, 8, 65)
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config, next_sentence=False)


class BertForNextSentencePrediction(BertHeadModel):
    """BERT that tells whether one text follows another: label 0 where it does, 1 where it was drawn at random.

    Example:
        >>> import minillm
        >>> config = BertConfig(vocab_size=65, hidden_size=32, num_hidden_layers=2, num_attention_heads=4)
        >>> model = BertForNextSentencePrediction(config)
        >>> model(minillm.zeros(2, 8, dtype="int64"), labels=minillm.tensor([0, 1])).logits.shape
        (2, 2)
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config, add_pooling_layer=True)
        self.cls = BertPretrainingHeads(config, masked=False, next_sentence=True)
        self.cls.apply(self._init_weights)

    def _logits(self, encoded: ModelOutput) -> Tensor:
        return self.cls.seq_relationship(encoded.pooler_output)  # (B, 2)

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return choice_loss(logits, labels)


class BertForPreTraining(BertVocabularyModel):
    """BERT as it is pretrained: with both heads.

    Example:
        >>> import minillm
        >>> config = BertConfig(vocab_size=65, hidden_size=32, num_hidden_layers=2, num_attention_heads=4)
        >>> output = BertForPreTraining(config)(minillm.zeros(2, 8, dtype="int64"))
        >>> output.prediction_logits.shape, output.seq_relationship_logits.shape
        ((2, 8, 65), (2, 2))
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config, next_sentence=True)

    def forward(
        self,
        *inputs: Any,
        labels: Tensor | None = None,
        next_sentence_label: Tensor | None = None,
        return_dict: bool | None = None,
        **options: Any,
    ) -> ModelOutput | tuple[Any, ...]:
        """Return ``prediction_logits`` (B, T, V) and ``seq_relationship_logits`` (B, 2), and ``loss`` for both labels.

        Args:
            inputs: as for :meth:`BertModel.forward`: first ``input_ids``, (B, T).
            labels: the tokens that were masked, (B, T); -100 elsewhere.
            next_sentence_label: (B,), 0 where the second text follows the first, 1 where it does not.
            return_dict: False returns a plain tuple; as the config says by default.
            options: as for :meth:`BertModel.forward`, by name.
        """
        encoded = self.bert(*inputs, return_dict=True, **options)
        logits, follows = self._logits(encoded), self.cls.seq_relationship(encoded.pooler_output)
        loss = None
        if labels is not None and next_sentence_label is not None:
            loss = token_loss(logits, labels) + choice_loss(follows, next_sentence_label, "next_sentence_label")
        return ModelOutput(
            loss=loss,
            prediction_logits=logits,
            seq_relationship_logits=follows,
            hidden_states=encoded.hidden_states,
            attentions=encoded.attentions,
        ).unless_tuple(self._returns_dict(return_dict))
