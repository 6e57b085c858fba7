"""``TaskRun``: a fine-tuning on disk, which can be resumed, and whose model answers when it is done.

    task.json            what the run is: the plan, data with SHA-256, labels, scores, version
    config.json, model.safetensors, tokenizer.json ...   the model, as Hugging Face's library reads it, too
    adapter/             with LoRA: the adapters alone, in PEFT's format (the model has them merged)
    log.jsonl            losses and scores, one JSON object a line
    loss.png             a picture of them; confusion.png for classes
    README.md            a model card
    checkpoints/         until training has ended: enough to go on from

A directory appears whole, with the initial weights, before the first step is trained.
"""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minillm import metrics, viz
from minillm.data.json_readers import read_json
from minillm.data.whole_files import disk_full, write_whole
from minillm.training.checkpoint import checkpoints_in, step_of
from minillm.training.fine_tuning import BEST, CHECKPOINTS, FineTuner, FineTuningState
from minillm.training.log import TrainingLog, read_log
from minillm.training.lora import merge_lora, save_lora
from minillm.training.model_card import model_card
from minillm.training.run_directory import RunError
from minillm.training.task_data import TaskData, load_data
from minillm.training.task_models import adapt, make_start, make_task, model_class, task_options, tokenizer_of
from minillm.training.task_plan import TaskPlan
from minillm.training.tasks import Task
from minillm.training.trained_task import TrainedTask, read_trained

FORMAT = "minillm task 1"
TASK, LOG, PLOT, CONFUSION, CARD, ADAPTER = (
    "task.json", "log.jsonl", "loss.png", "confusion.png", "README.md", "adapter",
)  # fmt: skip
LINES = 200  # of the log, beside those of epochs
OF_THE_LOOP = ("epoch", "step", "loss", "seconds", "best")  # in the record of an epoch, beside scores

Report = Callable[[dict[str, Any]], object]
Progress = Callable[[int, int, float], object]


class TaskRun:
    """A fine-tuning on disk; make a new one with :meth:`create`, and read one with :meth:`open`.

    Attributes:
        path: of the directory.
        info: what ``task.json`` says.
        plan: what is fine-tuned, on what, and how.
    """

    def __init__(self, path: Path, info: dict[str, Any], plan: TaskPlan) -> None:
        self.path, self.info, self.plan = path, info, plan
        self.model: Any = None
        self.data: TaskData | None = None
        self._made: FineTuner | None = None

    @classmethod
    def create(cls, path: str | os.PathLike[str], plan: TaskPlan) -> TaskRun:
        """Read the data, make the model, and write a new run, whole or not at all.

        Args:
            path: where; nothing, or an empty directory.
            plan: what is to be done.

        Raises:
            RunError: there is something at ``path``.
            OSError, ValueError: data or model cannot be read, or do not fit; or nothing can be written.
        """
        path = Path(path)
        check_task_free(path)
        data = load_data(plan)
        start = make_start(plan, data.train.examples)
        options = task_options(plan, start.model)
        info = {
            "format": FORMAT,
            "version": sys.modules["minillm"].__version__,
            "plan": plan.to_dict(),
            "labels": start.labels,
            "options": options,
            "data": data.to_dict(),
            "notes": start.notes,
            "new_modules": start.new,
            "parameters": start.model.num_parameters(),
            "finished": False,
            "scores": {},
        }
        _try_examples(start.task, data)
        run = cls(path, info, plan)
        run.model, run.data = start.model, data
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            beside.mkdir(parents=True)
            start.tokenizer.save_pretrained(beside)
            start.model.save_pretrained(beside)
            _write_info(beside, info)
            # Here, so that wrong settings leave no directory behind; with a task that has not seen examples yet.
            fresh = make_task(plan.task, start.tokenizer, start.labels, options)
            run._made = run._tuner(fresh)
            if path.is_dir():  # empty; Windows does not rename onto it
                path.rmdir()
            os.rename(beside, path)
        except BaseException as error:
            shutil.rmtree(beside, ignore_errors=True)
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise disk_full(path, error) from error
            raise
        return run

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> TaskRun:
        """Read what a directory says of its run.

        Raises:
            RunError: there is no such directory, it holds no such run, or ``task.json`` is damaged.
        """
        path = Path(path)
        if not path.is_dir():
            what = "it is a file" if path.exists() else "there is no such directory"
            raise RunError(f"{path}: {what}; one is needed that `minillm finetune --task ... --out {path}` wrote")
        if not (path / TASK).is_file():
            raise RunError(f"{path} holds no task: it has no {TASK}; `minillm finetune --task ...` writes one")
        try:
            info = read_json(path / TASK)
            found = info.get("format") if isinstance(info, dict) else None
            if found != FORMAT:
                raise RunError(f"{path / TASK}: the format is {found!r}; this minillm reads {FORMAT!r}")
            for name in ("labels", "options", "data", "new_modules", "finished", "scores"):
                info[name]
            return cls(path, info, TaskPlan.from_dict(info["plan"]))
        except RunError:
            raise
        except (ValueError, OSError, KeyError, TypeError) as error:
            raise RunError(f"{path / TASK} is damaged: {error}") from error

    @property
    def finished(self) -> bool:
        """Whether training has ended and all is measured."""
        return bool(self.info["finished"])

    @property
    def metric(self) -> str:
        """The score by which weights are chosen."""
        return self._task().metric

    # -- training -------------------------------------------------------------------------------------

    def train(
        self, report: Report = lambda record: None, progress: Progress = lambda step, steps, loss: None
    ) -> FineTuningState:
        """Train, or go on with it; then measure, and write model, card and pictures.

        Args:
            report: called with the record of each epoch.
            progress: called after each step with the steps done, those in all, and the mean loss of the epoch.

        Raises:
            TrainingInterrupted: Ctrl-C or SIGTERM came; everything is saved.
            DivergenceError: the loss is no number.
            RunError: it has ended, or the data have changed since the run began.
            RuntimeError: another process trains in the directory.
        """
        if self.finished:
            raise RunError(f"{self.path}: training has ended; there is nothing to go on with")
        with TrainingLog(self.path / LOG) as log:
            tuner = self._made or self._tuner()
            found = checkpoints_in(self.path / CHECKPOINTS)
            done = step_of(found[-1]) if found else 0
            log.go_back(sum(record["step"] <= done for record in read_log(self.path / LOG)))
            _Logged(tuner, log, report, progress)
            state = tuner.train(resume=bool(found))
        self._finish(tuner)
        return state

    def load_model(self) -> Any:
        """Return the model that is trained; its newest weights come from a checkpoint when training goes on."""
        if self.model is None:
            self.model = model_class(self.plan.task, self.path).from_pretrained(self.path)
        return self.model

    def _tuner(self, task: Task | None = None) -> FineTuner:
        """Return the fine-tuner, over the model with its adapters."""
        if self.data is None:
            self.data = load_data(self.plan)
            for name, part in self.data.to_dict().items():
                before = self.info["data"][name]
                if part != before:
                    raise RunError(
                        f"{self.path}: the {name} data ({(before or part)['source']}) are not those that the run began "
                        "with, so it cannot go on; start a new one"
                    )
        adapt(self.plan, self.load_model(), self.info["new_modules"])
        task = task or self._task()
        examples = self.data.training_examples(self.plan)
        validation = self.data.validation.examples if self.data.validation else []
        return FineTuner(self.model, task, examples, validation, self.plan.settings, directory=self.path)

    def _task(self) -> Task:
        tokenizer = tokenizer_of(str(self.path))
        return make_task(self.plan.task, tokenizer, self.info["labels"], self.info["options"])

    def _finish(self, tuner: FineTuner) -> None:
        """Measure the best weights, and write all that a finished run has."""
        assert self.data is not None
        state, scores = tuner.state, {}
        if self.data.validation is not None:
            best = state.history[state.best_epoch - 1]
            scores["validation"] = {k: v for k, v in best.items() if k not in OF_THE_LOOP}
        if self.data.test is not None:
            scores["test"] = tuner.evaluate(self.data.test.examples)
        if self.plan.lora_r:
            save_lora(self.model, self.path / ADAPTER)
            merge_lora(self.model)
        self.model.save_pretrained(self.path)
        info = {
            **self.info,
            "scores": {k: {name: _rounded(x) for name, x in v.items()} for k, v in scores.items()},
            "best_epoch": state.best_epoch,
            "epochs": state.epoch,
            "seconds": round(state.seconds, 1),
            "confusion": self._confusion(tuner.task) if self.plan.task == "classify" else None,
            "finished": True,
        }
        self.info = info
        self.draw()
        with write_whole(self.path / CARD) as file:
            file.write(model_card(self.path.name, info, self.plan, (self.path / CONFUSION).exists()).encode())
        _write_info(self.path, info)
        shutil.rmtree(self.path / CHECKPOINTS, ignore_errors=True)
        (self.path / BEST).unlink(missing_ok=True)

    def _confusion(self, task: Any) -> dict[str, Any] | None:
        """Return how often each label was taken for each other, on the test examples or those for validation."""
        assert self.data is not None
        part = self.data.test or self.data.validation
        if part is None:
            return None
        guesses = task.probabilities(self.model, part.examples).argmax(axis=1)
        truth = np.asarray([task.number[example["label"]] for example in part.examples])
        counts = metrics.confusion_matrix(truth, guesses, labels=range(len(task.labels)))
        return {"of": "test" if self.data.test else "validation", "counts": counts.tolist()}

    def draw(self) -> str | None:
        """Draw the pictures; return None, or why they could not be drawn."""
        title = f"{self.path.name}: {self.plan.task} with {self.plan.model_name}"
        confusion = self.info.get("confusion")
        try:
            viz.plot_scores(read_log(self.path / LOG), self.path / PLOT, metric=self.metric, title=title)
            if confusion:
                viz.plot_confusion(
                    confusion["counts"], self.info["labels"], self.path / CONFUSION,
                    title=f"{self.path.name}: {confusion['of']} examples",
                )  # fmt: skip
        except (RuntimeError, ValueError, OSError) as error:
            return str(error)
        return None


class _Logged:
    """Writes what a fine-tuner reports into the log, and passes it on."""

    def __init__(self, tuner: FineTuner, log: TrainingLog, report: Report, progress: Progress) -> None:
        self.tuner, self.log, self.pass_report, self.pass_progress = tuner, log, report, progress
        self.every = max(1, tuner.steps // LINES)
        self.before = (-1, 0, 0.0)  # epoch, batches and the sum of losses at the last line
        tuner.report, tuner.progress = self.report, self.progress

    def report(self, record: dict[str, Any]) -> None:
        self.log.write({k: v if not isinstance(v, float) or math.isfinite(v) else str(v) for k, v in record.items()})
        self.pass_report(record)

    def progress(self, step: int, steps: int, loss: float) -> None:
        state = self.tuner.state
        if self.before[0] != state.epoch:
            self.before = (state.epoch, 0, 0.0)
        if step % self.every == 0:
            _, batches, total = self.before
            mean = (state.loss_sum - total) / (state.batch - batches)
            self.log.write({"step": step, "batch_loss": mean})
            self.before = (state.epoch, state.batch, state.loss_sum)
        self.pass_progress(step, steps, loss)


def load_task(path: str | os.PathLike[str]) -> TrainedTask:
    r"""Return a task and the model that was fine-tuned for it.

    Args:
        path: of a directory that ``minillm finetune --task`` wrote.

    Returns:
        It answers by :meth:`~minillm.training.trained_task.TrainedTask.predict`.

    Raises:
        RunError: there is no such run, it has not ended, or its files are damaged.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "films.tsv")
        ...     _ = path.write_text("text\tlabel\n" + "".join(f"{'good' if i % 2 else 'bad'} film {i}\t{i % 2}\n"
        ...                                                    for i in range(40)))
        ...     plan = TaskPlan("classify", "lstm", str(path)).with_values({"epochs": 3, "lr": 0.01})
        ...     state = TaskRun.create(Path(folder, "films"), plan).train()
        ...     load_task(Path(folder, "films")).predict(["good film", "bad film"])[0]["label"]
        '1'
    """
    run = TaskRun.open(path)
    if not run.finished:
        raise RunError(
            f"{path}: training has not ended; `minillm finetune --task {run.plan.task} --resume --out {path}` goes on"
        )
    try:
        found: TrainedTask = read_trained(path, run.plan.task, run.info["labels"], run.info["options"])
    except (ValueError, TypeError, OSError) as error:
        raise RunError(f"the model of {path} cannot be read: {error}") from error
    return found


def check_task_free(path: Path) -> None:
    """Raise an error unless a new run can be made at a path.

    Raises:
        RunError: there is a file, a run, or something else.
    """
    if path.is_dir():
        if (path / TASK).exists():
            ended = "" if not (path / CHECKPOINTS).exists() else "go on with it (--resume), or "
            raise RunError(f"{path} holds a task already: {ended}give another directory (--out)")
        if any(path.iterdir()):
            raise RunError(f"{path} is not empty and holds no task; give another directory (--out)")
    elif path.exists():
        raise RunError(f"{path} is a file; a task needs a directory of its own (--out)")


def _try_examples(task: Task, data: TaskData) -> None:
    """Turn all examples into what the model reads, so that a bad one is found before anything is written."""
    for part in (data.train, data.validation, data.test):
        if part is not None:
            try:
                task.features(part.examples)
            except ValueError as error:
                raise ValueError(f"{part.source}: {error}") from error


def _rounded(value: float) -> float | str:
    return float(f"{value:.6g}") if math.isfinite(value) else str(value)


def _write_info(directory: Path, info: dict[str, Any]) -> None:
    with write_whole(directory / TASK) as file:
        file.write((json.dumps(info, indent=2, ensure_ascii=False) + "\n").encode())
