"""What a tensor holds, how it leaves the framework, and how it is written to."""

from __future__ import annotations

import copy
import operator
import weakref

import numpy as np
import pytest

import minillm
from minillm.autograd.errors import OperationError, OperationTypeError
from minillm.nn import Parameter


def leaf(*values: float) -> minillm.Tensor:
    return minillm.tensor(list(values), dtype="float64", requires_grad=True)


# -- what it holds ----------------------------------------------------------------------------------


def test_what_it_holds(device):
    x = minillm.ones(2, 3)
    assert (x.shape, x.ndim, x.dtype, str(x.device)) == ((2, 3), 2, minillm.float32, device)
    assert (x.dim(), x.numel(), x.size(), x.size(-1), len(x)) == (2, 6, (2, 3), 3, 2)
    assert (x.requires_grad, x.is_leaf, x.grad, x.grad_fn) == (False, True, None, None)
    y = leaf(1) * 2
    assert (y.requires_grad, y.is_leaf, y.grad, y.grad_fn.name()) == (True, False, None, "mul")
    assert x.is_contiguous()
    assert not x.T.is_contiguous()
    assert x.is_floating_point()
    assert not (x > 0).is_floating_point()


def test_data_is_the_same_memory_outside_of_the_graph(device):
    x = leaf(1, 2)
    x.data.mul_(2)
    assert x.tolist() == [2, 4]
    assert not x.data.requires_grad
    x.data = minillm.tensor([5.0], dtype="float64")
    assert x.tolist() == [5]
    assert x.requires_grad
    x.data = x.array * 2
    assert x.tolist() == [10]
    with pytest.raises(TypeError, match=r"Tensor.data: got list; it needs a tensor or an array"):
        x.data = [1.0]


def test_grad_can_be_set(device):
    x = leaf(1, 2)
    x.grad = minillm.ones(2, dtype="float64")
    x.sum().backward()
    assert x.grad.tolist() == [2, 2]
    with pytest.raises(TypeError, match=r"Tensor.grad: got float; it needs a tensor or None"):
        x.grad = 1.0
    with pytest.raises(OperationError, match=r"Tensor.grad: got shape \(3,\); it needs .* \(2,\)"):
        x.grad = minillm.ones(3)
    with pytest.raises(OperationError, match=r"Tensor.grad: got dtype float32; it needs .* float64"):
        x.grad = minillm.ones(2)
    x.grad = None


def test_requires_grad_can_be_set(device):
    x = minillm.ones(2)
    assert x.requires_grad_() is x
    y = x * 2
    x.requires_grad = False
    assert not x.requires_grad
    with pytest.raises(OperationError, match=r"recorded operation \(mul\); use detach"):
        y.requires_grad = False
    y.requires_grad = True  # it has it already
    y.detach_()
    assert y.is_leaf
    for bad in (minillm.tensor([1]), minillm.tensor([True])):
        with pytest.raises(OperationError, match="only floats have gradients"):
            bad.requires_grad_()
    with pytest.raises(OperationTypeError, match="only floating point tensors have gradients"):
        minillm.tensor([1], requires_grad=True)


def test_detach_and_clone(device):
    x = leaf(1, 2)
    y = x.detach()
    assert not y.requires_grad
    y[0] = 7.0
    assert x.tolist() == [7, 2]
    z = x.clone()
    z.sum().backward()
    assert x.grad.tolist() == [1, 1]
    z = x.detach().clone()
    z[0] = 0.0
    assert x.tolist() == [7, 2]


def test_a_tensor_can_be_weakly_referenced_and_hashed():
    x = leaf(1)
    reference = weakref.ref(x)
    assert {x: 1}[x] == 1
    assert x in {x}
    assert leaf(1) not in {x}
    del x
    assert reference() is None


# -- numbers, arrays, text --------------------------------------------------------------------------


def test_item_and_conversions(device):
    x = minillm.tensor([[2.5]])
    assert (x.item(), float(x), int(x), bool(x)) == (2.5, 2.5, 2, True)
    assert (minillm.tensor(3).item(), minillm.tensor(True).item()) == (3, True)
    assert [10, 20, 30][minillm.tensor(1)] == 20
    assert f"{minillm.tensor(2.5):.2f} {minillm.ones(2)}" == f"2.50 {minillm.ones(2)!r}"
    assert minillm.tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    for convert in (lambda x: x.item(), float, int, bool):
        with pytest.raises(OperationError, match=r"(item|bool): "):
            convert(minillm.ones(2))
    with pytest.raises(TypeError, match="only an integer tensor can be an index"):
        operator.index(minillm.ones(()))
    with pytest.raises(TypeError, match="0-d"):
        len(minillm.ones(()))
    with pytest.raises(TypeError, match="0-d"):
        iter(minillm.ones(()))
    with pytest.raises(TypeError):
        format(minillm.ones(2), ".2f")
    assert 2 in minillm.tensor([1, 2])
    assert minillm.tensor(3) not in minillm.tensor([1, 2])


def test_numpy_shares_memory_on_the_cpu():
    x = minillm.zeros(3)
    x.numpy()[0] = 5
    assert x.tolist() == [5, 0, 0]
    assert np.asarray(x) is x.array
    assert np.asarray(x, dtype="float64").dtype == "float64"
    copied = np.array(x)
    copied[1] = 1
    assert x.tolist() == [5, 0, 0]
    y = minillm.zeros(2, requires_grad=True)
    with pytest.raises(OperationError, match=r"numpy: this tensor requires grad.*use .detach\(\).numpy\(\)"):
        y.numpy()
    assert y.numpy(force=True).tolist() == [0, 0]


def test_numpy_needs_the_cpu():
    x = minillm.zeros(2, device="strict")
    with pytest.raises(TypeError, match=r"numpy: this tensor is on strict; use .cpu\(\).numpy\(\)"):
        x.numpy()
    assert x.cpu().numpy().tolist() == [0, 0]
    assert x.numpy(force=True).tolist() == [0, 0]


@pytest.mark.parametrize(
    "op", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.eq, operator.lt]
)
def test_arrays_of_numpy_leave_operators_to_tensors(op):
    """``__array_ufunc__ = None``: NumPy would make an array of tensors, element by element."""
    x = leaf(1, 2)
    for y in (op(np.array([3.0, 4.0]), x), op(np.float64(3.0), x), op(x, np.array([3.0, 4.0]))):
        assert isinstance(y, minillm.Tensor)
        assert y.shape == (2,)
    with pytest.raises(TypeError, match="__array_ufunc__"):
        np.exp(x)


def test_matmul_with_an_array_of_numpy():
    y = np.eye(2) @ leaf(1, 2)
    assert isinstance(y, minillm.Tensor)


# -- operators --------------------------------------------------------------------------------------


def test_operators_with_numbers_on_either_side(device):
    x = minillm.tensor([1.0, 2.0, 4.0])
    assert (2 + x).tolist() == (x + 2).tolist() == [3, 4, 6]
    assert (2 - x).tolist() == [1, 0, -2]
    assert (x - 2).tolist() == [-1, 0, 2]
    assert (2 * x).tolist() == (x * 2).tolist() == [2, 4, 8]
    assert (2 / x).tolist() == [2, 1, 0.5]
    assert (x / 2).tolist() == [0.5, 1, 2]
    assert (2**x).tolist() == [2, 4, 16]
    assert (x**2).tolist() == [1, 4, 16]
    assert (7 // x).tolist() == [7, 3, 1]
    assert (x // 3).tolist() == [0, 0, 1]
    assert (7 % x).tolist() == [0, 1, 3]
    assert (-x % 3).tolist() == [2, 1, 2]
    assert (-x).tolist() == [-1, -2, -4]
    assert (+x) is x
    assert abs(-x).tolist() == [1, 2, 4]
    assert (x @ x).item() == 21
    assert (x < 3).tolist() == (x < 3).tolist() == [True, True, False]
    assert (x >= 2).tolist() == (x >= 2).tolist() == [False, True, True]
    assert (x == 2).tolist() == [False, True, False]
    assert (x != 2).tolist() == [True, False, True]
    mask = minillm.tensor([True, False, True])
    assert (~mask).tolist() == [False, True, False]
    assert (mask & (x > 1)).tolist() == [False, False, True]
    assert (mask | (x > 1)).tolist() == [True, True, True]
    assert (mask ^ True).tolist() == (True ^ mask).tolist() == [False, True, False]
    assert (minillm.tensor([6]) & 3).tolist() == [2]
    assert [row.tolist() for row in minillm.tensor([[1], [2]])] == [[1], [2]]


def test_operators_with_what_is_no_number(device):
    x = minillm.ones(2)
    for other in ("text", None, [1.0, 2.0], {}):
        for op in (operator.add, operator.mul, operator.lt):
            with pytest.raises(TypeError):
                op(x, other)
        assert (x == other) is False
        assert (x != other) is True


# -- writing in place -------------------------------------------------------------------------------


def test_writing_to_what_is_no_part_of_a_graph(device):
    x = minillm.tensor([1.0, 2.0, 3.0])
    view = x[1:]
    y = x
    x += 1
    x *= 2
    x -= 1
    x /= 3
    assert y is x
    np.testing.assert_allclose(x.tolist(), [1, 5 / 3, 7 / 3], rtol=1e-6)
    np.testing.assert_allclose(view.tolist(), [5 / 3, 7 / 3], rtol=1e-6)
    view.zero_()
    assert x.tolist() == [1, 0, 0]
    x[0] = minillm.tensor(4.0)
    x[1:] = minillm.tensor([5.0, 6.0])
    assert x.tolist() == [4, 5, 6]
    x[x > 4] = 0
    assert x.tolist() == [4, 0, 0]
    x.add_(minillm.ones(3), alpha=2).sub_(1, alpha=3).clamp_(0, 2).fill_(3).copy_(minillm.tensor([1]))
    assert x.tolist() == [1, 1, 1]
    x.masked_fill_(minillm.tensor([True, False, True]), 9)
    assert x.tolist() == [9, 1, 9]


def test_a_leaf_that_requires_grad_is_not_written_to(device):
    x = leaf(1, 2)
    for write in (lambda: x.add_(1), lambda: x.__setitem__(0, 1.0), lambda: x.zero_()):
        with pytest.raises(OperationError, match="a leaf that requires grad is written to in place; do it under"):
            write()
    with minillm.no_grad():
        x.add_(1)
        x[0] = 5.0
    assert x.tolist() == [5, 3]
    assert x.is_leaf
    assert x.requires_grad


def test_recorded_writes(device):
    x = leaf(1, 2)
    y = x * 1
    y.mul_(3).add_(x)
    y[1] = y[0] * 10
    assert y.tolist() == [4, 40]
    y.sum().backward()
    assert x.grad.tolist() == [44, 0]
    x.grad = None
    buffer = minillm.zeros(3, dtype="float64")
    buffer[1:] = x  # what was no part of a graph becomes one
    assert buffer.requires_grad
    (buffer * buffer).sum().backward()
    assert x.grad.tolist() == [2, 4]
    with minillm.no_grad():
        buffer.add_(1)
    assert buffer.requires_grad


def test_views_and_recorded_writes(device):
    x = leaf(1, 2)
    whole = x * 1
    piece = whole[:1]
    with pytest.raises(OperationError, match="add_: this tensor shares its memory with a view that is part"):
        whole.add_(1)
    with pytest.raises(OperationError, match="mul_: this tensor shares its memory"):
        piece.mul_(2)
    del whole  # nobody else sees the memory any more
    piece.mul_(2)
    piece.sum().backward()
    assert x.grad.tolist() == [2, 0]
    x.grad = None
    whole = x * 1
    (whole[1] * 1).sum()
    whole.mul_(4)  # the view is gone
    shaped = (x * 1).reshape(2, 1)
    shaped += x.reshape(2, 1)
    (whole.sum() + shaped.sum()).backward()
    assert x.grad.tolist() == [6, 6]


def test_writes_that_do_not_fit(device):
    x = minillm.ones(2)
    with pytest.raises(OperationError, match=r"add_: the result has shape \(3, 2\) and cannot be written into"):
        x.add_(minillm.ones(3, 2))
    with pytest.raises(OperationError, match="div_: the result has dtype float32 and cannot be written into int64"):
        minillm.tensor([1, 2]).div_(2)
    with pytest.raises(OperationError, match=r"add_: .* int64 and cannot be written into bool"):
        minillm.tensor([True]).add_(1)
    minillm.tensor([1], dtype="int8").add_(minillm.tensor([1], dtype="uint8"))
    x.add_(minillm.ones(2, dtype="float64"))  # a narrower float is no other kind
    assert x.dtype == "float32"
    with pytest.raises(OperationError, match=r"setitem: got shape \(2,\) and a value of shape \(3,\)"):
        x[:] = minillm.ones(3)
    with pytest.raises(IndexError, match=r"setitem: got shape \(2,\)"):
        x[5] = 1.0


def test_a_value_from_another_device():
    x = minillm.ones(2)
    with pytest.raises(OperationError, match="setitem: got a value on another device than cpu"):
        x[:] = minillm.ones(2, device="strict")


def test_random_writes(device):
    x = minillm.zeros(1000)
    generator = minillm.Generator(seed=1)
    x.normal_(3, 0.1, generator=generator)
    assert 2.9 < x.mean().item() < 3.1
    x.uniform_(2, 4, generator=generator)
    assert 2 <= x.min().item() < 2.1 < 3.9 < x.max().item() <= 4
    minillm.manual_seed(5)
    x.normal_()
    first = x.tolist()
    minillm.manual_seed(5)
    assert x.normal_().tolist() == first


# -- copies -----------------------------------------------------------------------------------------


def test_deepcopy(device):
    x = leaf(1, 2)
    (x * x).sum().backward()
    weight = Parameter(minillm.ones(2))
    weight.note = ["kept"]
    both = copy.deepcopy({"x": x, "again": x, "weight": weight, "plain": minillm.ones(1)})
    assert both["x"] is both["again"]
    assert both["x"] is not x
    assert both["x"].requires_grad
    assert both["x"].grad.tolist() == [2, 4]
    both["x"].grad.zero_()
    assert x.grad.tolist() == [2, 4]
    assert type(both["weight"]) is Parameter
    assert both["weight"].note == ["kept"]
    assert str(both["weight"].device) == device
    with minillm.no_grad():
        both["weight"].zero_()
    assert weight.tolist() == [1, 1]
    assert not both["plain"].requires_grad
    with pytest.raises(OperationError, match="deepcopy: only leaves"):
        copy.deepcopy(x * 2)


def test_reduce(device):
    """What copy and worker processes use."""
    weight = Parameter(minillm.tensor([1.0, 2.0]))
    rebuild, arguments = weight.__reduce__()
    again = rebuild(*arguments)
    assert type(again) is Parameter
    assert again.requires_grad
    assert again.tolist() == [1, 2]
    assert str(again.device) == device
    with pytest.raises(OperationError, match="only leaves can be pickled"):
        (weight * 2).__reduce__()


# -- Parameter --------------------------------------------------------------------------------------


def test_parameter(device):
    weight = Parameter(minillm.zeros(2))
    assert isinstance(weight, minillm.Tensor)
    assert weight.requires_grad
    assert weight.is_leaf
    assert repr(weight).startswith("Parameter containing:\ntensor([0., 0.]")
    assert not Parameter(minillm.zeros(2), requires_grad=False).requires_grad
    assert type(weight * 2) is minillm.Tensor
    assert type(weight.data) is minillm.Tensor
    assert not isinstance(minillm.zeros(2), Parameter)
    with pytest.raises(OperationError, match="only floats have gradients"):
        Parameter(minillm.tensor([1]))
    inner = Parameter(weight * 2)
    assert inner.is_leaf


# -- moving -----------------------------------------------------------------------------------------


def test_to(device):
    x = leaf(1, 2)
    assert x.to(device) is x
    assert x.to(minillm.float64) is x
    assert x.to(device, "float64") is x
    y = x.to(minillm.float32)
    assert y.dtype == "float32"
    assert x.to("float16").dtype == x.half().dtype == "float16"
    assert x.to(dtype=minillm.int64).dtype == "int64"
    assert x.to(y).dtype == "float32"
    copied = x.to(device, copy=True)
    assert copied is not x
    y.sum().backward()
    assert x.grad.tolist() == [1, 1]
    assert [x.float().dtype, x.double().dtype, x.long().dtype, x.int().dtype, x.bool().dtype] == [
        "float32", "float64", "int64", "int32", "bool",
    ]  # fmt: skip
    assert x.type_as(y).dtype == "float32"
    assert x.astype("float16").dtype == "float16"
    for bad in ("nowhere", 3.5):
        with pytest.raises(TypeError):
            x.to(bad)


def test_gradients_move_back():
    x = leaf(1, 2)
    y = x.to("strict")
    assert str(y.device) == "strict"
    (y * y).sum().backward()
    assert str(x.grad.device) == "cpu"
    assert x.grad.tolist() == [2, 4]
    assert minillm.autograd.gradgradcheck(lambda x: (x.to("strict") ** 3).cpu(), x)
    assert x.to("strict", minillm.float32).dtype == "float32"
    assert str(x.to(y).device) == "strict"
    if not minillm.cuda.is_available():
        with pytest.raises(RuntimeError, match="cuda"):
            x.cuda()


def test_new_tensors_like_this_one(device):
    x = minillm.ones(2, dtype="float64")
    for y, values in [
        (x.new_tensor([1, 2]), [1, 2]),
        (x.new_zeros(2), [0, 0]),
        (x.new_ones((2,)), [1, 1]),
        (x.new_full((2,), 7), [7, 7]),
        (x.new_empty(2).fill_(3), [3, 3]),
    ]:
        assert (y.tolist(), y.dtype, str(y.device)) == (values, minillm.float64, device)
