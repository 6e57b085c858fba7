"""Activation checkpointing: the same numbers, gradients of any order, fewer activations."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import minillm
from minillm import autograd, nn
from minillm.autograd.errors import OperationError
from minillm.backend import to_numpy
from minillm.nn.utils.checkpoint import checkpoint, checkpoint_sequential


def make_block(dropout=0.0):
    minillm.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Dropout(dropout), nn.Linear(6, 4)).double()


def gradients(model):
    return {name: to_numpy(p.grad.array).copy() for name, p in model.named_parameters()}


def make_x(seed=1):
    rng = np.random.default_rng(seed)
    return minillm.tensor(rng.standard_normal((3, 4)), requires_grad=True)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_values_and_gradients_are_the_same(dropout, device):
    results = []
    for wrapped in (False, True):
        model, x = make_block(dropout), make_x()
        minillm.manual_seed(7)
        y = checkpoint(model, x * 2, use_reentrant=False) if wrapped else model(x * 2)
        after = minillm.rand(3)
        (y * y).sum().backward()
        results.append((y, x.grad, after, minillm.rand(3), gradients(model)))
    for one, other in zip(*(r[:4] for r in results), strict=True):
        np.testing.assert_allclose(to_numpy(other.array), to_numpy(one.array), rtol=1e-12)
    for name, wanted in results[0][4].items():
        np.testing.assert_allclose(results[1][4][name], wanted, rtol=1e-12, err_msg=name)


def test_tensors_of_the_surroundings_get_gradients_too():
    x, w = make_x(), make_x(2)
    outside = w.exp()  # no leaf, and no argument
    y = checkpoint(lambda x: (x * outside).tanh() * w, x)
    dx, dw = autograd.grad(y.sum(), [x, w])
    x2, w2 = make_x(), make_x(2)
    wanted = autograd.grad(((x2 * w2.exp()).tanh() * w2).sum(), [x2, w2])
    np.testing.assert_allclose(dx.numpy(), wanted[0].numpy(), rtol=1e-12)
    np.testing.assert_allclose(dw.numpy(), wanted[1].numpy(), rtol=1e-12)


def test_derivatives_of_the_second_order():
    model = make_block()
    assert autograd.gradcheck(lambda x: checkpoint(model, x), (make_x(),))
    assert autograd.gradgradcheck(lambda x: checkpoint(model, x), (make_x(),))


def test_several_outputs_some_without_gradient_some_unused():
    x = make_x()

    def function(x, factor=1.0):
        return x.sin() * factor, x.detach(), "text", x.cos()

    y, plain, text, unused = checkpoint(function, x, factor=3.0)
    assert text == "text"
    assert not plain.requires_grad
    assert unused.requires_grad
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 3 * np.cos(x.detach().numpy()), rtol=1e-12)


def test_nested_and_in_segments():
    layers = nn.Sequential(*[nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(7)]).double()
    x = make_x()
    layers(x).sum().backward()
    wanted, wanted_dx = gradients(layers), x.grad.numpy().copy()
    for run in (
        lambda x: checkpoint(lambda x: layers[3:](checkpoint(layers[:3], x)), x),
        lambda x: checkpoint_sequential(layers, 3, x),
        lambda x: checkpoint_sequential(list(layers), 7, x),
    ):
        layers.zero_grad()
        x.grad = None
        run(x).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), wanted_dx, rtol=1e-10)
        for name, grad in gradients(layers).items():
            np.testing.assert_allclose(grad, wanted[name], rtol=1e-10, err_msg=name)
    with pytest.raises(OperationError, match="got 8 segments for 7 functions; it needs from 1"):
        checkpoint_sequential(layers, 8, x)


def test_activations_are_not_kept_and_the_graph_is_released():
    kept = []

    def function(x):
        y = x.exp()
        kept.append(weakref.ref(y.array))
        return y.sin().sum()

    gc.disable()
    try:
        x = make_x()
        y = checkpoint(function, x)
        assert kept[0]() is None
        y.backward()
        assert kept[1]() is None
        with pytest.raises(RuntimeError, match="retain_graph"):
            y.backward()
        y = checkpoint(function, x)
        y.backward(retain_graph=True)
        y.backward()
    finally:
        gc.enable()


def test_without_recording_and_without_gradients_it_is_a_call():
    x = make_x()
    with minillm.no_grad():
        assert not checkpoint(lambda x: x * 2, x).requires_grad
    assert not checkpoint(lambda x: x * 2, x.detach()).requires_grad


def test_what_changes_between_both_runs_is_an_error():
    x = make_x()
    y = checkpoint(lambda x: (x * x).sum(), x)
    with minillm.no_grad():
        x.mul_(2)
    with pytest.raises(OperationError, match="written to after it ran"):
        y.backward()
    x, calls = make_x(), []

    def changing(x):
        calls.append(None)
        return x[: len(calls)] * 2

    y = checkpoint(changing, x)
    with pytest.raises(OperationError, match=r"returned shape \(2, 4\) as output 0; .* shape \(1, 4\)"):
        y.sum().backward()
    y = checkpoint(lambda x: x * 2 if len(calls) == 2 else calls, x)
    calls.clear()
    with pytest.raises(OperationError, match="returned nothing to differentiate as output 0"):
        y.sum().backward()


def test_as_pytorch_does():
    torch = pytest.importorskip("torch")
    from torch.utils.checkpoint import checkpoint as theirs

    x = make_x()
    tx = torch.tensor(x.detach().numpy(), requires_grad=True)
    checkpoint(lambda x: (x.sin() * x).exp(), x, use_reentrant=False).sum().backward()
    theirs(lambda x: (x.sin() * x).exp(), tx, use_reentrant=False).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), tx.grad.numpy(), rtol=1e-12)
