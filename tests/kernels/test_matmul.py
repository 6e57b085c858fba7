"""The operation ``matmul`` in each set of kernels: stacks, views, dimensions that broadcast, against float64."""

from __future__ import annotations

import numpy as np
import pytest

import minillm

SHAPES = [
    ((70, 40), (40, 60)), ((3, 70, 40), (40, 60)), ((2, 3, 70, 40), (2, 3, 40, 60)), ((2, 1, 70, 40), (3, 40, 60)),
    ((70, 40), (5, 40, 60)), ((2, 3, 1, 70, 40), (4, 40, 60)), ((9, 300, 33), (9, 33, 17)), ((40,), (40, 5000)),
    ((200, 3000), (3000,)), ((2, 1, 3000), (3000, 200)), ((3, 2, 700), (3, 700, 90)), ((0, 70, 40), (40, 60)),
    ((1, 70, 40), (1, 40, 60)),
]  # fmt: skip


def views(a):
    """Return an array in order, turned about, and of every second number; they hold the same."""
    turned = np.ascontiguousarray(a.swapaxes(-1, -2)).swapaxes(-1, -2) if a.ndim > 1 else a
    wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
    wide[..., ::2] = a
    return [a, turned, wide[..., ::2]]


@pytest.mark.parametrize("shapes", SHAPES)
def test_products_of_stacks(kernels, threads, shapes):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape, np.float32) for shape in shapes)
    wanted = a.astype("float64") @ b
    for left in views(a):
        for right in views(b):
            got = kernels.matmul(left, right)
            assert got.shape == wanted.shape
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "float64", "int64", "uint8"])
def test_other_dtypes(kernels, dtype):
    a, b = (np.arange(n * m).reshape(n, m) % 2 for n, m in ((90, 50), (50, 80)))
    got = kernels.matmul(a.astype(dtype), b.astype(dtype))
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, a @ b)


def test_shapes_that_do_not_fit(kernels):
    for a, b in [((70, 40), (41, 60)), ((3, 70, 40), (2, 40, 60)), ((2, 3, 70, 40), (4, 40, 60))]:
        with pytest.raises(ValueError, match=r"matmul|broadcast"):
            kernels.matmul(np.ones(a, np.float32), np.ones(b, np.float32))


def test_gradients_of_a_stack():
    rng = np.random.default_rng(0)
    arrays = (rng.standard_normal(shape, np.float32) for shape in ((4, 3, 40, 64), (3, 64, 50)))
    a, b = (minillm.tensor(array, requires_grad=True) for array in arrays)
    dy = rng.standard_normal((4, 3, 40, 50), np.float32)
    (a @ b).backward(minillm.tensor(dy))
    wanted = dy.astype("float64") @ b.detach().numpy().swapaxes(1, 2)
    np.testing.assert_allclose(a.grad.numpy(), wanted, rtol=1e-4, atol=1e-4)
    wanted = (a.detach().numpy().astype("float64").swapaxes(2, 3) @ dy).sum(0)
    np.testing.assert_allclose(b.grad.numpy(), wanted, rtol=1e-4, atol=2e-4)
