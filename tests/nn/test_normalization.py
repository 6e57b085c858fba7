from __future__ import annotations

import pytest

import minillm
from minillm import nn
from minillm.autograd.errors import OperationError


def test_resetting(device):
    norms = [nn.LayerNorm(3), nn.RMSNorm(3), nn.BatchNorm1d(3)]
    norms += [nn.LayerNorm(3, bias=False), nn.BatchNorm1d(3, bias=False)]
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
    assert repr(nn.LayerNorm(3)) == "LayerNorm((3,), eps=1e-05, elementwise_affine=True, bias=True)  # 6 parameters"
    assert repr(nn.RMSNorm((2, 3))) == "RMSNorm((2, 3), eps=None, elementwise_affine=True)  # 6 parameters"
    assert repr(nn.BatchNorm1d(3, affine=False)) == (
        "BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=False, bias=False, track_running_stats=True)"
    )
