"""What decoders with a language-model head have in common: the head and the loss.

logits = W x                        (B, T, V), W the token embedding where the two are tied
loss   = -mean log softmax(logits)[next token]

Source: Radford et al., "Improving Language Understanding by Generative Pre-Training" (2018), section 3.1;
tied weights: Press and Wolf, "Using the Output Embedding to Improve Language Models" (2017).
"""

from __future__ import annotations

from typing import Any, ClassVar

from minillm import nn
from minillm.models.losses import language_model_loss
from minillm.models.output import ModelOutput
from minillm.models.pretrained import PretrainedModel
from minillm.ops import Tensor


class CausalLM(PretrainedModel):
    """A decoder, in the attribute that ``base_model_prefix`` names, and ``lm_head``, which predicts tokens."""

    output_embeddings: ClassVar[str | None] = "lm_head"

    def _add_head(self, width: int, vocab_size: int) -> None:
        """Make the head, once the decoder is there."""
        self.lm_head = nn.Linear(width, vocab_size, bias=False)
        if self.config.tie_word_embeddings:
            self.lm_head.weight = self.get_input_embeddings().weight
        else:
            self._init_weights(self.lm_head)

    def forward(
        self,
        *inputs: Any,
        labels: Tensor | None = None,
        targets: Tensor | None = None,
        logits_to_keep: int = 0,
        return_dict: bool | None = None,
        **options: Any,
    ) -> ModelOutput | tuple[Any, ...]:
        """Return the logits of the next token at each place, and the loss where labels or targets are given.

        Args:
            inputs: as for the decoder: first ``input_ids``, (B, T).
            labels: (B, T), the tokens themselves, which are moved by one inside; -100 is left out.
            targets: (B, T), the next tokens, for batches that are moved by one already.
            logits_to_keep: compute the logits of so many last places alone; 0 for all.
            return_dict: False returns a plain tuple; as the config says by default.
            options: as for the decoder: ``attention_mask``, ``past_key_values``, ``use_cache``, ...

        Returns:
            ``loss`` (with labels or targets), ``logits`` (B, T, V), and where asked for ``past_key_values``,
            ``hidden_states`` and ``attentions``.
        """
        output = self.base_model(*inputs, return_dict=True, **options)
        hidden = output.last_hidden_state
        logits = self.lm_head(hidden[:, -logits_to_keep:] if logits_to_keep else hidden)
        return ModelOutput(
            loss=language_model_loss(logits, labels, targets),
            logits=logits,
            past_key_values=output.past_key_values,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        ).unless_tuple(self._returns_dict(return_dict))
