"""The compiled kernels against the plain ones: odd shapes and layouts, every dtype, what is not finite, threads."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minillm.backend import get_num_threads, set_num_threads
from minillm.kernels import cpu

pytest.importorskip("numba", reason="needs numba (extra: fast)")
fast = importlib.import_module("minillm.kernels.fast")
elementwise = importlib.import_module("minillm.kernels.fast.elementwise")

SHAPES = [(1, 1), (3, 1), (1, 7), (5, 16), (4, 65), (37, 33), (2, 1000), (300, 40), (0, 5), (1, 70_001)]
EXTREMES = [np.inf, -np.inf, np.nan, 1e30, -1e30, 3e38, 1e-40, -1e-40, 0.0, -0.0, 88.5, -88.5, 100.0, -104.0]

Kernels = Any
Results = tuple[Any, ...]


class Numbers:
    """Draws the arrays of a case, all in one dtype, ordinary or extreme."""

    def __init__(self, dtype: str, extreme: bool = False, layout: str = "C") -> None:
        self.rng = np.random.default_rng(0)
        self.dtype, self.extreme, self.layout = dtype, extreme, layout

    def __call__(self, *shape: int) -> np.ndarray:
        x = self.rng.uniform(-4, 4, shape)
        if self.extreme and x.size:
            flat = x.reshape(-1)
            places = self.rng.permutation(flat.size)[: len(EXTREMES)]
            flat[places] = self.rng.permutation(EXTREMES)[: len(places)]
        with np.errstate(over="ignore"):
            return self.laid_out(x.astype(self.dtype))

    def laid_out(self, x: np.ndarray) -> np.ndarray:
        if self.layout == "strided":
            wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
            wide[..., ::2] = x
            return wide[..., ::2]
        return np.asarray(x, order="F" if self.layout == "turned" else "C")

    def whole(self, high: int, count: int) -> np.ndarray:
        return self.rng.integers(0, max(high, 1), count)


def of_each_element(name: str) -> Callable[..., Results]:
    def results(kernels: Kernels, draw: Numbers, rows: int, n: int) -> Results:
        x, dy = draw(rows, n), draw(rows, n)
        y, saved = getattr(kernels, name)(x, True)
        alone, nothing = getattr(kernels, name)(x, False)
        assert nothing is None
        return y, alone, getattr(kernels, f"{name}_backward")(dy, saved)

    return results


def erf(kernels: Kernels, draw: Numbers, rows: int, n: int) -> Results:
    return (kernels.erf(draw(rows, n)),)


def dropout(kernels: Kernels, draw: Numbers, rows: int, n: int) -> Results:
    x = draw(rows, n)
    return (kernels.dropout(x, draw.rng.random(x.shape) > 0.3, 1.25),)


def softmax(kernels: Kernels, draw: Numbers, rows: int, n: int) -> Results:
    x, dy = draw(rows, n), draw(rows, n)
    results: Results = ()
    for name in ("softmax", "log_softmax"):
        for dim in (-1, 0):
            y = getattr(kernels, name)(x, dim)
            given = getattr(cpu, name)(np.clip(x, -50, 50), dim)  # of both sets the same
            results += (y, getattr(kernels, f"{name}_backward")(dy, given, dim))
    return results


def cross_entropy(kernels: Kernels, draw: Numbers, rows: int, n: int) -> Results:
    x, target, weight = draw(rows, n), draw.whole(n, rows), np.abs(draw.rng.uniform(0.5, 2, n)).astype(draw.dtype)
    target[::3] = -100
    results: Results = ()
    for settings in ((None, -100, 0.0, True), (weight, -100, 0.1, False), (None, -100, 0.2, False)):
        results += kernels.cross_entropy(x, target, *settings, True)
        results += kernels.cross_entropy(x, target, *settings, False)[:2]
    return results


def layer_norm(kernels: Kernels, draw: Numbers, rows: int, n: int) -> Results:
    x, dy, weight, bias = draw(rows, n), draw(rows, n), draw(n), draw(n)
    y, mean, rstd = kernels.layer_norm(x, weight, bias, 1e-5)
    plain = kernels.layer_norm(x, None, None, 1e-5)
    back = kernels.layer_norm_backward(dy, x, weight, mean, rstd, True)
    return (y, mean, rstd, *plain, *back, kernels.layer_norm_backward(dy, x, None, mean, rstd, False)[0])


def rms_norm(kernels: Kernels, draw: Numbers, rows: int, n: int) -> Results:
    x, dy, weight = draw(rows, n), draw(rows, n), draw(n)
    y, rstd = kernels.rms_norm(x, weight, 1e-5)
    plain = kernels.rms_norm(x, None, 1e-5)
    back = kernels.rms_norm_backward(dy, x, weight, rstd, True)
    return (y, rstd, *plain, *back, kernels.rms_norm_backward(dy, x, None, rstd, False)[0])


def embedding(kernels: Kernels, draw: Numbers, rows: int, n: int) -> Results:
    weight, places, dy = draw(11, n), draw.whole(11, rows), draw(rows, n)
    gradients = [kernels.embedding_backward(dy, places, 11, *s) for s in ((None, False), (2, False), (None, True))]
    return (kernels.embedding(weight, places), *gradients)


def linear(kernels: Kernels, draw: Numbers, rows: int, n: int) -> Results:
    n = min(n, 1000)
    x, weight, bias, dy = draw(rows, n), draw(300, n), draw(300), draw(rows, 300)
    return (
        kernels.linear(x, weight, bias),
        kernels.linear(x[None], weight, bias),
        kernels.linear(x, weight, None),
        *kernels.linear_backward(dy, x, weight, True),
    )


def linear_gelu(kernels: Kernels, draw: Numbers, rows: int, n: int) -> Results:
    n = min(n, 1000)
    x, weight, bias = draw(rows, n), draw(300, n), draw(300)
    return tuple(kernels.linear_gelu(x, weight, b, tanh, False)[0] for b in (bias, None) for tanh in (False, True))


def matmul(kernels: Kernels, draw: Numbers, rows: int, n: int) -> Results:
    n = min(n, 1000)
    a, b, stack = draw(rows, n), draw(n, 70), draw(3, rows, n)
    return kernels.matmul(a, b), kernels.matmul(stack, b), kernels.matmul(stack[:, None], b[None, None])


def add(kernels: Kernels, draw: Numbers, rows: int, n: int) -> Results:
    a, b = draw(rows, n), draw(rows, n)
    total = a.copy()
    kernels.add_to(total, b)
    return kernels.add(a, b), kernels.add(a, b[:1]), total


def adam(kernels: Kernels, draw: Numbers, rows: int, n: int) -> Results:
    numbers = {"step": 3, "lr": 0.01, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8}
    results: Results = ()
    for decay, decoupled, maximize, amsgrad in (
        (0.0, False, False, False), (0.1, True, False, False), (0.1, False, True, False), (0.1, False, False, True),
    ):  # fmt: skip
        param, grad, m, v, top = draw(rows, n), draw(rows, n), draw(rows, n), abs(draw(rows, n)), abs(draw(rows, n))
        settings = {"weight_decay": decay, "decoupled": decoupled, "maximize": maximize}
        kernels.adam(param, grad, m, v, top if amsgrad else None, **numbers, **settings)
        results += (param, m, v)
    return results


def sgd(kernels: Kernels, draw: Numbers, rows: int, n: int) -> Results:
    results: Results = ()
    for momentum, dampening, decay, nesterov, maximize, first in (
        (0.0, 0.0, 0.0, False, False, False), (0.0, 0.0, 0.1, False, True, False), (0.9, 0.1, 0.1, False, False, False),
        (0.9, 0.0, 0.0, True, True, False), (0.9, 0.0, 0.1, False, False, True),
    ):  # fmt: skip
        param, grad, buffer = draw(rows, n), draw(rows, n), draw(rows, n)
        kernels.sgd(
            param, grad, buffer if momentum else None, lr=0.01, momentum=momentum, dampening=dampening,
            weight_decay=decay, nesterov=nesterov, maximize=maximize, first=first,
        )  # fmt: skip
        results += (param, buffer)
    return results


def with_averages(name: str, size: dict[str, float], **other: bool) -> Callable[..., Results]:
    def results(kernels: Kernels, draw: Numbers, rows: int, n: int) -> Results:
        numbers = {"beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "lr": 0.01, **size, **other}
        done: Results = ()
        for decay, decoupled, maximize in ((0.0, False, False), (0.1, True, False), (0.1, False, True)):
            param, grad, m, v = draw(rows, n), draw(rows, n), draw(rows, n), abs(draw(rows, n))
            settings = {"weight_decay": decay, "decoupled": decoupled, "maximize": maximize}
            getattr(kernels, name)(param, grad, m, v, **numbers, **settings)
            done += (param, m, v)
        return done

    return results


def rmsprop(kernels: Kernels, draw: Numbers, rows: int, n: int) -> Results:
    results: Results = ()
    for decay, maximize, others in ((0.0, False, False), (0.1, True, False), (0.0, False, True)):
        param, grad, buffer, mean = (draw(rows, n) for _ in range(4))
        v = abs(draw(rows, n)) + 40  # more than the square of the mean
        kernels.rmsprop(
            param, grad, v, buffer if others else None, mean if others else None, lr=0.01, alpha=0.9, eps=1e-8,
            weight_decay=decay, momentum=0.9, maximize=maximize,
        )  # fmt: skip
        results += (param, v)
    return results


def adagrad(kernels: Kernels, draw: Numbers, rows: int, n: int) -> Results:
    results: Results = ()
    for decay, maximize in ((0.0, False), (0.1, True)):
        param, grad, v = draw(rows, n), draw(rows, n), abs(draw(rows, n))
        kernels.adagrad(param, grad, v, lr=0.01, eps=1e-8, weight_decay=decay, maximize=maximize)
        results += (param, v)
    return results


CASES = {
    **{name: of_each_element(name) for name in ("gelu", "gelu_tanh", "silu")},
    **{
        case.__name__: case
        for case in (erf, dropout, softmax, cross_entropy, layer_norm, rms_norm, embedding, linear, linear_gelu, matmul)
    },
    **{case.__name__: case for case in (add, adam, sgd)},
    "nadam": with_averages("nadam", {"correction2": 0.02, "grad_size": 0.01, "momentum_size": 0.02}),
    "radam": with_averages("radam", {"size": 0.01}, rectified=True),
    "radam, not rectified": with_averages("radam", {"size": 0.01}, rectified=False),
    "rmsprop": rmsprop,
    "adagrad": adagrad,
}
OF_ANOTHER_TABLE = ("attention", "gru", "lstm", "rnn", "rotary", "decode", "quantized")


@pytest.fixture(autouse=True)
def _compiled_at_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loops run on small arrays, too, which go to NumPy otherwise."""
    for file, name in (
        ("linear", "_SMALL"), ("matmul", "_SMALL"), ("sums", "_SMALL"), ("dropout", "_SMALL"),
        ("optimizers", "_SMALL_FOR_SGD"), ("more_optimizers", "_SMALL"),
    ):  # fmt: skip
        monkeypatch.setattr(importlib.import_module(f"minillm.kernels.fast.{file}"), name, 0)


def both(name: str, rows: int, n: int, *draw: Any) -> list[tuple[Any, Any]]:
    """Return the results of both sets in pairs."""
    with np.errstate(all="ignore"):
        found = CASES[name](fast, Numbers(*draw), rows, n)
        wanted = CASES[name](cpu, Numbers(*draw), rows, n)
    pairs = list(zip(found, wanted, strict=True))
    for a, b in pairs:
        assert (a is None) == (b is None)
        assert a is None or (a.dtype == b.dtype and a.shape == b.shape)
    return [pair for pair in pairs if pair[0] is not None]


CLOSE = {"float32": (2e-5, 2e-5), "float64": (1e-11, 1e-11), "float16": (2e-2, 1e-2)}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", CLOSE)
def test_odd_shapes(name: str, shape: tuple[int, int], dtype: str) -> None:
    if dtype == "float16" and shape[1] > 2000:
        pytest.skip("sums of so many float16 are not to be compared")
    rtol, atol = CLOSE[dtype]
    pairs = both(name, *shape, dtype)
    # What should be zero is as far from it as the digits of the large numbers that cancel, such as rstd of one number.
    scale = max((float(np.abs(b).max()) for _, b in pairs if b.size and np.isfinite(b).all()), default=1.0)
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol * max(scale, 1.0))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("layout", ["strided", "turned"])
def test_layouts(name: str, layout: str) -> None:
    for a, b in both(name, 37, 33, "float32", False, layout):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-4)


def both_overflow(a: Any, b: Any) -> Any:
    return ~(np.abs(a) < 1e15) & ~(np.abs(b) < 1e15)


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_finite(name: str) -> None:
    """The same places are NaN and infinite, and the others as close as ever."""
    for a, b in both(name, 40, 33, "float32", True):
        if name == "layer_norm":  # where the variance overflows, the plain form subtracts infinities
            b = np.where(np.isnan(a) | ~np.isnan(b), b, a)
        # Where a sum overflows, its order tells whether infinities meet; GELU of what overflows downwards is 0.
        if name in ("linear", "linear_gelu", "matmul"):
            told_by_order = both_overflow(a, b) | ((name == "linear_gelu") & ((a == 0) | (b == 0)))
            b = np.where(told_by_order & ~(np.isfinite(a) & np.isfinite(b)), a, b)
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        usual = np.isfinite(b) & (np.abs(b) < 1e15)
        np.testing.assert_array_equal(a[np.isinf(b)], b[np.isinf(b)])
        np.testing.assert_allclose(a[usual], b[usual], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parts_for_threads(name: str, dtype: str) -> None:
    """Enough numbers for three parts each, with the bits of one."""
    before = get_num_threads()
    try:
        set_num_threads(1)
        alone = CASES[name](fast, Numbers(dtype), 371, 133)
        set_num_threads(3)
        together = CASES[name](fast, Numbers(dtype), 371, 133)
        again = CASES[name](fast, Numbers(dtype), 371, 133)
    finally:
        set_num_threads(before)
    for a, b, c in zip(alone, together, again, strict=True):
        if a is not None:
            np.testing.assert_array_equal(b, c)
            if dtype == "float32":
                np.testing.assert_array_equal(b, a)
            else:  # products of float64 are NumPy's
                np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12)


def test_every_kernel_has_a_case() -> None:
    for kernel, file in fast._FILES.items():
        case = kernel.removesuffix("_backward").removesuffix("_to").removeprefix("log_")
        assert case in CASES or file in OF_ANOTHER_TABLE, f"{kernel} has no case"


def test_a_place_that_is_not_there_is_an_error() -> None:
    x = np.zeros((4, 100), "float32")
    for wrong in (-1, 7):
        with pytest.raises(IndexError, match="an index is not in the table of 7 rows"):
            fast.embedding_backward(x, np.array([0, 1, wrong, 2]), 7, None, False)
    with pytest.raises(IndexError, match="a target is none of the 100 classes"):
        fast.cross_entropy(x, np.array([0, 1, 100, 2]), None, -100, 0.0, True, True)


def test_vectors_are_wide() -> None:
    """In the machine code for processors with registers of 512 bits; elsewhere at least in what LLVM is told."""
    gelu = importlib.import_module("minillm.kernels.fast.gelu")
    code = gelu.gelu_of_vector.py_func
    compiled = importlib.import_module("numba").njit(error_model="numpy", fastmath={"contract"})(code)
    compiled(np.ones(3, "float32"), np.ones(3, "float32"))
    (text,) = compiled.inspect_llvm().values()
    assert '"prefer-vector-width"="512"' in text
