"""Adafactor makes PyTorch's steps, with every combination of options and on every device."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm import optim


def test_devices_agree(device):
    start = np.random.default_rng(7).normal(size=(3, 4)).astype("float32")
    here, there = (
        minillm.tensor(start, requires_grad=True),
        minillm.tensor(start, requires_grad=True, device="cpu"),
    )
    for p in (here, there):
        optimizer = optim.Adafactor([p], lr=0.1)
        for _ in range(3):
            p.grad = minillm.tensor(start, device=p.device)
            optimizer.step()
    np.testing.assert_allclose(here.detach().cpu().numpy(), there.detach().numpy(), 1e-5)


def test_it_remembers_a_row_and_a_column_of_a_matrix():
    p = minillm.ones(30, 20, requires_grad=True)
    p.grad = minillm.ones(30, 20)
    optimizer = optim.Adafactor([p])
    optimizer.step()
    assert {key: getattr(value, "shape", None) for key, value in optimizer.state[p].items()} == {
        "step": None, "row_var": (30, 1), "col_var": (1, 20),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1}, "Learning rate should be >= 0"),
        ({"lr": minillm.ones(2)}, "1-element"),
        ({"beta2_decay": 0.5}, "beta2_decay should be <= 0"),
        ({"eps": (-1, 1)}, "epsilon1 should be >= 0"),
        ({"eps": (None, -1)}, "epsilon2 should be >= 0"),
        ({"d": 0.5}, "Clipping threshold d should be >= 1"),
        ({"weight_decay": -1}, "weight_decay should be >= 0"),
    ],
)
def test_a_setting_out_of_range_is_an_error(options, message):
    with pytest.raises(ValueError, match=message):
        optim.Adafactor([minillm.ones(1)], **options)


def test_every_default_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    theirs = torch.optim.Adafactor([torch.ones(1, requires_grad=True)])
    assert optim.Adafactor([minillm.ones(1, requires_grad=True)]).defaults == theirs.defaults
