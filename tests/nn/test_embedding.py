from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm import nn
from minillm.autograd.errors import OperationError, OperationIndexError


def test_the_table_starts_normal_with_a_row_of_zeros_for_padding(device):
    minillm.manual_seed(0)
    layer = nn.Embedding(200, 50, padding_idx=-1)
    assert layer.padding_idx == 199
    values = layer.weight.detach().cpu().numpy()
    assert (values[199] == 0).all()
    assert abs(values[:199].std() - 1) < 0.03
    layer(minillm.tensor([199, 1])).sum().backward()
    assert layer.weight.grad[199].tolist() == [0] * 50
    assert layer.weight.grad[1].tolist() == [1] * 50


def test_options_reach_the_function():
    layer = nn.Embedding(4, 2, max_norm=1.0, norm_type=1.0, scale_grad_by_freq=True, dtype="float64")
    layer.weight.data = minillm.full((4, 2), 5.0, dtype="float64")
    y = layer(minillm.tensor([2, 2]))
    np.testing.assert_allclose(y.detach().numpy(), 0.5)
    y.sum().backward()
    assert layer.weight.grad[2].tolist() == [1, 1]
    assert repr(nn.Embedding(4, 2, 1, 1.5, 3.0, True)) == (
        "Embedding(4, 2, padding_idx=1, max_norm=1.5, norm_type=3.0, scale_grad_by_freq=True)  # 8 parameters"
    )


def test_a_table_that_is_there_is_taken_and_frozen():
    table = minillm.tensor([[1.0, 2.0], [3.0, 4.0]])
    layer = nn.Embedding.from_pretrained(table, padding_idx=0)
    assert not layer.weight.requires_grad
    assert np.shares_memory(layer.weight.array, table.array)
    assert layer(minillm.tensor(0)).tolist() == [1, 2]
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad
    with pytest.raises(OperationError, match=r"from_pretrained: got shape \(2,\); it needs a matrix"):
        nn.Embedding.from_pretrained(minillm.ones(2))
    with pytest.raises(OperationError, match=r"a table of shape \(2, 2\); it needs \(3, 2\)"):
        nn.Embedding(3, 2, _weight=table)


def test_bad_settings_are_refused():
    with pytest.raises(OperationError, match="may not be negative"):
        nn.Embedding(-1, 2)
    with pytest.raises(OperationIndexError, match="padding_idx=3"):
        nn.Embedding(3, 2, padding_idx=3)
    with pytest.raises(OperationError, match="sparse=True"):
        nn.Embedding(3, 2, sparse=True)


def test_a_wrong_token_names_the_layer():
    net = nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 1))
    with pytest.raises(OperationIndexError, match=r"the index 3 .* \(in Sequential\.0\)"):
        net(minillm.tensor([3]))
