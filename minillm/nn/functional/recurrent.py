"""One layer of a recurrent network, in one direction, over a whole batch of sequences.

The rows of the batch are packed: those of step 0, then those of step 1, and so on, ``batch_sizes[t]`` of
them in step t, the longest sequences first (see :mod:`minillm.nn.utils.rnn`). For B sequences of equal
length this is the plain (T, B, ...) array with its first two dimensions in one.

Each operation is a fused computation over all steps, and names the recurrence that it stands for, step by
step, as its ``composite``.

Sources: Elman, "Finding structure in time", Cognitive Science 1990; Hochreiter and Schmidhuber, "Long
short-term memory", Neural Computation 1997, with the forget gate of Gers et al. 2000; Sak et al.,
"Long short-term memory based recurrent neural network architectures", 2014 (projection); Cho et al.,
"Learning phrase representations using RNN encoder-decoder", EMNLP 2014 (GRU; here r multiplies the
recurrent product with its bias, as in PyTorch and cuDNN).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from minillm import ops
from minillm.autograd.function import Function
from minillm.backend import Array
from minillm.kernels import kernels_of


def steps(batch_sizes: tuple[int, ...], reverse: bool) -> Iterator[tuple[int, slice]]:
    """Yield for each step, in the order of the walk, its number and its rows."""
    starts = [0, *itertools.accumulate(batch_sizes)]
    times = range(len(batch_sizes))
    for t in reversed(times) if reverse else times:
        yield t, slice(starts[t], starts[t + 1])


def affine(x: Any, weight: Any, bias: Any) -> Any:
    """Return x W^T + b."""
    y = x @ weight.swapaxes(-1, -2)
    return y if bias is None else y + bias


def over_steps(
    cell: Callable[..., Any], x: Any, states: tuple[Any, ...], batch_sizes: tuple[int, ...], reverse: bool
) -> tuple[Any, ...]:
    """Return the outputs of a cell at every step, and the last states.

    A step works on the first ``batch_sizes[t]`` rows of the states; the others have ended, or, in a
    reverse walk, not yet begun.

    Args:
        cell: takes the input of a step and the states before it, returns the states after it; the first
            one is the output.
        x: (N, I).
        states: each (B, ...).
        batch_sizes: the number of rows of each step.
        reverse: walk from the end.
    """
    outputs: list[Any] = [None] * len(batch_sizes)
    for t, rows in steps(batch_sizes, reverse):
        n = batch_sizes[t]
        after = cell(x[rows], *(state[:n] for state in states))
        outputs[t] = after[0]
        states = tuple(ops.cat([new, state[n:]]) for new, state in zip(after, states, strict=True))
    return (ops.cat(outputs), *states)


def rnn_composite(
    x: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, nonlinearity: str, batch_sizes: tuple[int, ...],
    reverse: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """The recurrence h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu in the place of tanh."""
    function = ops.tanh if nonlinearity == "tanh" else ops.relu

    def cell(x: Any, h: Any) -> tuple[Any]:
        return (function(affine(x, w_ih, b_ih) + affine(h, w_hh, b_hh)),)

    return over_steps(cell, x, (h0,), batch_sizes, reverse)


def gru_composite(
    x: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, batch_sizes: tuple[int, ...], reverse: bool
) -> tuple[Any, ...]:
    """The recurrence h' = (1 - z) n + z h.

    r = sigmoid(W_ir x + b_ir + W_hr h + b_hr),
    z = sigmoid(W_iz x + b_iz + W_hz h + b_hz),
    n = tanh(W_in x + b_in + r (W_hn h + b_hn)).
    """

    def cell(x: Any, h: Any) -> tuple[Any]:
        x_r, x_z, x_n = ops.chunk(affine(x, w_ih, b_ih), 3, dim=1)
        h_r, h_z, h_n = ops.chunk(affine(h, w_hh, b_hh), 3, dim=1)
        r, z = ops.sigmoid(x_r + h_r), ops.sigmoid(x_z + h_z)
        n = ops.tanh(x_n + r * h_n)
        return ((1 - z) * n + z * h,)

    return over_steps(cell, x, (h0,), batch_sizes, reverse)


def lstm_composite(
    x: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, w_hr: Any, batch_sizes: tuple[int, ...],
    reverse: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """The recurrence c' = f c + i g,  h' = o tanh(c'), or W_hr (o tanh(c')) with a projection.

    i, f, o = sigmoid(W_i. x + b_i. + W_h. h + b_h.),
    g = tanh(W_ig x + b_ig + W_hg h + b_hg).
    """

    def cell(x: Any, h: Any, c: Any) -> tuple[Any, Any]:
        i, f, g, o = ops.chunk(affine(x, w_ih, b_ih) + affine(h, w_hh, b_hh), 4, dim=1)
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
        h = ops.sigmoid(o) * ops.tanh(c)
        return affine(h, w_hr, None) if w_hr is not None else h, c

    return over_steps(cell, x, (h0, c0), batch_sizes, reverse)


class RnnLayer(Function):
    """See :func:`rnn_composite`; arguments as there, gradients of the first six."""

    composite = rnn_composite

    def forward(
        self, x: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None, nonlinearity: str,
        batch_sizes: tuple[int, ...], reverse: bool,
    ) -> tuple[Array, Array]:  # fmt: skip
        self.settings = nonlinearity, batch_sizes, reverse
        y, h_n, saved = kernels_of(x).rnn_forward(x, h0, w_ih, w_hh, b_ih, b_hh, nonlinearity, batch_sizes, reverse)
        self.save_for_backward(x, w_ih, w_hh, y, *saved)  # y, part of a saved buffer, for its version
        return y, h_n

    def backward(self, dy: Array, dh_n: Array) -> Any:
        x, w_ih, w_hh, _, *saved = self.saved
        needs = self.needs_input_grad
        return kernels_of(x).rnn_backward(dy, dh_n, x, w_ih, w_hh, saved, *self.settings, needs)


class GruLayer(Function):
    """See :func:`gru_composite`; arguments as there, gradients of the first six."""

    composite = gru_composite

    def forward(
        self, x: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
        batch_sizes: tuple[int, ...], reverse: bool,
    ) -> tuple[Array, Array]:  # fmt: skip
        self.settings = batch_sizes, reverse
        y, h_n, saved = kernels_of(x).gru_forward(x, h0, w_ih, w_hh, b_ih, b_hh, batch_sizes, reverse)
        self.save_for_backward(x, w_ih, w_hh, y, *saved)
        return y, h_n

    def backward(self, dy: Array, dh_n: Array) -> Any:
        x, w_ih, w_hh, _, *saved = self.saved
        needs = self.needs_input_grad
        return kernels_of(x).gru_backward(dy, dh_n, x, w_ih, w_hh, saved, *self.settings, needs)


class LstmLayer(Function):
    """See :func:`lstm_composite`; arguments as there, gradients of the first eight."""

    composite = lstm_composite

    def forward(
        self, x: Array, h0: Array, c0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
        w_hr: Array | None, batch_sizes: tuple[int, ...], reverse: bool,
    ) -> tuple[Array, Array, Array]:  # fmt: skip
        self.settings = batch_sizes, reverse
        y, h_n, c_n, saved = kernels_of(x).lstm_forward(x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr, batch_sizes, reverse)
        self.save_for_backward(x, w_ih, w_hh, w_hr, y, *saved)
        return y, h_n, c_n

    def backward(self, dy: Array, dh_n: Array, dc_n: Array) -> Any:
        x, w_ih, w_hh, w_hr, _, *saved = self.saved
        needs = self.needs_input_grad
        return kernels_of(x).lstm_backward(dy, dh_n, dc_n, x, w_ih, w_hh, w_hr, saved, *self.settings, needs)
