"""Clipping gradients and parameters as one vector, compared with PyTorch and on every device."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minillm
from minillm import nn
from minillm.nn import utils

SHAPES = [(3, 4), (5,), (), (0, 3), (2, 2, 2)]


def parameters(seed=0, scale=3.0, dtype="float64", missing=True):
    rng = np.random.default_rng(seed)
    params = []
    for i, shape in enumerate(SHAPES):
        p = minillm.zeros(shape, dtype=dtype).requires_grad_()
        if i != 1 or not missing:
            p.grad = minillm.tensor(scale * np.asarray(rng.normal(size=shape)), dtype=dtype)
        params.append(p)
    return params


def twins(torch, params):
    result = []
    for p in params:
        q = torch.zeros(tuple(p.shape), dtype=torch.float64, requires_grad=True)
        q.grad = None if p.grad is None else torch.tensor(p.grad.numpy())
        result.append(q)
    return result


@pytest.mark.parametrize("norm_type", [2, 1, 3, 0.5, 0, "inf", float("inf")])
@pytest.mark.parametrize("max_norm", [0.5, 2, 1e9])
def test_clip_grad_norm_is_that_of_pytorch(norm_type, max_norm):
    torch = pytest.importorskip("torch")
    ours = [p for p in parameters() if p.numel()]
    theirs = twins(torch, ours)
    got = utils.clip_grad_norm_(ours, max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert got.shape == ()
    np.testing.assert_allclose(got.numpy(), expected.numpy(), 1e-12)
    for p, q in zip(ours, theirs, strict=True):
        assert (p.grad is None) == (q.grad is None)
        if p.grad is not None:
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), 1e-12)


def test_the_least_magnitude_is_a_norm_too():
    torch = pytest.importorskip("torch")
    ours = [p for p in parameters() if p.numel()]
    theirs = [q.grad for q in twins(torch, ours) if q.grad is not None]
    got = utils.get_total_norm([p.grad for p in ours if p.grad is not None], -math.inf)
    np.testing.assert_allclose(got.numpy(), torch.nn.utils.get_total_norm(theirs, -math.inf).numpy())


@given(max_norm=st.floats(1e-3, 1e3), scale=st.floats(1e-6, 1e6), seed=st.integers(0, 1000))
def test_the_norm_ends_at_most_at_the_bound(max_norm, scale, seed):
    params = parameters(seed, scale)
    before = [None if p.grad is None else p.grad.numpy().copy() for p in params]
    total = float(utils.clip_grad_norm_(params, max_norm))
    gradients = [p.grad for p in params if p.grad is not None]
    after = float(utils.get_total_norm(gradients))
    assert after <= max_norm * (1 + 1e-9)
    if total <= max_norm - 1e-6:
        assert after == total
    for p, g in zip(params, before, strict=True):
        if g is not None:
            np.testing.assert_allclose(p.grad.numpy() * max(1, total / max_norm), g, 1e-3)


def test_devices_agree(device):
    grads = [minillm.tensor([3.0, 0.0]), minillm.tensor([[4.0]])]
    params = [minillm.zeros(2, requires_grad=True), minillm.zeros(1, 1, requires_grad=True)]
    for p, g in zip(params, grads, strict=True):
        p.grad = g
    total = utils.clip_grad_norm_(params, 1.0)
    assert total.device == params[0].device
    assert total.cpu().item() == 5
    np.testing.assert_allclose(params[0].grad.cpu().numpy(), [0.6, 0.0], 1e-5)
    np.testing.assert_allclose(params[1].grad.cpu().numpy(), [[0.8]], 1e-5)
    utils.clip_grad_value_(params, 0.7)
    np.testing.assert_allclose(params[0].grad.cpu().numpy(), [0.6, 0.0], 1e-5)
    np.testing.assert_allclose(params[1].grad.cpu().numpy(), [[0.7]], 1e-5)
    utils.clip_grad_norm_(params, 100.0)
    np.testing.assert_allclose(params[1].grad.cpu().numpy(), [[0.7]], 1e-5)


def test_tensors_of_two_devices_make_one_norm():
    a, b = minillm.tensor([3.0]), minillm.tensor([4.0], device="strict")
    total = utils.get_total_norm([a, b])
    assert total.item() == 5
    assert total.device == a.device


def test_one_tensor_generators_and_nothing():
    p = minillm.zeros(2, requires_grad=True)
    assert utils.clip_grad_norm_(p, 1.0).item() == 0  # it has no gradient
    p.grad = minillm.tensor([3.0, 4.0])
    assert utils.clip_grad_norm_(p, 1.0).item() == 5
    assert utils.clip_grad_norm_(iter([p]), 1.0).item() == pytest.approx(1, abs=1e-5)
    assert utils.get_total_norm(p.grad).item() == pytest.approx(1, abs=1e-5)
    assert utils.get_total_norm([]).item() == 0
    with pytest.warns(UserWarning, match="empty generator"):
        utils.clip_grad_norm_((q for q in []), 1.0)
    utils.clip_grad_value_(p, 0.1)
    assert p.grad.tolist() == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_norm_that_is_not_finite(bad):
    p = minillm.zeros(2, requires_grad=True)
    p.grad = minillm.tensor([bad, 1.0])
    with pytest.raises(RuntimeError, match="is non-finite"):
        utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)
    assert p.grad.numpy()[1] == 1
    total = utils.clip_grad_norm_(p, 1.0)
    assert not total.isfinite()
    assert p.grad.isnan().any()  # as in PyTorch


def test_clip_grads_with_norm_scales_by_a_norm_that_is_given():
    p = minillm.zeros(2, requires_grad=True)
    utils.clip_grads_with_norm_(p, 1.0, minillm.tensor(10.0))
    p.grad = minillm.tensor([3.0, 4.0])
    utils.clip_grads_with_norm_(p, 1.0, minillm.tensor(10.0))
    assert p.grad.tolist() == pytest.approx([0.3, 0.4])
    utils.clip_grads_with_norm_([p], 1.0, 0.1)
    assert p.grad.tolist() == pytest.approx([0.3, 0.4])


def test_clipping_counts_as_a_write():
    p = minillm.zeros(2, requires_grad=True)
    p.grad = minillm.tensor([3.0, 4.0])
    g = p.grad
    x = minillm.ones(2, requires_grad=True)
    y = (x * g).sum()
    utils.clip_grad_norm_(p, 1.0)
    with pytest.raises(RuntimeError, match="written to in place"):
        y.backward()


def test_clip_grad_value_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    ours = parameters()
    theirs = twins(torch, ours)
    utils.clip_grad_value_(ours, 0.5)
    torch.nn.utils.clip_grad_value_(theirs, 0.5)
    for p, q in zip(ours, theirs, strict=True):
        if p.grad is not None:
            np.testing.assert_array_equal(p.grad.numpy(), q.grad.numpy())


# -- parameters as one vector ---------------------------------------------------------------------


def test_parameters_become_one_vector_and_come_back(device):
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    vector = utils.parameters_to_vector(model.parameters())
    assert vector.shape == (13,)
    assert vector.requires_grad
    other = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    arrays = [p.array for p in other.parameters()]
    utils.vector_to_parameters(vector.detach(), other.parameters())
    for p, q, array in zip(model.parameters(), other.parameters(), arrays, strict=True):
        np.testing.assert_array_equal(p.detach().cpu().numpy(), q.detach().cpu().numpy())
        assert q.array is array


def test_the_vector_is_differentiable():
    a, b = minillm.ones(2, requires_grad=True), minillm.ones(1, 1, requires_grad=True)
    (utils.parameters_to_vector([a, b]) * minillm.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert (a.grad.tolist(), b.grad.tolist()) == ([1, 2], [[3]])


def test_a_vector_that_does_not_fit_is_an_error():
    a = minillm.ones(2)
    with pytest.raises(TypeError, match="expected a Tensor, but got: list"):
        utils.vector_to_parameters([1.0], [a])
    for size in (1, 3):
        with pytest.raises(ValueError, match=rf"\({size},\); the parameters need \(2,\)"):
            utils.vector_to_parameters(minillm.zeros(size), [a])
    assert a.tolist() == [1, 1]
