from __future__ import annotations

import pytest

from minillm import nn, optim
from minillm.training.optimizers import make_optimizer, parameter_groups
from tests.training.conftest import make_config, make_model


def test_matrices_decay_and_vectors_do_not():
    model = make_model()
    names = {id(p): name for name, p in model.named_parameters()}
    decayed, plain = parameter_groups(model, 0.1)
    assert {names[id(p)] for p in decayed["params"]} == {"embedding.weight", "fc.weight"}
    assert decayed["weight_decay"] == 0.1
    assert {names[id(p)] for p in plain["params"]} == {"fc.bias", "norm.weight", "norm.bias"}
    assert plain["weight_decay"] == 0


def test_what_is_frozen_is_left_out():
    model = make_model()
    model.fc.requires_grad_(False)
    model.norm.requires_grad_(False)
    (group,) = parameter_groups(model, 0.1)
    assert [p is model.embedding.weight for p in group["params"]] == [True]


def test_nothing_to_train_is_an_error():
    with pytest.raises(ValueError, match="Linear: no parameter is trainable"):
        parameter_groups(nn.Linear(2, 2).requires_grad_(False), 0.1)


@pytest.mark.parametrize(
    ("name", "kind", "setting", "value"),
    [
        ("adamw", optim.AdamW, "betas", (0.8, 0.9)),
        ("adam", optim.Adam, "betas", (0.8, 0.9)),
        ("sgd", optim.SGD, "momentum", 0.7),
    ],
)
def test_each_optimizer_gets_its_settings(name, kind, setting, value):
    config = make_config(optimizer=name, betas=(0.8, 0.9), momentum=0.7, lr=0.5, weight_decay=0.3)
    optimizer = make_optimizer(make_model(), config)
    assert type(optimizer) is kind
    for group, decay in zip(optimizer.param_groups, (0.3, 0.0), strict=True):
        assert group[setting] == value
        assert group["lr"] == 0.5
        assert group["weight_decay"] == decay
