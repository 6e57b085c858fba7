"""Cells: one step, against PyTorch, and in a loop against the module that runs over the sequence."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm import nn, ops
from minillm.autograd.errors import OperationError

CELLS = {
    "RNNCell": ("RNNCell", {}),
    "RNNCell relu": ("RNNCell", {"nonlinearity": "relu"}),
    "GRUCell": ("GRUCell", {}),
    "LSTMCell": ("LSTMCell", {}),
}


@pytest.mark.parametrize("kind", CELLS)
def test_a_loop_over_cells_is_the_module(device, kind):
    name, more = CELLS[kind]
    module = getattr(nn, name.removesuffix("Cell"))(3, 4, **more)
    cell = getattr(nn, name)(3, 4, **more)
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in module.state_dict().items()})
    x = ops.randn(5, 2, 3)
    y, _ = module(x)
    state = None
    for t in range(5):
        state = cell(x[t], state)
        h = state[0] if name == "LSTMCell" else state
        np.testing.assert_allclose(h.numpy(force=True), y[t].numpy(force=True), rtol=1e-5, atol=1e-6)


def test_cells_can_be_differentiated_twice():
    cell = nn.LSTMCell(3, 4, dtype="float64")
    x = ops.randn(2, 3, dtype="float64").requires_grad_()
    assert minillm.autograd.gradgradcheck(lambda x: cell(x)[0], x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.RNNCell(0, 4), "RNNCell: got input_size=0; it needs to be 1 at least"),
        (lambda: nn.GRUCell(3, -4), "GRUCell: got hidden_size=-4"),
        (lambda: nn.RNNCell(3, 4, nonlinearity="gelu"), "RNNCell: got nonlinearity='gelu'"),
        (lambda: nn.GRUCell(3, 4)(ops.ones(2, 5)), r"GRUCell: got an input of shape \(2, 5\).*\(B, 3\) or \(3,\)"),
        (lambda: nn.GRUCell(3, 4)(ops.ones(1, 2, 3)), r"GRUCell: got an input of shape \(1, 2, 3\)"),
        (lambda: nn.GRUCell(3, 4)([1.0]), "GRUCell: got an input of shape list"),
        (lambda: nn.GRUCell(3, 4)(ops.ones(2, 3).double()), "got an input of float64; .* float32"),
        (lambda: nn.GRUCell(3, 4)(ops.ones(2, 3), ops.ones(2, 4).double()), "got a state of float64"),
        (lambda: nn.GRUCell(3, 4)(ops.ones(2, 3), ops.ones(4)), r"a state of shape \(4,\); it needs \(2, 4\)"),
        (lambda: nn.LSTMCell(3, 4)(ops.ones(3), ops.ones(4)), "LSTMCell: got hx of Tensor; it needs a pair"),
        (
            lambda: nn.LSTMCell(3, 4)(ops.ones(2, 3), (ops.ones(2, 4), ops.ones(2, 5))),
            r"LSTMCell: got a state of shape \(2, 5\); it needs \(2, 4\)",
        ),
    ],
)
def test_what_does_not_fit_is_an_error(call, message):
    with pytest.raises(OperationError, match=message):
        call()
