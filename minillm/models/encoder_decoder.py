"""What translating models have in common: an encoder reads the source, a decoder writes the target and looks back.

    memory = encoder(source)                                     (B, S, C)
    logits_t = decoder(target_0 ... target_t, memory)            (B, T, V)
    loss = -mean log softmax(logits_t)[target_{t+1}]

The decoder reads its own target moved by one place, which begins with ``decoder_start_token_id``.

Source: Sutskever, Vinyals and Le, "Sequence to Sequence Learning with Neural Networks" (2014).
"""

from __future__ import annotations

from typing import Any

from minillm import ops
from minillm.autograd.errors import OperationError
from minillm.models.losses import IGNORED
from minillm.models.output import ModelOutput
from minillm.models.pretrained import PretrainedModel
from minillm.nn import functional as F
from minillm.ops import Tensor


class EncoderDecoder(PretrainedModel):
    """Base of models that write a target for a source.

    A model of this kind has ``encode``, ``start_cache`` and ``decode``; training and generation are the same for all.
    """

    def encode(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return what the decoder looks back at, (B, S, C).

        Args:
            input_ids: the source, (B, S).
            attention_mask: (B, S), 1 for tokens and 0 for padding; None where there is none.
        """
        raise NotImplementedError

    def start_cache(self, memory: Tensor, attention_mask: Tensor | None, max_length: int) -> Any:
        """Return the cache of a decoder that will write up to ``max_length`` tokens."""
        raise NotImplementedError

    def decode(
        self,
        decoder_input_ids: Tensor,
        memory: Tensor,
        attention_mask: Tensor | None = None,
        cache: Any = None,
        show: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the decoder's last hidden states, (B, T, C), and its attention to the source, (B, H, T, S).

        Args:
            decoder_input_ids: (B, T), the target from its start; with a cache, the tokens that are new.
            memory: of :meth:`encode`.
            attention_mask: of the source.
            cache: of :meth:`start_cache`; it is moved on.
            show: return the attention; None stands in its place else.
        """
        raise NotImplementedError

    def score(self, hidden: Tensor) -> Tensor:
        """Return the logits for hidden states of the decoder: (B, T, C) -> (B, T, V)."""
        raise NotImplementedError

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        encoder_outputs: Tensor | None = None,
        output_attentions: bool | None = None,
        return_dict: bool | None = None,
    ) -> ModelOutput | tuple[Any, ...]:
        """Return the logits of the target's tokens, and the loss where labels are given.

        Args:
            input_ids: the source, (B, S).
            attention_mask: (B, S), 1 for tokens of the source and 0 for padding.
            decoder_input_ids: (B, T), what the decoder reads; the labels moved by one by default.
            labels: the target, (B, T), which ends with its end token; -100 for padding.
            encoder_outputs: memory that :meth:`encode` returned, in place of the source.
            output_attentions: return the decoder's attention to the source, (B, H, T, S), of its last layer.
            return_dict: False returns a plain tuple; as the config says by default.

        Returns:
            ``loss`` (with labels), ``logits`` (B, T, V), ``encoder_last_hidden_state`` (B, S, C), and where asked
            for ``cross_attentions``.
        """
        name = type(self).__name__
        if (input_ids is None) == (encoder_outputs is None):
            raise OperationError(f"{name}: it needs one of input_ids and encoder_outputs")
        if decoder_input_ids is None:
            if labels is None:
                raise OperationError(f"{name}: it needs labels or decoder_input_ids: a target to read")
            decoder_input_ids = moved_right(labels, self.config.decoder_start_token_id, self.config.pad_token_id)
        if input_ids is not None:
            check_source(name, input_ids, attention_mask)
            memory = self.encode(input_ids, attention_mask)
        else:
            assert encoder_outputs is not None
            memory = encoder_outputs
        show = self._shown(output_attentions, None)[0]
        hidden, attention = self.decode(decoder_input_ids, memory, attention_mask, show=show)
        logits = self.score(hidden)
        loss = None
        if labels is not None:
            if tuple(labels.shape) != logits.shape[:2]:
                raise OperationError(
                    f"labels: got shape {tuple(labels.shape)}; it needs {logits.shape[:2]}, as decoder_input_ids"
                )
            loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), ignore_index=IGNORED)
        return ModelOutput(
            loss=loss,
            logits=logits,
            encoder_last_hidden_state=memory,
            cross_attentions=attention,
        ).unless_tuple(self._returns_dict(return_dict))


def moved_right(labels: Tensor, start: int, padding: int) -> Tensor:
    """Return what a decoder reads to predict the labels: a start token, then all labels but the last.

    Example:
        >>> import minillm
        >>> moved_right(minillm.tensor([[5, 6, 2], [7, 2, -100]]), start=1, padding=0)
        tensor([[1, 5, 6],
                [1, 7, 2]])
    """
    if labels.ndim != 2 or not labels.shape[1]:
        raise OperationError(f"labels: got shape {tuple(labels.shape)}; it needs (B, T), at least one token")
    first = ops.full((labels.shape[0], 1), start, dtype=labels.dtype, device=labels.device)
    moved = ops.cat([first, labels[:, :-1]], dim=1)
    return moved.masked_fill(moved == IGNORED, padding)


def check_source(name: str, input_ids: Tensor, attention_mask: Tensor | None) -> None:
    """Raise an error unless a source is (B, S), and its mask, too, with a token in each row."""
    shape = tuple(input_ids.shape)
    if len(shape) != 2 or not shape[1]:
        raise OperationError(f"{name}: got a source of shape {shape}; it needs (B, S), at least one token")
    if attention_mask is None:
        return
    if tuple(attention_mask.shape) != shape:
        raise OperationError(
            f"attention_mask: got shape {tuple(attention_mask.shape)}; it needs {shape}, as input_ids"
        )
    if not bool((attention_mask != 0).any(dim=1).all()):
        raise OperationError("attention_mask: a row is padding alone; each source needs at least one token")
