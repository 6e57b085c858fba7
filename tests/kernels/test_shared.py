"""NumPy's kernels share large arrays among threads: the same numbers as on one, and the same bits each time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minillm
from minillm.kernels import cpu
from minillm.kernels.cpu.tiles import LARGE, share

ROWS, COLUMNS = 1801, 301  # above 2 LARGE numbers, and in no number of equal parts


def drawn(seed: int = 0, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape or (ROWS, COLUMNS), np.float32)


def stepped(update: Callable[..., None], moments: int, **settings: Any) -> list[np.ndarray]:
    arrays = [drawn(0), drawn(1), *(abs(drawn(2 + n)) for n in range(moments))]
    update(*arrays, *[None] * (update is cpu.adam), **settings)
    return arrays


def norms() -> list[np.ndarray]:
    x, dy, w, b = drawn(0), drawn(1), drawn(2, COLUMNS), drawn(3, COLUMNS)
    y, mean, rstd = cpu.layer_norm(x, w, b, 1e-5)
    rms, rms_rstd = cpu.rms_norm(x, w, 1e-5)
    of_rms = cpu.rms_norm_backward(dy, x, w, rms_rstd, True)
    return [y, rms, *cpu.layer_norm_backward(dy, x, w, mean, rstd, True), *of_rms]


def elementwise() -> list[np.ndarray]:
    x, dy = drawn(0), drawn(1)
    y, slope = cpu.gelu(x, True)
    total = x.copy()
    cpu.add_to(total, dy)
    return [y, slope, cpu.gelu_backward(dy, slope), *cpu.gelu_tanh(x, True), *cpu.silu(x, True), cpu.add(x, dy), total]


def softmaxes() -> list[np.ndarray]:
    x, dy = drawn(0), drawn(1)
    y, log = cpu.softmax(x, 1), cpu.log_softmax(x, 0)
    return [y, log, cpu.softmax_backward(dy, y, 1), cpu.log_softmax_backward(dy, log, 0)]


def cross_entropy() -> list[np.ndarray]:
    target = np.random.default_rng(1).integers(0, COLUMNS, ROWS)
    target[::7] = -100
    return [*cpu.cross_entropy(drawn(), target, abs(drawn(1, COLUMNS)), -100, 0.1, True, True)]


ADAM = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.1, "decoupled": True, "maximize": False}
SGD = {"lr": 0.1, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.1, "nesterov": True, "maximize": False}
KERNELS: dict[str, Callable[[], list[np.ndarray]]] = {
    "norms": norms,
    "elementwise": elementwise,
    "softmaxes": softmaxes,
    "cross_entropy": cross_entropy,
    "adam": lambda: stepped(cpu.adam, 2, step=3, **ADAM),
    "sgd": lambda: stepped(cpu.sgd, 1, first=False, **SGD),
}


@pytest.mark.parametrize("name", KERNELS)
def test_threads_compute_the_same(name: str) -> None:
    before = minillm.get_num_threads()
    try:
        minillm.set_num_threads(1)
        one = KERNELS[name]()
        minillm.set_num_threads(3)
        three, again = KERNELS[name](), KERNELS[name]()
    finally:
        minillm.set_num_threads(before)
    for a, b, c in zip(one, three, again, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-4)
        np.testing.assert_array_equal(c, b)


@pytest.mark.parametrize(("size", "parts"), [(LARGE - 1, 1), (LARGE, 3)])
def test_large_arrays_alone_are_shared(size: int, parts: int) -> None:
    before = minillm.get_num_threads()
    minillm.set_num_threads(3)
    slices: list[slice] = []
    try:
        share(np, slices.append, 10, size)
    finally:
        minillm.set_num_threads(before)
    assert len(slices) == parts
    assert sorted(i for s in slices for i in range(s.start, s.stop)) == list(range(10))
