"""Tensors from values."""

from __future__ import annotations

import numpy as np

import minillm


def test_a_number_of_numpys_becomes_an_array():
    for tensor in (minillm.tensor(np.float64(3)), minillm.Tensor(np.float32(3))):
        assert isinstance(tensor.array, np.ndarray)
        assert tensor.item() == 3
    assert minillm.tensor(np.float64(3)).dtype == minillm.float64
