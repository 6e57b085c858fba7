"""AdamW in place, in bundles and tiles, makes the steps of the formula; `clone` and groups included."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import minillm
from minillm import optim
from minillm.optim.adam import adamw_formula


@given(
    lr=st.floats(1e-5, 1.0),
    beta1=st.floats(0.0, 0.99),
    beta2=st.floats(0.0, 0.999),
    eps=st.floats(1e-9, 1e-2),
    weight_decay=st.floats(0.0, 0.5),
    seed=st.integers(0, 2**31),
)
def test_steps_are_those_of_the_formula(lr, beta1, beta2, eps, weight_decay, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3, 5))
    p = minillm.tensor(x, requires_grad=True)
    options = {"lr": lr, "eps": eps, "weight_decay": weight_decay}
    optimizer = optim.AdamW([p, minillm.ones(2, requires_grad=True)], betas=(beta1, beta2), **options)
    m = v = np.zeros_like(x)
    for step in range(1, 9):
        gradient = rng.normal(size=x.shape)
        x, m, v = adamw_formula(x, gradient, m, v, step=step, beta1=beta1, beta2=beta2, **options)
        p.grad = minillm.tensor(gradient)
        optimizer.step()
    np.testing.assert_allclose(p.detach().numpy(), x, 1e-9, 1e-11)
    np.testing.assert_allclose(optimizer.state[p]["exp_avg"].numpy(), m, 1e-9, 1e-12)
    np.testing.assert_allclose(optimizer.state[p]["exp_avg_sq"].numpy(), v, 1e-9, 1e-12)


def test_the_formula_runs_on_tensors_and_devices(device):
    p, g, zero = minillm.ones(2), minillm.tensor([1.0, -1.0]), minillm.zeros(2)
    param, m, v = adamw_formula(p.array, g.array, zero.array, zero.array, step=1, lr=0.1, weight_decay=0.0)
    np.testing.assert_allclose(minillm.Tensor(param).cpu().numpy(), [0.9, 1.1], 1e-6)
    np.testing.assert_allclose(minillm.Tensor(m).cpu().numpy(), [0.1, -0.1], 1e-6)
    np.testing.assert_allclose(minillm.Tensor(v).cpu().numpy(), [0.001, 0.001], 1e-5)


def test_adamw_stays_decoupled_whatever_is_loaded():
    p = minillm.ones(1, requires_grad=True)
    adam, adamw = optim.Adam([p]), optim.AdamW([p])
    adamw.load_state_dict(adam.state_dict())
    assert adamw.param_groups[0]["decoupled_weight_decay"] is True
