"""Recurrent layers step by step, for settings that minillm's fused networks do not compute.

Those are activations other than tanh and sigmoid, dropout of the state, and a GRU whose reset gate acts before the
recurrent product (Cho et al. 2014, as they wrote it). The weights are minillm's; the gates of each are those of
:mod:`minillm.nn.functional.recurrent`.
"""

from __future__ import annotations

from typing import Any

from minillm import ops
from minillm.nn import functional as F
from minillm.ops import Tensor


def over_steps(layer: Any, inputs: Tensor, mask: Tensor | None) -> Tensor:
    """Return the outputs of a recurrent layer at all steps, or at the last.

    Args:
        layer: an LSTM, GRU or SimpleRNN of Keras' face, built.
        inputs: (batch, time, features).
        mask: (batch, time): where False, states and output stay those of the step before.
    """
    rnn = layer.rnn
    bias_ih, bias_hh = (rnn.bias_ih_l0, rnn.bias_hh_l0) if layer.use_bias else (None, None)
    batch, steps, _ = inputs.shape
    gates = F.linear(inputs, rnn.weight_ih_l0, bias_ih)  # (batch, time, gates * units)
    zeros = ops.zeros((batch, layer.units), device=inputs.device)
    states: tuple[Tensor, ...] = (zeros, zeros) if len(layer.order) == 4 else (zeros,)
    dropped = None
    if layer.recurrent_dropout and layer.training:  # the same features in all steps
        dropped = F.dropout(ops.ones_like(zeros), layer.recurrent_dropout)
    cell = {4: _lstm, 3: _gru, 1: _simple}[len(layer.order)]
    outputs = []
    for t in range(steps):
        h = states[0] if dropped is None else states[0] * dropped
        after = cell(layer, gates[:, t], h, states, rnn.weight_hh_l0, bias_hh)
        if mask is not None:
            counts = ops.unsqueeze(mask[:, t], 1)
            after = tuple(ops.where(counts, new, old) for new, old in zip(after, states, strict=True))
        states = after
        outputs.append(states[0])
    return ops.stack(outputs, 1) if layer.return_sequences else states[0]


def _lstm(
    layer: Any, x: Tensor, h: Tensor, states: tuple[Tensor, ...], weight: Tensor, bias: Tensor | None
) -> tuple[Tensor, ...]:
    """The cell c' = f c + i g,  h' = o activation(c')."""
    i, f, g, o = ops.chunk(x + F.linear(h, weight, bias), 4, dim=1)
    gate, function = layer.recurrent_activation, layer.activation
    c = gate(f) * states[1] + gate(i) * function(g)
    return gate(o) * function(c), c


def _gru(
    layer: Any, x: Tensor, h: Tensor, states: tuple[Tensor, ...], weight: Tensor, bias: Tensor | None
) -> tuple[Tensor, ...]:
    """The cell h' = (1 - z) n + z h,  n = activation(x + r (U h)), or x + U (r h) where the reset comes before."""
    gate, function = layer.recurrent_activation, layer.activation
    x_r, x_z, x_n = ops.chunk(x, 3, dim=1)
    if layer.reset_after:
        h_r, h_z, h_n = ops.chunk(F.linear(h, weight, bias), 3, dim=1)
        r, z = gate(x_r + h_r), gate(x_z + h_z)
        n = function(x_n + r * h_n)
    else:
        u_r, u_z, u_n = ops.chunk(weight, 3, dim=0)
        r, z = gate(x_r + F.linear(h, u_r)), gate(x_z + F.linear(h, u_z))
        n = function(x_n + F.linear(r * h, u_n))
    return ((1 - z) * n + z * states[0],)


def _simple(
    layer: Any, x: Tensor, h: Tensor, states: tuple[Tensor, ...], weight: Tensor, bias: Tensor | None
) -> tuple[Tensor, ...]:
    return (layer.activation(x + F.linear(h, weight, bias)),)
