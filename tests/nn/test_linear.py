from __future__ import annotations

import math

import numpy as np
import pytest

import minillm
from minillm import nn
from minillm.autograd.errors import OperationError


def test_parameters_and_their_start(device):
    minillm.manual_seed(0)
    layer = nn.Linear(100, 300)
    assert layer.weight.shape == (300, 100)
    assert layer.bias.shape == (300,)
    assert layer.weight.device == minillm.device(device)
    bound = 1 / math.sqrt(100)
    for p in (layer.weight, layer.bias):
        values = p.detach().cpu().numpy()
        assert np.abs(values).max() <= bound
        assert abs(values.std() - bound / math.sqrt(3)) < 0.1 * bound
        assert p.requires_grad


def test_options():
    layer = nn.Linear(4, 3, bias=False, device="strict", dtype="float64")
    assert layer.bias is None
    assert layer.weight.dtype == minillm.float64
    assert str(layer.weight.device) == "strict"
    assert repr(layer) == "Linear(in_features=4, out_features=3, bias=False)  # 12 parameters"
    assert repr(nn.Linear(0, 3)) == "Linear(in_features=0, out_features=3, bias=True)  # 3 parameters"


@pytest.mark.parametrize("sizes", [(-1, 2), (2, -1)])
def test_negative_sizes_are_refused(sizes):
    with pytest.raises(OperationError, match="they may not be negative"):
        nn.Linear(*sizes)


def test_identity_and_flatten():
    x = minillm.ones(2, 3, 4)
    assert nn.Identity(1, 2, three=3)(x) is x
    assert nn.Flatten()(x).shape == (2, 12)
    assert nn.Flatten(0, 1)(x).shape == (6, 4)
    assert repr(nn.Flatten()) == "Flatten(start_dim=1, end_dim=-1)"
