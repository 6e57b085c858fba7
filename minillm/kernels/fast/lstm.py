"""A layer of a long short-term memory: the walk over all steps in machine code, see :mod:`minillm.kernels.fast.walk`.

A few steps, and layers with a projection, take the walk of the plain form, with what a step does between products in
one loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels.cpu import lstm as plain
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

__all__ = ["lstm_backward", "lstm_forward"]

_ONE = np.float32(1)


class Cell:
    """The compiled form of the plain set's ``Cell``."""

    def __init__(self, like: Array, rows: int, size: int, bias: Array | None) -> None:
        self.bias = np.zeros(4 * size, np.float32) if bias is None else bias

    def forward(self, gate: Array, added: Array, c_before: Array, c: Array, tanh_c: Array, h: Array) -> None:
        """Add ``added`` to the gates and apply them; write c, tanh(c) and h = o tanh(c)."""
        _apply_to_rows(gate, added, self.bias, c_before, c, tanh_c, h)

    def prepare(self, gates: Array, c_before: Array, tanh_c: Array, dgates: Array) -> None:
        """Do nothing: in one loop, all factors are computed where they are needed."""

    def backward(
        self, gate: Array, c_before: Array, tanh_c: Array, dh: Array, dc: Array, dgate: Array, first: int
    ) -> None:
        """Write the gradient of the gates of a step, and make that of c into that of the c before it."""
        _differentiate(0, dc.shape[1], gate, c_before, tanh_c, dh, dc, dgate)


def lstm_forward(
    x: Array,
    h0: Array,
    c0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    w_hr: Array | None,
    batch_sizes: tuple[int, ...],
    reverse: bool,
) -> Any:
    """See the plain form."""
    if w_hr is not None or not walks(batch_sizes, x, h0, c0, w_ih, w_hh, b_ih, b_hh):
        cell = Cell if are_floats(x, h0, c0, w_ih, w_hh, b_ih, b_hh) else plain.Cell
        return plain.forward(x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr, batch_sizes, reverse, cell)
    steps, size = steps_of(batch_sizes, reverse), c0.shape[1]
    gates = linear(x, w_ih, None)
    hs, cs = steps.buffer(h0), steps.buffer(c0)
    tanh_cs = np.empty((steps.rows, size), np.float32)
    bias = np.zeros(4 * size, np.float32) if b_ih is None or b_hh is None else b_ih + b_hh
    state = rows_for(steps.batch, size, 2)
    state[:, : steps.batch, :size] = h0
    _forward(
        order_of(batch_sizes, reverse), w_hh.reshape(4, size, size), panels_for(size, 4, size), state,
        rows_for(steps.batch, size, 4), gates, bias, c0.copy(), steps.outputs(cs), tanh_cs, steps.outputs(hs),
    )  # fmt: skip
    return steps.outputs(hs), steps.final(hs), steps.final(cs), (hs, cs, gates, tanh_cs)


def lstm_backward(
    dy: Array,
    dh_n: Array,
    dc_n: Array,
    x: Array,
    w_ih: Array,
    w_hh: Array,
    w_hr: Array | None,
    saved: tuple[Array, ...],
    batch_sizes: tuple[int, ...],
    reverse: bool,
    needs: tuple[bool, ...],
) -> Any:
    """See the plain form."""
    if w_hr is not None or not walks(batch_sizes, dy, x, w_ih, w_hh):
        cell = Cell if are_floats(dy, x, w_ih, w_hh) else plain.Cell
        return plain.backward(dy, dh_n, dc_n, x, w_ih, w_hh, w_hr, saved, batch_sizes, reverse, needs, cell)
    hs, cs, gates, tanh_cs = saved
    steps, size = steps_of(batch_sizes, reverse), cs.shape[1]
    wide = rows_for(steps.rows + steps.batch, 4 * size)
    dgates, dh, dc = wide[: steps.rows, : 4 * size], dh_n.copy(), dc_n.copy()
    _backward(
        order_back(batch_sizes, reverse), w_hh.T[None], panels_for(size, 1, 4 * size),
        rows_for(steps.batch, size, 1), gates, steps.all_before(cs), tanh_cs, np.ascontiguousarray(dy), dh, dc, wide,
    )  # fmt: skip
    dx, dw_ih, db = linear_backward(dgates, x if needs[3] else None, w_ih if needs[0] else None, needs[5] or needs[6])
    dw_hh = linear_backward(dgates, steps.all_before(hs), None, False)[1] if needs[4] else None
    return dx, dh, dc, dw_ih, dw_hh, db, db, None


@njit(cache=True, nogil=True)
def _forward(
    order: Any, weight: Any, panels: Any, states: Any, added: Any, gates: Any, bias: Any, c_now: Any, cs: Any,
    tanh_cs: Any, hs: Any,
) -> None:  # fmt: skip
    pack_all(weight, panels)
    for step in range(len(order)):
        start, count = order[step]
        rows = slice(start, start + count)
        before, after = states[step % 2][: whole_tiles(count)], states[(step + 1) % 2]
        of_step = (gates[rows], bias, c_now, cs[rows], tanh_cs[rows], hs[rows], after)
        in_ranges(_step, (panels, before, added, of_step), len(panels), least_blocks(panels, count))


@njit(cache=True, nogil=True)
def _step(part: int, begin: int, end: int, panels: Any, before: Any, added: Any, of_step: Any) -> None:
    multiply_blocks(part, begin, end, panels, before, added)
    gates, bias, c_now, c, tanh_c, h, after = of_step
    _apply(begin * COLUMNS, min(end * COLUMNS, c.shape[1]), gates, added, bias, c_now, c, tanh_c, h, after)


@njit(cache=True, nogil=True)
def _units_of_gates(size: int, first: int, last: int) -> Any:
    """Return where the gates i f g o of some units lie in a row of all."""
    return (
        slice(first, last),
        slice(size + first, size + last),
        slice(2 * size + first, 2 * size + last),
        slice(3 * size + first, 3 * size + last),
    )


@njit(cache=True, nogil=True)
def _apply(
    first: int, last: int, gates: Any, added: Any, bias: Any, c_now: Any, c: Any, tanh_c: Any, h: Any, after: Any
) -> None:
    """Do a step for some units, from ``c_now`` to the next one, and write h to two places."""
    wide_vectors()
    (rows, size), units = c.shape, slice(first, last)
    i, f, g, o = _units_of_gates(size, first, last)
    for b in range(rows):
        gates_b, c_now_b, c_b, h_b, after_b = gates[b], c_now[b][units], c[b][units], h[b][units], after[b][units]
        _apply_to_row(
            (gates_b[i], gates_b[f], gates_b[g], gates_b[o]),
            (added[0, b][units], added[1, b][units], added[2, b][units], added[3, b][units]),
            (bias[i], bias[f], bias[g], bias[o]),
            c_now_b, c_b, tanh_c[b][units], h_b,
        )  # fmt: skip
        for j in range(c_b.size):
            c_now_b[j] = c_b[j]
        for j in range(c_b.size):
            after_b[j] = h_b[j]


@njit(cache=True, nogil=True)
def _apply_to_rows(gates: Any, added: Any, bias: Any, c_before: Any, c: Any, tanh_c: Any, h: Any) -> None:
    wide_vectors()
    rows, size = c.shape
    i, f, g, o = _units_of_gates(size, 0, size)
    for b in range(rows):
        gates_b, added_b = gates[b], added[b]
        _apply_to_row(
            (gates_b[i], gates_b[f], gates_b[g], gates_b[o]),
            (added_b[i], added_b[f], added_b[g], added_b[o]),
            (bias[i], bias[f], bias[g], bias[o]),
            c_before[b], c[b], tanh_c[b], h[b],
        )  # fmt: skip


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def _apply_to_row(gates: Any, added: Any, biases: Any, c_before: Any, c: Any, tanh_c: Any, h: Any) -> None:
    """Add to the gates of a row and apply them; write c, tanh(c) and h = o tanh(c)."""
    i, f, g, o = gates
    added_i, added_f, added_g, added_o = added
    bias_i, bias_f, bias_g, bias_o = biases
    # Rows of their own: with two indices LLVM makes no vectors of these loops, which take three times as long.
    # Short loops first: the processor looks far enough ahead in them to have many lines of memory on their way.
    for j in range(c.size):
        i[j] += added_i[j] + bias_i[j]
    for j in range(c.size):
        f[j] += added_f[j] + bias_f[j]
    for j in range(c.size):
        g[j] += added_g[j] + bias_g[j]
    for j in range(c.size):
        o[j] += added_o[j] + bias_o[j]
    for j in range(c.size):
        i[j] = sigmoid(i[j])
    for j in range(c.size):
        f[j] = sigmoid(f[j])
    for j in range(c.size):
        g[j] = tanh(g[j])
    for j in range(c.size):
        o[j] = sigmoid(o[j])
    for j in range(c.size):
        c[j] = f[j] * c_before[j] + i[j] * g[j]
    for j in range(c.size):
        tanh_c[j] = tanh(c[j])
    for j in range(c.size):
        h[j] = o[j] * tanh_c[j]


@njit(cache=True, nogil=True)
def _backward(
    order: Any, weight: Any, panels: Any, product: Any, gates: Any, cs_before: Any, tanh_cs: Any, dys: Any, dh: Any,
    dc: Any, dgates: Any,
) -> None:  # fmt: skip
    pack_all(weight, panels)
    later, count = dgates[:0], 0  # of the step that was walked before, in whole tiles, and its rows
    for step in range(len(order)):
        start, running = order[step]
        rows = slice(start, start + running)
        of_step = (gates[rows], cs_before[rows], tanh_cs[rows], dys[rows], dh, dc, dgates[rows])
        least = least_blocks(panels, max(count, running))
        in_ranges(_step_backward, (panels, later, product, count, of_step), len(panels), least)
        later, count = dgates[start : start + whole_tiles(running)], running


@njit(cache=True, nogil=True)
def _step_backward(
    part: int, begin: int, end: int, panels: Any, later: Any, product: Any, count: int, of_step: Any
) -> None:
    """Bring the gradients of ``count`` rows of gates to some units of the state, and from there to the gates before."""
    multiply_blocks(part, begin, end, panels, later, product)
    gates, c_before, tanh_c, dy, dh, dc, dgates = of_step
    first, last = begin * COLUMNS, min(end * COLUMNS, dh.shape[1])
    collect(first, last, product[0][:count], dh[:0], dy, dh)
    _differentiate(first, last, gates, c_before, tanh_c, dh, dc, dgates)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _differentiate(
    first: int, last: int, gates: Any, c_before: Any, tanh_c: Any, dh: Any, dc: Any, dgates: Any
) -> None:
    """Write the gradients of the gates of some units, and make that of c into that of the c before it."""
    wide_vectors()
    (rows, size), units = tanh_c.shape, slice(first, last)
    at_i, at_f, at_g, at_o = _units_of_gates(size, first, last)
    for b in range(rows):
        gates_b, dgates_b = gates[b], dgates[b]
        i, f, g, o = gates_b[at_i], gates_b[at_f], gates_b[at_g], gates_b[at_o]
        di, df, dg, do = dgates_b[at_i], dgates_b[at_f], dgates_b[at_g], dgates_b[at_o]
        c_before_b, tanh_c_b, dh_b, dc_b = c_before[b][units], tanh_c[b][units], dh[b][units], dc[b][units]
        for j in range(dc_b.size):
            do[j] = dh_b[j] * tanh_c_b[j] * o[j] * (_ONE - o[j])
        for j in range(dc_b.size):
            dc_b[j] += dh_b[j] * o[j] * (_ONE - tanh_c_b[j] * tanh_c_b[j])
        for j in range(dc_b.size):
            di[j] = dc_b[j] * g[j] * i[j] * (_ONE - i[j])
        for j in range(dc_b.size):
            dg[j] = dc_b[j] * i[j] * (_ONE - g[j] * g[j])
        for j in range(dc_b.size):
            df[j] = dc_b[j] * c_before_b[j] * f[j] * (_ONE - f[j])
        for j in range(dc_b.size):
            dc_b[j] *= f[j]
