from __future__ import annotations

import numpy as np
import pytest


@pytest.mark.parametrize("size", [0, 1, 1000, 40_000, 100_003])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums(size, dtype, kernels, threads):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(size).astype(dtype), rng.standard_normal(size).astype(dtype)
    wanted = a + b
    y = kernels.add(a, b)
    np.testing.assert_array_equal(y, wanted)
    assert not np.shares_memory(y, a)
    kernels.add_to(a, b)
    np.testing.assert_array_equal(a, wanted)


def test_sums_of_views_and_of_what_broadcasts(kernels, threads):
    a, b = np.ones((300, 400), "float32"), np.arange(300 * 400, dtype="float32").reshape(400, 300)
    np.testing.assert_array_equal(kernels.add(a, b.T), a + b.T)
    np.testing.assert_array_equal(kernels.add(a, b[0, 0]), a + b[0, 0])
    np.testing.assert_array_equal(kernels.add(a, b.reshape(-1)[:400]), a + b.reshape(-1)[:400])
    kernels.add_to(a, b.T)
    np.testing.assert_array_equal(a, 1 + b.T)
