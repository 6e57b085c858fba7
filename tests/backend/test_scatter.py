from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minillm.backend import scatter, scatter_add, to_device, to_numpy

DEVICES = ["cpu", "strict"]


def moved(index: Any, device: str) -> Any:
    if isinstance(index, tuple):
        return tuple(moved(part, device) for part in index)
    return to_device(index, device) if isinstance(index, np.ndarray) else index


def added(array: np.ndarray[Any, Any], index: Any, values: Any, device: str) -> Any:
    """The array after scatter_add on a device."""
    result = to_device(array.copy(), device)
    values = moved(values, device)
    scatter_add(result, moved(index, device), values)
    return to_numpy(result)


rng = np.random.default_rng(0)
CASES = {
    "vector": ((5,), rng.integers(-5, 5, 20)),
    "rows": ((5, 3), rng.integers(-5, 5, 20)),
    "rows by a matrix": ((5, 3, 2), rng.integers(-5, 5, (4, 6))),
    "rows in a tuple": ((5, 3), (rng.integers(0, 5, 20),)),
    "one row": ((5, 3), np.array(2)),
    "columns": ((4, 5, 3), (slice(None), rng.integers(-5, 5, 9))),
    "columns of a piece": ((4, 5, 3), (slice(1, 3), rng.integers(-5, 5, 9), slice(None, None, 2))),
    "last axis": ((4, 5, 3), (..., rng.integers(-3, 3, (2, 5)))),
    "several axes": ((4, 5, 3), (rng.integers(-4, 4, (2, 1)), rng.integers(-5, 5, 7))),
    "with a new axis": ((4, 5), (rng.integers(0, 4, (2, 1)), None, rng.integers(0, 5, 7))),
    "with a number": ((4, 5), (1, rng.integers(0, 5, 9))),
    "integers and a mask": ((3, 4), (np.array([2, 2]), np.array([True, False, False, True]))),
    "gather": ((3, 4), (np.arange(3)[:, None], rng.integers(0, 4, (3, 6)))),
    "mask": ((4, 5), rng.random((4, 5)) > 0.5),
    "slice": ((4, 5), slice(1, 3)),
    "slices": ((4, 5), (slice(1, 3), slice(None, None, 2))),
    "number": ((4, 5), 2),
    "everything": ((4, 5), ...),
    "list": ((5, 3), [1, 4, 1, -1]),
    "list in a tuple": ((5, 3), ([1, 4, 1, -1], 2)),
    "empty list": ((5, 3), []),
    "nothing": ((5, 3), np.zeros((0,), int)),
    "nothing of nothing": ((0, 3), np.zeros((0,), int)),
    "rows without width": ((3, 0), np.array([1, 1])),
    "uint8": ((5, 3), np.array([1, 4, 1], "uint8")),
    "int32": ((5, 3), np.array([1, -4, 1], "int32")),
}  # fmt: skip


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CASES)
def test_same_as_add_at(name: str, device: str) -> None:
    shape, index = CASES[name]
    array = rng.standard_normal(shape)
    values = rng.standard_normal(array[index].shape)
    expected = array.copy()
    np.add.at(expected, index, values)
    np.testing.assert_allclose(added(array, index, values, device), expected, atol=1e-12)
    np.add.at(expected := array.copy(), index, 2.0)
    np.testing.assert_allclose(added(array, index, 2.0, device), expected, atol=1e-12)


@pytest.mark.parametrize("device", DEVICES)
@given(data=st.data())
def test_any_index(device: str, data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(max_dims=3, max_side=4))
    index = data.draw(hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2)))
    index = index[: data.draw(st.integers(1, len(index)))]
    values = rng.integers(-9, 9, np.zeros(shape)[index].shape)
    expected = np.zeros(shape, dtype=np.int64)
    np.add.at(expected, index, values)
    got = added(np.zeros(shape, dtype=np.int64), index, values, device)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "int32", "uint8"])
@pytest.mark.parametrize("tile", [1, 7, 32768])
def test_dtypes_and_tiles(
    dtype: str, device: str, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scatter, "_TILE", tile)
    index = rng.integers(0, 6, 40)
    values = rng.integers(0, 4, (40, 5)).astype(dtype)
    got = added(np.zeros((6, 5), dtype), index, values, device)
    expected = np.stack([values[index == i].sum(axis=0) for i in range(6)])
    assert got.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(got, expected.astype(dtype))


@pytest.mark.parametrize("device", DEVICES)
def test_narrower_values_are_widened(device: str) -> None:
    index = np.array([0, 0, 1])
    got = added(np.zeros(2, "float32"), index, np.array([1, 2, 3], "int8"), device)
    np.testing.assert_array_equal(got, np.array([3, 3], "float32"))
    got = added(np.zeros(2, "float32"), index, np.array([1.5, 2, 3]), device)
    np.testing.assert_array_equal(got, np.array([3.5, 3], "float32"))


@pytest.mark.parametrize("device", DEVICES)
def test_values_broadcast(device: str) -> None:
    index = np.array([0, 2, 0])
    got = added(np.zeros((3, 2)), index, np.array([1.0, 2.0]), device)
    np.testing.assert_array_equal(got, [[2, 4], [0, 0], [1, 2]])
    with pytest.raises(ValueError, match=r"broadcast|shape"):
        added(np.zeros((3, 2)), index, np.ones((4, 2)), device)


@pytest.mark.parametrize("device", DEVICES)
def test_arrays_that_are_not_contiguous(device: str) -> None:
    whole = to_device(np.zeros((4, 6)), device)
    view = whole.T[::2]  # (3, 4)
    scatter_add(view, to_device(np.array([2, 0, 2]), device), 1.0)
    expected = np.zeros((4, 6))
    expected[:, 4], expected[:, 0] = 2, 1
    np.testing.assert_array_equal(to_numpy(whole), expected)


@pytest.mark.parametrize("device", DEVICES)
def test_not_a_number_stays_in_its_place(device: str) -> None:
    values = np.array([1.0, np.nan, 2.0, np.inf, 3.0])
    got = added(np.zeros(4), np.array([0, 1, 0, 2, 3]), values, device)
    np.testing.assert_array_equal(got, [3.0, np.nan, np.inf, 3.0])


@pytest.mark.parametrize("device", DEVICES)
def test_the_same_bits_on_every_run(device: str) -> None:
    index = rng.integers(0, 9, 500)
    values = rng.standard_normal((500, 4)).astype("float32")
    first = added(np.zeros((9, 4), "float32"), index, values, device)
    for _ in range(3):
        again = added(np.zeros((9, 4), "float32"), index, values, device)
        assert again.tobytes() == first.tobytes()
    exact = np.zeros((9, 4))
    np.add.at(exact, index, values.astype("float64"))
    np.testing.assert_allclose(first, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_a_place_out_of_range(device: str) -> None:
    for index in (np.array([0, 3]), np.array([-4, 0]), (slice(None), np.array([0, 2]))):
        with pytest.raises(IndexError, match=r"out of range|out of bounds"):
            added(np.zeros((3, 2)), index, 1.0, device)


def test_out_of_range_changes_nothing() -> None:
    array = np.zeros((3, 2))
    with pytest.raises(IndexError, match="scatter_add: index 3 is out of range for an axis of size 3"):
        scatter_add(array, np.array([0, 3]), 1.0)
    with pytest.raises(IndexError, match="scatter_add: index -4"):
        scatter_add(array, np.array([0, -4]), 1.0)
    assert not array.any()


@pytest.mark.parametrize("device", DEVICES)
def test_values_of_a_wrong_kind(device: str) -> None:
    with pytest.raises(TypeError, match="cannot add float64 values to an int64 array"):
        added(np.zeros(3, int), np.array([0]), np.array([1.5]), device)


def test_no_array() -> None:
    with pytest.raises(TypeError, match="needs an array"):
        scatter_add([0.0], np.array([0]), 1.0)
