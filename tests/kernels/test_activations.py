"""GELU, SiLU and erf: values and slopes against float64, across tiles, in every dtype."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minillm.backend import to_device, to_numpy
from minillm.kernels.cpu.tiles import TILE


def gelu(x):
    phi = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x])
    return x * phi, phi + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def gelu_tanh(x):
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    s = 0.5 * (1 + np.tanh(u))
    return x * s, s + 2 * x * s * (1 - s) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)


def silu(x):
    s = 1 / (1 + np.exp(-x))
    return x * s, s * (1 + x * (1 - s))


EXACT = {"gelu": gelu, "gelu_tanh": gelu_tanh, "silu": silu}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize(("dtype", "error"), [("float64", 1e-14), ("float32", 3e-6), ("float16", 5e-3)])
def test_values_and_slopes_are_accurate(name, dtype, error, kernels, device):
    x = np.linspace(-9, 9, 4001).astype(dtype)
    y, saved = getattr(kernels, name)(to_device(x, device), True)
    slope = getattr(kernels, f"{name}_backward")(to_device(np.ones_like(x), device), saved)
    alone, nothing = getattr(kernels, name)(to_device(x, device), False)
    assert nothing is None
    np.testing.assert_allclose(to_numpy(alone), to_numpy(y), rtol=error)
    assert y.dtype == slope.dtype == x.dtype
    for got, wanted in zip((y, slope), EXACT[name](x.astype("float64")), strict=True):
        got = to_numpy(got).astype("float64")
        np.testing.assert_allclose(got, wanted, rtol=error, atol=error)


def test_gelu_in_float32_is_as_good_as_float32(kernels):
    """Phi is off by two of its last digits, and the slope by three, where they are near 1."""
    x = np.linspace(-7, 7, 100_001).astype("float32")
    y, saved = kernels.gelu(x, True)
    slope = kernels.gelu_backward(np.ones_like(x), saved)
    exact, exact_slope = gelu(x.astype("float64"))
    middle = np.abs(x) > 1e-2
    assert np.abs((y - exact)[middle] / x[middle]).max() < 1.6e-7
    assert np.abs(slope - exact_slope).max() < 2e-7


def test_gelu_of_large_numbers_is_the_number_or_nothing(kernels):
    """The fitted polynomial keeps its sign far beyond the numbers that it was fitted to, and may overflow."""
    x = np.logspace(0.8, 38, 200_001).astype("float32")
    for sign, slope in ((1, 1), (-1, 0)):
        y, saved = kernels.gelu(sign * x, True)
        np.testing.assert_allclose(y, x * slope, atol=1e-6)
        np.testing.assert_allclose(kernels.gelu_backward(np.ones_like(x), saved), np.full_like(x, slope), atol=1e-6)


@pytest.mark.parametrize(("dtype", "error"), [("float64", 3e-16), ("float32", 1.7e-7), ("float16", 5e-4)])
def test_erf(dtype, error, kernels, device):
    x = np.concatenate([np.linspace(-7, 7, 40_001), [0.0, 1e-7, 1e4, -6e4, np.inf, -np.inf, np.nan]]).astype(dtype)
    exact = np.array([math.erf(v) for v in x.astype("float64")])
    y = to_numpy(kernels.erf(to_device(x, device)))
    assert y.dtype == x.dtype
    assert np.isnan(y[-1])
    assert np.abs(y - exact)[:-1].max() < error
    small = np.abs(x) < 0.5
    np.testing.assert_allclose(y[small], exact[small], rtol=2 * error, atol=6e-8 if dtype == "float16" else 0)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("size", [0, 1, TILE - 1, TILE, TILE + 1, 3 * TILE + 5])
def test_tiles_join_without_a_seam(name, size, kernels):
    x = np.random.default_rng(0).standard_normal(size).astype("float32")
    y, saved = getattr(kernels, name)(x, True)
    slope = getattr(kernels, f"{name}_backward")(np.ones_like(x), saved)
    only_y, nothing = getattr(kernels, name)(x, False)
    assert nothing is None
    places = [i for i in (0, 1, TILE - 1, TILE, TILE + 1, size - 1) if 0 <= i < size]
    for i in places:
        one, one_saved = getattr(kernels, name)(x[i : i + 1], True)
        one_slope = getattr(kernels, f"{name}_backward")(np.ones_like(one), one_saved)
        np.testing.assert_allclose((y[i], only_y[i], slope[i]), (one[0], one[0], one_slope[0]), rtol=2e-6)
    assert y.shape == slope.shape == only_y.shape == x.shape


@pytest.mark.parametrize("name", EXACT)
def test_inputs_stay_as_they_are(name, kernels, device):
    x = np.random.default_rng(0).standard_normal((7, 5)).astype("float32")
    here = to_device(x.T.copy().T, device)
    y, saved = getattr(kernels, name)(here, True)
    before, dy = to_numpy(saved).copy(), to_device(x, device)
    dx = getattr(kernels, name + "_backward")(dy, saved)
    assert (to_numpy(here) == x).all()
    assert (to_numpy(dy) == x).all()
    assert (to_numpy(saved) == before).all()
    _, slope = EXACT[name](x.reshape(-1).astype("float64"))
    np.testing.assert_allclose(to_numpy(dx), x * slope.reshape(7, 5), rtol=1e-5)
    assert y.shape == (7, 5)
