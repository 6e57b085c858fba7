"""A layer of gated recurrent units: the walk over all steps in machine code, see :mod:`minillm.kernels.fast.walk`.

A few steps take the walk of the plain form, with what a step does between products in one loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels.cpu import gru as plain
from minillm.kernels.cpu.steps import steps_of
from minillm.kernels.fast.hyperbolic import sigmoid, tanh
from minillm.kernels.fast.linear import linear, linear_backward
from minillm.kernels.fast.panels import COLUMNS, panels_for, rows_for, whole_tiles
from minillm.kernels.fast.pool import in_ranges
from minillm.kernels.fast.vectors import wide_vectors
from minillm.kernels.fast.walk import (
    are_floats,
    collect,
    least_blocks,
    multiply_blocks,
    order_back,
    order_of,
    pack_all,
    walks,
)

__all__ = ["gru_backward", "gru_forward"]

_ONE = np.float32(1)


class Cell:
    """The compiled form of the plain set's ``Cell``."""

    def __init__(self, like: Array, rows: int, size: int, bias: Array | None, bias_n: Array | None) -> None:
        self.bias = np.zeros(3 * size, np.float32) if bias is None else bias
        self.bias_n = np.zeros(size, np.float32) if bias_n is None else np.ascontiguousarray(bias_n)

    def forward(self, gate: Array, added: Array, h_before: Array, hidden_n: Array, h: Array) -> None:
        """Apply the gates; write what r is multiplied with, and h."""
        _apply_to_rows(gate, added, self.bias, self.bias_n, h_before, hidden_n, h)

    def prepare(self, gates: Array, hidden_n: Array, h_before: Array, dgates: Array, dnew: Array) -> None:
        """Do nothing: in one loop, all factors are computed where they are needed."""

    def backward(
        self, gate: Array, hidden_n: Array, h_before: Array, dy: Array, dh: Array, direct: Array, dgate: Array,
        dnew: Array,
    ) -> None:  # fmt: skip
        """Add ``dy`` to dh; write the gradients of a step, and z dh, what goes to the state before directly."""
        collect(0, dh.shape[1], dh[:0], direct, dy, dh)
        _differentiate(0, dh.shape[1], gate, hidden_n, h_before, dh, direct, dgate, dnew)


def gru_forward(
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    batch_sizes: tuple[int, ...],
    reverse: bool,
) -> Any:
    """See the plain form."""
    if not walks(batch_sizes, x, h0, w_ih, w_hh, b_ih, b_hh):
        cell = Cell if are_floats(x, h0, w_ih, w_hh, b_ih, b_hh) else plain.Cell
        return plain.forward(x, h0, w_ih, w_hh, b_ih, b_hh, batch_sizes, reverse, cell)
    steps, size = steps_of(batch_sizes, reverse), h0.shape[1]
    gates, hs = linear(x, w_ih, None), steps.buffer(h0)
    hidden_n = np.empty((steps.rows, size), np.float32)  # W_hn h + b_hn, which r is multiplied with
    bias, bias_n = np.zeros(3 * size, np.float32), np.zeros(size, np.float32)
    if b_ih is not None and b_hh is not None:
        bias[:], bias_n[:] = b_ih, b_hh[2 * size :]
        bias[: 2 * size] += b_hh[: 2 * size]
    states = rows_for(steps.batch, size, 2)
    states[:, : steps.batch, :size] = h0
    _forward(
        order_of(batch_sizes, reverse), w_hh.reshape(3, size, size), panels_for(size, 3, size), states,
        rows_for(steps.batch, size, 3), gates, bias, bias_n, hidden_n, steps.outputs(hs),
    )  # fmt: skip
    return steps.outputs(hs), steps.final(hs), (hs, gates, hidden_n)


def gru_backward(
    dy: Array,
    dh_n: Array,
    x: Array,
    w_ih: Array,
    w_hh: Array,
    saved: tuple[Array, ...],
    batch_sizes: tuple[int, ...],
    reverse: bool,
    needs: tuple[bool, ...],
) -> Any:
    """See the plain form."""
    if not walks(batch_sizes, dy, x, w_ih, w_hh):
        if not are_floats(dy, x, w_ih, w_hh):
            return plain.gru_backward(dy, dh_n, x, w_ih, w_hh, saved, batch_sizes, reverse, needs)
        dy = np.ascontiguousarray(dy)
        return plain.backward(dy, dh_n, x, w_ih, w_hh, saved, batch_sizes, reverse, needs, Cell)
    hs, gates, hidden_n = saved
    steps, size = steps_of(batch_sizes, reverse), hs.shape[1]
    hs_before = steps.all_before(hs)
    wide = rows_for(steps.rows + steps.batch, 3 * size)
    dgates, dh = wide[: steps.rows, : 3 * size], dh_n.copy()  # the gates' with respect to the recurrent product
    dnew = np.empty((steps.rows, size), np.float32)  # n's, with respect to the input's product
    _backward(
        order_back(batch_sizes, reverse), w_hh.T[None], panels_for(size, 1, 3 * size),
        rows_for(steps.batch, size, 1), gates, hidden_n, hs_before, np.ascontiguousarray(dy), dh, np.empty_like(dh),
        wide, dnew,
    )  # fmt: skip
    _, dw_hh, db_hh = linear_backward(dgates, hs_before if needs[3] else None, None, needs[5])
    dgates[:, 2 * size :] = dnew
    dx, dw_ih, db_ih = linear_backward(dgates, x if needs[2] else None, w_ih if needs[0] else None, needs[4])
    return dx, dh, dw_ih, dw_hh, db_ih, db_hh


@njit(cache=True, nogil=True)
def _forward(
    order: Any, weight: Any, panels: Any, states: Any, added: Any, gates: Any, bias: Any, bias_n: Any, hidden_n: Any,
    hs: Any,
) -> None:  # fmt: skip
    pack_all(weight, panels)
    for step in range(len(order)):
        start, count = order[step]
        rows = slice(start, start + count)
        before, after = states[step % 2][: whole_tiles(count)], states[(step + 1) % 2]
        of_step = (gates[rows], bias, bias_n, hidden_n[rows], hs[rows], after)
        in_ranges(_step, (panels, before, added, of_step), len(panels), least_blocks(panels, count))


@njit(cache=True, nogil=True)
def _step(part: int, begin: int, end: int, panels: Any, before: Any, added: Any, of_step: Any) -> None:
    multiply_blocks(part, begin, end, panels, before, added)
    gates, bias, bias_n, hidden_n, h, after = of_step
    _apply(begin * COLUMNS, min(end * COLUMNS, h.shape[1]), gates, added, bias, bias_n, before, hidden_n, h, after)


@njit(cache=True, nogil=True)
def _units_of_gates(size: int, first: int, last: int) -> Any:
    """Return where the gates r z n of some units lie in a row of all."""
    return slice(first, last), slice(size + first, size + last), slice(2 * size + first, 2 * size + last)


@njit(cache=True, nogil=True)
def _apply(
    first: int, last: int, gates: Any, added: Any, bias: Any, bias_n: Any, h_before: Any, hidden_n: Any, h: Any,
    after: Any,
) -> None:  # fmt: skip
    """Do a step for some units, and write h to two places."""
    wide_vectors()
    (rows, size), units = h.shape, slice(first, last)
    r, z, n = _units_of_gates(size, first, last)
    for b in range(rows):
        gates_b, h_b, after_b = gates[b], h[b][units], after[b][units]
        _apply_to_row(
            (gates_b[r], gates_b[z], gates_b[n]),
            (added[0, b][units], added[1, b][units], added[2, b][units]),
            (bias[r], bias[z], bias[n], bias_n[units]),
            h_before[b][units], hidden_n[b][units], h_b,
        )  # fmt: skip
        for j in range(h_b.size):
            after_b[j] = h_b[j]


@njit(cache=True, nogil=True)
def _apply_to_rows(gates: Any, added: Any, bias: Any, bias_n: Any, h_before: Any, hidden_n: Any, h: Any) -> None:
    wide_vectors()
    rows, size = h.shape
    r, z, n = _units_of_gates(size, 0, size)
    for b in range(rows):
        gates_b, added_b = gates[b], added[b]
        _apply_to_row(
            (gates_b[r], gates_b[z], gates_b[n]),
            (added_b[r], added_b[z], added_b[n]),
            (bias[r], bias[z], bias[n], bias_n),
            h_before[b], hidden_n[b], h[b],
        )  # fmt: skip


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def _apply_to_row(gates: Any, added: Any, biases: Any, h_before: Any, hidden_n: Any, h: Any) -> None:
    """Add to the gates of a row and apply them; write what r is multiplied with, and h."""
    r, z, n = gates
    added_r, added_z, added_n = added
    bias_r, bias_z, bias_n, bias_hidden = biases
    # Rows of their own: with two indices LLVM makes no vectors of these loops, which take three times as long.
    for j in range(h.size):
        r[j] = sigmoid(r[j] + added_r[j] + bias_r[j])
    for j in range(h.size):
        z[j] = sigmoid(z[j] + added_z[j] + bias_z[j])
    for j in range(h.size):
        hidden_n[j] = added_n[j] + bias_hidden[j]
    for j in range(h.size):
        n[j] = tanh(n[j] + bias_n[j] + r[j] * hidden_n[j])
    for j in range(h.size):
        h[j] = (h_before[j] - n[j]) * z[j] + n[j]


@njit(cache=True, nogil=True)
def _backward(
    order: Any, weight: Any, panels: Any, product: Any, gates: Any, hidden_n: Any, hs_before: Any, dys: Any, dh: Any,
    direct: Any, dgates: Any, dnew: Any,
) -> None:  # fmt: skip
    pack_all(weight, panels)
    later, count = dgates[:0], 0  # of the step that was walked before, in whole tiles, and its rows
    for step in range(len(order)):
        start, running = order[step]
        rows = slice(start, start + running)
        of_step = (gates[rows], hidden_n[rows], hs_before[rows], dys[rows], dh, direct, dgates[rows], dnew[rows])
        least = least_blocks(panels, max(count, running))
        in_ranges(_step_backward, (panels, later, product, count, of_step), len(panels), least)
        later, count = dgates[start : start + whole_tiles(running)], running


@njit(cache=True, nogil=True)
def _step_backward(
    part: int, begin: int, end: int, panels: Any, later: Any, product: Any, count: int, of_step: Any
) -> None:
    """Bring the gradients of ``count`` rows of gates to some units of the state, and from there to the gates before."""
    multiply_blocks(part, begin, end, panels, later, product)
    gates, hidden_n, h_before, dy, dh, direct, dgates, dnew = of_step
    first, last = begin * COLUMNS, min(end * COLUMNS, dh.shape[1])
    collect(first, last, product[0][:count], direct, dy, dh)
    _differentiate(first, last, gates, hidden_n, h_before, dh, direct, dgates, dnew)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _differentiate(
    first: int, last: int, gates: Any, hidden_n: Any, h_before: Any, dh: Any, direct: Any, dgates: Any, dnew: Any
) -> None:
    """Write the gradients of the gates of some units, and z dh, what goes to the state before directly."""
    wide_vectors()
    (rows, size), units = hidden_n.shape, slice(first, last)
    at_r, at_z, at_n = _units_of_gates(size, first, last)
    for b in range(rows):
        gates_b, dgates_b = gates[b], dgates[b]
        r, z, n = gates_b[at_r], gates_b[at_z], gates_b[at_n]
        dr, dz, dn = dgates_b[at_r], dgates_b[at_z], dgates_b[at_n]
        before, hidden_b, dh_b = h_before[b][units], hidden_n[b][units], dh[b][units]
        direct_b, dnew_b = direct[b][units], dnew[b][units]
        for j in range(dh_b.size):
            direct_b[j] = dh_b[j] * z[j]
        for j in range(dh_b.size):
            dz[j] = dh_b[j] * (before[j] - n[j]) * z[j] * (_ONE - z[j])
        for j in range(dh_b.size):
            dnew_b[j] = dh_b[j] * (_ONE - z[j]) * (_ONE - n[j] * n[j])
        for j in range(dh_b.size):
            dr[j] = dnew_b[j] * hidden_b[j] * r[j] * (_ONE - r[j])
        for j in range(dh_b.size):
            dn[j] = dnew_b[j] * r[j]
