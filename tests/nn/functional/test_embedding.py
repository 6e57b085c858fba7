from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minillm
import minillm.nn.functional as F
from minillm.autograd.errors import OperationError, OperationIndexError, OperationTypeError


@pytest.mark.parametrize("wrong", [-1, 5, 2**40])
def test_a_number_that_is_not_in_the_table_is_named(device, wrong):
    table = minillm.ones(5, 2)
    with pytest.raises(OperationIndexError, match=rf"embedding: .*the index {wrong} is not in the table.*5 rows"):
        F.embedding(minillm.tensor([[0, wrong], [1, 4]]), table)


def test_an_index_error_is_an_index_error():
    with pytest.raises(IndexError, match="between 0 and 4"):
        F.embedding(minillm.tensor([7]), minillm.ones(5, 2))


def test_an_empty_table_has_no_rows(device):
    assert F.embedding(minillm.zeros(0, dtype="int64"), minillm.ones(0, 2)).shape == (0, 2)
    with pytest.raises(OperationIndexError, match="the index 0 is not in the table, which has 0 rows"):
        F.embedding(minillm.tensor([0]), minillm.ones(0, 2))


def test_floats_are_no_indices():
    with pytest.raises(OperationTypeError, match="embedding: got an input of float32"):
        F.embedding(minillm.ones(2), minillm.ones(5, 2))
    with pytest.raises(OperationTypeError, match="embedding: got an input of bool"):
        F.embedding(minillm.tensor([True]), minillm.ones(5, 2))


def test_the_table_is_a_matrix():
    with pytest.raises(OperationError, match=r"embedding: .*the weight needs two dimensions"):
        F.embedding(minillm.tensor([0]), minillm.ones(5))


def test_sparse_gradients_are_refused():
    with pytest.raises(OperationError, match="sparse=True"):
        F.embedding(minillm.tensor([0]), minillm.ones(5, 2), sparse=True)


@pytest.mark.parametrize("padding_idx", [5, -6])
def test_the_padding_row_is_in_the_table(padding_idx):
    with pytest.raises(OperationIndexError, match=f"padding_idx={padding_idx}"):
        F.embedding(minillm.tensor([0]), minillm.ones(5, 2), padding_idx)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "int16"])
def test_every_type_of_integer_will_do(device, dtype):
    table = minillm.arange(6, dtype="float32").reshape(3, 2).requires_grad_()
    y = F.embedding(minillm.tensor([2, 0, 2], dtype=dtype), table)
    assert y.tolist() == [[4, 5], [0, 1], [4, 5]]
    y.sum().backward()
    assert table.grad.tolist() == [[1, 1], [0, 0], [2, 2]]


@given(
    st.integers(1, 70_000).flatmap(
        lambda rows: st.tuples(st.just(rows), st.lists(st.integers(0, rows - 1) | st.just(0), max_size=30))
    ),
    st.integers(0, 3),
)
def test_gradients_are_sums_by_row(table, width):
    num_rows, tokens = table
    weight = minillm.zeros(num_rows, width, requires_grad=True)
    dy = np.random.default_rng(len(tokens)).standard_normal((len(tokens), width)).astype("float32")
    y = F.embedding(minillm.tensor(tokens, dtype="int64"), weight)
    y.backward(minillm.tensor(dy))
    wanted = np.zeros((num_rows, width), "float32")
    np.add.at(wanted, np.array(tokens, dtype=int), dy)
    np.testing.assert_allclose(weight.grad.numpy(), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm_type", [2.0, 1.0])
def test_long_rows_are_shortened_in_place(device, norm_type):
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(0).standard_normal((6, 3)).astype("float32")
    ours, theirs = minillm.tensor(values, requires_grad=True), torch.tensor(values)
    tokens = [[1, 4], [4, 0]]
    y = F.embedding(minillm.tensor(tokens), ours, None, 1.0, norm_type)
    wanted = torch.nn.functional.embedding(torch.tensor(tokens), theirs, None, 1.0, norm_type)
    np.testing.assert_allclose(y.detach().cpu().numpy(), wanted.numpy(), rtol=1e-5)
    np.testing.assert_allclose(ours.detach().cpu().numpy(), theirs.numpy(), rtol=1e-5)
    assert (ours.detach().cpu().numpy()[[2, 3, 5]] == values[[2, 3, 5]]).all()


def test_a_table_shortened_after_use_is_an_error():
    weight = minillm.full((3, 2), 5.0, requires_grad=True)
    y = weight * weight
    F.embedding(minillm.tensor([0]), weight, max_norm=1.0)
    with pytest.raises(OperationError, match="written to in place"):
        y.sum().backward()


def test_one_hot(device):
    x = minillm.tensor([[0, 2], [1, 1]])
    assert F.one_hot(x).tolist() == [[[1, 0, 0], [0, 0, 1]], [[0, 1, 0], [0, 1, 0]]]
    assert F.one_hot(x, 4).shape == (2, 2, 4)
    assert F.one_hot(x).dtype == minillm.int64
    assert F.one_hot(minillm.zeros(0, dtype="int64"), 3).shape == (0, 3)
    assert F.one_hot(minillm.tensor(1)).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("values", "num_classes", "message"),
    [
        ([0, -1], -1, "from -1 to 0; they need to be not negative"),
        ([0, 3], 3, "from 0 to 3; they need to be between 0 and 2"),
        ([], -1, "needs num_classes"),
    ],
)
def test_one_hot_names_what_does_not_fit(values, num_classes, message):
    with pytest.raises(OperationError, match=message):
        F.one_hot(minillm.tensor(values, dtype="int64"), num_classes)


def test_one_hot_needs_integers():
    with pytest.raises(OperationTypeError, match="one_hot: got float32"):
        F.one_hot(minillm.ones(2))
