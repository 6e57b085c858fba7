"""``FineTuner``: trains a model on the examples of a task, epoch by epoch, and keeps its best weights.

    for each epoch:
        shuffle the examples into batches of about the same length
        for each batch: the mean loss, gradients, penalties, clipping, the rate of the schedule, a step
        measure the model on the validation examples; keep the weights if they are better than ever
        stop when that has not happened for ``patience`` epochs

Everything random depends on (seed, epoch, step) alone, so a run repeats bit for bit, and a run that was stopped goes
on as if it had not been.
"""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minillm import optim
from minillm.autograd import no_grad
from minillm.backend import Generator, default_generator, fork_rng
from minillm.data.sampler import BucketBatchSampler
from minillm.models.config import one_of, positive
from minillm.models.weights import load_weights, save_weights
from minillm.nn.utils import clip_grad_norm_
from minillm.ops import Tensor
from minillm.training.batch_split import BatchSplit
from minillm.training.checkpoint import CheckpointError, checkpoints_in, load_checkpoint, save_checkpoint
from minillm.training.freezing import freeze
from minillm.training.layer_groups import add_penalties, layer_wise_groups, train_last
from minillm.training.state import DivergenceError
from minillm.training.stopping import StopSignals, TrainingInterrupted

CHECKPOINTS, BEST = "checkpoints", "best.safetensors"


@dataclasses.dataclass
class FineTuningConfig:
    """The settings of fine-tuning.

    Attributes:
        epochs: times that every example is trained on.
        batch_size: examples in a batch.
        lr: the highest learning rate, of the head.
        layer_decay: the rate of a layer is this times that of the one above.
        schedule: ``linear`` or ``cosine`` (both down to 0) or ``constant``.
        warmup: share of the steps over which the rate rises.
        optimizer: ``adamw``, ``adam`` or ``sgd``.
        weight_decay: of matrices; vectors have none.
        l1: penalty of the sum of the absolute weights of matrices.
        l2: penalty of the sum of their squares.
        grad_clip: the largest norm of all gradients together; 0 for no clipping.
        freeze: patterns of names of parameters that are not trained.
        train_last: train so many last layers and the head alone; None for all layers.
        patience: stop after so many epochs without a better score; 0 for never.
        batch_threads: threads that share each batch.
        seed: of everything random.

    Raises:
        ValueError: a setting that makes no sense.
    """

    epochs: int = 3
    batch_size: int = 16
    lr: float = 5e-5
    layer_decay: float = 1.0
    schedule: str = "linear"
    warmup: float = 0.1
    optimizer: str = "adamw"
    weight_decay: float = 0.01
    l1: float = 0.0
    l2: float = 0.0
    grad_clip: float = 1.0
    freeze: tuple[str, ...] = ()
    train_last: int | None = None
    patience: int = 0
    batch_threads: int = 1
    seed: int = 42

    def __post_init__(self) -> None:
        self.freeze = tuple(self.freeze)
        for name in ("epochs", "batch_size", "batch_threads"):
            positive(self, **{name: getattr(self, name)})
        for name in ("lr", "layer_decay", "warmup", "weight_decay", "l1", "l2", "grad_clip", "patience", "seed"):
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0):
                raise ValueError(f"FineTuningConfig: {name} is {value!r}; it needs a finite number, 0 or more")
        if not self.lr:
            raise ValueError("FineTuningConfig: lr is 0; it needs to be positive")
        if self.warmup >= 1:
            raise ValueError(f"FineTuningConfig: warmup is {self.warmup}; it is a share of the steps, below 1")
        one_of(self, ("linear", "cosine", "constant"), schedule=self.schedule)
        one_of(self, ("adamw", "adam", "sgd"), optimizer=self.optimizer)

    def rate(self, step: int, steps: int) -> float:
        """Return what the learning rates are multiplied by in a step, counted from 0, of so many.

        Example:
            >>> config = FineTuningConfig(warmup=0.2)
            >>> [round(config.rate(step, 10), 3) for step in (0, 1, 2, 6, 9)]
            [0.5, 1.0, 1.0, 0.5, 0.125]
        """
        rising = math.ceil(self.warmup * steps)
        if step < rising:
            return (step + 1) / rising
        done = (step - rising) / max(steps - rising, 1)
        if self.schedule == "linear":
            return 1 - done
        return 0.5 * (1 + math.cos(math.pi * done)) if self.schedule == "cosine" else 1.0


@dataclasses.dataclass
class FineTuningState:
    """Where a run stands.

    Attributes:
        epoch: epochs done.
        batch: batches done of the next one.
        step: steps done.
        best_score: the best validation score, None before the first.
        best_epoch: epochs done then; of equal scores the later one counts.
        waited: epochs without a better score.
        seconds: that training took so far.
        history: for each epoch its mean loss and its scores.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best_score: float | None = None
    best_epoch: int = 0
    waited: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)


class FineTuner:
    """Trains a model on the examples of a task.

    Args:
        model: is trained in place.
        task: says what examples are: see :class:`~minillm.training.tasks.Task`.
        examples: to train on.
        validation: to measure on after each epoch; the weights of the last epoch are kept where there are none.
        config: the settings.
        directory: where ``checkpoints/`` and the best weights are written; None for no files.
        report: called with each record of the history.

    Raises:
        ValueError: there is no example, or nothing to train.
    """

    def __init__(
        self,
        model: Any,
        task: Any,
        examples: Sequence[Any],
        validation: Sequence[Any] = (),
        config: FineTuningConfig | None = None,
        *,
        directory: str | os.PathLike[str] | None = None,
        report: Callable[[dict[str, Any]], object] = lambda record: None,
        progress: Callable[[int, int, float], object] = lambda step, steps, loss: None,
    ) -> None:
        self.model, self.task, self.config = model, task, config or FineTuningConfig()
        self.directory = None if directory is None else Path(directory)
        self.report, self.progress = report, progress
        self.features = task.features(examples)
        if not self.features:
            raise ValueError("FineTuner: there is no example to train on")
        self.validation = list(validation)
        self.state = FineTuningState()
        self._prepare()

    def _prepare(self) -> None:
        """Freeze, and make the optimizer."""
        config, model = self.config, self.model
        freeze(model, config.freeze)
        if config.train_last is not None:
            train_last(model, config.train_last)
        groups = layer_wise_groups(model, config.lr, config.weight_decay, config.layer_decay)
        kinds: dict[str, Any] = {"adamw": optim.AdamW, "adam": optim.Adam, "sgd": optim.SGD}
        more = {"momentum": 0.9} if config.optimizer == "sgd" else {}
        self.optimizer = kinds[config.optimizer](groups, lr=config.lr, **more)
        self._rates = [group["lr"] for group in self.optimizer.param_groups]
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self._split = BatchSplit(self.parameters, config.batch_threads) if config.batch_threads > 1 else None
        self._random = Generator(config.seed)
        self._device = next(iter(model.parameters())).device
        self._best: dict[str, Any] = {}
        self.steps_of_epoch = -(-len(self.features) // config.batch_size)
        self.steps = config.epochs * self.steps_of_epoch

    def train(self, resume: bool = False) -> FineTuningState:
        """Train to the end; the model then has its best weights. Return where the run stands.

        Raises:
            TrainingInterrupted: Ctrl-C or SIGTERM came; with a directory, everything is saved.
            DivergenceError: the loss or the gradients are no numbers.
            CheckpointError: there is nothing to resume, or there is and it was not asked for.
        """
        self._open(resume)
        with np.errstate(all="ignore"), fork_rng(), StopSignals() as stop:
            while self.state.epoch < self.config.epochs and not self._patience_has_ended():
                self._epoch(stop)
                self._measure()
                self._save()
        self._load_best()
        self.model.eval()
        return self.state

    def _epoch(self, stop: StopSignals) -> None:
        """Train on each batch of an epoch that was not trained on yet."""
        state = self.state
        self.model.train()
        batches = self._batches(state.epoch)
        for chosen in batches[state.batch :]:
            start = time.perf_counter()
            state.loss_sum += self._step([self.features[i] for i in chosen])
            state.step += 1
            state.batch += 1
            state.seconds += time.perf_counter() - start
            self.progress(state.step, self.steps, state.loss_sum / state.batch)
            if stop.requested:
                self._save()
                place = "nothing is saved" if self.directory is None else f"everything is saved in {self.directory}"
                raise TrainingInterrupted(state.step, f"stopped after step {state.step}; {place}")

    def _batches(self, epoch: int) -> list[list[int]]:
        lengths = [self.task.length(feature) for feature in self.features]
        generator = self._random.at("shuffle", epoch)
        return list(BucketBatchSampler(lengths, self.config.batch_size, generator=generator))

    def _step(self, features: list[Any]) -> float:
        """Do one step, and return the loss."""
        config, step = self.config, self.state.step
        factor = config.rate(step, self.steps)
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        dropout = self._random.at("dropout", step)
        if self._split is None:
            default_generator().set_state(dropout.get_state())
            found = self._loss(features)
            found.backward()
            loss = float(found.item())
        else:
            loss = self._split.backward(self._loss, features, count=self.task.count, generator=dropout)
        add_penalties(self.parameters, config.l1, config.l2)
        norm = float(clip_grad_norm_(self.parameters, config.grad_clip or math.inf))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise DivergenceError(
                f"step {step + 1}: the loss is {loss} and the norm of the gradients {norm}: training has diverged; "
                f"try a lower learning rate than {config.lr:g}"
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss

    def _loss(self, features: list[Any]) -> Tensor:
        loss: Tensor = self.task.loss(self.model, self.task.batch(features, self._device))
        return loss

    # -- what is measured and kept ------------------------------------------------------------------

    def _measure(self) -> None:
        """End an epoch: measure the model, and keep its weights if they are the best."""
        state = self.state
        record: dict[str, Any] = {
            "epoch": state.epoch + 1,
            "step": state.step,
            "loss": state.loss_sum / max(state.batch, 1),
            "seconds": state.seconds,
        }
        state.epoch, state.batch, state.loss_sum = state.epoch + 1, 0, 0.0
        better = not self.validation
        if self.validation:
            scores = self.evaluate(self.validation)
            record.update(scores)
            score = scores[self.task.metric] * (-1 if self.task.lower_is_better else 1)
            better = state.best_score is None or score >= state.best_score
            state.waited = 0 if state.best_score is None or score > state.best_score else state.waited + 1
            if better:
                state.best_score = score
        record["best"] = better
        if better:
            state.best_epoch = state.epoch
            self._keep()
        state.history.append(record)
        self.report(record)

    def evaluate(self, examples: Sequence[Any]) -> dict[str, float]:
        """Return the scores of the model on examples; it is in evaluation mode meanwhile."""
        training = self.model.training
        self.model.eval()
        try:
            with no_grad():
                scores: dict[str, float] = self.task.scores(self.model, list(examples))
        finally:
            self.model.train(training)
        return scores

    def _patience_has_ended(self) -> bool:
        return bool(self.validation) and 0 < self.config.patience <= self.state.waited

    def _keep(self) -> None:
        if self.directory is None:
            self._best = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        else:
            save_weights(self.model, self.directory / BEST)

    def _load_best(self) -> None:
        if self.state.best_epoch == self.state.epoch:
            return
        if self.directory is None:
            self.model.load_state_dict(self._best)
        else:
            load_weights(self.model, self.directory / BEST)

    # -- files --------------------------------------------------------------------------------------

    def _open(self, resume: bool) -> None:
        if self.directory is None:
            if resume:
                raise CheckpointError("there is no directory to resume from; give the fine-tuner one")
            return
        found = checkpoints_in(self.directory / CHECKPOINTS)
        if found and not resume:
            raise CheckpointError(
                f"{self.directory} holds the checkpoint {found[-1].name} of an earlier run: resume that, or give "
                "another directory"
            )
        if resume:
            if not found:
                raise CheckpointError(f"{self.directory} holds no checkpoint to resume from")
            saved = load_checkpoint(found[-1], self.model, self.optimizer)
            self.state = FineTuningState(**saved["run"])

    def _save(self) -> None:
        if self.directory is not None:
            run = {"run": dataclasses.asdict(self.state)}
            save_checkpoint(self.directory / CHECKPOINTS, self.state.step, self.model, self.optimizer, run, keep=1)
