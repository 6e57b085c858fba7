"""``Trainer``: the training loop, from batches to weights that are worth keeping.

    for each step:
        draw windows of the text, compute the mean loss and its gradients
        clip the gradients to a norm, set the learning rate of the schedule, let the optimizer step
        now and then: evaluate on text that is not trained on, write a checkpoint

Everything random in a step depends on (seed, step) alone, and a checkpoint holds all the rest. So a run
that is stopped anywhere, in whatever way, and resumed gives the same bits as one that was not.
"""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from minillm import nn
from minillm.backend import Generator, default_generator, fork_rng
from minillm.data import TokenBatches
from minillm.data.token_batches import Batch, Tokens
from minillm.data.whole_files import write_whole
from minillm.models.weights import load_weights, save_weights
from minillm.nn.utils import clip_grad_norm_
from minillm.ops import Tensor
from minillm.training.batch_split import BatchSplit
from minillm.training.checkpoint import (
    CheckpointError,
    checkpoint_path,
    checkpoints_in,
    load_checkpoint,
    save_checkpoint,
    unreadable,
)
from minillm.training.config import TrainingConfig
from minillm.training.evaluation import Evaluation, evaluate
from minillm.training.freezing import freeze
from minillm.training.log import MemoryLog, TrainingLog, read_log
from minillm.training.objective import Objective, count_targets, device_of_model, next_token_loss
from minillm.training.optimizers import make_optimizer
from minillm.training.progress import Silent
from minillm.training.state import Clock, DivergenceError, TrainingResult, TrainingState
from minillm.training.stopping import StopSignals, TrainingInterrupted

LOG, WEIGHTS, CHECKPOINTS = "log.jsonl", "model.safetensors", "checkpoints"


class Trainer:
    """Trains a language model on a row of tokens.

    Args:
        model: is trained in place, where it lies. What ``config.freeze`` names is frozen at once.
        tokens: (num_tokens,) to train on; a memory-mapped array is read window by window.
        validation: (num_tokens,) to measure on; None to go without.
        config: the settings.
        directory: where ``log.jsonl``, ``checkpoints/`` and ``model.safetensors`` (the weights of the
            lowest validation loss so far) are written; None for no files.
        objective: the mean loss of a batch.
        progress: shows how it goes, as :class:`~minillm.training.progress.ProgressBar` does.

    Raises:
        ValueError: the text is too short, a token is out of the model's range, or a pattern of
            ``config.freeze`` matches nothing.
    """

    def __init__(
        self,
        model: nn.Module,
        tokens: Tokens,
        validation: Tokens | None = None,
        config: TrainingConfig | None = None,
        *,
        directory: str | os.PathLike[str] | None = None,
        objective: Objective = next_token_loss,
        progress: Silent | None = None,
    ) -> None:
        self.model = model
        self.config = config = config if config is not None else TrainingConfig()
        self.directory = None if directory is None else Path(directory)
        self.objective = objective
        self.progress = progress if progress is not None else Silent()
        self.validation = validation
        check_block_size(model, config.block_size)
        # One draw for all batches of a step, so that accumulating equals one large batch.
        self._batches = TokenBatches(tokens, config.block_size, config.batch_size * config.grad_accumulation)
        _check_range(model, tokens, "the training text")
        if validation is not None:
            if len(validation) < 2:
                raise ValueError(
                    f"the validation text has {len(validation)} tokens and needs at least 2; "
                    "give a longer text"
                )
            _check_range(model, validation, "the validation text")
        freeze(model, config.freeze)
        self.optimizer = make_optimizer(model, config)
        self.state = TrainingState()
        self._device = device_of_model(model)
        self._split: BatchSplit | None = None
        if config.batch_threads > 1:
            self._split = BatchSplit(model.parameters(), config.batch_threads)
        self._random = Generator(config.seed)
        self._log: TrainingLog | MemoryLog = MemoryLog()
        self._saved_step = -1
        self._best_weights: dict[str, Any] = {}  # where there is no directory

    # -- the loop -----------------------------------------------------------------------------------

    def train(self, resume: bool = False) -> TrainingResult:
        """Train until the last step, or until patience ends.

        Args:
            resume: go on from the newest checkpoint in the directory.

        Returns:
            The result; the model has the weights of the lowest validation loss.

        Raises:
            TrainingInterrupted: Ctrl-C or SIGTERM came; the step was finished, and everything is saved.
            DivergenceError: the loss or the gradients are NaN or infinite; the checkpoints are intact.
            CheckpointError: a checkpoint cannot be written or read.
        """
        self._log = self._open_log()
        quiet = np.errstate(all="ignore")  # losses and norms are checked each step, with better messages
        with quiet, fork_rng(), closing(self._log), closing(self.progress), StopSignals() as stop:
            if resume:
                self._resume()
            else:
                self._start()
            self.model.train()
            self.progress.start(self.state.step, self.config.steps)
            clock = Clock(self.state)
            while True:
                improved = self._evaluation_is_due() and self._evaluate(stop)
                clock.tick()
                if self._checkpoint_is_due():
                    self._save()
                if improved:
                    self._keep_weights()
                if stop.requested:
                    raise self._interrupted()
                if self.state.step >= self.config.steps or self._patience_has_ended():
                    break
                self.step()
                clock.tick()
                self._log_step()
            return self._finish(stop)

    def step(self) -> float:
        """Do one step: gradients, clipping, update; return the loss. :meth:`train` calls it and does the rest.

        The default generator, which dropout draws from, is left where the step's draws end.
        """
        step, lr = self.state.step, self.config.learning_rate(self.state.step)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        default_generator().set_state(self._random.at("dropout", step).get_state())
        loss = self._gradients(*self._batches.batch(step, self._random))
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        self._norm = float(clip_grad_norm_(parameters, self.config.grad_clip or math.inf))
        if not math.isfinite(self._norm):
            raise self._diverged(f"the norm of the gradients is {self._norm}", lr)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.state.step += 1
        self.state.loss_sum += loss
        self.state.loss_count += 1
        tokens = self._batches.batch_size * self._batches.block_size
        self.state.tokens += tokens
        self.progress.step(loss, tokens)
        return loss

    def _gradients(self, x: Any, y: Any) -> float:
        """Add up the gradients of the mean loss over all windows, and return the loss."""
        targets, mean = count_targets(y), 0.0
        for i, (x_part, y_part) in enumerate(_parts(x, y, self.config.batch_size)):
            share = count_targets(y_part) / targets
            value = self._gradients_of_batch(i, x_part, y_part, share)
            if not math.isfinite(value):
                raise self._diverged(f"the loss is {value}", self.config.learning_rate(self.state.step))
            mean += value * share
        return mean

    def _gradients_of_batch(self, i: int, x: Any, y: Any, share: float) -> float:
        """Add the gradients of a share of the mean loss of batch ``i`` of the step, and return the loss."""
        if self._split is None:
            loss = self._loss(x, y)
            (loss if share == 1 else loss * share).backward()
            value: float = loss.item()
            return value
        generator = self._random.at(f"dropout of batch {i}", self.state.step)
        return self._split.backward(
            self._loss, x, y, count=lambda x, y: count_targets(y), generator=generator, scale=share
        )

    def _loss(self, x: Any, y: Any) -> Tensor:
        return self.objective(self.model, Tensor(x, device=self._device), Tensor(y, device=self._device))

    def _log_step(self) -> None:
        state = self.state
        if state.step % self.config.log_interval == 0 or state.step == self.config.steps:
            self._log.write(
                {
                    "step": state.step,
                    "loss": state.loss_sum / state.loss_count,
                    "lr": self.config.learning_rate(state.step - 1),
                    "grad_norm": self._norm,
                    "tokens": state.tokens,
                    "seconds": state.seconds,
                }
            )
            state.loss_sum, state.loss_count = 0.0, 0

    # -- evaluation ---------------------------------------------------------------------------------

    def _evaluation_is_due(self) -> bool:
        step, interval = self.state.step, self.config.eval_interval
        if self.validation is None or self.state.evaluated == step:
            return False
        return step >= self.config.steps or (interval > 0 and step % interval == 0)

    def _evaluate(self, stop: StopSignals) -> bool:
        """Measure the model; return whether it is better than ever."""
        state, result = self.state, self._measure(stop, self.config.eval_windows)
        if result is None:
            return False
        state.evaluated = state.step
        best = state.best_loss is None or result.loss < state.best_loss
        if best:
            state.best_loss, state.best_step, state.waited = result.loss, state.step, 0
        else:
            state.waited += 1
        self._log.write({"step": state.step, "val_loss": result.loss, "best": best})
        self.progress.evaluation(state.step, result.loss, best)
        return best

    def _measure(self, stop: StopSignals, max_windows: int | None, progress: Any = None) -> Evaluation | None:
        """Measure the model; return None if Ctrl-C came meanwhile."""
        assert self.validation is not None

        def watch(windows: int) -> None:
            if progress is not None:
                progress(windows)
            if stop.requested:
                raise _StoppedError

        try:
            result = evaluate(
                self.model,
                self.validation,
                self.config.block_size,
                self.config.batch_size,
                max_windows=max_windows,
                objective=self.objective,
                progress=watch,
            )
        except _StoppedError:
            return None
        if not math.isfinite(result.loss):
            lr = self.config.learning_rate(max(self.state.step - 1, 0))
            raise self._diverged(f"the validation loss is {result.loss}", lr)
        return result

    def _patience_has_ended(self) -> bool:
        return 0 < self.config.patience <= self.state.waited

    def _finish(self, stop: StopSignals) -> TrainingResult:
        """Put the best weights back and measure them on the whole validation text."""
        state, result = self.state, None
        kept = state.step if state.best_step is None else state.best_step
        if kept != state.step:
            if self.directory is not None:
                load_weights(self.model, self.directory / WEIGHTS)
            else:
                self.model.load_state_dict(self._best_weights)
        if self.validation is not None:
            windows = -(-(len(self.validation) - 1) // self.config.block_size)
            result = self._measure(stop, None, self.progress.whole_evaluation(windows))
            if result is None:
                raise self._interrupted()
            self._log.write(
                {"step": state.step, "final": True, "val_loss": result.loss, "kept_step": kept}
            )
        self._log.sync()
        self.model.eval()
        early = state.step < self.config.steps
        return TrainingResult(state.step, kept, early, result, state.tokens, state.seconds)

    # -- files --------------------------------------------------------------------------------------

    @property
    def history(self) -> list[dict[str, Any]]:
        """The records of the log so far."""
        if isinstance(self._log, MemoryLog):
            return self._log.records
        return read_log(self._log.path)

    def _open_log(self) -> TrainingLog | MemoryLog:
        return MemoryLog() if self.directory is None else TrainingLog(self.directory / LOG)

    def _checkpoint_is_due(self) -> bool:
        state, interval = self.state, self.config.checkpoint_interval
        return (
            (interval > 0 and state.step % interval == 0)
            or state.best_step == state.step
            or state.step >= self.config.steps
            or self._patience_has_ended()
        )

    def _save(self) -> None:
        """Write a checkpoint of this step, unless there is one."""
        if self.directory is None or self._saved_step == self.state.step:
            return
        self._log.sync()
        self.state.log_lines = self._log.num_lines
        save_checkpoint(
            self.directory / CHECKPOINTS,
            self.state.step,
            self.model,
            self.optimizer,
            {"run": dataclasses.asdict(self.state), "random": self._random.get_state()},
            best=self.state.best_step,
        )
        self._saved_step = self.state.step
        if self.state.best_step is None:  # nothing to judge by: the newest weights are the ones to keep
            self._keep_weights()

    def _keep_weights(self) -> None:
        if self.directory is not None:
            save_weights(self.model, self.directory / WEIGHTS)
        else:
            self._best_weights = {name: t.clone() for name, t in self.model.state_dict().items()}

    def _start(self) -> None:
        self.state = TrainingState()
        if self.directory is not None:
            if found := checkpoints_in(self.directory / CHECKPOINTS):
                raise CheckpointError(
                    f"{self.directory} holds the checkpoint {found[-1].name} of an earlier run: "
                    "resume that, or give another directory"
                )
            assert isinstance(self._log, TrainingLog)
            self._log.go_back(0)
        self._save()

    def _resume(self) -> None:
        if self.directory is None:
            raise CheckpointError("there is no directory to resume from; give the trainer one")
        found = checkpoints_in(self.directory / CHECKPOINTS)
        if not found:
            raise CheckpointError(
                f"{self.directory} holds no checkpoint to resume from; train without resuming, from the start"
            )
        saved = load_checkpoint(found[-1], self.model, self.optimizer)
        try:
            self.state = TrainingState(**saved["run"])
            self._random.set_state(saved["random"])
        except (KeyError, TypeError, ValueError) as error:
            raise unreadable(found[-1], f"state.json: {error}") from error
        self._saved_step = self.state.step
        assert isinstance(self._log, TrainingLog)
        self._log.go_back(self.state.log_lines)
        # A killed run may have kept weights that this checkpoint does not know of yet.
        kept = self.state.step if self.state.best_step is None else self.state.best_step
        source = checkpoint_path(self.directory / CHECKPOINTS, kept) / WEIGHTS
        if source.exists():
            with open(source, "rb") as old, write_whole(self.directory / WEIGHTS) as new:
                shutil.copyfileobj(old, new)

    # -- what can happen ----------------------------------------------------------------------------

    def _interrupted(self) -> TrainingInterrupted:
        step = self.state.step
        self._save()
        place = "nothing is saved: there is no directory"
        if self.directory is not None:
            place = f"everything is saved in {self.directory}"
        return TrainingInterrupted(step, f"stopped after step {step}; {place}")

    def _diverged(self, what: str, lr: float) -> DivergenceError:
        found = checkpoints_in(self.directory / CHECKPOINTS) if self.directory is not None else []
        saved = f"; the checkpoint {found[-1]} is intact" if found else ""
        clip = "" if self.config.grad_clip else ", clip the gradients (grad_clip 1)"
        return DivergenceError(
            f"step {self.state.step + 1}: {what}, at learning rate {lr:.3g}: training has diverged. Try a "
            f"lower learning rate (lr {_one_digit(self.config.lr / 3)}), a longer warm-up (warmup "
            f"{max(2 * self.config.warmup, 100)}){clip}{saved}"
        )


class _StoppedError(Exception):
    """Ends an evaluation."""


def check_block_size(model: nn.Module, block_size: int) -> None:
    """Raise an error if a model cannot read windows of so many tokens."""
    longest = getattr(model, "max_length", None)
    if longest is not None and block_size > longest:
        raise ValueError(
            f"block_size is {block_size}, and the model reads at most {longest} tokens; give a smaller one"
        )


def _parts(x: Any, y: Any, size: int) -> Iterator[Batch]:
    for first in range(0, len(x), size):
        yield x[first : first + size], y[first : first + size]


def _one_digit(number: float) -> str:
    return f"{float(f'{number:.1g}'):g}"


def _check_range(model: nn.Module, tokens: Tokens, name: str) -> None:
    """Raise an error if the model has no embedding for a token."""
    size = getattr(getattr(model, "config", None), "vocab_size", None)
    if size is None:
        return
    low, high = int(tokens.min()), int(tokens.max())
    if low < 0 or high >= size:
        wrong = high if high >= size else low
        place = int(np.flatnonzero(np.asarray(tokens) == wrong)[0])
        raise ValueError(
            f"{name} holds the token {wrong} (at place {place:,}), and the model knows 0 to {size - 1}; "
            "is this the tokenizer that the model was made for?"
        )
