from __future__ import annotations

import numpy as np
import pytest

from minillm.backend import to_device, to_numpy


@pytest.mark.parametrize(("rows", "width", "count"), [(3, 5, 40), (70_000, 2, 50), (65, 16, 700), (9, 0, 4), (4, 3, 0)])
def test_gradients_of_the_same_row_add_up(rows, width, count, kernels, device):
    rng = np.random.default_rng(0)
    places, dy = rng.integers(0, rows, count), rng.standard_normal((count, width))
    wanted = np.zeros((rows, width))
    np.add.at(wanted, places, dy)
    got = kernels.embedding_backward(to_device(dy, device), to_device(places, device), rows, None, False)
    np.testing.assert_allclose(to_numpy(got), wanted, rtol=1e-12, atol=1e-14)
    again = kernels.embedding_backward(to_device(dy, device), to_device(places, device), rows, None, False)
    assert (to_numpy(got) == to_numpy(again)).all()


def test_float16_is_added_up_in_float32(kernels, device):
    dy = to_device(np.full((5000, 1), 1e-3, "float16"), device)
    got = kernels.embedding_backward(dy, to_device(np.zeros(5000, int), device), 2, None, False)
    assert got.dtype == np.float16
    assert abs(float(got[0, 0]) - 5) < 0.02


def test_padding_and_frequency(kernels, device):
    places, dy = np.array([1, 1, 1, 0, 2]), np.ones((5, 2))
    run = lambda *options: to_numpy(  # noqa: E731
        kernels.embedding_backward(to_device(dy, device), to_device(places, device), 4, *options)
    )[:, 0].tolist()
    assert run(None, False) == [1, 3, 1, 0]
    assert run(1, False) == [1, 0, 1, 0]
    np.testing.assert_allclose(run(None, True), [1, 1, 1, 0])
    np.testing.assert_allclose(run(2, True), [1, 1, 0, 0])
