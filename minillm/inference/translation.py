"""Generation with an encoder-decoder: the source is read once, and a target is written for it.

The decoder, bound to its source, is a language model like any other: :func:`minillm.inference.generate` writes with
it, greedily, by beams or by draws.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minillm import nn, ops
from minillm.autograd import no_grad
from minillm.data.pad_sequences import pad_sequences
from minillm.inference.context import evaluating
from minillm.inference.generation import generate
from minillm.inference.generation_mixin import GenerationMixin
from minillm.models.encoder_decoder import EncoderDecoder, check_source
from minillm.models.output import ModelOutput
from minillm.ops import Tensor

DEFAULT_LENGTH = 128  # tokens of a target


class Writer(nn.Module):
    """The decoder of a model, bound to a source that was read; it writes the target as a language model would.

    Args:
        model: an encoder-decoder.
        input_ids: the source, (B, S).
        attention_mask: (B, S), 1 for tokens and 0 for padding; None where there is none.
    """

    def __init__(self, model: EncoderDecoder, input_ids: Tensor, attention_mask: Tensor | None) -> None:
        super().__init__()
        check_source(type(model).__name__, input_ids, attention_mask)
        self.model = model
        self.mask = attention_mask
        with evaluating(model), no_grad():
            self.memory = model.encode(input_ids, attention_mask)

    @property
    def config(self) -> Any:
        """The settings of the model, with the vocabulary of the target."""
        return _OfTarget(self.model.config)

    @property
    def max_length(self) -> int | None:
        """The longest target."""
        longest: int | None = getattr(self.model, "max_length", None)
        return longest

    def start_cache(self, max_length: int | None = None) -> Any:
        """Return what the decoder remembers before it has written anything."""
        return self.model.start_cache(self.memory, self.mask, max_length or DEFAULT_LENGTH)

    def forward(
        self, input_ids: Tensor, past_key_values: Any = None, logits_to_keep: int = 0, **options: Any
    ) -> ModelOutput:
        """Return the logits of the next token of the target, (B, T, V)."""
        hidden, _ = self.model.decode(input_ids, self.memory, self.mask, past_key_values)
        return ModelOutput(logits=self.model.score(hidden[:, -logits_to_keep:] if logits_to_keep else hidden))


class FreeWriter(GenerationMixin, Writer):
    """A writer with ``generate`` in the signature of Hugging Face's library."""


class TranslationMixin(GenerationMixin):
    """Gives an encoder-decoder ``generate`` and ``generation_config``; stands before the model's class."""

    def generate(
        self,
        inputs: Any = None,
        *args: Any,
        input_ids: Any = None,
        attention_mask: Any = None,
        decoder_input_ids: Any = None,
        **options: Any,
    ) -> Any:
        """Return the targets that the model writes for sources.

        Args:
            inputs: sources, (B, S), padded on the right.
            args: settings, processors and criteria; see :meth:`GenerationMixin.generate` for these and ``options``.
            input_ids: the same as ``inputs``, so that ``generate(**tokenizer(...))`` works.
            attention_mask: (B, S), 1 for tokens and 0 for padding; without it padding is told by ``pad_token_id``.
            decoder_input_ids: (B, T), how the targets begin; ``decoder_start_token_id`` by default.
            options: ``num_beams``, ``max_length``, ``max_new_tokens``, ...; lengths count the target, with its start.

        Returns:
            (B num_return_sequences, T) tokens, which begin with ``decoder_start_token_id``; with
            ``return_dict_in_generate`` a ``ModelOutput`` with ``sequences``.

        Raises:
            TypeError: an option that is not offered, or no source.
            ValueError: a value that does not fit; see :func:`minillm.inference.generate`.

        Example:
            >>> from minillm.transformers import MarianConfig, MarianMTModel
            >>> model = MarianMTModel(MarianConfig(vocab_size=10, d_model=8, encoder_layers=1, decoder_layers=1,
            ...     encoder_attention_heads=2, decoder_attention_heads=2, pad_token_id=9, decoder_start_token_id=9))
            >>> model.generate(ops.tensor([[1, 2, 3]]), max_length=6, eos_token_id=None).shape
            (1, 6)
        """
        model: Any = self
        given = inputs if input_ids is None else input_ids
        if given is None:
            raise TypeError("generate: there is no source; give input_ids")
        device = next(iter(model.parameters())).device
        source, config = _as_tensor(given, device), model.config
        if attention_mask is None and config.pad_token_id is not None and (source == config.pad_token_id).any():
            attention_mask = (source != config.pad_token_id).long()
        writer = FreeWriter(model, source, None if attention_mask is None else _as_tensor(attention_mask, device))
        writer.generation_config = self.generation_config
        if decoder_input_ids is None:
            first = options.pop("decoder_start_token_id", self.generation_config.decoder_start_token_id)
            first = config.decoder_start_token_id if first is None else first
            decoder_input_ids = ops.full((source.shape[0], 1), first, dtype="int64")
        start = _as_tensor(decoder_input_ids, device)
        return writer.generate(start, *args, attention_mask=ops.ones_like(start), **options)


class _OfTarget:
    """A config as the writer of the target sees it."""

    def __init__(self, config: Any) -> None:
        self._config = config
        self.vocab_size = config.decoder_vocab_size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._config, name)


def translate(
    model: EncoderDecoder,
    input_ids: Any,
    attention_mask: Any = None,
    max_new_tokens: int = DEFAULT_LENGTH,
    **options: Any,
) -> Tensor:
    """Return the targets that a model writes for sources.

    Args:
        model: an encoder-decoder of :mod:`minillm.models`.
        input_ids: sources: (B, S), or sequences of any lengths, which are padded on the right.
        attention_mask: (B, S), 1 for tokens and 0 for padding.
        max_new_tokens: the longest target.
        options: as for :func:`minillm.inference.generate`: ``num_beams``, ``temperature``, ``eos_token_id``, ...

    Returns:
        (B num_return_sequences, N) tokens, without the start token; a target that ended early is filled up with
        ``pad_token_id``.

    Raises:
        ValueError: an empty source, one that is too long, or an option that does not fit.

    Example:
        >>> from minillm.models import LSTMTranslator, LSTMTranslatorConfig
        >>> model = LSTMTranslator(LSTMTranslatorConfig(vocab_size=10, embedding_dim=8, hidden_size=8))
        >>> translate(model, [[3, 4, 5], [6, 7]], max_new_tokens=4, eos_token_id=()).shape
        (2, 4)
    """
    device = next(iter(model.parameters())).device
    if not isinstance(input_ids, Tensor) and attention_mask is None:
        input_ids, attention_mask = _padded(input_ids, model.config.pad_token_id)
    source = _as_tensor(input_ids, device)
    mask = None if attention_mask is None else _as_tensor(attention_mask, device)
    writer = Writer(model, source, mask)
    start = ops.full((source.shape[0], 1), model.config.decoder_start_token_id, dtype="int64")
    written = generate(writer, start, max_new_tokens, **options)
    return written[:, 1:]


def _as_tensor(values: Any, device: Any) -> Tensor:
    return values.to(device) if isinstance(values, Tensor) else ops.tensor(values, device=device)


def _padded(sources: Any, padding: int) -> tuple[Any, Any]:
    """Return sequences as one array, filled up on the right, and 1 for their tokens, 0 for padding."""
    rows = [np.asarray(row, np.int64).reshape(-1) for row in sources]
    if not rows or not all(map(len, rows)):
        raise ValueError("translate: a source is empty; each needs at least one token")
    tokens = pad_sequences(rows, dtype="int64", padding="post", value=padding)
    seen = pad_sequences([np.ones(len(row)) for row in rows], dtype="int64", padding="post")
    return tokens, seen
