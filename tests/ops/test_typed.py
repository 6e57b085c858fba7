"""The names of PyTorch's first years make and tell what they did there."""

from __future__ import annotations

import pytest

import minillm
from minillm.autograd.errors import OperationTypeError

NAMES = [
    "FloatTensor", "DoubleTensor", "HalfTensor", "LongTensor", "IntTensor", "ShortTensor", "CharTensor", "ByteTensor",
    "BoolTensor",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_they_make_and_tell_what_pytorch_makes_and_tells(name):
    torch = pytest.importorskip("torch")
    ours, theirs = getattr(minillm, name), getattr(torch, name)
    for values in ([1, 0, 3], [[1, 2], [3, 4]], [], [True, False]):
        made = ours(values)
        assert made.tolist() == theirs(values).tolist()
        assert str(made.dtype) == str(theirs(values).dtype).removeprefix("torch.")
        assert isinstance(made, ours)
        assert made.type() == theirs(values).type()
        assert [isinstance(made, getattr(minillm, n)) for n in NAMES] == [n == name for n in NAMES]
    assert ours(2, 3).shape == theirs(2, 3).shape
    assert ours().shape == theirs().shape == (0,)
    given = [0.0, 1.0, 2.0]
    for converted in (minillm.tensor(given).type(ours), minillm.tensor(given).type(f"torch.{name}")):
        assert converted.tolist() == torch.tensor(given).type(theirs).tolist()
        assert isinstance(converted, ours)


def test_a_dtype_is_a_type_too():
    x = minillm.tensor([1.5, 2.0], requires_grad=True)
    assert x.type(minillm.int64).tolist() == [1, 2]
    assert x.type("float32") is x
    assert x.type(minillm.DoubleTensor).requires_grad


def test_what_is_none_of_them():
    assert not isinstance([1.0], minillm.FloatTensor)
    assert not isinstance(minillm.ones(1, device="strict"), minillm.FloatTensor)
    assert minillm.ones(1, device="strict").type() == "torch.strict.FloatTensor"
    assert minillm.ones(1, device="strict").type(minillm.FloatTensor).device.type == "cpu"
    with pytest.raises(OperationTypeError, match="LongTensor: got 2 arguments; it needs values, or sizes"):
        minillm.LongTensor([1], [2])
    with pytest.raises(OperationTypeError, match=r"type: got 'torch\.ComplexTensor'; known are FloatTensor"):
        minillm.ones(1).type("torch.ComplexTensor")


def test_is_tensor_and_size():
    assert minillm.is_tensor(minillm.nn.Parameter(minillm.ones(1)))
    assert not minillm.is_tensor(minillm.ones(1).numpy())
    assert minillm.ones(2, 3).shape == minillm.Size([2, 3])
    assert isinstance(minillm.ones(2, 3).size(), minillm.Size)
    assert minillm.ones(2, 3).nelement() == 6
