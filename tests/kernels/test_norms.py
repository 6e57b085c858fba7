"""Layer norm and RMS norm: values, and gradients of inputs and parameters, in float64."""

from __future__ import annotations

import numpy as np
import pytest

from minillm.backend import to_device, to_numpy


def values(*shapes, dtype="float64"):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("shape", [(3, 4), (1, 7), (5, 1), (700, 150), (300, 400)])
def test_layer_norm(shape, kernels, device):
    x, w, b, dy = values(shape, shape[1], shape[1], shape)
    args = [to_device(v, device) for v in (x, w, b)]
    y, mean, rstd = kernels.layer_norm(*args, 1e-5)
    xhat = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(to_numpy(y), xhat * w + b, atol=1e-11)
    dx, dw, db = kernels.layer_norm_backward(to_device(dy, device), args[0], args[1], mean, rstd, True)
    g = dy * w
    wanted = g - g.mean(1, keepdims=True) - xhat * (g * xhat).mean(1, keepdims=True)
    wanted /= np.sqrt(x.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(to_numpy(dx), wanted, atol=1e-9)
    np.testing.assert_allclose(to_numpy(dw), (dy * xhat).sum(0), atol=1e-9)
    np.testing.assert_allclose(to_numpy(db), dy.sum(0), atol=1e-9)
    plain, *nothing = kernels.layer_norm_backward(to_device(dy, device), args[0], args[1], mean, rstd, False)
    assert nothing == [None, None]
    assert (to_numpy(plain) == to_numpy(dx)).all()


@pytest.mark.parametrize("shape", [(3, 4), (1, 7), (5, 1), (700, 150), (300, 400)])
def test_rms_norm(shape, kernels, device):
    x, w, dy = values(shape, shape[1], shape)
    y, rstd = kernels.rms_norm(to_device(x, device), to_device(w, device), 1e-5)
    r = 1 / np.sqrt((x * x).mean(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(to_numpy(y), x * r * w, atol=1e-12)
    dx, dw = kernels.rms_norm_backward(*(to_device(v, device) for v in (dy, x, w)), rstd, True)
    g = dy * w
    np.testing.assert_allclose(to_numpy(dx), r * g - x * r**3 * (g * x).mean(1, keepdims=True), atol=1e-10)
    np.testing.assert_allclose(to_numpy(dw), (dy * x * r).sum(0), atol=1e-9)
    assert kernels.rms_norm_backward(*(to_device(v, device) for v in (dy, x, w)), rstd, False)[1] is None


def test_the_buffer_of_numpy_is_put_back(kernels):
    before = np.getbufsize()
    x, w = values((4, 300), 300)
    kernels.rms_norm(x, w, 1e-5)
    with pytest.raises(ValueError, match="broadcast"):
        kernels.layer_norm(x, w[:7], None, 1e-5)
    assert np.getbufsize() == before


@pytest.mark.parametrize("width", [40, 500])
def test_float32_sums_are_close(width, kernels):
    x, w, b, dy = values((600, width), width, width, (600, width))
    narrow = [v.astype("float32") for v in (x, w, b, dy)]
    y, mean, rstd = kernels.layer_norm(x, w, b, 1e-5)
    y32, mean32, rstd32 = kernels.layer_norm(*narrow[:3], 1e-5)
    assert y32.dtype == mean32.dtype == rstd32.dtype == np.float32
    np.testing.assert_allclose(y32, y, atol=3e-6)
    exact = kernels.layer_norm_backward(dy, x, w, mean, rstd, True)
    for got, wanted in zip(
        kernels.layer_norm_backward(narrow[3], narrow[0], narrow[1], mean32, rstd32, True), exact, strict=True
    ):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, wanted, atol=1e-4)
