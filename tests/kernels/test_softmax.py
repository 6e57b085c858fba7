"""The kernels of softmax and its logarithm: every layout against the formula, what is not finite, accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minillm.backend import to_device, to_numpy

SHAPES = [((), 0), ((), -1), ((5,), 0), ((3, 4), 0), ((3, 4), -1), ((2, 3, 4), 1), ((300, 700), 1), ((300, 700), 0)]
SHAPES += [((40, 50, 60), d) for d in (-1, 1, -3)] + [((0, 3), 0), ((3, 0), 0), ((3, 0), 1), ((1, 9000), 1)]


@pytest.mark.parametrize(("shape", "dim"), SHAPES)
@pytest.mark.parametrize("size", [1.0, 60.0])  # with numbers that exp takes as they are, and larger ones
def test_every_layout_agrees_with_the_formula(
    kernels: Any, device: str, shape: tuple[int, ...], dim: int, size: float
) -> None:
    x = np.random.default_rng(0).uniform(-size, size, shape)
    if x.size:
        e = np.exp(x - x.max(axis=dim if shape else None, keepdims=True))
        expected = e / e.sum(axis=dim if shape else None, keepdims=True)
    else:
        expected = x
    before = to_device(x.copy(), device)
    np.testing.assert_allclose(to_numpy(kernels.softmax(before, dim)), expected, rtol=1e-11, atol=0)
    np.testing.assert_allclose(to_numpy(kernels.log_softmax(before, dim)), np.log(expected), rtol=1e-11, atol=1e-14)
    np.testing.assert_array_equal(to_numpy(before), x)
    turned = to_device(np.asfortranarray(x), device)
    np.testing.assert_allclose(to_numpy(kernels.softmax(turned, dim)), expected, rtol=1e-11, atol=0)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("rows", [3, 3000])
def test_what_is_not_finite_stays_in_its_row(kernels: Any, device: str, name: str, rows: int) -> None:
    x = np.zeros((rows, 4), "float32")
    x[0], x[1, 2], x[2, 1] = -np.inf, np.nan, -np.inf
    with np.errstate(all="ignore"):
        y = to_numpy(getattr(kernels, name)(to_device(x, device), 1))
    assert np.isnan(y[:2]).all()  # of no probability at all, and of what is no number
    third = np.array([1, 0, 1, 1]) / 3
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(y[2], third if name == "softmax" else np.log(third), rtol=1e-6)
    assert np.isfinite(y[3:]).all()


def test_the_logarithm_of_a_sure_guess_is_exact(kernels: Any) -> None:
    x = np.zeros((2, 3), "float32")
    x[0, 1], x[1, 2] = 25, 1000
    np.testing.assert_allclose(kernels.log_softmax(x, 1), [[-25, -2.8e-11, -25], [-1000, -1000, 0]], atol=1e-6)
    assert abs(kernels.log_softmax(x, 1)[0, 1]) < 1e-9


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_float16_computes_in_float32(kernels: Any, device: str, name: str) -> None:
    x = np.random.default_rng(0).uniform(-3, 3, (4, 5000)).astype("float16")
    y = getattr(kernels, name)(to_device(x, device), 1)
    wide = getattr(kernels, name)(x.astype("float32"), 1)
    assert y.dtype == "float16"
    np.testing.assert_allclose(to_numpy(y), wide.astype("float16"), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(("shape", "dim"), SHAPES)
def test_gradients_agree_with_the_formula(kernels: Any, device: str, shape: tuple[int, ...], dim: int) -> None:
    rng = np.random.default_rng(0)
    x, dy = rng.uniform(-3, 3, shape), np.asarray(rng.uniform(-1, 1, shape))
    axis = dim if shape else None
    e = np.exp(x)
    p = np.asarray(e / e.sum(axis=axis, keepdims=True))
    wanted = {
        "softmax": (p, p * (dy - (dy * p).sum(axis=axis, keepdims=True))),
        "log_softmax": (np.log(p), dy - p * dy.sum(axis=axis, keepdims=True)),
    }
    for name, (y, dx) in wanted.items():
        for order in "CF":
            arrays = [to_device(np.asarray(a, order=order), device) for a in (dy, y)]
            found = getattr(kernels, f"{name}_backward")(*arrays, dim)
            np.testing.assert_allclose(to_numpy(found), dx, rtol=1e-10, atol=1e-14)
            assert (to_numpy(arrays[0]) == dy).all()
            assert (to_numpy(arrays[1]) == y).all()
