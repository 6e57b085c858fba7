from __future__ import annotations

import numpy as np
import pytest

import minillm
import minillm.nn.functional as F
from minillm.autograd.errors import OperationError


@pytest.mark.parametrize(
    ("x", "weight", "bias", "message"),
    [
        ((3, 4), (5, 3), None, r"linear: got float32 \(3, 4\), .*in_features = 3, the second of the weight"),
        ((3, 4), (5, 4), (4,), r"the bias needs shape \(5,\)"),
        ((3, 4), (5, 4), (1,), r"the bias needs shape \(5,\)"),
        ((3, 4), (2, 5, 4), None, r"the weight needs two dimensions, \(out_features, in_features\)"),
        ((), (5, 4), None, "in_features = 4"),
    ],
)
def test_shapes_that_do_not_fit_are_named(device, x, weight, bias, message):
    bias = None if bias is None else minillm.ones(bias)
    with pytest.raises(OperationError, match=message):
        F.linear(minillm.ones(x), minillm.ones(weight), bias)


def test_dtypes_are_not_mixed(device):
    x = minillm.ones(2, 3)
    with pytest.raises(OperationError, match="need the same dtype"):
        F.linear(x, minillm.ones(4, 3, dtype="float64"))
    with pytest.raises(OperationError, match="need the same dtype"):
        F.linear(x, minillm.ones(4, 3), minillm.ones(4, dtype="float64"))


def test_devices_are_not_mixed():
    with pytest.raises(RuntimeError, match="cpu and strict"):
        F.linear(minillm.ones(2, 3, device="cpu"), minillm.ones(4, 3, device="strict"))


def test_only_what_is_asked_for_gets_a_gradient(device):
    x, w, b = minillm.ones(2, 3), minillm.ones(4, 3, requires_grad=True), minillm.ones(4)
    F.linear(x, w, b).sum().backward()
    assert w.grad.tolist() == [[2.0] * 3] * 4
    assert x.grad is None
    assert b.grad is None
    x.requires_grad_()
    w.requires_grad_(False)
    F.linear(x, w, b.requires_grad_()).sum().backward()
    assert x.grad.tolist() == [[4.0] * 3] * 2
    assert b.grad.tolist() == [2.0] * 4


def test_a_weight_written_to_before_backward_is_an_error():
    x, w = minillm.ones(2, 3, requires_grad=True), minillm.ones(4, 3, requires_grad=True)
    y = F.linear(x, w)
    with minillm.no_grad():
        w.zero_()
    with pytest.raises(OperationError, match="linear: an array that it saved"):
        y.sum().backward()


def test_plain_arrays_give_plain_arrays():
    x, w = minillm.ones(2, 3).numpy(), minillm.ones(4, 3).numpy()
    assert F.linear(x, w).tolist() == [[3.0] * 4] * 2

# -- with GELU behind it ----------------------------------------------------------------------------


@pytest.mark.parametrize("approximate", ["none", "tanh"])
@pytest.mark.parametrize("shape", [(3, 4), (4,), (2, 3, 4), (0, 4)])
def test_linear_gelu_is_linear_and_gelu(device, shape, approximate):
    minillm.manual_seed(0)
    arguments = [minillm.randn(s, dtype="float64", requires_grad=True) for s in (shape, (5, 4), (5,))]
    y = F.linear_gelu(*arguments, approximate)
    wanted = F.gelu(F.linear(*arguments), approximate)
    np.testing.assert_allclose(y.detach().cpu().numpy(), wanted.detach().cpu().numpy(), rtol=1e-12)
    weight = minillm.randn(y.shape, dtype="float64")
    for got, exact in zip(
        minillm.autograd.grad((y * weight).sum(), arguments),
        minillm.autograd.grad((wanted * weight).sum(), arguments),
        strict=True,
    ):
        np.testing.assert_allclose(got.cpu().numpy(), exact.cpu().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_derivatives_of_linear_gelu(approximate):
    minillm.manual_seed(1)
    x, w, b = (minillm.randn(s, dtype="float64", requires_grad=True) for s in ((3, 4), (5, 4), (5,)))
    for arguments in ((x, w, b), (x, w)):
        assert minillm.autograd.gradcheck(lambda *a: F.linear_gelu(*a, approximate=approximate), arguments)
        assert minillm.autograd.gradgradcheck(lambda *a: F.linear_gelu(*a, approximate=approximate), arguments)


def test_linear_gelu_computes_only_the_gradients_that_are_asked_for(device):
    x, w, b = minillm.ones(2, 3), minillm.ones(4, 3, requires_grad=True), minillm.ones(4)
    F.linear_gelu(x, w, b).sum().backward()
    assert w.grad is not None
    assert x.grad is None
    assert b.grad is None


def test_what_linear_gelu_refuses():
    x, w = minillm.ones(2, 3, requires_grad=True), minillm.ones(4, 3, requires_grad=True)
    with pytest.raises(OperationError, match="linear_gelu: got approximate='exact'; it needs to be 'none' or 'tanh'"):
        F.linear_gelu(x, w, approximate="exact")
    with pytest.raises(OperationError, match=r"linear_gelu: got .*in_features = 4"):
        F.linear_gelu(x, minillm.ones(5, 4))
    with pytest.raises(OperationError, match="need the same dtype"):
        F.linear_gelu(x, w, minillm.ones(4, dtype="float64"))
    y = F.linear_gelu(x, w)
    with minillm.no_grad():
        w.zero_()
    with pytest.raises(OperationError, match="linear_gelu: an array that it saved"):
        y.sum().backward()
