"""The tasks that a model is fine-tuned for: what examples are, how a model reads them, how good its answers are."""

from __future__ import annotations

from minillm.training.tasks.answer import Answer
from minillm.training.tasks.classify import Classify
from minillm.training.tasks.language import Instruct, LanguageModel, instruction_prompt
from minillm.training.tasks.tag import Tag
from minillm.training.tasks.task import Task
from minillm.training.tasks.translate import Translate

__all__ = ["Answer", "Classify", "Instruct", "LanguageModel", "Tag", "Task", "Translate", "instruction_prompt"]
