"""The kernel of cross-entropy: every way through it against the formula, accuracy, memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from minillm.backend import to_device, to_numpy

IGNORED = -100


def by_formula(
    x: np.ndarray, target: np.ndarray, weight: np.ndarray, smoothing: float, mean: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The losses and the gradient of their sum or mean, in matrices of the whole size."""
    counts = target != IGNORED
    classes = np.where(counts, target, 0)
    right = np.eye(x.shape[1])[classes]
    wanted = weight * (right * (1 - smoothing) + smoothing / x.shape[1]) * counts[:, None]
    log_p = x - x.max(1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(1, keepdims=True))
    gradient = np.exp(log_p) * wanted.sum(1, keepdims=True) - wanted
    share = (weight[classes] * counts).sum() if mean else 1
    return -(wanted * log_p).sum(1), gradient / share


@pytest.mark.parametrize("size", [1.0, 60.0])  # with logits that exp takes as they are, and larger ones
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("ignoring", [False, True])
@pytest.mark.parametrize("mean", [False, True])
def test_every_way_agrees_with_the_formula(
    kernels: Any, device: str, size: float, weighted: bool, smoothing: float, ignoring: bool, mean: bool
) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-size, size, (300, 700))  # several tiles
    target = rng.integers(0, 700, 300)
    if ignoring:
        target[::3] = IGNORED
    weight = rng.uniform(0.5, 2, 700) if weighted else np.ones(700)
    losses, gradient = by_formula(x, target, weight, smoothing, mean)
    on_device = to_device(x, device), to_device(target, device), to_device(weight, device) if weighted else None
    for with_gradient in (True, False):
        ours, shares, our_gradient = kernels.cross_entropy(*on_device, IGNORED, smoothing, mean, with_gradient)
        np.testing.assert_allclose(to_numpy(ours), losses, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(to_numpy(shares), np.where(target >= 0, weight[target], 0))
        assert (our_gradient is not None) == with_gradient
        if our_gradient is not None:
            np.testing.assert_allclose(to_numpy(our_gradient), gradient, rtol=1e-9, atol=1e-14)
    np.testing.assert_array_equal(to_numpy(on_device[0]), x)


@pytest.mark.parametrize("margin", [5.0, 15.0, 29.0, 100.0])
def test_a_sure_guess_costs_next_to_nothing_and_never_less(kernels: Any, margin: float) -> None:
    """In float32 the difference of logits and log-sum-exp is off by 1e-6; below zero it would be nonsense."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1e-3, 1e-3, (200, 50)).astype("float32") - np.float32(margin / 3)
    target = rng.integers(0, 50, 200)
    x[np.arange(200), target] += np.float32(margin)
    exact, _ = by_formula(x.astype("float64"), target, np.ones(50), 0.0, False)
    losses, _, _ = kernels.cross_entropy(x, target, None, IGNORED, 0.0, False, False)
    assert (losses >= 0).all()
    np.testing.assert_allclose(losses, exact, rtol=2e-5, atol=3e-7)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_in_its_row(kernels: Any, wrong: float) -> None:
    x = np.zeros((3, 4))
    x[1, 2] = wrong
    losses, _, gradient = kernels.cross_entropy(x, np.array([0, 2, 1]), None, IGNORED, 0.0, False, True)
    assert gradient is not None
    np.testing.assert_allclose(losses[[0, 2]], np.log(4))
    assert np.isfinite(gradient[[0, 2]]).all()
    assert losses[1] == np.inf if wrong == -np.inf else np.isnan(losses[1])


def test_one_array_of_the_size_of_the_logits(kernels: Any) -> None:
    x = np.zeros((500, 4000), "float32")
    target = np.zeros(500, int)
    tracemalloc.start()
    try:
        kernels.cross_entropy(x, target, None, IGNORED, 0.0, True, True)
        _, training = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        kernels.cross_entropy(x, target, None, IGNORED, 0.0, True, False)
        _, evaluation = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert training < 1.1 * x.nbytes
    assert evaluation < 0.2 * x.nbytes
