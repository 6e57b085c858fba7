from __future__ import annotations

import numpy as np
import pytest

import minillm
import minillm.nn.functional as F
from minillm.autograd.errors import OperationError


def test_the_mean_stays(device):
    minillm.manual_seed(0)
    x = minillm.ones(200, 500)
    y = F.dropout(x, 0.3).cpu().numpy()
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.7], rtol=1e-6)
    assert abs((y == 0).mean() - 0.3) < 0.005
    assert abs(y.mean() - 1) < 0.01


def test_the_gradient_has_the_same_holes(device):
    minillm.manual_seed(0)
    x = minillm.ones(20, 30, requires_grad=True)
    y = F.dropout(x, 0.5)
    y.backward(minillm.full((20, 30), 3.0))
    assert (x.grad.cpu().numpy() == 3 * y.detach().cpu().numpy()).all()


def test_a_seed_repeats_the_mask_on_every_device(device):
    def draw(device):
        minillm.manual_seed(7)
        return F.dropout(minillm.ones(50, device=device), 0.5).cpu().numpy()

    assert (draw(device) == draw("cpu")).all()
    assert (F.dropout(minillm.ones(50)).cpu().numpy() != draw(device)).any()


def test_nothing_happens_while_evaluating(device):
    x = minillm.ones(3)
    before = minillm.get_rng_state()
    assert F.dropout(x, 0.5, training=False) is x
    assert F.dropout(x, 0.0) is x
    assert minillm.get_rng_state() == before


def test_all_can_be_dropped(device):
    x = minillm.tensor([1.0, -2.0], requires_grad=True)
    y = F.dropout(x, 1.0)
    y.sum().backward()
    assert y.tolist() == [0, 0]
    assert x.grad.tolist() == [0, 0]


def test_in_place(device):
    minillm.manual_seed(0)
    x = minillm.ones(100)
    assert F.dropout(x, 0.5, inplace=True) is x
    assert set(x.tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_a_probability_lies_between_0_and_1(p):
    with pytest.raises(OperationError, match="a probability needs to lie between 0 and 1"):
        F.dropout(minillm.ones(2), p)


def test_derivatives_of_any_order():
    x = minillm.rand(4, 5, dtype="float64", requires_grad=True)

    def same_mask(x):
        minillm.manual_seed(3)
        return F.dropout(x, 0.4) * x

    assert minillm.autograd.gradcheck(same_mask, x)
    assert minillm.autograd.gradgradcheck(same_mask, x)
