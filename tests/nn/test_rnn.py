"""What is particular to the simple recurrent network; the rest is in test_recurrent.py."""

from __future__ import annotations

import numpy as np
import pytest

from minillm import nn, ops
from minillm.autograd.errors import OperationError


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_the_formula(device, nonlinearity):
    """h' = f(W_ih x + b_ih + W_hh h + b_hh), with the numbers written out in NumPy."""
    rnn = nn.RNN(3, 4, nonlinearity=nonlinearity)
    w_ih, w_hh, b_ih, b_hh = (p.numpy(force=True) for p in rnn.parameters())
    x = ops.randn(5, 3)
    function = np.tanh if nonlinearity == "tanh" else lambda a: np.maximum(a, 0)
    h = np.zeros(4, np.float32)
    y, h_n = rnn(x)
    for t in range(5):
        h = function(w_ih @ x.numpy(force=True)[t] + b_ih + w_hh @ h + b_hh)
        np.testing.assert_allclose(y.numpy(force=True)[t], h, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(h_n.numpy(force=True), h[None], rtol=1e-5, atol=1e-6)


def test_the_fourth_argument_is_the_nonlinearity():
    rnn = nn.RNN(3, 4, 2, "relu", False)
    assert (rnn.nonlinearity, rnn.mode, rnn.bias) == ("relu", "RNN_RELU", False)
    assert nn.RNN(3, 4).mode == "RNN_TANH"


def test_an_unknown_nonlinearity():
    with pytest.raises(OperationError, match="RNN: got nonlinearity='gelu'; it needs 'tanh' or 'relu'"):
        nn.RNN(3, 4, nonlinearity="gelu")


def test_it_learns_to_remember():
    """The first of five numbers, after the last: a gradient through all steps is needed."""
    from minillm import manual_seed
    from minillm.optim import Adam

    manual_seed(0)
    rnn, head = nn.RNN(1, 16, batch_first=True), nn.Linear(16, 1)
    optimizer = Adam([*rnn.parameters(), *head.parameters()], lr=0.02)
    losses = []
    for _ in range(120):
        x = ops.rand(32, 5, 1)
        loss = ((head(rnn(x)[0][:, -1]) - x[:, 0]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.1 * np.mean(losses[:5])
