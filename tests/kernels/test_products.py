"""Matrix products in machine code: any shape, order and view, the same bits on any number of threads.

All of it by vectors, and by the processor's matrix unit where it has one.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("numba", reason="needs numba (extra: fast)")

import minillm
from minillm.kernels.fast import amx
from minillm.kernels.fast.products import affine, affine_gelu, multiply, multiply_and_add_up, multiply_here

SHAPES = [
    (1, 1, 1), (1, 300, 70), (2, 7, 33), (6, 64, 16), (7, 65, 65), (13, 384, 64), (50, 401, 130), (97, 12, 48),
    (5, 40, 2100), (300, 800, 200), (48, 32, 1025), (32, 32, 32), (33, 31, 47), (70, 1100, 500), (40, 64, 24),
]  # fmt: skip


@pytest.fixture(params=["vectors", "matrix unit"], autouse=True)
def unit(request):
    """Let products use the matrix unit, or not."""
    used = request.param == "matrix unit"
    if used and not amx.is_available():
        pytest.skip("this processor has no matrix unit, or the system keeps it")
    amx.allow(used)
    yield used
    amx.allow(True)


def matrix(rng, rows, columns, order):
    """Return a matrix whose rows or columns lie in order, or neither: a view of every second number."""
    if order == "rows":
        return rng.standard_normal((rows, columns), np.float32)
    if order == "columns":
        return rng.standard_normal((columns, rows), np.float32).T
    return rng.standard_normal((rows, 2 * columns), np.float32)[:, ::2]


@pytest.mark.parametrize("of_b", ["rows", "columns", "neither"])
@pytest.mark.parametrize("of_a", ["rows", "columns", "neither"])
@pytest.mark.parametrize("shape", SHAPES)
def test_products_of_any_order(shape, of_a, of_b):
    rng = np.random.default_rng(0)
    M, K, N = shape
    a, b = matrix(rng, M, K, of_a), matrix(rng, K, N, of_b)
    around = np.full((M + 2, N + 2), 7, np.float32)
    c = around[1:-1, 1:-1]
    wanted = a.astype("float64") @ b
    for run in (multiply, multiply_here):
        c[:] = np.nan
        run(a, b, c, False)
        np.testing.assert_allclose(c, wanted, rtol=1e-4, atol=1e-4)
        run(a, b, c, True)
        np.testing.assert_allclose(c, 2 * wanted, rtol=1e-4, atol=2e-4)
        edge = np.concatenate([around[0], around[-1], around[:, 0], around[:, -1]])
        assert (edge == 7).all(), "something was written beside the result"


@pytest.mark.parametrize("order", ["rows", "columns", "neither"])
@pytest.mark.parametrize("shape", SHAPES)
def test_products_with_sums(shape, order):
    rng = np.random.default_rng(0)
    rows, out, size = shape
    dy, x = matrix(rng, rows, out, order), matrix(rng, rows, size, "rows")
    c, sums = np.empty((out, size), np.float32), np.full(out, np.nan, np.float32)
    multiply_and_add_up(dy, x, c, sums)
    np.testing.assert_allclose(c, dy.T.astype("float64") @ x, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(sums, dy.sum(0, dtype="float64"), rtol=1e-4, atol=1e-4)
    multiply_and_add_up(dy, x, c, sums[:0])
    np.testing.assert_allclose(c, dy.T.astype("float64") @ x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_affine_maps(shape):
    rng = np.random.default_rng(0)
    rows, size, width = shape
    x, weight = matrix(rng, rows, size, "rows"), matrix(rng, width, size, "rows")
    bias = rng.standard_normal(width, np.float32)
    y, h, z = (np.full((rows, width), np.nan, np.float32) for _ in range(3))
    wanted = x.astype("float64") @ weight.T
    affine(x, weight, bias[:0], y)
    np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-4)
    affine(x, weight, bias, y)
    np.testing.assert_allclose(y, wanted + bias, rtol=1e-4, atol=1e-4)
    for tanh in (False, True):
        affine_gelu(x, weight, bias, tanh, h, z)
        np.testing.assert_array_equal(h, y)
        gelu = minillm.nn.functional.gelu(minillm.tensor(y), approximate="tanh" if tanh else "none")
        np.testing.assert_allclose(z, gelu.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(300, 800, 200), (5, 40, 2100), (640, 500, 640), (40, 300, 700)])
def test_the_same_bits_on_any_number_of_threads(shape):
    rng = np.random.default_rng(0)
    M, K, N = shape
    before = minillm.get_num_threads()
    for of_a, of_b in [("rows", "rows"), ("rows", "columns"), ("columns", "rows")]:
        a, b = matrix(rng, M, K, of_a), matrix(rng, K, N, of_b)
        results = []
        try:
            for threads in (1, 2, 3):
                minillm.set_num_threads(threads)
                c, sums = np.empty((M, N), np.float32), np.empty(M, np.float32)
                multiply(a, b, c, False)
                multiply_and_add_up(np.asarray(a.T), b, d := np.empty_like(c), sums)
                results.append((c, d, sums))
        finally:
            minillm.set_num_threads(before)
        for other in results[1:]:
            for ours, theirs in zip(results[0], other, strict=True):
                np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("shape", [(13, 20, 70), (100, 600, 450)])
def test_numbers_that_are_not_finite_stay_where_they_belong(shape):
    M, K, N = shape
    a, b = np.ones((M, K), np.float32), np.ones((K, N), np.float32)
    a[M - 1, 3], b[4, N - 1] = np.nan, np.inf
    c = np.empty((M, N), np.float32)
    multiply(a, b, c, False)
    assert np.isnan(c[M - 1]).all()
    assert np.isposinf(c[: M - 1, N - 1]).all()
    assert (c[: M - 1, : N - 1] == K).all()
    a[M - 1, 3], b[4, N - 1] = -np.inf, 1
    multiply(a, b, c, False)
    assert np.isneginf(c[M - 1]).all()
    assert (c[: M - 1] == K).all()


@pytest.mark.parametrize(("said", "used"), [("0", False), ("off", False), ("1", True), ("", True)])
def test_the_environment_can_leave_the_unit_alone(said, used):
    look = "from minillm.kernels.fast import amx; print(amx._word[0])"
    environment = {**os.environ, "MINILLM_AMX": said}
    run = subprocess.run([sys.executable, "-c", look], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str(int(used and amx.is_available()))


def test_whole_numbers_are_multiplied_exactly():
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-300, 301, shape).astype(np.float32) for shape in ((50, 160), (160, 90)))
    c = np.empty((50, 90), np.float32)
    multiply(a, b, c, False)
    np.testing.assert_array_equal(c, a.astype("int64") @ b.astype("int64"))


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e15])
@pytest.mark.parametrize(("kind", "most"), [("normal", 2**-25), ("positive", 2**-22), ("of all sizes", 2**-23)])
@pytest.mark.parametrize("depth", [700, 8192])
def test_products_are_as_exact_as_sums_of_float32(kind, most, depth, scale):
    """All 24 bits count: without any one of the six products of parts these bounds do not hold."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((64, depth), np.float32), rng.standard_normal((depth, 96), np.float32)
    if kind == "positive":
        a, b = np.abs(a), np.abs(b)
    if kind == "of all sizes":
        a, b = (m * np.exp2(rng.integers(-12, 12, m.shape)).astype(np.float32) for m in (a, b))
    a = a * np.float32(scale)
    c = np.empty((64, 96), np.float32)
    multiply(a, b, c, False)
    exact = a.astype("float64") @ b.astype("float64")
    size = np.abs(a).astype("float64") @ np.abs(b).astype("float64")
    assert (np.abs(c - exact) / size).mean() < most


def test_the_largest_and_smallest_numbers():
    a, b = np.zeros((40, 64), np.float32), np.zeros((64, 48), np.float32)
    np.fill_diagonal(a, 1)
    b[:] = np.float32(3.4028235e38)
    b[5], b[6] = np.float32(1.1754944e-38), np.float32(1.00000012)
    c = np.empty((40, 48), np.float32)
    multiply(a, b, c, False)
    np.testing.assert_array_equal(c, b[:40])
