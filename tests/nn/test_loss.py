"""Losses: values, gradients and second-order gradients against PyTorch, and the errors of what does not fit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minillm
from minillm import nn
from minillm.nn import functional as F
from minillm.nn.functional.cross_entropy import CrossEntropy, cross_entropy_composite
from minillm.nn.functional.loss import MseLoss, mse_composite


def numbers(*shape: int, seed: int = 0, low: float = -3.0, high: float = 3.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, shape)


def test_cross_entropy_of_extreme_logits():
    x = minillm.tensor([[1e4, -1e4, 0.0], [-math.inf, 0.0, 0.0]], requires_grad=True)
    loss = F.cross_entropy(x, minillm.tensor([0, 1]), reduction="none")
    np.testing.assert_allclose(loss.detach().numpy(), [0.0, math.log(2)], rtol=1e-6)
    loss.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [[0, 0, 0], [0, -0.5, 0.5]], atol=1e-7)


def test_cross_entropy_leaves_the_logits_and_repeats_its_gradient():
    x = minillm.tensor(numbers(4, 6), requires_grad=True)
    before = x.detach().numpy().copy()
    loss = F.cross_entropy(x, minillm.tensor([0, 1, 2, 3]))
    (first,) = minillm.autograd.grad(loss, x, retain_graph=True)
    first.mul_(100)  # the caller's own memory, not what the graph holds
    (second,) = minillm.autograd.grad(loss, x)
    np.testing.assert_allclose(first.numpy(), second.numpy() * 100)
    np.testing.assert_array_equal(x.detach().numpy(), before)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_backward_again_over_a_kept_graph(reduction):
    """The first backward gives its array away, scaled in place: the second one computes it again."""
    x = minillm.tensor(numbers(4, 5), requires_grad=True)
    target = minillm.tensor([0, 4, 2, 2])
    loss = (3 * F.cross_entropy(x, target, reduction=reduction)).sum()
    (first,) = minillm.autograd.grad(loss, x, retain_graph=True)
    before = first.numpy().copy()
    first *= 0  # the caller's own
    (second,) = minillm.autograd.grad(loss, x, minillm.tensor(2.0, dtype="float64"), retain_graph=True)
    np.testing.assert_allclose(second.numpy(), 2 * before, rtol=1e-12)
    with minillm.no_grad():
        x += 1
    with pytest.raises(RuntimeError, match=r"cross_entropy: an array that it saved .* was written to"):
        loss.backward()
    loss = F.cross_entropy(x, target)
    loss.backward()
    with pytest.raises(RuntimeError, match="backward through cross_entropy a second time"):
        loss.backward()


def test_cross_entropy_in_half_precision():
    x = numbers(6, 9).astype("float16")
    target = np.array([0, 1, 2, 3, 4, 5])
    ours = minillm.tensor(x, requires_grad=True)
    loss = F.cross_entropy(ours, minillm.tensor(target))
    loss.backward()
    wide = minillm.tensor(x.astype("float32"), requires_grad=True)
    F.cross_entropy(wide, minillm.tensor(target)).backward()
    assert loss.dtype == ours.grad.dtype == np.float16
    np.testing.assert_allclose(ours.grad.numpy(), wide.grad.numpy(), atol=1e-3)


@given(st.integers(1, 5), st.integers(1, 6), st.data())
def test_fused_cross_entropy_is_its_composite(num_rows, num_classes, data):
    reduction = data.draw(st.sampled_from(["mean", "sum", "none"]))
    smoothing = data.draw(st.sampled_from([0.0, 0.3]))
    target = data.draw(st.lists(st.sampled_from([-100, *range(num_classes)]), min_size=num_rows, max_size=num_rows))
    weight = data.draw(st.none() | st.just(minillm.tensor(numbers(num_classes, seed=5, low=0.1, high=1))))
    results = []
    for function in (CrossEntropy.apply, cross_entropy_composite):
        x = minillm.tensor(numbers(num_rows, num_classes, seed=num_rows), requires_grad=True)
        loss = function(x, minillm.tensor(target), weight, -100, smoothing, reduction)
        loss.sum().backward()
        results.append((loss.detach().numpy(), x.grad.numpy()))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def test_fused_mse_is_its_composite():
    x, y = numbers(7, 3), numbers(7, 3, seed=1)
    for mean in (True, False):
        a, b = (minillm.tensor(x, requires_grad=True) for _ in range(2))
        t = minillm.tensor(y)
        MseLoss.apply(a, t, mean).backward()
        mse_composite(b, t, mean).backward()
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-12)


def test_cosine_similarity_of_nothing():
    x = minillm.zeros(1, 3, requires_grad=True)
    y = F.cosine_similarity(x, minillm.ones(1, 3))
    y.sum().backward()
    assert y.item() == 0
    assert np.isfinite(x.grad.numpy()).all()


def test_weights_are_buffers():
    loss = nn.CrossEntropyLoss(weight=minillm.ones(3))
    assert list(loss.state_dict()) == ["weight"]
    assert list(nn.BCEWithLogitsLoss(pos_weight=minillm.ones(3)).state_dict()) == ["pos_weight"]


def test_on_every_device(device):
    x = minillm.tensor(numbers(4, 3), requires_grad=True)
    weight = minillm.tensor([0.5, 1.0, 2.0], dtype="float64")
    target = minillm.tensor([0, 2, -100, 1])
    F.cross_entropy(x, target, weight, label_smoothing=0.1).backward()
    got = x.grad.cpu().numpy()
    with minillm.device("cpu"):
        y = minillm.tensor(numbers(4, 3), requires_grad=True)
        weight = minillm.tensor([0.5, 1.0, 2.0], dtype="float64")
        F.cross_entropy(y, minillm.tensor([0, 2, -100, 1]), weight, label_smoothing=0.1).backward()
    np.testing.assert_allclose(got, y.grad.numpy(), rtol=1e-12)
    p = minillm.tensor([0.2, 0.7], requires_grad=True)
    q = minillm.tensor([0.3, 0.9])
    total = F.mse_loss(p, q) + F.binary_cross_entropy(p, q) + F.kl_div(p, q) + F.huber_loss(p, q) + F.l1_loss(p, q)
    total.backward()
    assert np.isfinite(p.grad.cpu().numpy()).all()


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div"])
def test_a_column_against_a_row_is_an_error(name):
    with pytest.raises(ValueError, match=rf"{name}: got an input of shape \(4, 1\) .* to \(4, 4\), .*squeeze"):
        getattr(F, name)(minillm.zeros(4, 1), minillm.zeros(4))
    with pytest.raises(ValueError, match=rf"{name}: got an input of shape \(4,\).*target.squeeze"):
        getattr(F, name)(minillm.zeros(4), minillm.zeros(4, 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.cross_entropy(minillm.zeros(2, 3), minillm.tensor([0, 3])), "class number 3 for 3 classes"),
        (lambda: F.cross_entropy(minillm.zeros(2, 3), minillm.tensor([-1, 0])), "class number -1 for 3 classes"),
        (lambda: F.cross_entropy(minillm.zeros(2, 3), minillm.tensor([0])), r"needs? shape \(2,\)"),
        (lambda: F.cross_entropy(minillm.zeros(2, 3), minillm.tensor([0.0, 1.0])), "int64"),
        (lambda: F.cross_entropy(minillm.tensor(1.0), minillm.tensor(0)), "without dimensions"),
        (lambda: F.cross_entropy(minillm.tensor([1, 2]), minillm.tensor(0)), "floats"),
        (lambda: F.cross_entropy(minillm.zeros(2, 3), minillm.tensor([0, 1]), minillm.ones(2)), "3 classes"),
        (lambda: F.cross_entropy(minillm.zeros(2), minillm.tensor(0), label_smoothing=2.0), "label_smoothing=2"),
        (lambda: F.cross_entropy(minillm.zeros(2, 3), minillm.tensor([0, 1]), reduction="all"), "reduction='all'"),
        (lambda: F.nll_loss(minillm.zeros(2, 3), minillm.tensor([0, 3])), "class number 3"),
        (lambda: F.binary_cross_entropy(minillm.tensor([1.5]), minillm.tensor([1.0])), "between 0 and 1"),
        (lambda: F.binary_cross_entropy(minillm.ones(2, 1), minillm.ones(2)), "same shape"),
        (lambda: F.binary_cross_entropy_with_logits(minillm.ones(2, 1), minillm.ones(2)), "same shape"),
        (lambda: F.smooth_l1_loss(minillm.ones(2), minillm.ones(2), beta=-1.0), "beta=-1"),
        (lambda: F.huber_loss(minillm.ones(2), minillm.ones(2), delta=0.0), "delta=0"),
        (lambda: F.cosine_embedding_loss(minillm.ones(2, 3), minillm.ones(2, 3), minillm.ones(2, 1)), "needs"),
        (
            lambda: F.cross_entropy(minillm.zeros(2, 3), minillm.tensor([0, 1]), minillm.ones(3, dtype="float64")),
            "a weight of float64 for an input of float32",
        ),
        (lambda: F.mse_loss(minillm.ones(2), minillm.ones(3)), r"\(2,\) and a target of shape \(3,\); .*same shape$"),
        (lambda: F.mse_loss(minillm.ones(2), minillm.ones(2), size_average=True), "size_average"),
        (lambda: nn.CrossEntropyLoss(reduce=False), "reduction='mean'"),
    ],
)
def test_errors_say_what_is_needed(call, message):
    with pytest.raises(ValueError, match=message):
        call()
