"""An LSTM that reads, an LSTM that writes, and attention between them.

    memory_s = [forward LSTM; backward LSTM](source)_s                       (B, S, 2H)
    h_t = LSTM(embedding(target_t), h_{t-1})                                 (B, T, H)
    a_ts = softmax_s(h_t^T W_a memory_s)                                     (B, T, S)
    y_t = tanh(W_c [sum_s a_ts memory_s; h_t])                               (B, T, H)
    logits_t = W y_t + b                                                     (B, T, V)

The writer begins with the reader's last state, through a linear layer. Attention comes after its LSTM, so that whole
targets are trained on at once.

Source: Luong, Pham and Manning, "Effective Approaches to Attention-based Neural Machine Translation" (2015), global
attention with the score ``general``; a reader of both directions, Bahdanau, Cho and Bengio (2015).
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from minillm import nn, ops
from minillm.models.attention import attention_with_weights, bidirectional_mask
from minillm.models.config import Config, positive, probability
from minillm.models.encoder_decoder import EncoderDecoder
from minillm.nn import functional as F
from minillm.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from minillm.ops import Tensor


@dataclasses.dataclass
class LSTMTranslatorConfig(Config):
    """The settings of an LSTM encoder-decoder with attention.

    Attributes:
        vocab_size: number of tokens of the source.
        decoder_vocab_size: number of tokens of the target; ``vocab_size`` by default.
        embedding_dim: width of a token's vector, E.
        hidden_size: width of the states, H.
        num_layers: layers of either LSTM.
        dropout: of embeddings, between layers, and before the head.
        share_embeddings: one embedding for source and target; needs equal vocabularies.
        initializer_range: embeddings and linear layers start evenly between this and its negative.
        pad_token_id: token that fills up short texts of a batch.
        bos_token_id: of no use here.
        eos_token_id: token that ends a text.
        decoder_start_token_id: token that the writer reads first.
    """

    model_type: ClassVar[str] = "lstm_translator"

    vocab_size: int = 10000
    decoder_vocab_size: int | None = None
    embedding_dim: int = 256
    hidden_size: int = 256
    num_layers: int = 1
    dropout: float = 0.0
    share_embeddings: bool = False
    initializer_range: float = 0.1
    pad_token_id: int = 0
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = 2
    decoder_start_token_id: int = 1

    def __post_init__(self) -> None:
        if self.decoder_vocab_size is None:
            self.decoder_vocab_size = self.vocab_size
        for name in ("vocab_size", "decoder_vocab_size", "embedding_dim", "hidden_size", "num_layers"):
            positive(self, **{name: getattr(self, name)})
        probability(self, dropout=self.dropout)
        if self.share_embeddings and self.decoder_vocab_size != self.vocab_size:
            raise ValueError(
                f"LSTMTranslatorConfig: shared embeddings need equal vocabularies, not {self.vocab_size} and "
                f"{self.decoder_vocab_size} tokens"
            )
        for name, size in (("pad_token_id", self.vocab_size), ("decoder_start_token_id", self.decoder_vocab_size)):
            if not 0 <= getattr(self, name) < size:
                raise ValueError(
                    f"LSTMTranslatorConfig: {name} is {getattr(self, name)}; it needs to be one of {size} tokens"
                )


class WriterCache:
    """What the writer remembers: the state of its LSTM, what it looks back at, and the mask of that.

    Attributes:
        state: (h, c), (layers, B, H) each.
        memory: (B, S, 2H).
        keys: W_a memory, (B, S, H).
        mask: of the source, or None.
    """

    def __init__(self, state: tuple[Tensor, Tensor], memory: Tensor, keys: Tensor, mask: Tensor | None) -> None:
        self.state, self.memory, self.keys, self.mask = state, memory, keys, mask

    def reorder(self, rows: Tensor) -> None:
        """Keep these sequences of the batch, in this order; one may come several times (for beam search)."""
        self.state = (self.state[0][:, rows], self.state[1][:, rows])
        self.memory, self.keys = self.memory[rows], self.keys[rows]
        self.mask = None if self.mask is None else self.mask[rows]


class LSTMTranslator(EncoderDecoder):
    """An LSTM encoder-decoder with attention.

    Example:
        >>> import minillm
        >>> model = LSTMTranslator(LSTMTranslatorConfig(vocab_size=65, embedding_dim=16, hidden_size=32))
        >>> source, target = minillm.zeros(2, 8, dtype="int64"), minillm.zeros(2, 5, dtype="int64")
        >>> model(source, labels=target).logits.shape
        (2, 5, 65)
    """

    config_class = LSTMTranslatorConfig
    input_embeddings = "embedding"
    output_embeddings = "head"
    max_length: int | None = None

    def __init__(self, config: LSTMTranslatorConfig) -> None:
        super().__init__(config)
        E, H, layers = config.embedding_dim, config.hidden_size, config.num_layers
        size = config.decoder_vocab_size or config.vocab_size
        between = config.dropout if layers > 1 else 0.0
        self.embedding = nn.Embedding(config.vocab_size, E)
        self.target_embedding = self.embedding if config.share_embeddings else nn.Embedding(size, E)
        self.encoder = nn.LSTM(E, H, layers, batch_first=True, dropout=between, bidirectional=True)
        self.bridge_h = nn.Linear(2 * H, H)
        self.bridge_c = nn.Linear(2 * H, H)
        self.decoder = nn.LSTM(E, H, layers, batch_first=True, dropout=between)
        self.attention = nn.Linear(2 * H, H, bias=False)  # W_a
        self.combine = nn.Linear(3 * H, H, bias=False)  # W_c
        self.head = nn.Linear(H, size)
        self.drop = nn.Dropout(config.dropout)
        self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        # The LSTMs keep PyTorch's own initial weights.
        if isinstance(module, (nn.Linear, nn.Embedding)):
            bound = self.config.initializer_range
            nn.init.uniform_(module.weight, -bound, bound)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def encode(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return the states of both directions, (B, S, 2H); see :class:`EncoderDecoder`.

        Padding stands behind the tokens; its states are 0.
        """
        x = self.drop(self.embedding(input_ids))
        if attention_mask is None or bool((attention_mask != 0).all()):
            return self.encoder(x)[0]
        lengths = (attention_mask != 0).long().sum(dim=1)
        place = ops.arange(x.shape[1], device=x.device)
        if not bool(((attention_mask != 0) == (place < lengths.unsqueeze(1))).all()):
            raise ValueError("LSTMTranslator: padding stands before or between tokens; put it behind them")
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.encoder(packed)[0], batch_first=True, total_length=x.shape[1])[0]

    def _first_state(self, memory: Tensor, attention_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the writer's first state: of each row, where both directions of the reader ended."""
        B, H = memory.shape[0], self.config.hidden_size
        if attention_mask is None:
            last = memory[:, -1, :H]
        else:
            ends = (attention_mask != 0).long().sum(dim=1) - 1
            last = memory[ops.arange(B, device=memory.device), ends, :H]
        both = ops.cat([last, memory[:, 0, H:]], dim=1)  # (B, 2H)
        layers = self.config.num_layers
        h, c = (ops.tanh(bridge(both)).unsqueeze(0).repeat(layers, 1, 1) for bridge in (self.bridge_h, self.bridge_c))
        return h, c

    def start_cache(self, memory: Tensor, attention_mask: Tensor | None, max_length: int) -> WriterCache:
        """Return the writer's first state and what it looks back at; see :class:`EncoderDecoder`."""
        mask = bidirectional_mask(attention_mask, memory.shape[0], memory.shape[1])
        return WriterCache(self._first_state(memory, attention_mask), memory, self.attention(memory), mask)

    def decode(
        self,
        decoder_input_ids: Tensor,
        memory: Tensor,
        attention_mask: Tensor | None = None,
        cache: WriterCache | None = None,
        show: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return y, (B, T, H), and the attention to the source, (B, 1, T, S); see :class:`EncoderDecoder`."""
        if cache is None:
            cache = self.start_cache(memory, attention_mask, 0)
        hidden, state = self.decoder(self.drop(self.target_embedding(decoder_input_ids)), cache.state)
        cache.state = state
        q, k, v = (x.unsqueeze(1) for x in (hidden, cache.keys, cache.memory))  # one head
        weights = None
        if show:
            found, weights = attention_with_weights(q, k, v, cache.mask, 0.0, 1.0)
        else:
            found = F.scaled_dot_product_attention(q, k, v, cache.mask, scale=1.0)
        return ops.tanh(self.combine(ops.cat([found.squeeze(1), hidden], dim=-1))), weights

    def score(self, hidden: Tensor) -> Tensor:
        """Return the logits: (B, T, H) -> (B, T, V)."""
        logits: Tensor = self.head(self.drop(hidden))
        return logits


