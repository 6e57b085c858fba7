"""What the table of creation cannot say: copies, devices, unwritten memory."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm.autograd.errors import OperationTypeError


def test_tensor_copies_and_as_tensor_does_not():
    array = np.zeros(2, "float32")
    copied, shared, viewed = minillm.tensor(array), minillm.as_tensor(array), minillm.from_numpy(array)
    array[0] = 5
    assert copied.tolist() == [0, 0]
    assert shared.tolist() == viewed.tolist() == [5, 0]
    x = minillm.ones(2)
    assert minillm.as_tensor(x) is x
    assert minillm.as_tensor(x, dtype="float64").dtype == "float64"
    assert minillm.tensor(x) is not x
    assert minillm.Tensor([1.0, 2.0]).tolist() == [1, 2]
    assert minillm.Tensor(requires_grad=True).requires_grad
    with pytest.raises(OperationTypeError, match=r"from_numpy: got list; it needs a NumPy array"):
        minillm.from_numpy([1.0])


def test_from_what_else(device):
    assert minillm.tensor(np.float64(2)).dtype == "float64"
    assert minillm.tensor(np.arange(2, dtype="int16")).dtype == "int16"
    assert minillm.tensor([minillm.tensor(1.0), minillm.tensor(2.0)]).tolist() == [1, 2]
    assert minillm.tensor([np.zeros(2), np.ones(2)]).dtype == "float64"
    assert minillm.tensor(((1, 2), (3, 4))).shape == (2, 2)
    assert minillm.tensor(range(3)).tolist() == [0, 1, 2]
    with pytest.raises(OperationTypeError, match=r"tensor: got .* values; it needs numbers or booleans"):
        minillm.tensor([1j])
    assert minillm.full((2,), minillm.tensor(3.0)).tolist() == [3, 3]


def test_devices(device):
    for made in (
        minillm.zeros(2), minillm.tensor([1.0]), minillm.arange(3), minillm.eye(2), minillm.randn(2),
        minillm.randint(5, (2,)),
        minillm.empty(2), minillm.linspace(0, 1, 2), minillm.randperm(3), minillm.zeros_like(minillm.ones(2)),
    ):  # fmt: skip
        assert str(made.device) == device
    assert str(minillm.zeros(2, device="cpu").device) == "cpu"
    assert str(minillm.zeros_like(minillm.zeros(2, device="cpu")).device) == "cpu"


def test_an_array_stays_where_it_is():
    moved = minillm.zeros(2, device="strict")
    assert str(minillm.tensor(moved).device) == "strict"
    assert str(minillm.tensor(moved.array).device) == "strict"
    with minillm.device("strict"):
        assert str(minillm.tensor(np.zeros(2)).device) == "strict"


def test_unwritten_memory(device):
    x = minillm.empty(2, 3, dtype="int64", requires_grad=False)
    assert (x.shape, x.dtype) == ((2, 3), "int64")
    y = minillm.empty_like(minillm.ones(4, dtype="float16"))
    assert (y.shape, y.dtype) == ((4,), "float16")
    if device == "strict":  # what is read before it is written shows itself
        assert minillm.empty(2).isnan().all()
