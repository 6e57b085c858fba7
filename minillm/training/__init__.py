"""Training: the loop, its settings, checkpoints, evaluation, and the directory that a run lives in.

The names below are imported at first use, so that the command line answers quickly.

Example:
    >>> from minillm.training import TrainingConfig
    >>> TrainingConfig(steps=100).learning_rate(0) < 1e-3
    True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minillm.training.batch_split import BatchSplit
    from minillm.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
    from minillm.training.config import TrainingConfig
    from minillm.training.evaluation import Evaluation, evaluate
    from minillm.training.freezing import freeze
    from minillm.training.log import read_log
    from minillm.training.lora import LoraConfig, apply_lora, load_lora, merge_lora, save_lora
    from minillm.training.optimizers import make_optimizer, parameter_groups
    from minillm.training.progress import ProgressBar
    from minillm.training.run_directory import RunDirectory, RunError, RunInfo
    from minillm.training.state import DivergenceError, TrainingResult
    from minillm.training.stopping import TrainingInterrupted
    from minillm.training.task_plan import TaskPlan
    from minillm.training.task_run import TaskRun, load_task
    from minillm.training.text_source import TextSource, prepare_text
    from minillm.training.trainer import Trainer

__all__ = [
    "BatchSplit",
    "CheckpointError",
    "DivergenceError",
    "Evaluation",
    "LoraConfig",
    "ProgressBar",
    "RunDirectory",
    "RunError",
    "RunInfo",
    "TaskPlan",
    "TaskRun",
    "TextSource",
    "Trainer",
    "TrainingConfig",
    "TrainingInterrupted",
    "TrainingResult",
    "apply_lora",
    "evaluate",
    "freeze",
    "load_checkpoint",
    "load_lora",
    "load_task",
    "make_optimizer",
    "merge_lora",
    "parameter_groups",
    "prepare_text",
    "read_log",
    "save_checkpoint",
    "save_lora",
]

_FILES = {
    "batch_split": ("BatchSplit",),
    "checkpoint": ("CheckpointError", "load_checkpoint", "save_checkpoint"),
    "config": ("TrainingConfig",),
    "evaluation": ("Evaluation", "evaluate"),
    "freezing": ("freeze",),
    "lora": ("LoraConfig", "apply_lora", "load_lora", "merge_lora", "save_lora"),
    "log": ("read_log",),
    "optimizers": ("make_optimizer", "parameter_groups"),
    "progress": ("ProgressBar",),
    "run_directory": ("RunDirectory", "RunError", "RunInfo"),
    "stopping": ("TrainingInterrupted",),
    "task_plan": ("TaskPlan",),
    "task_run": ("TaskRun", "load_task"),
    "text_source": ("TextSource", "prepare_text"),
    "state": ("DivergenceError", "TrainingResult"),
    "trainer": ("Trainer",),
}


def __getattr__(name: str) -> Any:
    for file, names in _FILES.items():
        if name in names:
            return getattr(importlib.import_module(f"minillm.training.{file}"), name)
    raise AttributeError(f"module 'minillm.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
