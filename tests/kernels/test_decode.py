"""The kernels for one new token a row, and products with quantised weights."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import pytest

from minillm.backend import get_num_threads, set_num_threads, to_device, to_numpy
from minillm.kernels.cpu.quantized import widened


def draw(*shapes: tuple[int, ...], dtype: str = "float32", seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def close(dtype: str) -> dict[str, float]:
    return {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-10, "atol": 1e-12}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_and_norms(kernels: ModuleType, device: str, rows: int, bias: bool, dtype: str) -> None:
    x, w, b, norm = draw((rows, 33), (7, 33), (7,), (33,), dtype=dtype)
    b, shift = (b, norm[::-1].copy()) if bias else (None, None)
    there = [None if a is None else to_device(a, device) for a in (x, w, b, norm, shift)]
    y = to_numpy(kernels.token_linear(*there[:3]))
    np.testing.assert_allclose(y, x @ w.T + (b if bias else 0), **close(dtype))
    y = to_numpy(kernels.token_layer_norm(there[0], there[3], there[4], 1e-5))
    exact = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5) * norm
    np.testing.assert_allclose(y, exact + (shift if bias else 0), **close(dtype))
    y = to_numpy(kernels.token_rms_norm(there[0], there[3], 1e-5))
    np.testing.assert_allclose(y, x / np.sqrt((x * x).mean(1, keepdims=True) + 1e-5) * norm, **close(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 2, 1, 8), (2, 3, 4, 5), (0, 2, 1, 8)])
@pytest.mark.parametrize("length", [1, 7, 20])
@pytest.mark.parametrize("masked", [None, "each", "one for all"])
@pytest.mark.parametrize("size", [1.0, 1000.0])
def test_attention(
    kernels: ModuleType, device: str, shape: tuple[int, ...], length: int, masked: str | None, size: float, dtype: str
) -> None:
    B, H, _, D = shape
    q, keys, values = draw(shape, (B, H, 20, D), (B, H, 20, D), dtype=dtype)
    keys[:, :, length:], values[:, :, length:] = np.nan, np.nan  # what is not written yet
    mask = None
    if masked:
        mask = np.random.default_rng(1).random((B if masked == "each" else 1, 1, 1, length)) > 0.4
        mask[:1] = False  # a row that may look nowhere
    scores = size * q @ keys[:, :, :length].swapaxes(2, 3)
    if mask is not None:
        scores = np.where(mask, scores, -math.inf)
    top = scores.max(axis=3, keepdims=True)
    p = np.exp(scores - np.where(np.isfinite(top), top, 0))
    total = p.sum(axis=3, keepdims=True)
    exact = p @ values[:, :, :length] / np.where(total == 0, 1, total)
    there = (to_device(a, device) for a in (q, keys, values))
    y = kernels.token_attention(*there, length, size, None if mask is None else to_device(mask, device))
    np.testing.assert_allclose(to_numpy(y), exact, rtol=1e-3 if dtype == "float32" else 1e-9, atol=2e-5)


@pytest.mark.parametrize("kind", ["int8", "bfloat16"])
@pytest.mark.parametrize("rows", [0, 1, 3, 20])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7, 33), (300, 300), (5, 1), (0, 4), (4, 0)])
def test_quantized_linear(
    kernels: ModuleType, device: str, threads: int, monkeypatch: pytest.MonkeyPatch, kind: str, rows: int, bias: bool,
    shape: tuple[int, int],
) -> None:  # fmt: skip
    if kernels.__name__.endswith("fast"):
        import importlib

        monkeypatch.setattr(importlib.import_module("minillm.kernels.fast.quantized"), "_TILE", 999)
    x, w, b = draw((rows, shape[1]), shape, (shape[0],))
    w[:1] = 0  # a row without a largest number
    weight, scale = (to_numpy(a) for a in kernels.quantize(to_device(w, device), kind))
    wide = weight * scale[:, None]
    if kind == "bfloat16":
        wide = (weight.view("uint16").astype("uint32") << 16).view("float32")
    # Half a step at most: a 127th of the largest number of the row, a 256th of the number itself.
    step = np.abs(w).max(axis=1, keepdims=True, initial=0) / 127 if kind == "int8" else np.abs(w) / 128
    assert (np.abs(wide - w) <= step * 0.5001).all()
    there = (to_device(a, device) for a in (x, weight, scale))
    y = to_numpy(kernels.quantized_linear(*there, to_device(b, device) if bias else None))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, x @ wide.T.astype("float64") + (b if bias else 0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rows", [1, 5, 70])
@pytest.mark.parametrize("kind", ["int8", "bfloat16"])
def test_large_quantized_weights_are_shared_by_the_threads(
    kernels: ModuleType, threads: int, kind: str, rows: int
) -> None:
    x, w, b = draw((rows, 300), (1501, 300), (1501,))
    weight, scale = kernels.quantize(w, kind)
    exact = x @ widened(weight, scale).T.astype("float64") + b
    np.testing.assert_allclose(kernels.quantized_linear(x, weight, scale, b), exact, rtol=1e-3, atol=1e-3)
    turned, wide = np.asfortranarray(weight), x.astype("float64")  # what the compiled loops leave to the plain form
    np.testing.assert_allclose(kernels.quantized_linear(wide, turned, scale, b), exact, rtol=1e-5, atol=1e-5)


def test_results_do_not_depend_on_the_number_of_threads(kernels: ModuleType) -> None:
    x, w, b = draw((1, 300), (2003, 300), (2003,))
    q, keys, values = draw((2, 12, 1, 64), (2, 12, 40, 64), (2, 12, 40, 64))
    weight, scale = kernels.quantize(w, "int8")
    before, results = get_num_threads(), []
    try:
        for number in (1, 2, 3):
            set_num_threads(number)
            results.append((
                kernels.token_linear(x, w, b),
                kernels.quantized_linear(x, weight, scale, b),
                kernels.token_attention(q, keys, values, 33, 0.1, None),
            ))  # fmt: skip
    finally:
        set_num_threads(before)
    # OpenBLAS, which multiplies in the plain form, adds in an order that depends on the threads.
    tolerance = {"rtol": 0, "atol": 0} if kernels.__name__.endswith("fast") else {"rtol": 1e-4, "atol": 1e-4}
    for arrays in results[1:]:
        for got, wanted in zip(arrays, results[0], strict=True):
            np.testing.assert_allclose(got, wanted, **tolerance)


def test_bfloat16_rounds_to_even(kernels: ModuleType) -> None:
    steps = np.array([[1, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, -1 - 3 * 2**-8]], "float32")
    bits, _ = kernels.quantize(steps, "bfloat16")
    wide = (bits.view("uint16").astype("uint32") << 16).view("float32")
    assert wide.tolist() == [[1, 1, 1 + 2**-6, 1 + 2**-7, -1 - 2**-6]]
