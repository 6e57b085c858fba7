"""A recurrent language model: Embedding, then RNN, GRU or LSTM, then Linear.

Source: Mikolov et al., "Recurrent neural network based language model" (2010); with LSTM cells,
Sundermeyer et al. (2012); tied embeddings, Press and Wolf (2017)::

    x = embedding(tokens)           (B, T, E)
    h = recurrent layers(x)         (B, T, H)
    logits = h @ W^T + b            (B, T, V)
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from minillm import nn, ops
from minillm.autograd.errors import OperationError
from minillm.models.config import Config, one_of, positive, probability
from minillm.models.losses import language_model_loss
from minillm.models.output import ModelOutput
from minillm.models.pretrained import PretrainedModel
from minillm.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from minillm.ops import Tensor

CELLS: dict[str, Any] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


@dataclasses.dataclass
class RNNLMConfig(Config):
    """The settings of a recurrent language model.

    Attributes:
        vocab_size: number of tokens, V.
        embedding_dim: width of the token embedding, E.
        hidden_size: width of the recurrent state, H.
        num_layers: recurrent layers, one on another.
        cell: ``rnn`` (tanh), ``gru`` or ``lstm``.
        dropout: after the embedding, between layers and before the head.
        tie_word_embeddings: share the head's weight with the embedding; needs E = H.
        initializer_range: embedding and head start evenly between this and its negative.
        bos_token_id: token that begins a text.
        eos_token_id: token that ends a text, or several.
        pad_token_id: token that fills up short texts of a batch.
    """

    model_type: ClassVar[str] = "rnn_lm"
    aliases: ClassVar[dict[str, str]] = {"num_hidden_layers": "num_layers"}

    vocab_size: int = 10000
    embedding_dim: int = 512
    hidden_size: int = 512
    num_layers: int = 1
    cell: str = "lstm"
    dropout: float = 0.0
    tie_word_embeddings: bool = False
    initializer_range: float = 0.1
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None

    def __post_init__(self) -> None:
        for name in ("vocab_size", "embedding_dim", "hidden_size", "num_layers"):
            positive(self, **{name: getattr(self, name)})
        probability(self, dropout=self.dropout)
        one_of(self, CELLS, cell=self.cell)
        if self.tie_word_embeddings and self.embedding_dim != self.hidden_size:
            raise ValueError(
                f"RNNLMConfig: tied embeddings need embedding_dim = hidden_size, "
                f"not {self.embedding_dim} and {self.hidden_size}"
            )


class RecurrentState:
    """What a recurrent model remembers of the tokens that it has read; the counterpart of ``KVCache``.

    Attributes:
        hidden: the last state of every layer, (layers, B, H), for an LSTM a pair of them; None at first.
        length: the number of tokens that were read.
    """

    def __init__(self) -> None:
        self.hidden: Any = None
        self.length = 0

    def detach(self) -> None:
        """Forget the graph, so that backward stops here (truncated backpropagation through time)."""
        self._change(lambda h: h.detach())

    def reorder(self, rows: Any) -> None:
        """Keep these sequences of the batch, in this order; one may come several times (for beam search)."""
        self._change(lambda h: h[:, rows])

    def _change(self, change: Any) -> None:
        if isinstance(self.hidden, tuple):
            self.hidden = tuple(map(change, self.hidden))
        elif self.hidden is not None:
            self.hidden = change(self.hidden)


class RNNLMHeadModel(PretrainedModel):
    """A recurrent language model.

    Example:
        >>> import minillm
        >>> model = RNNLMHeadModel(RNNLMConfig(vocab_size=65, embedding_dim=16, hidden_size=32, cell="gru"))
        >>> model(minillm.zeros(2, 8, dtype="int64")).logits.shape
        (2, 8, 65)
    """

    config_class = RNNLMConfig
    input_embeddings = "embedding"
    output_embeddings = "head"
    max_length: int | None = None  # it reads texts of any length

    def __init__(self, config: RNNLMConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_dim)
        self.rnn = CELLS[config.cell](
            config.embedding_dim,
            config.hidden_size,
            config.num_layers,
            batch_first=True,
            dropout=config.dropout if config.num_layers > 1 else 0.0,
        )
        self.drop = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden_size, config.vocab_size)
        if config.tie_word_embeddings:
            self.head.weight = self.embedding.weight
        self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        # The recurrent layers keep PyTorch's own initial weights.
        if isinstance(module, (nn.Linear, nn.Embedding)):
            bound = self.config.initializer_range
            nn.init.uniform_(module.weight, -bound, bound)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def start_cache(self, max_length: int | None = None) -> RecurrentState:
        """Return the empty state for generation; it has the same size however many tokens are read."""
        return RecurrentState()

    def forward(
        self,
        input_ids: Tensor,
        past_key_values: RecurrentState | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        targets: Tensor | None = None,
        logits_to_keep: int = 0,
    ) -> ModelOutput:
        """Return the logits of the next token at each place, and the loss where labels or targets are given.

        Args:
            input_ids: tokens, (B, T).
            past_key_values: the state after the tokens read before, from :meth:`start_cache`; it is moved on.
            attention_mask: (B, T), 1 for tokens and 0 for padding, which stands before or behind the tokens
                of a row and leaves the state as it is.
            position_ids: of no use here; the order of the tokens says it. Taken so that all language models
                can be called alike.
            labels: (B, T), the tokens themselves, which are moved by one inside; -100 is left out.
            targets: (B, T), the next tokens, for batches that are moved by one already.
            logits_to_keep: compute the logits of so many last places alone; 0 for all.

        Returns:
            ``loss`` (with labels or targets), ``logits`` (B, T, V) and ``past_key_values`` (where given).
        """
        if input_ids.ndim != 2 or not input_ids.shape[1]:
            raise OperationError(
                f"RNNLMHeadModel: got tokens of shape {input_ids.shape}; it needs (B, T), at least one"
            )
        x = self.drop(self.embedding(input_ids))
        state = past_key_values.hidden if past_key_values is not None else None
        if attention_mask is None or bool((attention_mask != 0).all()):
            y, hidden = self.rnn(x, state)
        else:
            y, hidden = self._read_padded(x, state, attention_mask)
        if past_key_values is not None:
            past_key_values.hidden = hidden
            past_key_values.length += input_ids.shape[1]
        if logits_to_keep:
            y = y[:, -logits_to_keep:]
        logits = self.head(self.drop(y))
        return ModelOutput(
            loss=language_model_loss(logits, labels, targets), logits=logits, past_key_values=past_key_values
        )

    def _read_padded(self, x: Tensor, state: Any, attention_mask: Tensor) -> tuple[Tensor, Any]:
        """Run the recurrent layers over the tokens alone: rows are moved left, packed, and moved back."""
        B, T, E = x.shape
        if tuple(attention_mask.shape) != (B, T):
            raise OperationError(
                f"attention_mask: got shape {tuple(attention_mask.shape)}; it needs {(B, T)}, as input_ids"
            )
        kept = (attention_mask != 0).long()
        lengths, first = kept.sum(dim=1), kept.argmax(dim=1, keepdim=True)  # (B,), (B, 1)
        place = ops.arange(T, device=x.device).reshape(1, T)
        if not bool((kept == ((place >= first) & (place < first + lengths.reshape(B, 1))).long()).all()):
            raise OperationError("attention_mask: the tokens of each row need to stand side by side")
        if not bool((lengths > 0).all()):
            raise OperationError("attention_mask: a row has no token; each needs at least one")
        left = around(place + first, T)  # where the token that is to come to each place stands
        x = x.gather(1, left.reshape(B, T, 1).expand(B, T, E))
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, hidden = self.rnn(packed, state)
        y, _ = pad_packed_sequence(y, batch_first=True, total_length=T)
        back = around(place - first, T)
        return y.gather(1, back.reshape(B, T, 1).expand(B, T, y.shape[2])), hidden


def around(places: Tensor, size: int) -> Tensor:
    """Return places that left the row at one end as they come in at the other."""
    places = ops.where(places >= size, places - size, places)
    return ops.where(places < 0, places + size, places)
