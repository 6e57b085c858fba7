"""Muon makes PyTorch's steps, but for the bfloat16 in which PyTorch iterates."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm import optim
from minillm.optim.muon import orthogonalized


def test_the_steps_in_bfloat16_are_near():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(7)
    x, g = rng.normal(size=(8, 6)).astype("float32"), rng.normal(size=(8, 6)).astype("float32")
    p, q = minillm.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    p.grad, q.grad = minillm.tensor(g), torch.tensor(g)
    optim.Muon([p], lr=1.0).step()
    torch.optim.Muon([q], lr=1.0).step()
    assert np.abs(p.detach().numpy() - q.detach().numpy()).max() < 0.03


def test_the_state_moves_both_ways_in_the_middle_of_a_run():
    torch = pytest.importorskip("torch")
    g = np.random.default_rng(7).normal(size=(3, 2)).astype("float32")
    p, q = minillm.ones(3, 2, requires_grad=True), torch.ones(3, 2, requires_grad=True)
    p.grad, q.grad = minillm.tensor(g), torch.tensor(g)
    a, b = optim.Muon([p], lr=0.1), torch.optim.Muon([q], lr=0.2)
    b.step()
    a.load_state_dict(b.state_dict())
    assert a.param_groups[0]["lr"] == 0.2
    np.testing.assert_allclose(a.state[p]["momentum_buffer"].numpy(), 0.05 * g, 1e-5)
    state = a.state_dict()
    state["state"][0]["momentum_buffer"] = torch.tensor(state["state"][0]["momentum_buffer"].numpy())
    b.load_state_dict(state)
    assert torch.allclose(b.state[q]["momentum_buffer"], torch.tensor(0.05 * g))


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3)])
def test_singular_values_end_near_one(shape, device):
    matrix = minillm.tensor(np.random.default_rng(1).normal(size=shape).astype("float32"))
    result = orthogonalized(matrix.array, (3.4445, -4.7750, 2.0315), 5, 1e-7)
    values = np.linalg.svd(minillm.Tensor(result).cpu().numpy(), compute_uv=False)
    assert (values > 0.3).all()
    assert (values < 1.5).all()


def test_half_precision_is_computed_in_float32():
    p = minillm.ones(2, 3, dtype="float16").requires_grad_()
    p.grad = minillm.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]], dtype="float16")
    optim.Muon([p], lr=0.1).step()
    assert p.dtype == minillm.float16
    assert p.isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1}, "Learning rate should be >= 0"),
        ({"lr": minillm.ones(2)}, "1-element"),
        ({"momentum": -1}, "momentum should be >= 0"),
        ({"weight_decay": -1}, "weight decay should be >= 0"),
        ({"adjust_lr_fn": "none"}, "none is not supported"),
        ({"ns_steps": 100}, "less than 100"),
        ({"ns_coefficients": (1, 2)}, "exactly 3 values"),
    ],
)
def test_a_setting_out_of_range_is_an_error(options, message):
    with pytest.raises(ValueError, match=message):
        optim.Muon([minillm.ones(1, 1)], **options)


def test_only_matrices_can_be_optimized():
    with pytest.raises(ValueError, match=r"only supports 2D parameters .* \(3,\)"):
        optim.Muon([minillm.ones(3)])
    optimizer = optim.Muon([minillm.ones(3, 3)])
    with pytest.raises(ValueError, match="2D"):
        optimizer.add_param_group({"params": [minillm.ones(3)]})
    assert len(optimizer.param_groups) == 1


def test_every_default_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    theirs = torch.optim.Muon([torch.ones(1, 1, requires_grad=True)])
    assert optim.Muon([minillm.ones(1, 1, requires_grad=True)]).defaults == theirs.defaults
