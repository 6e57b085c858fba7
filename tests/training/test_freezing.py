from __future__ import annotations

import pytest

from minillm import nn
from minillm.training.freezing import freeze
from tests.training.conftest import make_model


class Blocks(nn.Module):
    def __init__(self):
        super().__init__()
        self.h = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
        self.head = nn.Linear(2, 2)


def trainable(model):
    return {name for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["h.[01].*"], {"h.2.weight", "h.2.bias", "head.weight", "head.bias"}),
        (["h.0"], {"h.1.weight", "h.1.bias", "h.2.weight", "h.2.bias", "head.weight", "head.bias"}),
        (["*.bias", "h.*"], {"head.weight"}),
        (["h"], {"head.weight", "head.bias"}),
        (["head.weight", "h.?.weight"], {"h.0.bias", "h.1.bias", "h.2.bias", "head.bias"}),
        (["h.[!0].*", "head"], {"h.0.weight", "h.0.bias"}),
    ],
)
def test_patterns(patterns, left):
    model = Blocks()
    everything = trainable(model)
    names = freeze(model, patterns)
    assert trainable(model) == left
    assert set(names) == everything - left


def test_either_name_freezes_a_tied_tensor():
    model = make_model()
    assert freeze(model, ["head.*"]) == ["embedding.weight"]
    assert not model.embedding.weight.requires_grad


def test_a_pattern_that_matches_nothing_lists_close_names_and_freezes_nothing():
    model = Blocks()
    with pytest.raises(ValueError, match=r"no parameter is called 'heat.weight'; close are .*head.weight"):
        freeze(model, ["h.0.*", "heat.weight"])
    with pytest.raises(ValueError, match=r"no parameter is called 'g.\[01\].\*'; close are .*h\.0"):
        freeze(model, ["g.[01].*"])
    assert len(trainable(model)) == 8


def test_freezing_everything_is_refused():
    model = Blocks()
    with pytest.raises(ValueError, match="leaves nothing to train"):
        freeze(model, ["*"])
    assert len(trainable(model)) == 8
