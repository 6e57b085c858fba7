"""Joining examples gives what PyTorch gives."""

from collections import namedtuple

import numpy as np
import pytest

import minillm
from minillm.data.collate import default_collate, default_convert

Pair = namedtuple("Pair", ["left", "right"])

CASES = {
    "ints": [1, 2, 3],
    "floats": [1.5, -2.0],
    "bools": [True, False],
    "arrays": [np.arange(6, dtype=np.float32).reshape(2, 3), np.ones((2, 3), np.float32)],
    "uint8": [np.array([1, 2], np.uint8)] * 2,
    "numpy scalars": [np.float32(1), np.float32(2)],
    "numpy doubles": [np.float64(1), np.float64(2)],
    "strings": ["a", "bc"],
    "bytes": [b"a", b"bc"],
    "dicts": [{"x": 1, "y": "one"}, {"x": 2, "y": "two"}],
    "tuples": [(np.zeros(2), 1), (np.ones(2), 0)],
    "named tuples": [Pair(1, "l"), Pair(2, "r")],
    "nested": [{"a": [1, (2.0, "x")]}, {"a": [3, (4.0, "y")]}],
}


def assert_same(ours, theirs):
    torch = pytest.importorskip("torch")
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, minillm.Tensor)
        array = ours.numpy()
        assert str(array.dtype) == str(theirs.dtype).removeprefix("torch.")
        np.testing.assert_array_equal(array, theirs.numpy())
    elif isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key in theirs:
            assert_same(ours[key], theirs[key])
    elif isinstance(theirs, (list, tuple)):
        assert type(ours) is type(theirs)
        assert len(ours) == len(theirs)
        for left, right in zip(ours, theirs, strict=True):
            assert_same(left, right)
    else:
        assert type(ours) is type(theirs)
        assert ours == theirs


@pytest.mark.parametrize("case", CASES)
def test_collate_is_that_of_pytorch(case):
    torch_data = pytest.importorskip("torch.utils.data")
    assert_same(default_collate(CASES[case]), torch_data.default_collate(CASES[case]))


@pytest.mark.parametrize("case", CASES)
def test_convert_is_that_of_pytorch(case):
    torch_data = pytest.importorskip("torch.utils.data")
    for example in CASES[case]:
        assert_same(default_convert(example), torch_data.default_convert(example))


def test_tensors_are_stacked():
    a, b = minillm.tensor([1.0, 2.0]), minillm.tensor([3.0, 4.0])
    assert default_collate([a, b]).numpy().tolist() == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([], "no example"),
        ([np.zeros(2), np.zeros(3)], r"different shapes, \(2,\) and \(3,\)"),
        ([(1, 2), (1, 2, 3)], r"different lengths \(2, 3\)"),
        ([{"a": 1}, {"b": 1}], r"example 1 .* keys \['b'\], the first has \['a'\]"),
        ([2**70, 1], "64 bits"),
    ],
)
def test_what_cannot_be_joined_is_explained(batch, message):
    with pytest.raises(ValueError, match=message):
        default_collate(batch)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([object()], "got object: give DataLoader a collate_fn"),
        ([np.array(["a"])], "array of <U1"),
        ([1, "two"], "int and str in one batch"),
        ([None, None], "got NoneType"),
    ],
)
def test_what_has_no_tensor_form_is_explained(batch, message):
    with pytest.raises(TypeError, match=message):
        default_collate(batch)
