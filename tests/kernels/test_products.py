"""Matrix products in machine code: any shape, order and view, the same bits on any number of threads."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba", reason="needs numba (extra: fast)")

import minillm
from minillm.kernels.fast.products import affine, affine_gelu, multiply, multiply_and_add_up, multiply_here

SHAPES = [
    (1, 1, 1), (1, 300, 70), (2, 7, 33), (6, 64, 16), (7, 65, 65), (13, 384, 64), (50, 401, 130), (97, 12, 48),
    (5, 40, 2100), (300, 800, 200), (48, 32, 1025),
]  # fmt: skip


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


def test_numbers_that_are_not_finite_stay_where_they_belong():
    a, b = np.ones((13, 20), np.float32), np.ones((20, 70), np.float32)
    a[12, 3], b[4, 69] = np.nan, np.inf
    c = np.empty((13, 70), np.float32)
    multiply(a, b, c, False)
    assert np.isnan(c[12]).all()
    assert np.isinf(c[:12, 69]).all()
    assert (c[:12, :69] == 20).all()
