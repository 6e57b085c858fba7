from __future__ import annotations

import numpy as np
import pytest

from minillm.backend import to_device, to_numpy


@pytest.mark.parametrize("shape", [(3, 4), (4,), (2, 3, 4), (0, 4), (2, 0, 4), (2, 3, 2, 4)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_forward_and_backward(shape, dtype, kernels, device):
    rng = np.random.default_rng(0)
    x, w, b, dy = (rng.standard_normal(s).astype(dtype) for s in (shape, (5, 4), 5, (*shape[:-1], 5)))
    close = {"rtol": 1e-2, "atol": 2e-2} if dtype == "float16" else {"rtol": 1e-5, "atol": 1e-5}
    there = [to_device(v, device) for v in (x, w, b, dy)]
    wide = [v.astype("float64") for v in (x, w, b, dy)]
    y = kernels.linear(*there[:3])
    np.testing.assert_allclose(to_numpy(y), wide[0] @ wide[1].T + wide[2], **close)
    rows, dys = wide[0].reshape(-1, 4), wide[3].reshape(-1, 5)
    wanted = (wide[3] @ wide[1], dys.T @ rows, dys.sum(0))
    for got, exact in zip(kernels.linear_backward(there[3], there[0], there[1], True), wanted, strict=True):
        assert got.dtype == x.dtype
        assert got.shape == exact.shape
        np.testing.assert_allclose(to_numpy(got), exact, **close)
    assert kernels.linear_backward(there[3], None, None, False) == (None, None, None)


def test_float16_does_not_overflow_inside(kernels):
    x, w = np.full((2, 2000), 8, "float16"), np.full((1, 2000), 8, "float16")
    w[:, 1000:] = -8
    assert kernels.linear(x, w, None).tolist() == [[0], [0]]


def test_nothing_shares_memory(kernels):
    x, w, b = np.ones((3, 4)), np.ones((5, 4)), np.ones(5)
    y = kernels.linear(x, w, b)
    assert not any(np.shares_memory(y, v) for v in (x, w, b))
    assert b.tolist() == [1] * 5


def test_large_outputs_are_shared_by_the_threads(kernels, threads):
    x, w, b = np.ones((2100, 2), "float32"), np.ones((1000, 2), "float32"), np.arange(1000, dtype="float32")
    y = kernels.linear(x, w, b)
    assert (y == b + 2).all()


@pytest.mark.parametrize("shape", [(3, 4), (4,), (2, 3, 4), (0, 4), (700, 70)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("tanh", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
def test_linear_and_gelu_in_one(shape, dtype, tanh, with_bias, kernels, threads):
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s).astype(dtype) for s in (shape, (90, shape[-1]), 90))
    b = b if with_bias else None
    h = kernels.linear(x, w, b)
    wanted, saved = (kernels.gelu_tanh if tanh else kernels.gelu)(h, True)
    y, kept = kernels.linear_gelu(x, w, b, tanh, True)
    close = {"rtol": 1e-2, "atol": 1e-2} if dtype == "float16" else {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(y, wanted, **close)
    np.testing.assert_allclose(kept, saved, **close)
    assert y.dtype == x.dtype
    assert y.shape == (*shape[:-1], 90)
    alone, nothing = kernels.linear_gelu(x, w, b, tanh, False)
    assert nothing is None
    np.testing.assert_array_equal(alone, y)


@pytest.mark.parametrize("rows", [1, 2, 8, 9])
@pytest.mark.parametrize("with_bias", [False, True])
def test_few_rows_and_a_large_weight(rows, with_bias, kernels, threads):
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s).astype("float32") for s in ((rows, 700), (1030, 700), 1030))
    b = b if with_bias else None
    wanted = x.astype("float64") @ w.T.astype("float64") + (b if with_bias else 0)
    np.testing.assert_allclose(kernels.linear(x, w, b), wanted, rtol=1e-4, atol=1e-4)
    lying = np.asfortranarray(w)  # in order along the other dimension
    np.testing.assert_allclose(kernels.linear(x, lying, b), wanted, rtol=1e-4, atol=1e-4)
