"""What is particular to the LSTM; the rest is in test_recurrent.py."""

from __future__ import annotations

import numpy as np
import pytest

from minillm import nn, no_grad, ops


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


@pytest.mark.parametrize("proj_size", [0, 2])
def test_the_formula(device, proj_size):
    """The gates i, f, g and o in this order."""
    lstm = nn.LSTM(3, 4, proj_size=proj_size)
    w_ih, w_hh, b_ih, b_hh, *w_hr = (p.numpy(force=True) for p in lstm.parameters())
    x, h, c = ops.randn(5, 3), np.zeros(proj_size or 4, np.float32), np.zeros(4, np.float32)
    y, (h_n, c_n) = lstm(x)
    for t in range(5):
        i, f, g, o = np.split(w_ih @ x.numpy(force=True)[t] + b_ih + w_hh @ h + b_hh, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        if w_hr:
            h = w_hr[0] @ h
        np.testing.assert_allclose(y.numpy(force=True)[t], h, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(h_n.numpy(force=True), h[None], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(c_n.numpy(force=True), c[None], rtol=1e-5, atol=1e-6)


def test_a_sequence_in_two_pieces_is_the_whole():
    lstm = nn.LSTM(3, 4, num_layers=2)
    x = ops.randn(7, 2, 3)
    whole, (h_n, c_n) = lstm(x)
    first, state = lstm(x[:4])
    second, (h_2, c_2) = lstm(x[4:], state)
    for a, b in ((whole[:4], first), (whole[4:], second), (h_n, h_2), (c_n, c_2)):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_the_state_may_be_a_list_and_is_not_written_to():
    lstm = nn.LSTM(3, 4)
    h_0, c_0 = ops.ones(1, 2, 4), ops.ones(1, 2, 4)
    lstm(ops.randn(3, 2, 3), [h_0, c_0])
    assert (h_0 == 1).all()
    assert (c_0 == 1).all()


def test_open_forget_gates_keep_the_cell():
    """With f at 1 and i at 0 the cell stays over 50 steps, and so does its gradient."""
    lstm = nn.LSTM(3, 4)
    with no_grad():
        lstm.bias_ih_l0[:4] = -100.0
        lstm.bias_ih_l0[4:8] = 100.0
    c_0 = ops.randn(1, 2, 4).requires_grad_()
    _, (_, c_n) = lstm(ops.randn(50, 2, 3), (ops.zeros(1, 2, 4), c_0))
    np.testing.assert_allclose(c_n.detach().numpy(), c_0.detach().numpy(), atol=1e-5)
    c_n.sum().backward()
    np.testing.assert_allclose(c_0.grad.numpy(), 1, atol=1e-5)


def test_no_graph_is_kept_without_gradients():
    lstm = nn.LSTM(3, 4)
    with no_grad():
        y, _ = lstm(ops.randn(3, 2, 3))
    assert y.grad_fn is None
