"""Optimizers share large arrays among threads: the same numbers as on one, whatever the shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minillm
from minillm.kernels import cpu
from minillm.kernels.cpu import optimizers

ADAM = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.1, "decoupled": True, "maximize": False}
SGD = {"lr": 0.1, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.1, "nesterov": True, "maximize": False}
KERNELS: dict[str, tuple[Callable[..., None], int, dict[str, Any]]] = {
    "adam": (cpu.adam, 2, {"step": 3, **ADAM}),
    "sgd": (cpu.sgd, 1, {"first": False, **SGD}),
    "adagrad": (cpu.adagrad, 1, {"lr": 0.1, "eps": 1e-8, "weight_decay": 0.1, "maximize": False}),
}


def stepped(name: str, shape: tuple[int, ...], order: str) -> list[np.ndarray]:
    """Return the parameter and its moments after a step."""
    update, moments, settings = KERNELS[name]
    rng = np.random.default_rng(0)
    arrays = [np.asarray(abs(rng.standard_normal(shape, np.float32)), order=order) for _ in range(2 + moments)]
    update(*arrays, *[None] * (name == "adam"), **settings)
    return arrays


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(optimizers.LARGE,), (1801, 1201), (3, 7)])
@pytest.mark.parametrize("name", KERNELS)
def test_threads_take_the_same_step(name: str, shape: tuple[int, ...], order: str) -> None:
    before = minillm.get_num_threads()
    try:
        minillm.set_num_threads(1)
        one = stepped(name, shape, order)
        minillm.set_num_threads(3)
        three = stepped(name, shape, order)
    finally:
        minillm.set_num_threads(before)
    for a, b in zip(one, three, strict=True):
        np.testing.assert_array_equal(b, a)


@pytest.mark.parametrize(("size", "parts"), [(optimizers.LARGE - 1, 1), (optimizers.LARGE, 3)])
def test_large_arrays_alone_are_shared(size: int, parts: int) -> None:
    sizes: list[int] = []
    update = optimizers.shared(lambda param, grad, moment: sizes.append(len(param)))
    before = minillm.get_num_threads()
    minillm.set_num_threads(3)
    try:
        update(np.zeros(size, np.float32), np.zeros(size, np.float32), None)
    finally:
        minillm.set_num_threads(before)
    assert len(sizes) == parts
    assert sum(sizes) == size
