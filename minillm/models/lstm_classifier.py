"""LSTM classifiers, of texts and of tokens: they read a text in both directions.

    h = [forward LSTM; backward LSTM](embedding(tokens))          (B, T, 2H)
    text:    logits = W pooled(h) + b                             (B, L), the largest or the mean over the tokens
    tokens:  logits_t = W h_t + b                                 (B, T, L)

Source: Schuster and Paliwal, "Bidirectional Recurrent Neural Networks" (1997); the largest over time, Collobert et
al., "Natural Language Processing (Almost) from Scratch" (2011); tagging, Huang, Xu and Yu, "Bidirectional LSTM-CRF
Models for Sequence Tagging" (2015), without the CRF.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from minillm import nn, ops
from minillm.autograd.errors import OperationError
from minillm.models.config import one_of, positive, probability
from minillm.models.labels import LabelsConfig, classification_loss, token_loss
from minillm.models.output import ModelOutput
from minillm.models.pretrained import PretrainedModel
from minillm.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from minillm.ops import Tensor

POOLINGS = ("max", "mean", "last")


@dataclasses.dataclass
class LSTMClassifierConfig(LabelsConfig):
    """The settings of an LSTM classifier.

    Attributes:
        vocab_size: number of tokens.
        embedding_dim: width of a token's vector, E.
        hidden_size: width of the states of each direction, H.
        num_layers: layers, one on another.
        bidirectional: read backwards, too.
        dropout: of embeddings, between layers, and before the head.
        pooling: what a text's vector is: the largest or the mean of its states, or where the reading ended.
        initializer_range: embedding and head start evenly between this and its negative.
        pad_token_id: token that fills up short texts of a batch; its embedding is not trained.
    """

    model_type: ClassVar[str] = "lstm_classifier"
    aliases: ClassVar[dict[str, str]] = {"num_hidden_layers": "num_layers"}

    vocab_size: int = 10000
    embedding_dim: int = 128
    hidden_size: int = 128
    num_layers: int = 1
    bidirectional: bool = True
    dropout: float = 0.3
    pooling: str = "max"
    initializer_range: float = 0.1
    pad_token_id: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("vocab_size", "embedding_dim", "hidden_size", "num_layers"):
            positive(self, **{name: getattr(self, name)})
        probability(self, dropout=self.dropout)
        one_of(self, POOLINGS, pooling=self.pooling)
        if not 0 <= self.pad_token_id < self.vocab_size:
            raise ValueError(
                f"LSTMClassifierConfig: pad_token_id is {self.pad_token_id}; it needs to be one of "
                f"{self.vocab_size} tokens"
            )


class LSTMReader(PretrainedModel):
    """What both classifiers share: they read tokens into states."""

    config_class = LSTMClassifierConfig
    input_embeddings = "embedding"

    def __init__(self, config: LSTMClassifierConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_dim, config.pad_token_id)
        self.lstm = nn.LSTM(
            config.embedding_dim, config.hidden_size, config.num_layers, batch_first=True,
            dropout=config.dropout if config.num_layers > 1 else 0.0, bidirectional=config.bidirectional,
        )  # fmt: skip
        self.drop = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.hidden_size * (1 + config.bidirectional), config.num_labels)
        self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        # The LSTM keeps PyTorch's own initial weights. Those of an embedding are large: what is learned of rare words
        # is lost in them, and 0.59 of rt-polarity's validation sentences come out right; with small ones it is 0.74.
        if isinstance(module, (nn.Linear, nn.Embedding)):
            bound = self.config.initializer_range
            nn.init.uniform_(module.weight, -bound, bound)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.Embedding):
            nn.init.zeros_(module.weight.data[self.config.pad_token_id])

    def read(self, input_ids: Tensor, attention_mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return the states of each token, (B, T, C), the last ones, (B, C), and which tokens count, (B, T).

        Raises:
            OperationError: a text of another shape, a mask of another shape, padding before tokens, or an empty text.
        """
        if input_ids.ndim != 2 or not input_ids.shape[1]:
            raise OperationError(
                f"{type(self).__name__}: got tokens of shape {input_ids.shape}; it needs (B, T), at least one"
            )
        seen = input_ids != self.config.pad_token_id if attention_mask is None else attention_mask != 0
        if seen.shape != input_ids.shape:
            raise OperationError(f"attention_mask: got shape {seen.shape}; it needs {input_ids.shape}, as input_ids")
        lengths = seen.long().sum(dim=1)
        place = ops.arange(input_ids.shape[1], device=input_ids.device)
        if not bool((seen == (place < lengths.unsqueeze(1))).all()):
            raise OperationError(f"{type(self).__name__}: padding stands before tokens; put it behind them")
        if not bool((lengths > 0).all()):
            raise OperationError(f"{type(self).__name__}: a text is padding alone; each needs at least one token")
        x = self.drop(self.embedding(input_ids))
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        states, (last, _) = self.lstm(packed)
        states, _ = pad_packed_sequence(states, batch_first=True, total_length=input_ids.shape[1])
        directions = 1 + self.config.bidirectional
        last = ops.cat([last[i - directions] for i in range(directions)], dim=1)
        return states, last, seen


class LSTMForSequenceClassification(LSTMReader):
    """An LSTM that gives a text a label.

    Example:
        >>> import minillm
        >>> model = LSTMForSequenceClassification(LSTMClassifierConfig(vocab_size=50, num_labels=3))
        >>> model(minillm.ones(2, 8, dtype="int64")).logits.shape
        (2, 3)
    """

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None,
        return_dict: bool | None = None, **ignored: Any,
    ) -> ModelOutput | tuple[Any, ...]:  # fmt: skip
        """Return ``logits``, (B, L), and with labels the ``loss``.

        Args:
            input_ids: (B, T).
            attention_mask: (B, T), 1 for tokens and 0 for padding, which stands behind them; by default,
                ``pad_token_id`` is padding.
            labels: (B,) whole numbers, or (B, L); see :func:`~minillm.models.labels.classification_loss`.
            return_dict: False returns a plain tuple; as the config says by default.
            ignored: what other models need, such as ``token_type_ids``.
        """
        states, last, seen = self.read(input_ids, attention_mask)
        if self.config.pooling == "last":
            pooled = last
        elif self.config.pooling == "mean":
            pooled = states.sum(dim=1) / seen.sum(dim=1, keepdim=True).to(dtype=states.dtype)  # of padding: 0
        else:
            pooled = states.masked_fill(~seen.unsqueeze(-1), float("-inf")).amax(dim=1)
        logits = self.classifier(self.drop(pooled))
        loss = None if labels is None else classification_loss(logits, labels, self.config)
        return ModelOutput(loss=loss, logits=logits).unless_tuple(self._returns_dict(return_dict))


class LSTMForTokenClassification(LSTMReader):
    """An LSTM that gives each token a label.

    Example:
        >>> import minillm
        >>> model = LSTMForTokenClassification(LSTMClassifierConfig(vocab_size=50, num_labels=3))
        >>> model(minillm.ones(2, 8, dtype="int64")).logits.shape
        (2, 8, 3)
    """

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None,
        return_dict: bool | None = None, **ignored: Any,
    ) -> ModelOutput | tuple[Any, ...]:  # fmt: skip
        """Return ``logits``, (B, T, L), and with labels, (B, T) with -100 for none, the ``loss``."""
        states, _, _ = self.read(input_ids, attention_mask)
        logits = self.classifier(self.drop(states))
        loss = None if labels is None else token_loss(logits, labels)
        return ModelOutput(loss=loss, logits=logits).unless_tuple(self._returns_dict(return_dict))
