"""The examples that a plan trains and measures on, each checked before anything is trained."""

from __future__ import annotations

import dataclasses
from typing import Any

from minillm.metrics.spans import entities
from minillm.training.task_plan import TaskPlan
from minillm.training.tasks.examples import ExampleSet, augmented, check_labels, labels_of, read_examples, set_aside


@dataclasses.dataclass(frozen=True)
class TaskData:
    """Examples to train on, and to measure on.

    Attributes:
        train: to train on, those of ``augment`` left out.
        validation: to measure on after each epoch; None for nothing.
        test: to measure on at the end; None for nothing.
    """

    train: ExampleSet
    validation: ExampleSet | None = None
    test: ExampleSet | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what ``task.json`` says of them."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: None if part is None else part.to_dict() for name, part in parts.items()}

    def training_examples(self, plan: TaskPlan) -> list[dict[str, Any]]:
        """Return the examples to train on, and their changed copies where the plan asks for some."""
        return augmented(plan.task, self.train.examples, plan.augment, plan.settings.seed)


def load_data(plan: TaskPlan) -> TaskData:
    r"""Return the examples of a plan.

    Raises:
        OSError, ValueError: a file cannot be read, or does not fit the task; the message says where.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "films.tsv")
        ...     _ = path.write_text("text\tlabel\n" + "".join(f"film {i}\t{'ab'[i % 2]}\n" for i in range(20)))
        ...     data = load_data(TaskPlan("classify", "lstm", str(path)))
        >>> len(data.train.examples), len(data.validation.examples), data.test
        (18, 2, None)
    """
    parts = read_examples(plan.task, plan.data)
    train, validation, test = parts["train"], parts.get("validation"), parts.get("test")
    if plan.validation is not None:
        validation = _only(read_examples(plan.task, plan.validation), "validation")
    if plan.test is not None:
        test = _only(read_examples(plan.task, plan.test), "test")
    if validation is None and plan.validation_fraction:
        kept, held = set_aside(plan.task, train.examples, plan.validation_fraction)
        validation = ExampleSet(f"{plan.validation_fraction:g} of {train.source}", train.sha256, held)
        train = dataclasses.replace(train, examples=kept)
    if plan.task in ("classify", "tag"):
        labels = labels_of(plan.task, train.examples)
        if plan.task == "tag":
            _check_tags(train.source, labels)
        for part in (validation, test):
            if part is not None:
                check_labels(plan.task, part, labels)
    return TaskData(train, validation, test)


def _only(parts: dict[str, ExampleSet], name: str) -> ExampleSet:
    """Return the part of that name, else the only one that there is."""
    return parts.get(name, parts["train"])


def _check_tags(source: str, tags: list[str]) -> None:
    try:
        entities(tags)
    except ValueError as error:
        raise ValueError(f"{source}: tags need to be O, or a kind and a type such as B-PER: {error}") from error
