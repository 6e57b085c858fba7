from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm import nn
from minillm.autograd.errors import OperationError


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


@pytest.mark.parametrize(
    ("name", "args", "options", "shape"),
    [
        ("LayerNorm", (4,), {}, (2, 3, 4)),
        ("LayerNorm", ((3, 4),), {"bias": False}, (2, 3, 4)),
        ("LayerNorm", ([4],), {"elementwise_affine": False, "eps": 0.1}, (2, 4)),
        ("RMSNorm", (4,), {}, (2, 3, 4)),
        ("RMSNorm", ((3, 4),), {"eps": 0.1, "elementwise_affine": False}, (2, 3, 4)),
        ("BatchNorm1d", (4,), {}, (5, 4)),
        ("BatchNorm1d", (3,), {"momentum": None, "eps": 0.1}, (5, 3, 4)),
        ("BatchNorm1d", (4,), {"affine": False}, (5, 4)),
        ("BatchNorm1d", (4,), {"track_running_stats": False}, (5, 4)),
    ],
)
def test_modules_are_those_of_torch(name, args, options, shape):
    torch = pytest.importorskip("torch")
    ours, theirs = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)
    assert {n: v.tolist() for n, v in ours.state_dict().items()} == {
        n: v.tolist() for n, v in theirs.state_dict().items()
    }
    x = numbers(*shape)
    for step in range(4):
        if step == 2:
            ours.eval()
            theirs.eval()
        y, z = ours(minillm.tensor(x + step)), theirs(torch.tensor(x + step))
        np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-4, atol=1e-5)
    for n, v in ours.state_dict().items():
        np.testing.assert_allclose(v.numpy(), theirs.state_dict()[n].numpy(), rtol=1e-5, err_msg=n)


def test_resetting(device):
    norms = [nn.LayerNorm(3), nn.RMSNorm(3), nn.BatchNorm1d(3)]
    for norm in norms:
        fresh = {n: v.tolist() for n, v in norm.state_dict().items()}
        norm(minillm.rand(5, 3) + 1)
        with minillm.no_grad():
            norm.weight.fill_(5)
        norm.reset_parameters()
        assert {n: v.tolist() for n, v in norm.state_dict().items()} == fresh


def test_batch_norm_needs_a_batch():
    with pytest.raises(OperationError, match=r"BatchNorm1d needs \(N, C\) or \(N, C, L\)"):
        nn.BatchNorm1d(3)(minillm.ones(3))


def test_representations():
    assert repr(nn.LayerNorm(3)) == "LayerNorm((3,), eps=1e-05, elementwise_affine=True)  # 6 parameters"
    assert repr(nn.RMSNorm((2, 3))) == "RMSNorm((2, 3), eps=None, elementwise_affine=True)  # 6 parameters"
    assert repr(nn.BatchNorm1d(3, affine=False)) == (
        "BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=False, track_running_stats=True)"
    )
