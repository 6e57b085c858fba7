"""The workloads on tiny sizes: they run, they agree, and where they do not, nothing is timed."""

from __future__ import annotations

import dataclasses
import importlib.util

import numpy as np
import pytest

from benchmarks import measuring
from benchmarks.measuring import contestants_of, measure
from benchmarks.workload import (
    BASE,
    Disagreement,
    kernel_set,
    largest_difference,
    target_of,
    use_kernels,
)
from benchmarks.workloads import WORKLOADS, Decode, MLPStep, WholeRun
from benchmarks.workloads.decode import small_dtype

IN_PROCESS = [key for key, workload in WORKLOADS.items() if workload.in_process]
needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="needs numba (extra: fast)")


@pytest.mark.parametrize("key", IN_PROCESS)
def test_contestants_agree_and_are_measured(key):
    workload = WORKLOADS[key].tiny()
    names = contestants_of(workload, ["numpy"])
    assert names[0] == BASE
    assert "minillm numpy" in names
    said = []
    result = measure(key, workload, names, rounds=2, memory=False, say=said.append)
    assert set(result["contestants"]) == {*names, "floor"}
    assert result["contestants"][BASE]["median_ratio"] == 1
    assert all(found["least_seconds"] > 0 for found in result["contestants"].values())
    assert result["measured"]["threads"] == 1
    assert any(workload.title in line for line in said)


@needs_numba
@pytest.mark.parametrize("key", ["W2b", "W5"])
def test_compiled_kernels_agree(key):
    workload = WORKLOADS[key].tiny()
    names = [BASE, *(name for name in contestants_of(workload, ["numba"]) if "numba" in name)]
    weights = workload.weights()
    assert set(workload.check({name: workload.build(name, weights) for name in names})) == set(names)


@pytest.mark.parametrize("key", ["W1a", "W3", "W5"])
def test_a_disagreement_is_refused_before_anything_is_timed(key, monkeypatch):
    workload = WORKLOADS[key].tiny()
    right = type(workload).torch_loss
    monkeypatch.setattr(type(workload), "torch_loss", lambda self, *args: right(self, *args) * 1.01)
    monkeypatch.setattr(measuring, "in_turn", lambda *args, **more: pytest.fail("something was timed"))
    with pytest.raises(Disagreement, match=r"minillm numpy and torch disagree: gradients within 9\.9e-03 \("):
        measure(key, workload, [BASE, "minillm numpy"], rounds=1, memory=False)


def test_other_weights_are_refused():
    workload = WORKLOADS["W5"].tiny()
    weights = workload.weights()
    contestants = {BASE: workload.build(BASE, weights), "minillm numpy": workload.build("minillm numpy")}
    with pytest.raises(Disagreement, match="disagree"):
        workload.check(contestants)


def test_an_optimizer_that_differs_is_refused(monkeypatch):
    workload = MLPStep().tiny()
    weights = workload.weights()
    there = workload.build(BASE, weights)
    monkeypatch.setattr(workload, "optimizer", ("Adam", {"lr": 0.02}), raising=False)
    with pytest.raises(Disagreement, match="losses of 3 steps within"):
        workload.check({BASE: there, "minillm numpy": workload.build("minillm numpy", weights)})


def test_other_tokens_are_refused():
    workload = Decode().tiny()
    weights = workload.weights()
    changed = {**weights, "transformer.wpe.weight": -weights["transformer.wpe.weight"] * 100}
    contestants = {BASE: workload.build(BASE, weights), "minillm numpy": workload.build("minillm numpy", changed)}
    with pytest.raises(Disagreement, match="of 6 tokens are equal"):
        workload.check(contestants)


def test_contestants_share_their_first_weights_but_not_the_memory():
    workload = WORKLOADS["W5"].tiny()
    weights = workload.weights()
    before = {name: array.copy() for name, array in weights.items()}
    for name in (BASE, "minillm numpy"):
        workload.build(name, weights).run()
    for name, array in weights.items():
        np.testing.assert_array_equal(array, before[name])


def test_largest_difference():
    grads = {"a": np.array([1.0, -2.0]), "b": np.array([1e-9])}
    assert largest_difference(grads, grads) == (0.0, "none")
    off, where = largest_difference({"a": np.array([1.0, -2.1]), "b": np.array([0.0])}, grads)
    assert where == "a"
    assert off == pytest.approx(0.05)
    # A gradient that is 0 but for rounding is measured by the size of the others.
    assert largest_difference({**grads, "b": np.array([3e-9])}, grads)[0] == pytest.approx(1e-7)
    assert largest_difference({**grads, "a": np.array([np.nan, 0.0])}, grads) == (np.inf, "a")
    with pytest.raises(Disagreement, match=r"other parameters: \['b'\]"):
        largest_difference({"a": grads["a"]}, grads)
    with pytest.raises(Disagreement, match="a: gradients of shapes"):
        largest_difference({**grads, "a": np.zeros(3)}, grads)


def test_names_of_contestants():
    assert contestants_of(WORKLOADS["W1a"], ["numpy"]) == [
        "torch", "torch, fused", "minillm numpy", "minillm numpy, split",
    ]  # fmt: skip
    assert small_dtype("minillm numba, int8") == "int8"
    assert small_dtype("minillm numba") is None
    assert "torch, compiled" in contestants_of(WORKLOADS["W4"], ["numpy"], compiled=True)
    assert kernel_set("minillm numba, split") == "numba"
    assert target_of({"minillm numba": 0.7}, "minillm numba, split") == 0.7
    assert target_of({"minillm numba": 0.7}, "torch, fused") is None
    with pytest.raises(ValueError, match="fortran"):
        use_kernels("fortran")


def test_a_whole_run_in_processes_of_its_own(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("To be, or not to be, that is the question.\n" * 60, encoding="utf-8")
    workload = dataclasses.replace(WholeRun().tiny(), text=str(text))
    said = workload.check({name: workload.build(name) for name in (BASE, "minillm numpy")})
    assert all(line.startswith("validation loss 2.") or line.startswith("validation loss 3.") for line in said.values())


def test_whole_runs_that_end_apart_disagree():
    workload = WholeRun()
    workload.compare("minillm numpy", {BASE: 1.5, "minillm numpy": 1.55})
    with pytest.raises(Disagreement, match=r"minillm numpy ends at a validation loss of 1\.6000, torch at 1\.5000"):
        workload.compare("minillm numpy", {BASE: 1.5, "minillm numpy": 1.6})


def test_a_whole_run_that_fails_says_why(tmp_path):
    workload = WholeRun(steps=1, text=str(tmp_path / "missing.txt"))
    with pytest.raises(RuntimeError, match=r"(?s)torch failed:.*missing\.txt"):
        workload.build(BASE).run()
