from __future__ import annotations

import numpy as np
import pytest

import minillm
import minillm.nn.functional as F
from minillm.autograd.errors import OperationError


@pytest.mark.parametrize("norm", [F.layer_norm, F.rms_norm])
class TestShapes:
    def test_the_last_dimensions_need_the_normalised_shape(self, norm, device):
        with pytest.raises(OperationError, match=r"_norm: got an input of shape \(2, 3\).*need to be \(4,\)"):
            norm(minillm.ones(2, 3), (4,))
        with pytest.raises(OperationError, match=r"need to be \(2, 3, 4\)"):
            norm(minillm.ones(3, 4), (2, 3, 4))
        with pytest.raises(OperationError, match="an empty normalized_shape"):
            norm(minillm.ones(3, 4), ())

    def test_so_does_the_scale(self, norm):
        with pytest.raises(OperationError, match=r"a weight of shape \(4,\); it needs normalized_shape, \(3,\)"):
            norm(minillm.ones(2, 3), (3,), minillm.ones(4))

    def test_dtypes_are_not_mixed(self, norm):
        with pytest.raises(OperationError, match="they need the same dtype"):
            norm(minillm.ones(2, 3), (3,), minillm.ones(3, dtype="float64"))

    def test_integers_have_no_norm(self, norm):
        with pytest.raises(OperationError, match="it needs floats"):
            norm(minillm.ones(2, 3, dtype="int64"), (3,))

    def test_an_input_written_to_before_backward_is_an_error(self, norm):
        x = minillm.rand(2, 3, 4, requires_grad=True) * 2
        y = norm(x, (4,), minillm.ones(4, requires_grad=True))
        with minillm.no_grad():
            x.mul_(2)
        with pytest.raises(OperationError, match="written to in place"):
            y.sum().backward()

    def test_frozen_parameters_get_no_gradient(self, norm, device):
        x, w = minillm.rand(3, 4, requires_grad=True), minillm.ones(4)
        (norm(x, (4,), w) * minillm.rand(3, 4)).sum().backward()
        assert w.grad is None
        assert x.grad.abs().max().item() > 1e-3


def test_a_far_mean_costs_no_accuracy(device):
    x = np.random.default_rng(0).standard_normal((4, 64)).astype("float32") + 1000
    exact = x.astype("float64")
    exact = (exact - exact.mean(1, keepdims=True)) / exact.std(1, keepdims=True)
    np.testing.assert_allclose(F.layer_norm(minillm.tensor(x), (64,)).cpu().numpy(), exact, atol=2e-4)


@pytest.mark.parametrize("width", [3, 128, 200, 5000])
def test_more_rows_than_a_tile_holds(width):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    rows = 250_000 // width + 3
    values = [rng.standard_normal(s).astype("float32") for s in ((rows, width), (width,), (width,))]
    dy = rng.standard_normal((rows, width)).astype("float32")
    for name, count in (("layer_norm", 3), ("rms_norm", 2)):
        ours = [minillm.tensor(v, requires_grad=True) for v in values[:count]]
        theirs = [torch.tensor(v, requires_grad=True) for v in values[:count]]
        y, z = getattr(F, name)(ours[0], (width,), *ours[1:], eps=1e-5), getattr(torch.nn.functional, name)(
            theirs[0], (width,), *theirs[1:], eps=1e-5
        )
        y.backward(minillm.tensor(dy))
        z.backward(torch.tensor(dy))
        np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-4, atol=1e-4)
        for a, b in zip(ours, theirs, strict=True):
            scale = max(1.0, float(b.grad.abs().max()))
            np.testing.assert_allclose(a.grad.numpy() / scale, b.grad.numpy() / scale, rtol=1e-4, atol=2e-5)


def test_batch_norm_follows_the_batches(device):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    ours = [minillm.zeros(3), minillm.ones(3)]
    theirs = [torch.zeros(3), torch.ones(3)]
    for _ in range(3):
        x = rng.standard_normal((5, 3, 2)).astype("float32")
        F.batch_norm(minillm.tensor(x), *ours, training=True, momentum=0.2)
        torch.nn.functional.batch_norm(torch.tensor(x), *theirs, training=True, momentum=0.2)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.cpu().numpy(), b.numpy(), rtol=1e-5)


@pytest.mark.parametrize(
    ("x", "arguments", "message"),
    [
        ((3,), (None, None, None, None, True), r"it needs \(N, C\)"),
        ((1, 3), (None, None, None, None, True), "more than one value in each channel"),
        ((4, 0), (None, None, None, None, True), "more than one value in each channel"),
        ((4, 3), (None, None), "without training it needs running_mean and running_var"),
        ((4, 3), (minillm.ones(2, device="cpu"), None), r"a mean of shape \(2,\); it needs \(3,\)"),
        ((4, 3), (None, None, minillm.ones(4, device="cpu")), r"a weight of shape \(4,\)"),
    ],
)
def test_batch_norm_names_what_does_not_fit(x, arguments, message):
    with pytest.raises(OperationError, match=message):
        F.batch_norm(minillm.ones(x), *arguments)


def test_normalize_leaves_zeros_at_zero(device):
    for p in (1.0, 2.0, 3.0, float("inf")):
        x = minillm.zeros(2, 3, requires_grad=True)
        y = F.normalize(x, p)
        y.sum().backward()
        assert y.tolist() == [[0.0] * 3] * 2
        assert minillm.isfinite(x.grad).all().item()
