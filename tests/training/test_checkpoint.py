from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from minillm.training import checkpoint
from minillm.training.checkpoint import (
    CheckpointError,
    checkpoints_in,
    load_checkpoint,
    read_state,
    save_checkpoint,
)
from minillm.training.optimizers import make_optimizer
from tests.training.conftest import assert_same_weights, make_config, make_model, weights_of


def trained(optimizer="adamw", seed=0):
    """A model and its optimizer after two steps."""
    model = make_model(seed)
    made = make_optimizer(model, make_config(optimizer=optimizer))
    draws = np.random.default_rng(seed)
    for _ in range(2):
        for p in model.parameters():
            p.grad = type(p.data)(draws.normal(size=p.shape).astype("float32"))
        made.step()
    return model, made


def arrays_of(optimizer):
    return {
        (index, key): np.array(value.array) if hasattr(value, "array") else value
        for index, values in optimizer.state_dict()["state"].items()
        for key, value in values.items()
    }


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_weights_moments_settings_and_state_come_back(tmp_path, name):
    model, optimizer = trained(name)
    place = save_checkpoint(tmp_path, 500, model, optimizer, {"run": {"a": 0.1}, "list": [1, None]})
    assert place == tmp_path / "step-000500"
    assert sorted(p.name for p in place.iterdir()) == [
        "model.safetensors", "optimizer.safetensors", "state.json",
    ]  # fmt: skip
    other, its = trained(name, seed=1)
    state = load_checkpoint(place, other, its)
    assert (state["step"], state["run"], state["list"]) == (500, {"a": 0.1}, [1, None])
    assert_same_weights(model, other)
    mine, theirs = arrays_of(optimizer), arrays_of(its)
    assert mine.keys() == theirs.keys()
    assert mine
    for key in mine:
        np.testing.assert_array_equal(mine[key], theirs[key])
    for one, two in zip(optimizer.param_groups, its.param_groups, strict=True):
        assert {**one, "params": 0} == {**two, "params": 0}


def test_an_optimizer_that_has_not_stepped_has_no_moments(tmp_path):
    model = make_model()
    save_checkpoint(tmp_path, 0, model, make_optimizer(model, make_config()), {})
    other, its = trained()
    load_checkpoint(tmp_path / "step-000000", other, its)
    assert_same_weights(model, other)
    assert not arrays_of(its)


def test_weights_alone_can_be_read(tmp_path):
    model, optimizer = trained()
    place = save_checkpoint(tmp_path, 1, model, optimizer, {})
    (place / "optimizer.safetensors").unlink()
    other = make_model(5)
    load_checkpoint(place, other)
    assert_same_weights(model, other)


def test_the_newest_two_and_the_best_are_kept(tmp_path):
    model, optimizer = trained()
    for step in (5, 10, 15, 20, 1_000_000):
        save_checkpoint(tmp_path, step, model, optimizer, {}, best=10)
    assert [p.name for p in checkpoints_in(tmp_path)] == ["step-000010", "step-000020", "step-1000000"]
    assert checkpoints_in(tmp_path / "nowhere") == []


def test_writing_a_step_again_replaces_it(tmp_path):
    model, optimizer = trained()
    save_checkpoint(tmp_path, 5, model, optimizer, {"run": 1})
    save_checkpoint(tmp_path, 5, model, optimizer, {"run": 2})
    assert read_state(tmp_path / "step-000005")["run"] == 2
    assert [p.name for p in tmp_path.iterdir()] == ["step-000005"]


def test_what_a_killed_writer_left_is_no_checkpoint_and_is_removed(tmp_path):
    model, optimizer = trained()
    for name in (".step-000007.99.part", ".step-000003.old.part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"half")
    (tmp_path / "step-000009").write_text("a file of the user's")
    (tmp_path / "step-x").mkdir()
    assert checkpoints_in(tmp_path) == []
    save_checkpoint(tmp_path, 8, model, optimizer, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000008", "step-000009", "step-x"]


class Killed(BaseException):
    """Stands for a kill: nothing may run after it, so cleaning up is switched off, too."""


def disk_calls(monkeypatch, limit):
    """Let the process die at the given call that changes the disk; return the calls that were made."""
    calls: list[str] = []

    def deadly(module, name):
        real = getattr(module, name)

        def call(*args, **kwargs):
            if len(calls) == limit:
                raise Killed
            calls.append(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, call)

    for name in ("fsync", "rename", "replace"):
        deadly(os, name)
    real_rmtree, real_unlink = shutil.rmtree, Path.unlink
    monkeypatch.setattr(shutil, "rmtree", lambda p, **k: real_rmtree(p, **k) if len(calls) < limit else None)
    monkeypatch.setattr(Path, "unlink", lambda p, **k: real_unlink(p, **k) if len(calls) < limit else None)
    return calls


def test_a_kill_at_any_call_leaves_a_checkpoint_that_loads(tmp_path, monkeypatch):
    old_model, old_optimizer = trained(seed=1)
    new_model, new_optimizer = trained(seed=2)
    old, new = weights_of(old_model), weights_of(new_model)
    outcomes = []
    for limit in range(100):
        folder = tmp_path / str(limit)
        save_checkpoint(folder, 5, old_model, old_optimizer, {"run": "old"})
        save_checkpoint(folder, 6, old_model, old_optimizer, {"run": "old"})
        with monkeypatch.context() as patch:
            calls = disk_calls(patch, limit)
            try:
                save_checkpoint(folder, 6, new_model, new_optimizer, {"run": "new"})
                finished = True
            except Killed:
                finished = False
        other, its = trained(seed=3)
        state = load_checkpoint(checkpoints_in(folder)[-1], other, its)
        assert_same_weights(other, old if state["run"] == "old" else new)
        outcomes.append(state["run"])
        save_checkpoint(folder, 7, new_model, new_optimizer, {"run": "next"})  # and the run can go on
        assert not list(folder.glob(".step*"))
        if finished:
            break
    assert finished
    assert len(calls) >= 8
    assert outcomes == sorted(outcomes, reverse=True)  # old until the moment that it is new
    assert outcomes[-1] == "new"


@pytest.mark.parametrize(
    ("number", "reason"),
    [(errno.ENOSPC, "no space left on the disk of"), (errno.EACCES, "Permission denied")],
)
@pytest.mark.parametrize("call", ["fsync", "rename", "replace"])
def test_a_disk_that_takes_no_more(tmp_path, monkeypatch, number, reason, call):
    model, optimizer = trained()
    save_checkpoint(tmp_path, 5, model, optimizer, {})

    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        message = rf"step-000006 could not be written: .*{reason}.*step-000005 is intact"
        with pytest.raises(CheckpointError, match=message):
            save_checkpoint(tmp_path, 6, model, optimizer, {})
    assert [p.name for p in tmp_path.iterdir()] == ["step-000005"]
    load_checkpoint(tmp_path / "step-000005", model, optimizer)


def test_the_first_checkpoint_on_a_full_disk(tmp_path):
    (tmp_path / "file").write_text("")
    model, optimizer = trained()
    with pytest.raises(CheckpointError, match=r"could not be written: .*; there is no earlier one"):
        save_checkpoint(tmp_path / "file", 5, model, optimizer, {})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_ruined_weights_are_not_written(tmp_path, value):
    model, optimizer = trained()
    save_checkpoint(tmp_path, 5, model, optimizer, {})
    model.fc.weight.array[1, 2] = value
    message = r"fc.weight holds NaN or infinity; the one at .*step-000005 is intact"
    with pytest.raises(CheckpointError, match=message):
        save_checkpoint(tmp_path, 6, model, optimizer, {})
    assert [p.name for p in tmp_path.iterdir()] == ["step-000005"]


def cut(name, share):
    def damage(place):
        data = (place / name).read_bytes()
        (place / name).write_bytes(data[: int(len(data) * share)])

    return damage


def replace(name, text):
    return lambda place: (place / name).write_text(text)


def edit_state(change):
    def damage(place):
        state = json.loads((place / "state.json").read_text())
        change(state)
        (place / "state.json").write_text(json.dumps(state))

    return damage


DAMAGE = {
    "weights cut off": (cut("model.safetensors", 0.5), "cut off"),
    "weights empty": (cut("model.safetensors", 0), "0 bytes"),
    "weights missing": (lambda place: (place / "model.safetensors").unlink(), "no such file"),
    "weights foreign": (replace("model.safetensors", "PK\3\4 a pickle, say"), "no safetensors file"),
    "moments cut off": (cut("optimizer.safetensors", 0.9), "cut off"),
    "moments missing": (lambda place: (place / "optimizer.safetensors").unlink(), "no such file"),
    "state cut off": (cut("state.json", 0.5), "state.json"),
    "state missing": (lambda place: (place / "state.json").unlink(), "state.json"),
    "state foreign": (replace("state.json", "[1, 2]"), "not that of a checkpoint of minillm"),
    "state of another format": (edit_state(lambda s: s.update(format=7)), "not that of a checkpoint"),
    "state without optimizer": (edit_state(lambda s: s.pop("optimizer")), "optimizer"),
    "state with half an optimizer": (
        edit_state(lambda s: s.update(optimizer={"numbers": {}})),
        "param_groups",
    ),
    "state with other groups": (
        edit_state(lambda s: s["optimizer"]["param_groups"].pop()),
        "different number of parameter groups",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_named_with_the_way_out(tmp_path, what):
    damage, message = DAMAGE[what]
    model, optimizer = trained()
    save_checkpoint(tmp_path, 5, model, optimizer, {})
    place = save_checkpoint(tmp_path, 6, model, optimizer, {})
    damage(place)
    with pytest.raises(CheckpointError) as raised:
        load_checkpoint(place, model, optimizer)
    text = str(raised.value)
    assert text.startswith(f"the checkpoint {place} cannot be read: ")
    assert message in text
    assert text.endswith("remove that directory to go on from step-000005")


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    model, optimizer = trained()
    place = save_checkpoint(tmp_path, 5, model, optimizer, {})
    other = type(model)(width=4)
    before = weights_of(other)
    with pytest.raises(CheckpointError, match=r"embedding\.weight"):
        load_checkpoint(place, other, make_optimizer(other, make_config()))
    assert_same_weights(other, before)


def test_a_missing_checkpoint_says_which_there_are(tmp_path):
    with pytest.raises(CheckpointError, match=r"there is no checkpoint .*; there is no earlier one"):
        read_state(tmp_path / "step-000001")
    model, optimizer = trained()
    save_checkpoint(tmp_path, 5, model, optimizer, {})
    with pytest.raises(CheckpointError, match="step-000005 is intact"):
        load_checkpoint(tmp_path / "step-000001", model, optimizer)


def test_a_system_that_cannot_open_directories(tmp_path, monkeypatch):
    real = os.open

    def refuse(path, *args, **kwargs):
        if os.path.isdir(path):
            raise PermissionError(13, "as on Windows")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(checkpoint.os, "open", refuse)
    model, optimizer = trained()
    save_checkpoint(tmp_path, 5, model, optimizer, {})
    monkeypatch.undo()
    load_checkpoint(tmp_path / "step-000005", model, optimizer)
