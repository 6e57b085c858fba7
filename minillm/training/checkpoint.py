"""Checkpoints: all that a run needs to go on as if it had never stopped, in a directory each.

    step-000500/
        model.safetensors       parameters and buffers
        optimizer.safetensors   moments, by the number of the parameter
        state.json              step, random state, best loss so far, and what else the run must know

A checkpoint is written beside its place, forced to the disk, and moved there when it is whole, so a reader
never sees half of one, whatever kills the writer.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from minillm import nn
from minillm.backend import xp_of
from minillm.models.weights import load_weights, read_arrays, save_weights, write_arrays
from minillm.ops import Tensor
from minillm.optim import Optimizer

FORMAT = "minillm checkpoint 1"
_NAME = re.compile(r"step-(\d{6,})")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class CheckpointError(RuntimeError, ValueError):
    """A checkpoint cannot be read or written."""


def checkpoint_path(directory: str | os.PathLike[str], step: int) -> Path:
    """Return where the checkpoint of a step lies in a directory of checkpoints."""
    return Path(directory) / f"step-{step:06d}"


def checkpoints_in(directory: str | os.PathLike[str]) -> list[Path]:
    """Return the checkpoints in a directory, the oldest first."""
    directory = Path(directory)
    if not directory.is_dir():
        return []
    found = [path for path in directory.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=step_of)


def step_of(path: Path) -> int:
    """Return the number of steps that a checkpoint's name states."""
    return int(path.name.partition("-")[2])


def save_checkpoint(
    directory: str | os.PathLike[str],
    step: int,
    model: nn.Module,
    optimizer: Optimizer,
    state: dict[str, Any],
    *,
    keep: int = 2,
    best: int | None = None,
) -> Path:
    """Write a checkpoint and remove all but the newest ``keep`` and the best.

    Args:
        directory: where the checkpoints of the run lie.
        step: steps done so far.
        model: whose weights are written.
        optimizer: whose moments are written.
        state: what else the run needs, for JSON.
        keep: how many of the newest checkpoints to keep.
        best: the step of a checkpoint to keep besides.

    Returns:
        The directory of the new checkpoint.

    Raises:
        CheckpointError: it could not be written (a full disk, no permission), or a weight is not finite;
            the earlier ones are intact.
    """
    directory = Path(directory)
    place = checkpoint_path(directory, step)
    beside = directory / f".{place.name}.{os.getpid()}.part"
    _check_finite(model, place)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for leftover in directory.glob(".step-*.part"):  # of a run that was killed while it wrote
            shutil.rmtree(leftover, ignore_errors=True)
        beside.mkdir()
        save_weights(model, beside / "model.safetensors")
        arrays, plain = _split_optimizer_state(optimizer)
        write_arrays(beside / "optimizer.safetensors", arrays)
        text = json.dumps({"format": FORMAT, "step": step, "optimizer": plain, **state}, indent=1)
        with open(beside / "state.json", "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _sync_directory(beside)
        if place.exists():  # a run that was resumed from before this step
            os.rename(place, directory / f".{place.name}.old.part")
        os.rename(beside, place)
        _sync_directory(directory)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        reason = f"no space left on the disk of {directory}" if error.errno in _FULL else str(error)
        raise CheckpointError(
            f"the checkpoint {place} could not be written: {reason}; {_what_is_left(directory)}"
        ) from error
    newest = checkpoints_in(directory)
    for old in newest[:-keep]:
        if step_of(old) != best:
            shutil.rmtree(old, ignore_errors=True)
    for leftover in directory.glob(".step-*.old.part"):
        shutil.rmtree(leftover, ignore_errors=True)
    return place


def load_checkpoint(
    path: str | os.PathLike[str], model: nn.Module, optimizer: Optimizer | None = None
) -> dict[str, Any]:
    """Read a checkpoint into a model and its optimizer, and return the rest of its state.

    Args:
        path: of one checkpoint.
        model: of the same shapes as the one that was saved.
        optimizer: over the same parameters; None to read the weights alone.

    Raises:
        CheckpointError: a file is missing, truncated, or of something else; or it does not fit the model.
    """
    path = Path(path)
    state = read_state(path)
    try:
        if optimizer is not None:
            arrays, _ = read_arrays(path / "optimizer.safetensors")
            joined = _join_optimizer_state(arrays, state["optimizer"])
        load_weights(model, path / "model.safetensors")
        if optimizer is not None:
            optimizer.load_state_dict(joined)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise unreadable(path, str(error)) from error
    return state


def read_state(path: Path) -> dict[str, Any]:
    """Return the ``state.json`` of a checkpoint.

    Raises:
        CheckpointError: it is missing, no JSON, or of something else.
    """
    if not path.is_dir():
        raise CheckpointError(f"there is no checkpoint {path}; {_what_is_left(path.parent)}")
    try:
        state = json.loads((path / "state.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise unreadable(path, f"state.json: {error}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT or not isinstance(state.get("step"), int):
        raise unreadable(path, f"state.json is not that of a checkpoint of minillm (format {FORMAT!r})")
    return state


def unreadable(path: Path, reason: str) -> CheckpointError:
    """Return the error for a checkpoint that cannot be read, with the way out where there is one."""
    others = [other for other in checkpoints_in(path.parent) if other != path]
    advice = f"; remove that directory to go on from {others[-1].name}" if others else ""
    return CheckpointError(f"the checkpoint {path} cannot be read: {reason}{advice}")


def _what_is_left(directory: Path) -> str:
    found = checkpoints_in(directory)
    return f"the one at {found[-1]} is intact" if found else "there is no earlier one"


def _check_finite(model: nn.Module, place: Path) -> None:
    """Refuse to keep weights that are ruined: the checkpoints that are there are better."""
    for name, parameter in model.named_parameters():
        if not bool(xp_of(parameter.array).isfinite(parameter.array).all()):
            raise CheckpointError(
                f"the checkpoint {place} was not written: {name} holds NaN or infinity; "
                f"{_what_is_left(place.parent)}"
            )


def _sync_directory(directory: Path) -> None:
    """Force the names in a directory to the disk, where the system can."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:  # Windows opens no directories
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _split_optimizer_state(optimizer: Optimizer) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays of an optimizer's state by name, and the rest for JSON."""
    state = optimizer.state_dict()
    arrays: dict[str, Any] = {}
    numbers: dict[str, dict[str, Any]] = {}
    for index, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                arrays[f"{index}.{name}"] = value.array
            else:
                numbers.setdefault(str(index), {})[name] = value
    return arrays, {"numbers": numbers, "param_groups": state["param_groups"]}


def _join_optimizer_state(arrays: dict[str, Any], plain: dict[str, Any]) -> dict[str, Any]:
    """Undo :func:`_split_optimizer_state`."""
    state: dict[int, dict[str, Any]] = {int(i): dict(values) for i, values in plain["numbers"].items()}
    for name, array in arrays.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = Tensor(array, device="cpu")
    groups = [
        {k: tuple(v) if isinstance(v, list) and k != "params" else v for k, v in group.items()}
        for group in plain["param_groups"]
    ]
    return {"state": state, "param_groups": groups}
