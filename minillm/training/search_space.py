"""The space of a search: for each setting the values that it may have.

lr=1e-5..1e-3:log      a range, drawn on a logarithmic scale
dropout=0..0.5         a range, drawn evenly
lr=1e-5..1e-3:log:4    the same, for a grid: 4 values
batch_size=8,16,32     one of these
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

from minillm.backend import Generator
from minillm.training.task_plan import TaskPlan

_INTEGERS = ("epochs", "batch_size", "train_last", "patience", "seed", "max_length", "lora_r", "num_beams",
             "embedding_dim", "hidden_size", "layers", "vocab_size", "min_count")  # fmt: skip
_FLOATS = ("lr", "layer_decay", "warmup", "weight_decay", "l1", "l2", "grad_clip", "dropout", "augment", "lora_alpha")
_WORDS = ("schedule", "optimizer", "class_weights", "tokenizer", "reverse")
SETTINGS = (*_FLOATS, *_INTEGERS, *_WORDS)
_NAMES = {"lora": "lora_r"}


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of several values."""

    name: str
    values: tuple[Any, ...]
    logarithmic = False

    def grid(self) -> tuple[Any, ...]:
        """Return the values of a grid."""
        return self.values

    def draw(self, random: Generator) -> Any:
        """Return one value at random."""
        return self.values[int(random.integers(0, len(self.values), device="cpu"))]


@dataclasses.dataclass(frozen=True)
class Range:
    """All values from one to another; ``count`` of them make a grid."""

    name: str
    low: float
    high: float
    logarithmic: bool = False
    whole: bool = False
    count: int | None = None

    def grid(self) -> tuple[Any, ...]:
        """Return the values of a grid, at equal steps.

        Raises:
            ValueError: it is not said how many.
        """
        if self.whole and not self.logarithmic and self.count is None:
            return tuple(range(int(self.low), int(self.high) + 1))
        if self.count is None:
            scale = ":log" * self.logarithmic
            raise ValueError(
                f"{self.name}: a grid needs to know how many values; give {self.low:g}..{self.high:g}{scale}:5, or a "
                "list"
            )
        steps = [i / max(self.count - 1, 1) for i in range(self.count)]
        return tuple(dict.fromkeys(self._at(step) for step in steps))

    def draw(self, random: Generator) -> Any:
        """Return one value at random."""
        return self._at(float(random.uniform((1,), device="cpu")[0]))

    def _at(self, share: float) -> Any:
        if self.logarithmic:
            value = math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + share * (self.high - self.low)
        return self.rounded(value)

    def rounded(self, value: float) -> Any:
        """Return a value as it is used: four digits, or a whole number, within the range."""
        value = min(max(value, self.low), self.high)
        return round(value) if self.whole else float(f"{value:.4g}")


Space = list[Choice | Range]


def parse_space(words: Sequence[str]) -> Space:
    """Return the space that words state.

    Raises:
        ValueError: a word that is not understood, or a setting that there is not.

    Example:
        >>> parse_space(["batch_size=8,16", "lr=1e-4..1e-2:log"])[0]
        Choice(name='batch_size', values=(8, 16))
    """
    space: Space = []
    for word in words:
        name, sign, text = word.partition("=")
        name = name.strip().lstrip("-").replace("-", "_")
        name = _NAMES.get(name, name)
        if not sign or not text.strip():
            raise ValueError(f"space: {word!r} is not understood; it needs NAME=LOW..HIGH, or NAME=A,B,C")
        if name not in SETTINGS:
            raise ValueError(f"space: there is no setting {name!r}; there are {', '.join(SETTINGS)}")
        if name in [part.name for part in space]:
            raise ValueError(f"space: {name} is there twice")
        space.append(_range(name, text) if ".." in text else _choice(name, text))
    if not space:
        raise ValueError("space: it is empty; give NAME=LOW..HIGH, or NAME=A,B,C")
    return space


def _range(name: str, text: str) -> Range:
    bounds, *marks = text.split(":")
    low, _, high = bounds.partition("..")
    if name in _WORDS:
        raise ValueError(f"space: {name} is no number; give {name}=A,B,C")
    logarithmic, count = False, None
    for mark in marks:
        if mark == "log":
            logarithmic = True
        elif mark.isdecimal() and int(mark):
            count = int(mark)
        else:
            raise ValueError(f"space: {name}={text}: {mark!r} is not understood; there are log and a number of values")
    ends = [_value(name, end) for end in (low, high)]
    if not ends[0] < ends[1]:
        raise ValueError(f"space: {name}={text}: {low} is not below {high}")
    if logarithmic and ends[0] <= 0:
        raise ValueError(f"space: {name}={text}: a logarithmic range begins above 0")
    return Range(name, ends[0], ends[1], logarithmic, name in _INTEGERS, count)


def _choice(name: str, text: str) -> Choice:
    values = tuple(_value(name, part.strip()) for part in text.split(","))
    if len(set(values)) < len(values):
        raise ValueError(f"space: {name}={text}: a value is there twice")
    return Choice(name, values)


def _value(name: str, text: str) -> Any:
    if name == "reverse" and text in ("true", "false"):
        return text == "true"
    if name in _WORDS:
        if not text:
            raise ValueError(f"space: {name} has an empty value")
        return None if text == "none" else text
    kind: type = int if name in _INTEGERS else float
    try:
        value = kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise ValueError(f"space: {name} is {text!r}; it needs {what}") from None
    if not math.isfinite(value):
        raise ValueError(f"space: {name} is {text!r}; it needs a finite number")
    return value


def grid_of(space: Space) -> list[dict[str, Any]]:
    """Return all combinations of the values of a space, the last setting changing fastest.

    Example:
        >>> grid_of(parse_space(["epochs=1..2", "lr=0.1,0.2"]))[:2]
        [{'epochs': 1, 'lr': 0.1}, {'epochs': 1, 'lr': 0.2}]
    """
    names = [part.name for part in space]
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*(part.grid() for part in space))]


def check_space(space: Space, plan: TaskPlan) -> None:
    """Raise an error if a plan cannot have a value of the space: its ends, and each of a list.

    Raises:
        ValueError: names the setting.
    """
    for part in space:
        for value in part.values if isinstance(part, Choice) else (part.rounded(part.low), part.rounded(part.high)):
            try:
                plan.with_values({part.name: value})
            except ValueError as error:
                raise ValueError(f"space: {part.name}={value}: {error}") from error


