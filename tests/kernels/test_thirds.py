from __future__ import annotations

import numpy as np

from minillm.kernels.cpu.thirds import empty_thirds, thirds_of_one


def test_thirds_are_known_as_such():
    x = np.arange(2 * 5 * 3 * 4 * 6, dtype="float32").reshape(2, 5, 3 * 4 * 6)
    q, k, v = x.reshape(2, 5, 3, 4, 6).transpose(2, 0, 3, 1, 4)
    np.testing.assert_array_equal(thirds_of_one(q, k, v).reshape(x.shape), x)
    thirds = empty_thirds(q, k, v)
    assert thirds_of_one(*thirds) is not None
    assert not any(np.shares_memory(third, x) for third in thirds)
    assert [third.shape for third in thirds] == [(2, 4, 5, 6)] * 3


def test_what_is_not_thirds_in_this_order():
    x = np.zeros((2, 5, 3, 4, 6), "float32")
    q, k, v = x.transpose(2, 0, 3, 1, 4)
    for three in ((k, q, v), (q, k, k), (q.copy(), k, v), (q, k, v.copy()), (q[:1], k[:1], v[:1])):
        assert thirds_of_one(*three) is None
        assert [a.shape for a in empty_thirds(*three)] == [a.shape for a in three]
    square = np.zeros((2, 6, 3, 4, 6), "float32").transpose(2, 0, 3, 1, 4)
    assert thirds_of_one(*(third.swapaxes(-1, -2) for third in square)) is None  # the same places, turned
    heads = np.zeros((3, 2, 4, 5, 6), "float32")  # one array, in another order
    assert thirds_of_one(*heads) is None
    assert thirds_of_one(None, None, None) is None
