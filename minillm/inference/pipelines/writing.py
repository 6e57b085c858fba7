"""Text generation and translation: what a model writes after a prompt, or for a source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minillm.inference.pipelines.base import Pipeline

LONGEST = 256  # tokens to write, where neither the call nor the model says


class TextGenerationPipeline(Pipeline):
    """Goes on with texts."""

    task = "text-generation"

    def __call__(self, text_inputs: str | Sequence[str], **options: Any) -> Any:
        """Return a list of ``{"generated_text": ...}`` for each prompt; for one prompt, its list.

        Args:
            text_inputs: a prompt, or several.
            options: as for ``model.generate``; by default up to 256 tokens are drawn at a temperature of 0.7.
                ``return_full_text=False`` leaves the prompt out.
        """
        settings = self._settings(options)
        full = settings.pop("return_full_text", True)
        if not {"max_new_tokens", "max_length"} & settings.keys():
            settings["max_new_tokens"] = LONGEST
        settings = {"do_sample": True, **settings}
        if settings["do_sample"]:
            settings = {"temperature": 0.7, **settings}
        if "stop_strings" in settings:
            settings = {"tokenizer": self.tokenizer, **settings}
        texts = [text_inputs] if isinstance(text_inputs, str) else list(text_inputs)
        answers = [self._texts(text, full, settings) for text in texts]
        return answers[0] if isinstance(text_inputs, str) else answers

    def _texts(self, prompt: str, full: bool, options: dict[str, Any]) -> list[dict[str, str]]:
        """Return what the model writes after one prompt."""
        given = self._inputs(self.tokenizer([prompt]))
        read = len(self.tokenizer.decode(given["input_ids"][0].tolist(), skip_special_tokens=True))
        rows = self.model.generate(**given, **options).tolist()
        new = [self.tokenizer.decode(row, skip_special_tokens=True)[read:] for row in rows]
        return [{"generated_text": prompt + text if full else text} for text in new]


class TranslationPipeline(Pipeline):
    """Translates texts."""

    task = "translation"

    def __call__(self, inputs: str | Sequence[str], **options: Any) -> list[dict[str, str]]:
        """Return ``{"translation_text": ...}`` for each text.

        Args:
            inputs: a text, or several.
            options: as for ``model.generate``: by default four beams, and as many tokens as the model's
                ``generation_config`` says, or 256. ``truncation=True`` cuts texts that are too long for the model.
        """
        settings = self._settings(options)
        truncation, own = settings.pop("truncation", False), self.model.generation_config
        if own.num_beams is None:
            settings = {"num_beams": 4, **settings}
        if not {"max_new_tokens", "max_length"} & settings.keys() and own.max_length is own.max_new_tokens is None:
            longest = self.model.max_length or LONGEST + 1
            settings["max_new_tokens"] = min(LONGEST, longest - 1)  # one is the start of the target
        texts = [inputs] if isinstance(inputs, str) else list(inputs)
        return [answer for text in texts for answer in self._targets(text, truncation, settings)]

    def _targets(self, text: str, truncation: bool, options: dict[str, Any]) -> list[dict[str, str]]:
        """Return the targets of one text: one, unless several are asked for."""
        given = self._inputs(self.tokenizer([text], truncation=truncation))
        given.pop("token_type_ids", None)
        rows = self.model.generate(**given, **options).tolist()
        return [{"translation_text": self.tokenizer.decode(row, skip_special_tokens=True)} for row in rows]
