"""What is particular to gated recurrent units; the rest is in test_recurrent.py."""

from __future__ import annotations

import numpy as np

from minillm import nn, no_grad, ops


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def test_the_formula(device):
    """The gates r, z and n in this order, r on the recurrent product with its bias."""
    gru = nn.GRU(3, 4)
    w_ih, w_hh, b_ih, b_hh = (p.numpy(force=True) for p in gru.parameters())
    x, h = ops.randn(5, 3), np.zeros(4, np.float32)
    y, _ = gru(x)
    for t in range(5):
        x_r, x_z, x_n = np.split(w_ih @ x.numpy(force=True)[t] + b_ih, 3)
        h_r, h_z, h_n = np.split(w_hh @ h + b_hh, 3)
        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        n = np.tanh(x_n + r * h_n)
        h = (1 - z) * n + z * h
        np.testing.assert_allclose(y.numpy(force=True)[t], h, rtol=1e-5, atol=1e-6)


def test_with_z_at_one_the_state_stays():
    gru = nn.GRU(3, 4)
    with no_grad():
        gru.bias_ih_l0[4:8] = 100.0
    h_0 = ops.randn(1, 2, 4)
    y, h_n = gru(ops.randn(6, 2, 3), h_0)
    np.testing.assert_allclose(h_n.detach().numpy(), h_0.numpy(), atol=1e-6)
    np.testing.assert_allclose(y[3].detach().numpy(), h_0[0].numpy(), atol=1e-6)
