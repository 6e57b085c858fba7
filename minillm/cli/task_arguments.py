"""The options that ``finetune --task`` and ``search`` share: what is fine-tuned, on what, and how."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from minillm.cli.arguments import UsageError, number, whole
from minillm.training.fine_tuning import FineTuningConfig
from minillm.training.task_plan import TASKS, TaskPlan

_SHARE = {"type": number(0, 1, with_high=True), "metavar": "SHARE"}
_COUNT = {"type": whole(1), "metavar": "N"}
_RATE = {"type": number(), "metavar": "RATE"}

# Group, option, what it is, how it is read.
_OPTIONS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("what", "--task", "what the model shall do", {"choices": TASKS}),
    ("what", "--model", "directory of a model in Hugging Face's layout; or lstm, one from scratch",
     {"metavar": "DIR"}),
    ("what", "--data", "examples to train on: a file, whose ending says how it is read, or a public set such as sst2",
     {"metavar": "FILE"}),
    ("what", "--validation", "examples to measure on after each epoch (default: those of the public set, else a "
     "share of the data)", {"metavar": "FILE"}),
    ("what", "--validation-fraction", "that share; 0 for none",
     {"type": number(0, 1), "metavar": "SHARE"}),
    ("what", "--test", "examples to measure on at the end", {"metavar": "FILE"}),
    ("what", "--max-length", "tokens of a text that are read (default: by the task, at most what the model reads)",
     _COUNT),
    ("training", "--epochs", "times that every example is trained on", _COUNT),
    ("training", "--batch-size", "examples in a batch", _COUNT),
    ("training", "--lr", "highest learning rate, of the head",
     {"type": number(with_low=False), "metavar": "RATE"}),
    ("training", "--layer-decay", "the rate of a layer is this times that of the one above",
     {"type": number(0, 1, with_low=False, with_high=True), "metavar": "SHARE"}),
    ("training", "--schedule", "how the rate falls", {"choices": ["linear", "cosine", "constant"]}),
    ("training", "--warmup", "share of the steps over which the rate rises",
     {"type": number(0, 1), "metavar": "SHARE"}),
    ("training", "--optimizer", "how weights are updated", {"choices": ["adamw", "adam", "sgd"]}),
    ("training", "--weight-decay", "of matrices; vectors have none", _RATE),
    ("training", "--l1", "penalty of the sum of the absolute weights of matrices", _RATE),
    ("training", "--l2", "penalty of the sum of their squares", _RATE),
    ("training", "--grad-clip", "largest norm of the gradients; 0 for no clipping",
     {"type": number(), "metavar": "NORM"}),
    ("training", "--freeze", "names of parameters that stay as they are, as in 'bert.embeddings'",
     {"nargs": "+", "action": "extend", "metavar": "PATTERN"}),
    ("training", "--train-last", "train so many last layers and the head alone",
     {"type": whole(0), "metavar": "N"}),
    ("training", "--patience", "stop after so many epochs without a better score; 0 for never",
     {"type": whole(0), "metavar": "N"}),
    ("training", "--batch-threads", "threads that share each batch, a core each", _COUNT),
    ("training", "--seed", "of everything random: the same seed gives the same run",
     {"type": whole(0), "metavar": "N"}),
    ("training", "--dropout", "of the model (default: its own)", {"type": number(0, 1), "metavar": "SHARE"}),
    ("training", "--class-weights", "balanced: rare labels weigh more", {"choices": ["balanced"]}),
    ("training", "--augment", "add changed copies of such a share of the training examples: words are left out or "
     "swapped", _SHARE),
    ("LoRA", "--lora", "train adapters of this rank, and leave all else as it is",
     {"type": whole(1), "metavar": "R", "dest": "lora_r"}),
    ("LoRA", "--lora-alpha", "the change is multiplied by alpha / R (default: 2 R)",
     {"type": number(with_low=False), "metavar": "ALPHA"}),
    ("LoRA", "--lora-target", "ends of the names of the layers to adapt, or all-linear (default: by the model)",
     {"nargs": "+", "metavar": "NAME"}),
    ("translate", "--metric", "by which weights are chosen", {"choices": ["bleu", "exact"]}),
    ("translate", "--num-beams", "of the search for translations", _COUNT),
    ("translate", "--reverse", "read sources from their end, which helps an LSTM",
     {"action": "store_const", "const": True}),
    ("lstm", "--tokenizer", "cut texts into words or characters", {"choices": ["word", "char"]}),
    ("lstm", "--embedding-dim", "width of a token's vector", _COUNT),
    ("lstm", "--hidden-size", "width of the states of each direction", _COUNT),
    ("lstm", "--layers", "layers, one on another", _COUNT),
    ("lstm", "--vocab-size", "keep so many of the most frequent words (default: all)", _COUNT),
    ("lstm", "--min-count", "words that occur less often are unknown", _COUNT),
]  # fmt: skip
_TITLES = {"what": "what, and on what", "lstm": "--model lstm", "translate": "--task translate", "LoRA": "LoRA"}


def add_task_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for each field of a :class:`TaskPlan` and of its settings."""
    defaults = {f.name: f.default for cls in (TaskPlan, FineTuningConfig) for f in dataclasses.fields(cls)}
    groups: dict[str, Any] = {}
    for title, option, text, extra in _OPTIONS:
        if title not in groups:
            groups[title] = parser.add_argument_group(_TITLES.get(title, title))
        value = defaults.get(extra.get("dest", option.strip("-").replace("-", "_")))
        shown = value not in (None, (), False, dataclasses.MISSING) and "(default" not in text
        groups[title].add_argument(option, help=text + (f" (default: {value})" if shown else ""), **extra)


def given_values(args: argparse.Namespace) -> dict[str, Any]:
    """Return the values that were given, by the names of a plan and its settings."""
    names = {f.name for cls in (TaskPlan, FineTuningConfig) for f in dataclasses.fields(cls)} - {"settings"}
    given = {name: getattr(args, name) for name in names if getattr(args, name, None) is not None}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def plan_of(args: argparse.Namespace) -> TaskPlan:
    """Return the plan that the arguments state.

    Raises:
        UsageError: one is missing, or they do not go together.
    """
    values = given_values(args)
    for name, what in (
        ("task", ", ".join(TASKS)), ("model", "a directory, or lstm"), ("data", "a file, or a public set"),
    ):  # fmt: skip
        if name not in values:
            raise UsageError(f"it needs --{name}: {what}")
    if args.validation is not None and args.validation_fraction is not None:
        raise UsageError("got --validation and --validation-fraction; give one of both")
    first = {name: values.pop(name) for name in ("task", "model", "data")}
    own = {field.name for field in dataclasses.fields(TaskPlan)}
    try:
        # At once, so that what belongs together is checked together.
        plan = TaskPlan(**first, **{k: v for k, v in values.items() if k in own})
        return plan.with_values({k: v for k, v in values.items() if k not in own})
    except ValueError as error:
        raise UsageError(str(error)) from error
