"""``RunDirectory``: a training run on disk, which can be resumed, fine-tuned, and used to generate text.

    run.json             what the run is: settings, texts with their SHA-256, tokenizer, version
    config.json          settings of the model
    tokenizer.json ...   the tokenizer
    model.safetensors    the weights to use: those of the lowest validation loss so far
                         (the newest ones where there is no validation text)
    checkpoints/         step-000500/ ...: the two newest and the best, each enough to go on from
    log.jsonl            losses, learning rate and speed, one JSON object a line
    loss.png             a picture of them

A directory appears whole, with the initial weights, before the first step is trained.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import secrets
import shutil
import sys
from pathlib import Path
from typing import Any

from minillm import nn, viz
from minillm.backend import fork_rng
from minillm.data.json_readers import read_json
from minillm.data.whole_files import disk_full, write_whole
from minillm.models import LANGUAGE_MODELS
from minillm.models.weights import load_weights, save_weights
from minillm.tokenizers import Tokenizer
from minillm.tokenizers import from_pretrained as load_tokenizer
from minillm.training.checkpoint import checkpoints_in
from minillm.training.config import TrainingConfig
from minillm.training.log import read_log
from minillm.training.progress import Silent
from minillm.training.text_source import TextSource, TrainingText, prepare_text
from minillm.training.trainer import CHECKPOINTS, LOG, WEIGHTS, Trainer

FORMAT = "minillm run 1"
RUN, CONFIG, PLOT = "run.json", "config.json", "loss.png"


class RunError(ValueError):
    """A directory is no run, or its parts do not fit together."""


@dataclasses.dataclass(frozen=True)
class RunInfo:
    """What ``run.json`` says.

    Attributes:
        training: the settings.
        text: that is trained on.
        validation_text: that is measured on; None for the end of ``text``.
        validation_fraction: the share of ``text`` that is then set aside.
        unknown: what happens to characters that the tokenizer does not know.
        text_sha256: of the texts when the run began.
        tokenizer_sha256: of the vocabulary.
        preset: the name of the preset, if any.
        options: how model and tokenizer were made.
        parent: the run that this one was fine-tuned from, if any.
        version: of minillm.
    """

    training: TrainingConfig
    text: TextSource
    validation_text: TextSource | None = None
    validation_fraction: float = 0.1
    unknown: str = "error"
    text_sha256: str = ""
    tokenizer_sha256: str = ""
    preset: str | None = None
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    parent: str | None = None
    version: str = dataclasses.field(default_factory=lambda: sys.modules["minillm"].__version__)

    def to_dict(self) -> dict[str, Any]:
        """Return all this as JSON holds it."""
        return {
            "format": FORMAT,
            "version": self.version,
            "preset": self.preset,
            "options": self.options,
            "parent": self.parent,
            "text": self.text.to_dict(),
            "validation": {"fraction": self.validation_fraction}
            if self.validation_text is None
            else self.validation_text.to_dict(),
            "unknown": self.unknown,
            "text_sha256": self.text_sha256,
            "tokenizer_sha256": self.tokenizer_sha256,
            "training": self.training.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RunInfo:
        """Undo :meth:`to_dict`.

        Raises:
            ValueError: something is missing or does not fit.
        """
        try:
            validation = values["validation"]
            share = validation.get("fraction")
            return cls(
                training=TrainingConfig.from_dict(values["training"]),
                text=TextSource.from_dict(values["text"]),
                validation_text=TextSource.from_dict(validation) if share is None else None,
                validation_fraction=0.1 if share is None else float(share),
                unknown=values["unknown"],
                text_sha256=values["text_sha256"],
                tokenizer_sha256=values["tokenizer_sha256"],
                preset=values["preset"],
                options=dict(values["options"]),
                parent=values["parent"],
                version=values["version"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise ValueError(what) from error


class RunDirectory:
    """A run on disk; make a new one with :meth:`create`, and read one with :meth:`open`.

    Attributes:
        path: of the directory.
        info: what ``run.json`` says.
    """

    def __init__(self, path: Path, info: RunInfo) -> None:
        self.path = path
        self.info = info

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], model: Any, tokenizer: Tokenizer, info: RunInfo
    ) -> RunDirectory:
        """Write a new run, whole or not at all.

        Args:
            path: where; nothing, or an empty directory.
            model: with its initial weights.
            tokenizer: of the model.
            info: what the run is; the vocabulary's sum is filled in.

        Raises:
            RunError: there is something at ``path``, or model and tokenizer do not fit.
            OSError: it cannot be written.
        """
        path = Path(path)
        check_free(path)
        _check_vocabulary(path, model.config.vocab_size, tokenizer)
        info = dataclasses.replace(info, tokenizer_sha256=fingerprint(tokenizer))
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            beside.mkdir(parents=True)
            tokenizer.save_pretrained(beside)
            model.config.save_pretrained(beside)
            save_weights(model, beside / WEIGHTS)
            _write_info(beside, info)
            if path.is_dir():  # empty; Windows does not rename onto it
                path.rmdir()
            os.rename(beside, path)
        except BaseException as error:
            shutil.rmtree(beside, ignore_errors=True)
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise disk_full(path, error) from error
            raise
        return cls(path, info)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunDirectory:
        """Read what a directory says of its run.

        Raises:
            RunError: there is no such directory, it holds no run, or ``run.json`` is damaged.
        """
        path = Path(path)
        if not path.is_dir():
            what = "it is a file" if path.exists() else "there is no such directory"
            raise RunError(f"{path}: {what}; a directory is needed that `minillm train --out {path}` wrote")
        if not (path / RUN).is_file():
            raise RunError(
                f"{path} holds no run of minillm: it has no {RUN}; `minillm train --out DIR` writes one"
            )
        try:
            values = read_json(path / RUN)
            found = values.get("format") if isinstance(values, dict) else None
            if found != FORMAT:
                raise RunError(f"{path / RUN}: the format is {found!r}; this minillm reads {FORMAT!r}")
            return cls(path, RunInfo.from_dict(values))
        except RunError:
            raise
        except (ValueError, OSError) as error:
            raise RunError(f"{path / RUN} is damaged: {error}") from error

    def load_tokenizer(self) -> Tokenizer:
        """Return the tokenizer.

        Raises:
            RunError: it is missing, damaged, or not the one that the run was trained with.
        """
        try:
            tokenizer = load_tokenizer(self.path)
        except (ValueError, OSError) as error:
            raise RunError(f"the tokenizer of the run {self.path} cannot be read: {error}") from error
        if fingerprint(tokenizer) != self.info.tokenizer_sha256:
            raise RunError(
                f"{self.path}: the vocabulary of the tokenizer ({tokenizer.vocab_size} tokens) is not the "
                "one that this run was trained with; put its own tokenizer files back"
            )
        return tokenizer

    def load_model(self, tokenizer: Tokenizer | None = None) -> Any:
        """Return the model with the weights to use, on the default device, in evaluation mode.

        Args:
            tokenizer: whose vocabulary must fit; None to load the model alone.

        Raises:
            RunError: settings or weights are missing, damaged, or do not fit.
        """
        try:
            settings = read_json(self.path / CONFIG)
            kind = settings.get("model_type") if isinstance(settings, dict) else None
            if kind not in LANGUAGE_MODELS:
                raise ValueError(f"model_type is {kind!r}; known are {', '.join(LANGUAGE_MODELS)}")
            model_class: Any = LANGUAGE_MODELS[kind]
            config = model_class.config_class.from_dict(settings)
        except (ValueError, TypeError, OSError) as error:
            raise RunError(f"{self.path / CONFIG} cannot be used: {error}") from error
        if tokenizer is not None:
            _check_vocabulary(self.path, config.vocab_size, tokenizer)
        with fork_rng():  # the initial weights are overwritten: no random numbers shall be used up
            model = model_class(config)
        try:
            load_weights(model, self.path / WEIGHTS)
        except (ValueError, OSError) as error:
            raise RunError(f"the weights of the run {self.path} cannot be used: {error}") from error
        model.eval()
        return model

    def load_text(self, tokenizer: Tokenizer) -> TrainingText:
        """Return the text that the run trains on.

        Raises:
            RunError: it is no longer the text that the run began with.
            OSError, ValueError: it cannot be read.
        """
        info = self.info
        text = prepare_text(
            tokenizer, info.text, info.validation_text, info.validation_fraction, info.unknown
        )
        if text.sha256 != info.text_sha256:
            raise RunError(
                f"{self.path}: the text ({info.text}) has changed since this run began, so the run cannot "
                "go on; start a new one, or fine-tune this one on the new text"
            )
        return text

    def trainer(
        self,
        model: nn.Module,
        text: TrainingText,
        *,
        steps: int | None = None,
        progress: Silent | None = None,
    ) -> Trainer:
        """Return the trainer of this run.

        Args:
            model: of the run; it gets the weights of the newest checkpoint when the trainer resumes.
            text: of the run.
            steps: train so many steps in all, instead of what the run was begun with.
            progress: shows how it goes.
        """
        if steps is not None and steps != self.info.training.steps:
            self.info = dataclasses.replace(
                self.info, training=dataclasses.replace(self.info.training, steps=steps)
            )
            _write_info(self.path, self.info)
        return Trainer(
            model,
            text.training,
            text.validation,
            self.info.training,
            directory=self.path,
            progress=progress,
        )

    @property
    def has_checkpoint(self) -> bool:
        """Whether training had begun."""
        return bool(checkpoints_in(self.path / CHECKPOINTS))

    def draw_losses(self, title: str = "", vocab_size: int | None = None) -> str | None:
        """Draw ``loss.png``; return None, or why it could not be drawn."""
        try:
            viz.plot_losses(
                read_log(self.path / LOG), self.path / PLOT, title=title, vocab_size=vocab_size
            )
        except (RuntimeError, ValueError, OSError) as error:
            return str(error)
        return None


def check_free(path: str | os.PathLike[str]) -> None:
    """Raise an error unless a new run can be made at a path.

    Raises:
        RunError: there is a file, a run, or something else.
    """
    path = Path(path)
    if path.is_dir():
        if (path / RUN).exists():
            raise RunError(
                f"{path} holds a run already: go on with it (--resume), or give another directory (--out)"
            )
        if any(path.iterdir()):
            raise RunError(f"{path} is not empty and holds no run; give another directory (--out)")
    elif path.exists():
        raise RunError(f"{path} is a file; a run needs a directory of its own (--out)")


def free_path(path: Path) -> Path:
    """Return the path, or the first of path-2, path-3, ... where there is nothing.

    Example:
        >>> free_path(Path("/surely/nothing/here"))
        PosixPath('/surely/nothing/here')
    """
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate


def fingerprint(tokenizer: Tokenizer) -> str:
    """Return a sum over a tokenizer's vocabulary: the same tokens with the same ids have the same one.

    Example:
        >>> from minillm.tokenizers import CharTokenizer
        >>> one, other = CharTokenizer.from_text("ab"), CharTokenizer.from_text("ac")
        >>> fingerprint(one) == fingerprint(one), fingerprint(one) == fingerprint(other)
        (True, False)
    """
    vocabulary = sorted(tokenizer.get_vocab().items())
    return hashlib.sha256(json.dumps(vocabulary).encode()).hexdigest()


def _check_vocabulary(path: Path, model_size: int, tokenizer: Tokenizer) -> None:
    if tokenizer.vocab_size != model_size:
        raise RunError(
            f"{path}: the model knows {model_size} tokens and the tokenizer {tokenizer.vocab_size}: "
            "they do not belong together"
        )


def _write_info(directory: Path, info: RunInfo) -> None:
    with write_whole(directory / RUN) as file:
        file.write((json.dumps(info.to_dict(), indent=2, ensure_ascii=False) + "\n").encode())
