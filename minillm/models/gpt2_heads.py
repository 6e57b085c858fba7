"""GPT-2 that labels texts: a linear layer on the hidden state of each text's last token, which has read them all.

Source: Radford et al., "Improving Language Understanding by Generative Pre-Training" (2018), section 3.2. The names
of the parameters are those of Hugging Face's files.
"""

from __future__ import annotations

from typing import Any

from minillm import nn, ops
from minillm.autograd.errors import OperationError
from minillm.models.gpt2 import GPT2Config, GPT2Model, GPT2PretrainedModel
from minillm.models.labels import classification_loss
from minillm.models.output import ModelOutput
from minillm.ops import Tensor


class GPT2ForSequenceClassification(GPT2PretrainedModel):
    """GPT-2 that labels a text.

    Example:
        >>> import minillm
        >>> config = GPT2Config(vocab_size=65, n_positions=16, n_embd=32, n_layer=2, n_head=4, pad_token_id=0)
        >>> model = GPT2ForSequenceClassification(config)
        >>> model(minillm.tensor([[5, 6, 7], [8, 9, 0]]), labels=minillm.tensor([0, 1])).logits.shape
        (2, 2)
    """

    def __init__(self, config: GPT2Config) -> None:
        super().__init__(config)
        self.transformer = GPT2Model(config)
        self.score = nn.Linear(config.n_embd, config.num_labels, bias=False)
        self._init_weights(self.score)

    def forward(
        self,
        input_ids: Tensor | None = None,
        *inputs: Any,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
        **options: Any,
    ) -> ModelOutput | tuple[Any, ...]:
        """Return ``logits``, (B, L), and ``loss`` where labels are given.

        Args:
            input_ids: tokens, (B, T); what follows the last that is no ``pad_token_id`` is padding.
            inputs: as for :meth:`GPT2Model.forward`.
            labels: of each text, (B,); see :func:`~minillm.models.labels.classification_loss`.
            return_dict: False returns a plain tuple; as the config says by default.
            options: as for :meth:`GPT2Model.forward`, by name.

        Raises:
            OperationError: several texts, and the config has no ``pad_token_id`` to tell where each ends.
        """
        read = self.transformer(input_ids, *inputs, return_dict=True, **options)
        hidden = read.last_hidden_state
        B = hidden.shape[0]
        last = self._last_tokens(input_ids, B)
        logits = self.score(hidden[:, -1] if last is None else hidden[ops.arange(B, device=hidden.device), last])
        return ModelOutput(
            loss=None if labels is None else classification_loss(logits, labels, self.config),
            logits=logits,
            past_key_values=read.past_key_values,
            hidden_states=read.hidden_states,
            attentions=read.attentions,
        ).unless_tuple(self._returns_dict(return_dict))

    def _last_tokens(self, input_ids: Tensor | None, batch: int) -> Tensor | None:
        """Return the place of each text's last token, (B,); None where that is the last place of all."""
        padding = self.config.pad_token_id
        if padding is None and batch > 1:
            raise OperationError(
                f"GPT2ForSequenceClassification: got {batch} texts, and config.pad_token_id is None, so their ends are "
                "not known; set it (to that of the tokenizer), or give one text at a time"
            )
        if padding is None or input_ids is None:
            return None
        places = ops.arange(input_ids.shape[1], device=input_ids.device)
        return (places * (input_ids != padding).long()).argmax(-1)
