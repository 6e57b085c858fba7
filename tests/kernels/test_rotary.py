"""Rotary position embedding: each set equals the formula, forward and gradient."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm import ops
from minillm.autograd import grad, gradcheck, gradgradcheck
from minillm.backend import to_device, to_numpy
from minillm.models.rope import Rotate, rotate_composite


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("shape", [(2, 3, 4, 6), (1, 1, 1, 2), (3, 50, 2, 64), (0, 3, 2, 4), (2, 0, 2, 4)])
@pytest.mark.parametrize("each", [True, False])  # whether each sequence has places of its own
@pytest.mark.parametrize("strided", [True, False])
def test_fused_is_composite(kernels, device, threads, shape, each, strided, dtype):
    B, T, H, D = shape
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal((B, H, T, D) if strided else shape).astype(dtype) for _ in range(2))
    angles = rng.standard_normal((B if each else 1, T, 1, D // 2))
    cos, sin = (to_device(f(angles).astype(dtype), device) for f in (np.cos, np.sin))
    x, dy = (to_device(a, device) for a in (x, dy))
    if strided:
        x, dy = x.swapaxes(1, 2), dy.swapaxes(1, 2)
    wide = minillm.Tensor(x.astype("float64"), requires_grad=True)
    exact = rotate_composite(wide, *(minillm.Tensor(a.astype("float64")) for a in (cos, sin)))
    gradient = grad(exact, wide, minillm.Tensor(dy.astype("float64")))[0]
    close = {"float64": 1e-14, "float32": 1e-6, "float16": 4e-3}[dtype]
    for got, wanted in ((kernels.rotary(x, cos, sin), exact), (kernels.rotary_backward(dy, cos, sin), gradient)):
        assert got.dtype == dtype
        np.testing.assert_allclose(to_numpy(got), wanted.numpy(force=True), rtol=close, atol=close)


def test_infinities_and_nan_stay_in_their_pair(kernels):
    x = np.ones((1, 1, 2, 6), "float32")
    x[0, 0, 0, 1], x[0, 0, 1, 5] = np.inf, np.nan
    one = np.full((1, 1, 1, 3), 0.5, "float32")
    y = kernels.rotary(x, one, one)
    assert np.isinf(y[0, 0, 0, [1, 4]]).all()
    assert np.isnan(y[0, 0, 1, [2, 5]]).all()
    assert np.isfinite(y).sum() == 8


def test_derivatives_agree_with_differences():
    x = ops.randn(2, 3, 2, 4, dtype="float64", requires_grad=True)
    cos, sin = ops.randn(1, 3, 1, 2, dtype="float64").array, ops.randn(1, 3, 1, 2, dtype="float64").array
    assert gradcheck(lambda x: Rotate.apply(x, cos, sin), (x,))
    assert gradgradcheck(lambda x: Rotate.apply(x, cos, sin), (x,))
