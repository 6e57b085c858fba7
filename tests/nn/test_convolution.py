"""Convolution and pooling against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm import nn
from minillm.autograd import gradcheck, gradgradcheck
from minillm.nn import functional as F


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).permutation(int(np.prod(shape))).reshape(shape) / 7.0  # no equal ones


def compare(call, arrays: list) -> None:
    """Compare value, gradients and second-order gradients of a call, which gets functional and tensors."""
    torch = pytest.importorskip("torch")
    results = []
    for library, functions, convert in (
        (minillm, F, minillm.tensor),
        (torch, torch.nn.functional, torch.tensor),
    ):
        tensors = [convert(a, requires_grad=True) for a in arrays]
        y = call(functions, *tensors)
        dy = convert(np.cos(np.arange(float(np.prod(y.shape)))).reshape(tuple(y.shape)))
        first = library.autograd.grad(y, tensors, dy, create_graph=True)
        total = sum((g * g).sum() for g in first)
        second = [convert(np.zeros(a.shape)) for a in arrays]  # of a call that is linear
        if total.requires_grad:
            second = library.autograd.grad(total, tensors, allow_unused=True, materialize_grads=True)
        results.append([y, *first, *second])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(force=True), rtol=1e-8, atol=1e-9)


CONV1D = [
    {},
    {"stride": 2},
    {"padding": 2},
    {"padding": "same"},
    {"padding": "same", "dilation": 3},
    {"padding": "valid", "dilation": 2},
    {"groups": 2},
    {"stride": (3,), "padding": (1,), "dilation": (2,), "groups": 2},
]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("options", CONV1D, ids=str)
@pytest.mark.parametrize("shape", [(2, 4, 11), (4, 11)])
@pytest.mark.parametrize("kernel", [1, 3, 4])
def test_conv1d(options, shape, kernel):
    weight = numbers(6, 4 // options.get("groups", 1), kernel, seed=1)
    compare(lambda f, x, w, b: f.conv1d(x, w, b, **options), [numbers(*shape), weight, numbers(6, seed=2)])


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize(
    "options",
    [{}, {"stride": (2, 1)}, {"padding": (0, 2)}, {"padding": "same", "dilation": (1, 2)}, {"groups": 2}],
    ids=str,
)
@pytest.mark.parametrize("shape", [(2, 4, 7, 8), (4, 7, 8)])
def test_conv2d(options, shape):
    weight = numbers(6, 4 // options.get("groups", 1), 3, 2, seed=1)
    compare(lambda f, x, w: f.conv2d(x, w, **options), [numbers(*shape), weight])


POOLS = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2},
    {"kernel_size": 3, "stride": 1, "padding": 1},
    {"kernel_size": 3, "stride": 2, "ceil_mode": True},
    {"kernel_size": 3, "stride": 3, "padding": 1, "ceil_mode": True},
    {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True},
]


DILATED = {"kernel_size": 2, "dilation": 3, "stride": 2, "ceil_mode": True}


@pytest.mark.parametrize("options", [*POOLS, DILATED], ids=str)
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("batch", [(2,), ()])
def test_max_pool(options, n, batch):
    x = numbers(*batch, 3, *(9, 8)[:n])
    name = f"max_pool{n}d"
    compare(lambda f, x: getattr(f, name)(x, **options), [x])
    torch = pytest.importorskip("torch")
    values, indices = getattr(F, name)(minillm.tensor(x), **options, return_indices=True)
    torch_values, torch_indices = getattr(torch.nn.functional, name)(torch.tensor(x), **options, return_indices=True)
    np.testing.assert_array_equal(values.numpy(), torch_values.numpy())
    np.testing.assert_array_equal(indices.numpy(), torch_indices.numpy())


@pytest.mark.parametrize("options", POOLS, ids=str)
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("include", [True, False])
def test_avg_pool(options, n, include):
    x = numbers(2, 3, *(9, 8)[:n])
    compare(lambda f, x: getattr(f, f"avg_pool{n}d")(x, **options, count_include_pad=include), [x])
    if n == 2:
        compare(lambda f, x: f.avg_pool2d(x, **options, divisor_override=5), [x])


def test_equal_elements_give_their_gradient_to_the_first():
    x = minillm.ones(1, 1, 4, requires_grad=True)
    F.max_pool1d(x, 2).sum().backward()
    assert x.grad.tolist() == [[[1, 0, 1, 0]]]


def test_gradients_by_differences():
    x, w = (minillm.tensor(a, requires_grad=True) for a in (numbers(2, 2, 6), numbers(2, 2, 3, seed=1)))
    for function in (lambda x, w: F.conv1d(x, w, padding=1), lambda x, w: F.max_pool1d(x, 2) * w.sum()):
        assert gradcheck(function, (x, w))
        assert gradgradcheck(function, (x, w))


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


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("MaxPool1d", {"kernel_size": 3, "stride": 2, "padding": 1}, (2, 3, 9)),
        ("MaxPool2d", {"kernel_size": (3, 2), "ceil_mode": True}, (2, 3, 8, 7)),
        ("AvgPool1d", {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}, (2, 3, 9)),
        ("AvgPool2d", {"kernel_size": (3, 2), "divisor_override": 3}, (2, 3, 8, 7)),
    ],
)
def test_pooling_modules(name, options, shape):
    torch = pytest.importorskip("torch")
    x = numbers(*shape)
    ours, theirs = getattr(nn, name)(**options), getattr(torch.nn, name)(**options)
    np.testing.assert_allclose(ours(minillm.tensor(x)).numpy(), theirs(torch.tensor(x)).numpy())
    assert name in repr(ours)


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
