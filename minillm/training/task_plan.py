"""``TaskPlan``: what is to be fine-tuned, on what, and how; the model, tokenizer and task that follow from it."""

from __future__ import annotations

import dataclasses
import math
import shlex
from pathlib import Path
from typing import Any

from minillm.models.config import one_of, probability
from minillm.training.fine_tuning import FineTuningConfig

TASKS = ("classify", "tag", "qa", "lm", "instruct", "translate")
LSTM_TASKS = ("classify", "tag", "translate")
_LSTM_ALONE = ("tokenizer", "embedding_dim", "hidden_size", "layers", "vocab_size", "min_count")
_POSITIVE = ("max_length", "embedding_dim", "hidden_size", "layers", "vocab_size", "min_count", "num_beams")


@dataclasses.dataclass
class TaskPlan:
    """What is fine-tuned, on what, and how.

    Attributes:
        task: ``classify``, ``tag``, ``qa``, ``lm``, ``instruct`` or ``translate``.
        model: a directory in Hugging Face's layout, or ``lstm`` for a new LSTM.
        data: a file, or a public set, to train on.
        validation: to measure on after each epoch; by default that of the public set, or a share of ``data``.
        test: to measure on at the end.
        validation_fraction: the share of ``data``; 0 for none.
        max_length: the longest text, in tokens; what suits task and model by default.
        dropout: of the model; its own by default.
        class_weights: ``balanced`` weighs rare labels more.
        augment: changed copies of such a share of the training examples are added.
        lora_r: rank of LoRA's adapters; 0 trains the weights themselves.
        lora_alpha: the change is multiplied by ``lora_alpha / r``; 2 r by default.
        lora_target: ends of the names of the layers to adapt; what suits the model by default.
        metric: of translation: ``bleu`` or ``exact``.
        num_beams: of the search for translations.
        reverse: read sources of translation from their end.
        tokenizer: of an LSTM: ``word`` or ``char``.
        embedding_dim: of an LSTM, as are the next ones.
        hidden_size: width of the states.
        layers: layers, one on another.
        vocab_size: keep so many of the most frequent words; None for all.
        min_count: words that occur less often are unknown.
        settings: of the fine-tuning.

    Raises:
        ValueError: something makes no sense.

    Example:
        >>> plan = TaskPlan("classify", "lstm", "sst2").with_values({"lr": 0.01, "hidden_size": 64})
        >>> plan.settings.lr, plan.hidden_size
        (0.01, 64)
    """

    task: str
    model: str
    data: str
    validation: str | None = None
    test: str | None = None
    validation_fraction: float = 0.1
    max_length: int | None = None
    dropout: float | None = None
    class_weights: str | None = None
    augment: float = 0.0
    lora_r: int = 0
    lora_alpha: float | None = None
    lora_target: tuple[str, ...] = ()
    metric: str = "bleu"
    num_beams: int = 1
    reverse: bool = False
    tokenizer: str = "word"
    embedding_dim: int = 128
    hidden_size: int = 128
    layers: int = 1
    vocab_size: int | None = None
    min_count: int = 1
    settings: FineTuningConfig = dataclasses.field(default_factory=FineTuningConfig)

    def __post_init__(self) -> None:
        self.lora_target = tuple(self.lora_target)
        one_of(self, TASKS, task=self.task)
        one_of(self, ("bleu", "exact"), metric=self.metric)
        one_of(self, ("word", "char"), tokenizer=self.tokenizer)
        one_of(self, (None, "balanced"), class_weights=self.class_weights)
        if self.dropout is not None:
            probability(self, dropout=self.dropout)
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise ValueError(f"{name} is {value!r}; it needs a whole number, 1 or more")
        if self.lora_r < 0:
            raise ValueError(f"lora_r is {self.lora_r!r}; it needs a whole number, 0 or more")
        if self.lora_alpha is not None and not (math.isfinite(self.lora_alpha) and self.lora_alpha > 0):
            raise ValueError(f"lora_alpha is {self.lora_alpha}; it needs to be more than 0")
        for name in ("augment", "validation_fraction"):
            value = getattr(self, name)
            if not 0 <= value <= 1 or (name == "validation_fraction" and value == 1):
                raise ValueError(f"{name} is {value}; it is a share, from 0 to 1")
        self._check_kinds()

    @property
    def model_name(self) -> str:
        """What the model is called: its directory, or the one above where that is called no more than ``model``."""
        path = Path(self.model)
        return path.parent.name if path.name == "model" and path.parent.name else path.name

    def _check_kinds(self) -> None:
        """Raise an error where a setting is for another task, or for an LSTM alone."""
        if self.class_weights and self.task != "classify":
            raise ValueError(f"class_weights are for classify, not for {self.task}")
        if self.augment and self.task not in ("classify", "tag"):
            raise ValueError(f"augment is for classify and tag, not for {self.task}")
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        if self.task != "translate":
            for name in ("metric", "num_beams", "reverse"):
                if getattr(self, name) != defaults[name]:
                    raise ValueError(f"{name} is for translate, not for {self.task}")
        if self.model == "lstm":
            if self.task not in LSTM_TASKS:
                raise ValueError(f"an LSTM from scratch is for {', '.join(LSTM_TASKS)}, not for {self.task}")
            if self.lora_r and not self.lora_target:
                raise ValueError("LoRA adapts a model that has learned something; an LSTM from scratch has not")
            return
        for name in _LSTM_ALONE:
            if getattr(self, name) != defaults[name]:
                raise ValueError(f"{name} is for a model lstm; {self.model} has its own")

    def with_values(self, values: dict[str, Any]) -> TaskPlan:
        """Return the plan with other values, of its own settings or of those of fine-tuning, by name.

        Raises:
            ValueError: a name that is not known, or a value that makes no sense.
        """
        own = {field.name for field in dataclasses.fields(self)} - {"settings"}
        inner = {field.name for field in dataclasses.fields(self.settings)}
        if unknown := sorted(set(values) - own - inner):
            raise ValueError(f"there is no setting {unknown[0]!r}")
        settings = dataclasses.replace(self.settings, **{k: v for k, v in values.items() if k in inner})
        return dataclasses.replace(self, settings=settings, **{k: v for k, v in values.items() if k in own})

    def to_dict(self) -> dict[str, Any]:
        """Return all this as JSON holds it."""
        return _listed(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TaskPlan:
        """Undo :meth:`to_dict`.

        Raises:
            ValueError: something is missing, not known, or makes no sense.
        """
        try:
            return cls(**{**values, "settings": FineTuningConfig(**values["settings"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"a plan that is not understood: {error}") from error

    def command(self, out: str) -> str:
        """Return the command line that carries this out.

        Example:
            >>> TaskPlan("classify", "lstm", "a b.tsv").with_values({"lr": 0.01}).command("runs/a")
            "minillm finetune --task classify --model lstm --data 'a b.tsv' --lr 0.01 --out runs/a"
        """
        words = ["minillm", "finetune"]
        for owner in (self, self.settings):
            for field in dataclasses.fields(owner):
                value = getattr(owner, field.name)
                missing = field.default is dataclasses.MISSING
                if field.name == "settings" or (not missing and value == field.default):
                    continue
                option = "--lora" if field.name == "lora_r" else "--" + field.name.replace("_", "-")
                words.append(option)
                if isinstance(value, tuple):
                    words += map(str, value)
                elif value is not True:
                    words.append(f"{value:.6g}" if isinstance(value, float) else str(value))
        return shlex.join([*words, "--out", out])


def _listed(values: dict[str, Any]) -> dict[str, Any]:
    """Tuples as lists, as they come back from JSON."""
    return {
        name: _listed(value) if isinstance(value, dict) else list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
    }
