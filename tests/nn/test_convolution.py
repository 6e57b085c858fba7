"""Convolution and pooling against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm import nn
from minillm.nn import functional as F


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).permutation(int(np.prod(shape))).reshape(shape) / 7.0  # no equal ones


def test_equal_elements_give_their_gradient_to_the_first():
    x = minillm.ones(1, 1, 4, requires_grad=True)
    F.max_pool1d(x, 2).sum().backward()
    assert x.grad.tolist() == [[[1, 0, 1, 0]]]


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("name", ["Conv1d", "Conv2d"])
def test_modules(name, mode):
    torch = pytest.importorskip("torch")
    shape = (2, 4, 9) if name == "Conv1d" else (2, 4, 9, 8)
    options = {"padding": 2, "groups": 2, "padding_mode": mode, "stride": 2}
    ours, theirs = getattr(nn, name)(4, 6, 3, **options), getattr(torch.nn, name)(4, 6, 3, **options)
    state = theirs.state_dict()
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: tuple(v.shape) for k, v in state.items()}
    bound = theirs.weight.abs().max().item()
    assert 0.5 < ours.weight.detach().abs().max().item() / bound < 2
    ours.load_state_dict({k: v.numpy() for k, v in state.items()})
    x = numbers(*shape).astype("float32")
    np.testing.assert_allclose(
        ours(minillm.tensor(x)).detach().numpy(), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-4, atol=1e-4
    )
    assert repr(ours).split("#")[0].strip() == repr(theirs)
    assert getattr(nn, name)(4, 6, 3, bias=False, dilation=2).bias is None


def test_on_every_device(device):
    x = minillm.tensor(numbers(2, 4, 7, 8), requires_grad=True)
    w = minillm.tensor(numbers(6, 2, 3, 2, seed=1), requires_grad=True)
    y = F.max_pool2d(F.conv2d(x, w, padding=1, groups=2), 2) + F.avg_pool2d(F.conv2d(x, w, padding=1, groups=2), 2)
    y.sum().backward()
    assert x.grad.shape == x.shape
    assert np.isfinite(w.grad.cpu().numpy()).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.conv1d(minillm.ones(2, 3, 5), minillm.ones(4, 2, 3)), r"weight of shape \(4, 2, 3\)"),
        (lambda: F.conv1d(minillm.ones(3, 2), minillm.ones(4, 3, 3)), "more than the padded input's size"),
        (lambda: F.conv1d(minillm.ones(3), minillm.ones(4, 3, 3)), r"\(N, C, L\) or \(C, L\)"),
        (lambda: F.conv2d(minillm.ones(3, 5), minillm.ones(4, 3, 3, 3)), r"\(N, C, H, W\)"),
        (lambda: F.conv1d(minillm.ones(3, 5), minillm.ones(4, 3, 3), minillm.ones(3)), "bias"),
        (lambda: F.conv1d(minillm.ones(3, 5), minillm.ones(4, 3, 3), stride=0), "stride=0"),
        (lambda: F.conv1d(minillm.ones(3, 5), minillm.ones(4, 3, 3), padding="all"), "'same', 'valid' or numbers"),
        (lambda: F.conv1d(minillm.ones(3, 5), minillm.ones(4, 3, 3), stride=2, padding="same"), "stride 1"),
        (lambda: F.max_pool1d(minillm.ones(3, 5), 2, padding=2), "half"),
        (lambda: F.avg_pool2d(minillm.ones(3, 5, 5), 2, divisor_override=0), "divisor_override=0"),
        (lambda: nn.Conv1d(3, 4, 3, groups=2), "groups=2"),
        (lambda: nn.Conv1d(3, 4, 3, padding_mode="mirror"), "padding_mode='mirror'"),
    ],
)
def test_errors_say_what_is_needed(call, message):
    with pytest.raises(ValueError, match=message):
        call()
