"""Methods that write in place: the result of the operation, in the same memory, and recorded."""

from __future__ import annotations

import numpy as np
import pytest

import minillm

X = [[0.5, 1.5], [2.5, 3.5]]
IN_PLACE = {
    "add_": (2.0,), "sub_": (2.0,), "mul_": (2.0,), "div_": (2.0,), "remainder_": (2.0,), "pow_": (2.0,),
    "clamp_": (1.0, 2.0), "clamp_min_": (1.0,),
    "clamp_max_": (1.0,), "neg_": (), "abs_": (), "exp_": (), "log_": (), "sqrt_": (), "rsqrt_": (),
    "tanh_": (), "sigmoid_": (), "relu_": (), "square_": (),
    "reciprocal_": (), "floor_": (), "ceil_": (), "round_": (), "trunc_": (), "tril_": (), "triu_": (),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_PLACE)
def test_same_as_out_of_place(name, device):
    arguments = IN_PLACE[name]
    x = minillm.tensor(X)
    wanted = getattr(x, name[:-1])(*arguments)
    view = x[0]
    assert getattr(x, name)(*arguments) is x
    np.testing.assert_array_equal(x.tolist(), wanted.tolist())
    assert view.tolist() == wanted[0].tolist()
    leaf = minillm.tensor(X, requires_grad=True)
    written, fresh = leaf * 1, leaf * 1
    getattr(written, name)(*arguments).sum().backward()
    first, leaf.grad = leaf.grad, None
    getattr(fresh, name[:-1])(*arguments).sum().backward()
    np.testing.assert_allclose(first.tolist(), leaf.grad.tolist())


def test_second_derivatives_of_what_was_written_in_place(device):
    x = minillm.tensor([0.5, 1.5], dtype="float64", requires_grad=True)
    writes = [
        lambda y, x: y.log_(), lambda y, x: y.pow_(3), lambda y, x: y.pow_(x), lambda y, x: y.tanh_(),
        lambda y, x: y.mul_(x),
    ]  # fmt: skip
    for write in writes:
        assert minillm.autograd.gradgradcheck(lambda x, write=write: write(x * 1, x), x)


def test_those_with_indices(device):
    index = minillm.tensor([0, 2])
    x = minillm.zeros(3)
    assert x.index_add_(0, index, minillm.ones(2)).tolist() == [1, 0, 1]
    assert x.index_put_((index,), minillm.tensor([5.0, 6.0])).tolist() == [5, 0, 6]
    assert x.scatter_(0, index, 7.0).tolist() == [7, 0, 7]
    assert x.scatter_add_(0, index, minillm.ones(2)).tolist() == [8, 0, 8]
    assert x.lerp_(minillm.zeros(3), 0.5).tolist() == [4, 0, 4]
    assert x.masked_fill_(x > 1, 0.0).tolist() == [0, 0, 0]


def test_operators_that_assign(device):
    x = y = minillm.tensor([5.0, 7.0])
    x **= 2
    x %= 4
    assert y.tolist() == [1, 1]
    mask = same = minillm.tensor([True, False])
    mask &= minillm.tensor([True, True])
    mask |= minillm.tensor([False, True])
    mask ^= minillm.tensor([True, False])
    assert same.tolist() == [False, True]


def test_names_and_words():
    assert minillm.Tensor.add_.__name__ == "add_"
    assert "add" in minillm.Tensor.add_.__doc__


def test_methods_that_only_look(device):
    x = minillm.ones(2, 3)
    assert x.view_as(minillm.ones(6)).shape == (6,)
    assert x.reshape_as(minillm.ones(3, 2)).shape == (3, 2)
    assert minillm.ones(1).expand_as(x).shape == (2, 3)
    assert x.element_size() == 4
    assert x.is_cuda == (device == "cuda")
    assert x.tile(2).shape == (2, 6)
    assert x.tile((2, 1)).shape == (4, 3)
    assert x.where(x > 5, 0.0).sum().item() == 0
    assert x.mT.shape == x.T.shape == x.swapaxes(0, 1).shape == (3, 2)
    assert x.view("int32").dtype == "int32"
    x.diagonal().zero_()  # a view
    assert x.sum().item() == 4
    x[0, 2].fill_(7)
    assert x[0].tolist() == [0, 1, 7]
