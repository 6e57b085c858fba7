"""``GenerationMixin``: ``model.generate(...)`` with the arguments and defaults of Hugging Face's library.

A thin layer over :func:`minillm.inference.generate`: it gathers settings from the call, the model's
``generation_config`` and the defaults, and finds out what is padding.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minillm import ops
from minillm.autograd.function import wrap
from minillm.backend import to_numpy
from minillm.inference.beam_search import BeamSearch
from minillm.inference.constraints import ForcedEnd
from minillm.inference.context import evaluating
from minillm.inference.generation import TokenStream
from minillm.inference.generation_config import DEFAULTS, FILE, GenerationConfig
from minillm.inference.preparation import DEFAULT_NEW_TOKENS, prepare
from minillm.inference.stopping import StopStringCriteria
from minillm.models.output import ModelOutput
from minillm.ops import Tensor

Function = Callable[[Any, Any], Any]
logger = logging.getLogger("minillm")

# Set by the model's config or by default, and checked by `prepare` under the same names.
_PASSED_ON = (
    "min_length", "min_new_tokens", "do_sample", "temperature", "top_k", "top_p", "min_p", "repetition_penalty",
    "no_repeat_ngram_size", "bad_words_ids", "use_cache",
)  # fmt: skip


class GenerationMixin:
    """Gives a language model ``generate`` and ``generation_config``; stands before the model's class."""

    config: Any
    _generation_config: GenerationConfig | None = None

    @property
    def generation_config(self) -> GenerationConfig:
        """How the model generates unless a call says otherwise; what its config says by default."""
        if self._generation_config is None:
            self._generation_config = GenerationConfig.from_model_config(self.config)
        return self._generation_config

    @generation_config.setter
    def generation_config(self, config: GenerationConfig) -> None:
        self._generation_config = config

    @classmethod
    def from_pretrained(cls, path: str | os.PathLike[str], **options: Any) -> Any:
        """Return a model from a directory, as ``PretrainedModel.from_pretrained`` does, ``generation_config`` too."""
        loaded = super().from_pretrained(path, **options)  # type: ignore[misc]  # the class beside this one has it
        if os.path.isfile(os.path.join(path, FILE)):
            model = loaded[0] if isinstance(loaded, tuple) else loaded
            model.generation_config = GenerationConfig.from_pretrained(path)
        return loaded

    def save_pretrained(self, directory: str | os.PathLike[str], **options: Any) -> None:
        """Write a model into a directory, as ``PretrainedModel.save_pretrained`` does, ``generation_config`` too."""
        super().save_pretrained(directory, **options)  # type: ignore[misc]  # the class beside this one has it
        self.generation_config.save_pretrained(directory)

    def generate(
        self,
        inputs: Any = None,
        generation_config: GenerationConfig | None = None,
        logits_processor: Sequence[Function] | None = None,
        stopping_criteria: Sequence[Function] | Function | None = None,
        *,
        input_ids: Any = None,
        attention_mask: Any = None,
        streamer: Any = None,
        token_type_ids: Any = None,
        tokenizer: Any = None,
        **options: Any,
    ) -> Any:
        """Return prompts and what the model writes after them.

        Args:
            inputs: tokens, (B, T), padded on the left; by default ``bos_token_id``.
            generation_config: settings, in place of the model's own.
            logits_processor: functions of tokens and scores that return other scores.
            stopping_criteria: functions of tokens and None that say which rows end.
            input_ids: the same as ``inputs``, so that ``generate(**tokenizer(...))`` works.
            attention_mask: (B, T), 1 for tokens and 0 for padding; without it padding is told by
                ``pad_token_id``, unless that ends texts, too.
            streamer: its ``put`` gets the prompt and then each token, its ``end`` is called at the end.
            token_type_ids: what tokenizers give beside; without effect.
            tokenizer: of the model, where there are ``stop_strings``.
            options: settings of :class:`GenerationConfig` for this call.

        Returns:
            (B num_return_sequences, T + N) tokens; with ``return_dict_in_generate`` a ``ModelOutput`` with
            ``sequences``, and with ``output_scores`` also ``scores`` (a tuple of one (B, V) for each new token) or,
            in beam search, ``sequences_scores``.

        Raises:
            TypeError: an option that is not offered.
            ValueError: a value that does not fit; see :func:`minillm.inference.generate`.

        Example:
            >>> from minillm.transformers import GPT2Config, GPT2LMHeadModel
            >>> model = GPT2LMHeadModel(GPT2Config(vocab_size=10, n_positions=16, n_embd=8, n_layer=1, n_head=2))
            >>> model.generate(ops.tensor([[1, 2, 3]]), max_length=6).shape
            (1, 6)
        """
        settings = self._settings(generation_config, options)
        tokens = self._prompt(inputs if input_ids is None else input_ids, settings)
        mask = _mask(tokens, attention_mask, settings)
        beams = settings.num_beams or 1
        length = self._length(settings, tokens.shape[1])
        processors = list(logits_processor or ())
        if settings.forced_eos_token_id is not None:
            longest = length.get("max_length") or tokens.shape[1] + length["max_new_tokens"]
            processors.insert(0, ForcedEnd(longest, settings.forced_eos_token_id))
        criteria = [stopping_criteria] if callable(stopping_criteria) else list(stopping_criteria or ())
        if settings.stop_strings is not None:
            if tokenizer is None:
                raise ValueError("generate: stop_strings need the model's tokenizer; give tokenizer=...")
            criteria.append(StopStringCriteria(tokenizer, settings.stop_strings))
        task = prepare(
            self, tokens, **length, attention_mask=mask, pad_anywhere=True,
            copies=beams if beams > 1 else settings.num_return_sequences or 1,
            eos_token_id=() if settings.eos_token_id is None else settings.eos_token_id,
            pad_token_id=settings.pad_token_id, logits_processor=processors,
            stopping_criteria=criteria,
            **_set(settings),
        )  # fmt: skip
        with evaluating(self):  # type: ignore[arg-type]  # a module, by the class beside this one
            if beams > 1:
                if streamer is not None:
                    raise ValueError("generate: a streamer needs num_beams=1; beam search has no token until its end")
                return self._search(task, settings)
            return self._stream(task, settings, tokens, streamer)

    def _search(self, task: Any, settings: GenerationConfig) -> Any:
        found = BeamSearch(
            task, settings.num_return_sequences or 1, settings.length_penalty or 0.0, settings.early_stopping or False
        ).run()
        sequences = ops.tensor(found.sequences, device=task.context.device)
        if not settings.return_dict_in_generate:
            return sequences
        return ModelOutput(
            sequences=sequences, sequences_scores=ops.tensor(found.scores) if settings.output_scores else None
        )

    def _stream(self, task: Any, settings: GenerationConfig, tokens: Any, streamer: Any) -> Any:
        if (settings.num_return_sequences or 1) > 1 and not settings.do_sample:
            raise ValueError(
                f"generate: num_return_sequences is {settings.num_return_sequences}, and the most probable text is "
                "one; give do_sample=True, or as many num_beams"
            )
        stream, scores = TokenStream(task), []
        if streamer is not None:
            streamer.put(ops.tensor(tokens))
        for new in stream:
            if streamer is not None:
                streamer.put(ops.tensor(new))
            if settings.output_scores:
                scores.append(wrap(task.sampling.filtered(stream.scores) if settings.do_sample else stream.scores))
        if streamer is not None:
            streamer.end()
        if not settings.return_dict_in_generate:
            return stream.sequences()
        return ModelOutput(sequences=stream.sequences(), scores=tuple(scores) if settings.output_scores else None)

    def _settings(self, given: GenerationConfig | None, options: dict[str, Any]) -> GenerationConfig:
        """Return the settings of a call: its own first, then the model's, then the defaults."""
        settings = GenerationConfig()
        for source in (DEFAULTS, self.generation_config, given):
            if source is not None:
                settings.update(**{n: v for n, v in source.to_dict().items() if v is not None})
        if unknown := settings.update(**options):
            known = ", ".join(sorted(GenerationConfig.names()))
            raise TypeError(f"generate: {', '.join(unknown)} is not offered; known are {known}")
        if settings.pad_token_id is None and settings.eos_token_id is not None:
            settings.pad_token_id = int(np.atleast_1d(settings.eos_token_id)[0])
        return settings

    def _prompt(self, inputs: Any, settings: GenerationConfig) -> Any:
        """Return the tokens of the prompts as an array, (B, T)."""
        if inputs is None:
            if settings.bos_token_id is None:
                raise ValueError("generate: there is no prompt, and no bos_token_id to begin with; give input_ids")
            inputs = [[settings.bos_token_id]]
        return np.atleast_2d(to_numpy(inputs.array) if isinstance(inputs, Tensor) else np.asarray(inputs))

    def _length(self, settings: GenerationConfig, prompt: int) -> dict[str, Any]:
        """Return how much to write, by default 20 tokens if they fit; ``max_new_tokens`` comes first."""
        if settings.max_new_tokens is not None:
            return {"max_new_tokens": settings.max_new_tokens}
        if settings.max_length is not None:
            return {"max_length": settings.max_length}
        longest = getattr(self, "max_length", None)
        return {"max_length": min(prompt + DEFAULT_NEW_TOKENS, longest or math.inf)}


def _set(settings: GenerationConfig) -> dict[str, Any]:
    """Return the settings that are passed on, where they are set; greedy choice ignores those of drawing."""
    drawing = ("temperature", "top_k", "top_p", "min_p")
    return {
        name: getattr(settings, name)
        for name in _PASSED_ON
        if getattr(settings, name) is not None and (settings.do_sample or name not in drawing)
    }


def _mask(tokens: Any, attention_mask: Any, settings: GenerationConfig) -> Any:
    """Return what is no padding, (B, T): as given, or told by the padding token unless that ends texts, too."""
    pad, ends = settings.pad_token_id, np.atleast_1d(() if settings.eos_token_id is None else settings.eos_token_id)
    if attention_mask is not None:
        array = attention_mask.array if isinstance(attention_mask, Tensor) else np.asarray(attention_mask)
        mask = np.atleast_2d(to_numpy(array)) != 0
    elif pad is not None and pad not in ends:
        mask = tokens != pad
    else:
        return None
    if mask.shape == tokens.shape and not mask[:, -1].all():
        logger.warning("generate: prompts are padded behind their tokens; padding_side='left' gives better texts")
    return mask
