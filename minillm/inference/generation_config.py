"""``GenerationConfig``: how a model generates unless a call says otherwise; ``generation_config.json``.

The names and defaults are those of Hugging Face's library. What was never set is None, and a later source
may set it: a model's own config, then the defaults.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from minillm.data.json_readers import read_json
from minillm.data.whole_files import write_whole

FILE = "generation_config.json"


@dataclasses.dataclass
class GenerationConfig:
    """The settings of :meth:`~minillm.inference.generation_mixin.GenerationMixin.generate`; None is not set.

    Attributes:
        max_length: the most tokens with the prompt; by default 20 more than it.
        max_new_tokens: the most tokens to write, in the place of ``max_length``.
        min_length: the fewest tokens with the prompt; 0.
        min_new_tokens: the fewest tokens to write.
        do_sample: draw tokens; False, which takes the most probable ones.
        num_beams: texts that beam search follows; 1, which is none.
        early_stopping: when beam search ends; False.
        length_penalty: the power of the length that beams are divided by; 1.
        num_return_sequences: texts returned of each prompt; 1.
        temperature: see :class:`~minillm.inference.Sampling` for this and the next three; 1.
        top_k: 50, where tokens are drawn.
        top_p: 1.
        min_p: none.
        repetition_penalty: above 1 makes tokens that were there before less probable; 1.
        no_repeat_ngram_size: no so many tokens come twice in the same order; 0 for any.
        bad_words_ids: sequences of tokens that never come.
        use_cache: read each token once; True.
        bos_token_id: begins a text where there is no prompt.
        eos_token_id: ends a text, one or several.
        pad_token_id: fills up texts that ended.
        decoder_start_token_id: begins the targets of an encoder-decoder.
        forced_eos_token_id: the last token of a text of the greatest length, one or several to choose from.
        stop_strings: end a text where one of them is complete; the call needs ``tokenizer``, too.
        output_scores: return the scores of each step, with ``return_dict_in_generate``.
        return_dict_in_generate: return a ``ModelOutput`` with ``sequences``; False, which returns these alone.
        other: what a file held that is not offered here; it is written back.

    Example:
        >>> GenerationConfig(max_new_tokens=5, do_sample=True).to_dict()
        {'max_new_tokens': 5, 'do_sample': True}
    """

    max_length: int | None = None
    max_new_tokens: int | None = None
    min_length: int | None = None
    min_new_tokens: int | None = None
    do_sample: bool | None = None
    num_beams: int | None = None
    early_stopping: bool | str | None = None
    length_penalty: float | None = None
    num_return_sequences: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    no_repeat_ngram_size: int | None = None
    bad_words_ids: list[list[int]] | None = None
    use_cache: bool | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None
    decoder_start_token_id: int | None = None
    forced_eos_token_id: int | list[int] | None = None
    stop_strings: str | list[str] | None = None
    output_scores: bool | None = None
    return_dict_in_generate: bool | None = None
    other: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    @classmethod
    def names(cls) -> set[str]:
        """Return the names of the settings."""
        return {field.name for field in dataclasses.fields(cls)} - {"other"}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> GenerationConfig:
        """Return the settings from a dictionary; those that are not offered here are kept in ``other``."""
        names = cls.names()
        known = {name: value for name, value in values.items() if name in names}
        return cls(**known, other={name: value for name, value in values.items() if name not in names})

    @classmethod
    def from_model_config(cls, config: Any) -> GenerationConfig:
        """Return what a model's config says of generation, as old files do."""
        other = getattr(config, "other", {})
        of_tokens = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "forced_eos_token_id")
        values = {name: getattr(config, name, None) for name in of_tokens}
        return cls.from_dict({**{name: other[name] for name in cls.names() if name in other}, **values})

    @classmethod
    def from_pretrained(cls, directory: str | os.PathLike[str]) -> GenerationConfig:
        """Return the settings from a directory.

        Raises:
            FileNotFoundError: there is no ``generation_config.json`` in it.
            ValueError: it is no JSON object.
        """
        path = Path(directory) / FILE
        if not path.is_file():
            raise FileNotFoundError(f"{path}: there is no such file")
        values = read_json(path)
        if not isinstance(values, dict):
            raise ValueError(f"{path}: it holds {type(values).__name__}; it needs an object with the settings")
        return cls.from_dict(values)

    def save_pretrained(self, directory: str | os.PathLike[str]) -> None:
        """Write ``generation_config.json`` into a directory, whole or not at all."""
        with write_whole(Path(directory) / FILE) as file:
            file.write((json.dumps(self.to_dict(), indent=2) + "\n").encode())

    def to_dict(self) -> dict[str, Any]:
        """Return what is set, by name."""
        values = dataclasses.asdict(self)
        other = values.pop("other")
        return {**other, **{name: value for name, value in values.items() if value is not None}}

    def update(self, **values: Any) -> dict[str, Any]:
        """Change settings; return those that are not offered here."""
        names = self.names()
        for name, value in values.items():
            if name in names:
                setattr(self, name, value)
        return {name: value for name, value in values.items() if name not in names}


DEFAULTS = GenerationConfig(
    min_length=0, do_sample=False, num_beams=1, early_stopping=False, length_penalty=1.0, num_return_sequences=1,
    temperature=1.0, top_k=50, top_p=1.0, repetition_penalty=1.0, no_repeat_ngram_size=0, use_cache=True,
    output_scores=False, return_dict_in_generate=False,
)  # fmt: skip
