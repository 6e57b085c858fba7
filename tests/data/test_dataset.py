"""Datasets and their splits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.backend import Generator
from minillm.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)


class Numbers(IterableDataset):
    def __iter__(self):
        return iter(range(3))


def test_tensor_dataset_gives_rows():
    data = TensorDataset(np.arange(6).reshape(3, 2), np.array([7, 8, 9]))
    assert len(data) == 3
    row, label = data[2]
    assert row.tolist() == [4, 5]
    assert label == 9


@pytest.mark.parametrize("arrays", [(), (np.zeros(3), np.zeros(4)), (np.float32(1),)])
def test_tensor_dataset_needs_rows_of_one_length(arrays):
    with pytest.raises(ValueError, match="TensorDataset"):
        TensorDataset(*arrays)


@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=6), data=st.data())
def test_concatenation_is_that_of_lists(sizes, data):
    parts = [[(part, i) for i in range(size)] for part, size in enumerate(sizes)]
    whole = ConcatDataset(parts)
    flat = [example for part in parts for example in part]
    assert len(whole) == len(flat)
    if flat:
        index = data.draw(st.integers(-len(flat), len(flat) - 1))
        assert whole[index] == flat[index]
    for index in (len(flat), -len(flat) - 1):
        with pytest.raises(IndexError):
            whole[index]


def test_concatenation_refuses_nothing_and_streams():
    with pytest.raises(ValueError, match="at least one"):
        ConcatDataset([])
    with pytest.raises(TypeError, match="use ChainDataset"):
        ConcatDataset([Numbers()])


def test_streams_are_chained_afresh_each_time():
    chain = Numbers() + Numbers()
    assert isinstance(chain, ChainDataset)
    assert list(chain) == list(chain) == [0, 1, 2, 0, 1, 2]
    with pytest.raises(TypeError, match="no numbered examples"):
        chain[0]


def test_a_dataset_without_the_methods_says_which():
    with pytest.raises(NotImplementedError, match="Dataset must define __getitem__"):
        Dataset()[0]
    with pytest.raises(NotImplementedError, match="IterableDataset must define __iter__"):
        iter(IterableDataset())


def test_subset_numbers_anew():
    part = Subset(range(10), [3, 1, 4])
    assert len(part) == 3
    assert list(part) == [3, 1, 4]


def test_random_split_shares_nothing_and_repeats():
    parts = random_split(range(100), [60, 30, 10], Generator(5))
    assert [len(part) for part in parts] == [60, 30, 10]
    assert sorted(i for part in parts for i in part) == list(range(100))
    again = random_split(range(100), [60, 30, 10], Generator(5))
    assert [part.indices for part in parts] == [part.indices for part in again]
    assert parts[0].indices != list(range(60))


@pytest.mark.parametrize(
    ("size", "lengths"),
    [(1, [1]), (1, [1.0]), (10, [0.7, 0.3]), (10, [1 / 3] * 3), (2, [1, 1]), (1, [0.5, 0.5]),
     (1, [1, 0]), (3, [1.0]), (0, [0]), (7, [0.1] * 10)],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Length of split")
def test_split_sizes_are_those_of_pytorch(size, lengths):
    torch_data = pytest.importorskip("torch.utils.data")
    ours = [len(part) for part in random_split(range(size), lengths)]
    assert ours == [len(part) for part in torch_data.random_split(range(size), lengths)]


@pytest.mark.parametrize("lengths", [[3, 3], [0.5, 0.4], [11, -1], [5.5, 4.5], []])
def test_sizes_that_do_not_add_up_are_an_error(lengths):
    with pytest.raises(ValueError, match="random_split"):
        random_split(range(10), lengths)


def test_datasets_side_by_side_are_those_of_pytorch():
    theirs = pytest.importorskip("torch.utils.data").StackDataset
    for args, named in (((range(3), "abc"), {}), ((), {"x": range(3), "y": "abc"}), (("ab",), {})):
        ours, other = StackDataset(*args, **named), theirs(*args, **named)
        assert len(ours) == len(other)
        assert [ours[i] for i in range(len(ours))] == [other[i] for i in range(len(other))]


def test_datasets_that_do_not_stand_side_by_side():
    for args, named in (((), {}), (("ab",), {"y": "ab"})):
        with pytest.raises(ValueError, match="StackDataset needs datasets, all by name or none"):
            StackDataset(*args, **named)
    with pytest.raises(ValueError, match="all datasets need the same length, got 2, 3"):
        StackDataset("ab", "abc")
