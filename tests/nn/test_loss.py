"""Losses: values, gradients and second-order gradients against PyTorch, and the errors of what does not fit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minillm
from minillm import nn
from minillm.autograd import gradcheck, gradgradcheck
from minillm.nn import functional as F
from minillm.nn.functional.cross_entropy import CrossEntropy, cross_entropy_composite
from minillm.nn.functional.loss import MseLoss, mse_composite


def numbers(*shape: int, seed: int = 0, low: float = -3.0, high: float = 3.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, shape)


def compare(name: str, arrays: list, options: dict, dtype: str, floats: int | None = None) -> None:
    """Compare a loss with PyTorch's: value, gradients of the float inputs, and gradients of those."""
    torch = pytest.importorskip("torch")
    tolerance = {"rtol": 1e-7, "atol": 1e-9} if dtype == "float64" else {"rtol": 2e-4, "atol": 2e-5}
    results = []
    for library, functions in ((minillm, F), (torch, torch.nn.functional)):
        is_torch = library is torch
        tensors = []
        for i, array in enumerate(arrays):
            array = array.astype(dtype) if array.dtype.kind == "f" else array
            tensor = torch.from_numpy(array.copy()) if is_torch else minillm.tensor(array)
            differentiable = array.dtype.kind == "f" and (floats is None or i < floats)
            tensors.append(tensor.requires_grad_() if differentiable else tensor)
        extra = {
            key: value
            if not isinstance(value, np.ndarray)
            else (torch.from_numpy(value.astype(dtype)) if is_torch else minillm.tensor(value.astype(dtype)))
            for key, value in options.items()
        }
        loss = getattr(functions, name)(*tensors, **extra)
        inputs = [x for x in tensors if x.requires_grad]
        dy = np.linspace(0.5, 1.5, int(np.prod(tuple(loss.shape)))).reshape(tuple(loss.shape)).astype(dtype)
        dy = torch.from_numpy(dy) if is_torch else minillm.tensor(dy)
        first = library.autograd.grad(loss, inputs, dy, create_graph=True)
        # Weights that differ from element to element: the gradients of a softmax add up to zero.
        total = sum((g * g * (1 + i)).sum() for i, g in enumerate(first))
        second = [None] * len(inputs)  # of a loss that is linear
        if total.requires_grad:
            second = library.autograd.grad(total, inputs, allow_unused=True)
        results.append((loss, first, second))
    (ours, first, second), (theirs, torch_first, torch_second) = results
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), **tolerance)
    for g, h in zip(first, torch_first, strict=True):
        np.testing.assert_allclose(g.detach().numpy(), h.detach().numpy(force=True), **tolerance)
    for g, h in zip(second, torch_second, strict=True):
        zeros = np.zeros(1)
        ours_second = zeros if g is None else g.detach().numpy()
        theirs_second = zeros if h is None else h.detach().numpy(force=True)
        wide = {"rtol": tolerance["rtol"], "atol": tolerance["atol"] * 10}
        np.testing.assert_allclose(*np.broadcast_arrays(ours_second, theirs_second), **wide)


DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])
REDUCTIONS = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


@DTYPES
@REDUCTIONS
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(5,), (4, 5), (1, 5), (2, 5, 3), (2, 5, 3, 2), (300, 700)])
def test_cross_entropy_with_classes(dtype, reduction, smoothing, weighted, shape):
    if shape == (300, 700) and (smoothing == 1.0 or dtype == "float32"):
        pytest.skip("several tiles, once")
    num_classes = shape[0] if len(shape) == 1 else shape[1]
    target_shape = shape[:0] if len(shape) == 1 else (shape[0], *shape[2:])
    target = np.random.default_rng(1).integers(0, num_classes, target_shape)
    target = np.asarray(target)
    options = {"reduction": reduction, "label_smoothing": smoothing}
    if target.size > 2:
        target.reshape(-1)[1] = -100
    if weighted:
        options["weight"] = numbers(num_classes, seed=2, low=0.2, high=2.0)
    compare("cross_entropy", [numbers(*shape), target], options, dtype)


@REDUCTIONS
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 5, 3)])
def test_cross_entropy_with_probabilities(reduction, smoothing, weighted, shape):
    target = np.abs(numbers(*shape, seed=3))
    options = {"reduction": reduction, "label_smoothing": smoothing}
    if weighted:
        options["weight"] = numbers(shape[0] if len(shape) == 1 else shape[1], seed=2, low=0.2, high=2.0)
    compare("cross_entropy", [numbers(*shape), target], options, "float64")


@REDUCTIONS
@pytest.mark.parametrize("ignore_index", [-100, 2, 200])
def test_cross_entropy_ignores_an_index(reduction, ignore_index):
    target = np.array([0, ignore_index, 3, ignore_index, 1])
    compare("cross_entropy", [numbers(5, 4), target], {"reduction": reduction, "ignore_index": ignore_index}, "float64")


def test_cross_entropy_of_what_is_all_ignored():
    torch = pytest.importorskip("torch")
    x, target = minillm.zeros(2, 3, requires_grad=True), minillm.tensor([-100, -100])
    loss = F.cross_entropy(x, target)
    assert math.isnan(loss.item())
    assert math.isnan(torch.nn.functional.cross_entropy(torch.zeros(2, 3), torch.tensor([-100, -100])).item())
    assert F.cross_entropy(x, target, reduction="sum").item() == 0


def test_cross_entropy_of_no_rows():
    torch = pytest.importorskip("torch")
    empty = F.cross_entropy(minillm.zeros(0, 3), minillm.zeros(0, dtype="int64"), reduction="none")
    assert empty.shape == (0,)
    theirs = torch.nn.functional.cross_entropy(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))
    assert math.isnan(theirs.item())
    assert math.isnan(F.cross_entropy(minillm.zeros(0, 3), minillm.zeros(0, dtype="int64")).item())


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
    with pytest.raises(RuntimeError, match="cross_entropy: an array that it saved .* was written to"):
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


def test_gradients_by_differences():
    target = minillm.tensor([0, 2, -100, 1])
    x = minillm.tensor(numbers(4, 3), requires_grad=True)
    weight = minillm.tensor([0.5, 1.0, 2.0], dtype="float64")
    for reduction in ("mean", "sum", "none"):

        def loss(x, reduction=reduction):
            return F.cross_entropy(x, target, weight, reduction=reduction, label_smoothing=0.1)

        assert gradcheck(loss, x)
        assert gradgradcheck(loss, x)
    y = minillm.tensor(numbers(4, 3, seed=1), requires_grad=True)
    p = minillm.tensor(numbers(4, 3, seed=2, low=0.1, high=0.9), requires_grad=True)
    q = minillm.tensor(numbers(4, 3, seed=3, low=0.1, high=0.9), requires_grad=True)
    for function in (F.mse_loss, lambda x, y: F.mse_loss(x, y, reduction="sum"), F.huber_loss):
        assert gradcheck(function, (x, y))
        assert gradgradcheck(function, (x, y))
    for function in (F.binary_cross_entropy, F.binary_cross_entropy_with_logits, F.kl_div):
        assert gradcheck(function, (p, q))
        assert gradgradcheck(function, (p, q))


@DTYPES
@REDUCTIONS
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 5, 3)])
def test_nll_loss(dtype, reduction, weighted, shape):
    num_classes = shape[0] if len(shape) == 1 else shape[1]
    target_shape = () if len(shape) == 1 else (shape[0], *shape[2:])
    target = np.asarray(np.random.default_rng(1).integers(0, num_classes, target_shape))
    if target.size > 2:
        target.reshape(-1)[0] = -100
    options = {"reduction": reduction}
    if weighted:
        options["weight"] = numbers(num_classes, seed=2, low=0.2, high=2.0)
    compare("nll_loss", [numbers(*shape), target], options, dtype)


ELEMENTWISE = [
    ("mse_loss", [{}]),
    ("l1_loss", [{}]),
    ("smooth_l1_loss", [{}, {"beta": 0.5}, {"beta": 0.0}]),
    ("huber_loss", [{}, {"delta": 0.4}]),
]


@DTYPES
@REDUCTIONS
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0,)])
@pytest.mark.parametrize(("name", "options"), [(n, o) for n, many in ELEMENTWISE for o in many])
def test_elementwise_losses(dtype, reduction, shape, name, options):
    arrays = [np.asarray(numbers(*shape)), np.asarray(numbers(*shape, seed=1))]
    compare(name, arrays, {**options, "reduction": reduction}, dtype)


@REDUCTIONS
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
def test_weighted_elementwise_losses(name, reduction):
    torch = pytest.importorskip("torch")
    x, y, w = numbers(2, 3), numbers(2, 3, seed=1), numbers(2, 3, seed=2, low=0.1, high=1)
    ours = getattr(F, name)(*map(minillm.tensor, (x, y)), weight=minillm.tensor(w), reduction=reduction)
    theirs = getattr(torch.nn.functional, name)(
        *map(torch.from_numpy, (x, y)), weight=torch.from_numpy(w), reduction=reduction
    )
    np.testing.assert_allclose(ours.numpy(), theirs.numpy())


def test_fused_mse_is_its_composite():
    x, y = numbers(7, 3), numbers(7, 3, seed=1)
    for mean in (True, False):
        a, b = (minillm.tensor(x, requires_grad=True) for _ in range(2))
        t = minillm.tensor(y)
        MseLoss.apply(a, t, mean).backward()
        mse_composite(b, t, mean).backward()
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-12)


@DTYPES
@REDUCTIONS
@pytest.mark.parametrize("weighted", [False, True])
def test_binary_cross_entropy(dtype, reduction, weighted):
    x, t = numbers(4, 3, low=0.05, high=0.95), numbers(4, 3, seed=1, low=0, high=1)
    options = {"reduction": reduction}
    if weighted:
        options["weight"] = numbers(3, seed=2, low=0.2, high=2.0)
    compare("binary_cross_entropy", [x, t], options, dtype)
    if weighted:
        options["pos_weight"] = numbers(3, seed=4, low=0.5, high=3.0)
    compare("binary_cross_entropy_with_logits", [numbers(4, 3, low=-30, high=30), t], options, dtype, floats=1)


def test_binary_cross_entropy_of_certainty():
    torch = pytest.importorskip("torch")
    x, t = [0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]
    ours = F.binary_cross_entropy(minillm.tensor(x), minillm.tensor(t), reduction="none")
    theirs = torch.nn.functional.binary_cross_entropy(torch.tensor(x), torch.tensor(t), reduction="none")
    assert ours.tolist() == theirs.tolist() == [0, 0, 100, 100]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.filterwarnings("ignore:reduction")
def test_kl_div(reduction, log_target):
    x, t = numbers(4, 3), numbers(4, 3, seed=1, low=0.1, high=1)
    options = {"reduction": reduction, "log_target": log_target}
    compare("kl_div", [x, np.log(t) if log_target else t], options, "float64")
    zero = F.kl_div(minillm.zeros(2), minillm.tensor([0.0, 1.0]), reduction="sum")
    assert zero.item() == 0


@DTYPES
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_cosine_similarity(dtype, dim):
    compare("cosine_similarity", [numbers(4, 3), numbers(4, 3, seed=1)], {"dim": dim}, dtype)


def test_cosine_similarity_of_nothing():
    x = minillm.zeros(1, 3, requires_grad=True)
    y = F.cosine_similarity(x, minillm.ones(1, 3))
    y.sum().backward()
    assert y.item() == 0
    assert np.isfinite(x.grad.numpy()).all()


@REDUCTIONS
@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_cosine_embedding_loss(reduction, margin):
    arrays = [numbers(4, 3), numbers(4, 3, seed=1), np.array([1, -1, 1, -1])]
    compare("cosine_embedding_loss", arrays, {"reduction": reduction, "margin": margin}, "float64")
    arrays = [numbers(3), numbers(3, seed=1), np.array(-1)]
    compare("cosine_embedding_loss", arrays, {"reduction": reduction, "margin": margin}, "float64")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("CrossEntropyLoss", {"ignore_index": 1, "label_smoothing": 0.1}),
        ("NLLLoss", {"ignore_index": 1}),
        ("MSELoss", {}),
        ("L1Loss", {}),
        ("SmoothL1Loss", {"beta": 0.5}),
        ("HuberLoss", {"delta": 0.5}),
        ("BCELoss", {}),
        ("BCEWithLogitsLoss", {}),
        ("KLDivLoss", {"log_target": True}),
        ("CosineEmbeddingLoss", {"margin": 0.1}),
        ("CosineSimilarity", {"dim": 0}),
    ],
)
def test_modules_keep_their_options(name, arguments):
    torch = pytest.importorskip("torch")
    x, y = numbers(4, 3, low=0.1, high=0.9), numbers(4, 3, seed=1, low=0.1, high=0.9)
    arrays = [x, y]
    if name in ("CrossEntropyLoss", "NLLLoss"):
        arrays = [x, np.array([0, 1, 2, 0])]
    elif name == "CosineEmbeddingLoss":
        arrays = [x, y, np.array([1, -1, 1, -1])]
    reductions = [{}] if name == "CosineSimilarity" else [{"reduction": r} for r in ("sum", "none")]
    for reduction in reductions:
        ours = getattr(nn, name)(**arguments, **reduction)(*map(minillm.tensor, arrays))
        theirs = getattr(torch.nn, name)(**arguments, **reduction)(*map(torch.from_numpy, arrays))
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-10)


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


