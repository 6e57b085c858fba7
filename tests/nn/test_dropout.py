from __future__ import annotations

import pytest

import minillm
from minillm import nn
from minillm.autograd.errors import OperationError


def test_dropout_works_while_training_alone():
    minillm.manual_seed(0)
    layer, x = nn.Dropout(0.5), minillm.ones(100)
    assert set(layer(x).tolist()) == {0.0, 2.0}
    assert layer.eval()(x) is x


def test_in_place_and_repr():
    layer, x = nn.Dropout(1.0, inplace=True), minillm.ones(3)
    assert layer(x) is x
    assert x.tolist() == [0, 0, 0]
    assert repr(layer) == "Dropout(p=1.0, inplace=True)"


def test_a_probability_lies_between_0_and_1():
    with pytest.raises(OperationError, match="Dropout: got p=2"):
        nn.Dropout(2)
