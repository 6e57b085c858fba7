from __future__ import annotations

import numpy as np
import pytest

import minillm
import minillm.nn.functional as F
from minillm.autograd.errors import OperationError

NAMES = ["relu", "gelu", "silu", "softplus", "leaky_relu", "elu", "logsigmoid", "tanh", "sigmoid"]


@pytest.mark.parametrize("name", NAMES)
def test_extreme_numbers_are_those_of_torch(name, device):
    torch = pytest.importorskip("torch")
    values = [-1e30, -1e4, -90.0, -25.0, 0.0, 25.0, 90.0, 1e4, 1e30, float("nan")]
    x = minillm.tensor(values, requires_grad=True)
    z = torch.tensor(values, requires_grad=True)
    y, w = getattr(F, name)(x), getattr(torch.nn.functional, name)(z)
    np.testing.assert_allclose(y.detach().cpu().numpy(), w.detach().numpy(), rtol=1e-5, atol=1e-6)
    y.backward(minillm.ones(len(values)))
    w.backward(torch.ones(len(values)))
    finite = np.isfinite(values)
    np.testing.assert_allclose(x.grad.cpu().numpy()[finite], z.grad.numpy()[finite], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_infinity_stays(name, device):
    y = getattr(F, name)(minillm.tensor(float("inf"))).item()
    assert y == {"tanh": 1, "sigmoid": 1, "logsigmoid": 0}.get(name, float("inf"))


@pytest.mark.parametrize("name", ["relu", "silu", "leaky_relu", "elu"])
def test_in_place(name, device):
    x = minillm.tensor([-1.0, 0.5])
    wanted = getattr(F, name)(x).tolist()
    assert getattr(F, name)(x, inplace=True) is x
    assert x.tolist() == wanted


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_integers_become_floats(name):
    y = getattr(F, name)(minillm.tensor([-1, 2]))
    assert y.dtype == minillm.float32
    assert y.tolist() == getattr(F, name)(minillm.tensor([-1.0, 2.0])).tolist()


def test_gelu_knows_two_forms():
    with pytest.raises(OperationError, match="approximate='sigmoid'; it needs to be 'none' or 'tanh'"):
        F.gelu(minillm.ones(2), approximate="sigmoid")


def test_glu_halves():
    with pytest.raises(OperationError, match=r"glu: got shape \(2, 3\); it needs an even size along dim -1"):
        F.glu(minillm.ones(2, 3))
    with pytest.raises(OperationError, match="even size"):
        F.glu(minillm.tensor(1.0))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(("shape", "dim"), [((4,), 0), ((2, 4), 1), ((2, 3, 4), 0), ((1, 2, 3, 4), 1)])
def test_softmax_without_a_dimension_warns_and_takes_that_of_torch(name, shape, dim):
    x = minillm.rand(*shape)
    with pytest.warns(FutureWarning, match=f"{name}: the implicit choice of a dimension is deprecated"):
        y = getattr(F, name)(x)
    assert y.tolist() == getattr(F, name)(x, dim=dim).tolist()


def test_softmax_in_another_dtype():
    assert F.softmax(minillm.ones(2), 0, dtype="float64").dtype == minillm.float64
    assert F.log_softmax(minillm.ones(2), 0, dtype="float64").dtype == minillm.float64


@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "silu"])
@pytest.mark.parametrize("sets", [("numpy", "numpy"), ("numpy", "numba"), ("numba", "numpy")])
def test_a_retained_graph_gives_the_same_gradient_twice(name, sets):
    if "numba" in sets:
        pytest.importorskip("numba", reason="needs numba (extra: fast)")
    function = {"gelu_tanh": lambda x: F.gelu(x, approximate="tanh")}.get(name) or getattr(F, name)
    before = minillm.get_kernels()
    try:
        minillm.set_kernels(sets[0])
        x = minillm.randn(3, 40, requires_grad=True)
        h = x * 1
        y = function(h)
        minillm.set_kernels(sets[1])  # what was saved is the first set's
        (wanted,) = minillm.autograd.grad(y.sum(), x, create_graph=True)
        for _ in range(3):
            (dx,) = minillm.autograd.grad(y.sum(), x, retain_graph=True)
            np.testing.assert_allclose(dx.numpy(), wanted.detach().numpy(), rtol=1e-5, atol=1e-6)
    finally:
        minillm.set_kernels(before)
