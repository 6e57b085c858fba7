"""A layer of a simple recurrent network: the walk over all steps in machine code, see :mod:`minillm.kernels.fast.walk`.

A few steps take the walk of the plain form, with what a step does between products in one loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels.cpu import rnn as plain
from minillm.kernels.cpu.steps import steps_of
from minillm.kernels.fast.hyperbolic import tanh
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

__all__ = ["rnn_backward", "rnn_forward"]

_ZERO, _ONE = np.float32(0), np.float32(1)


class Cell:
    """The compiled form of the plain set's ``Cell``."""

    def __init__(self, like: Array, rows: int, size: int, bias: Array | None, nonlinearity: str) -> None:
        self.bias = np.zeros(size, np.float32) if bias is None else bias
        self.tanh = nonlinearity == "tanh"

    def forward(self, h: Array, added: Array) -> None:
        """Add ``added`` to the input's product in ``h`` and apply the nonlinearity."""
        _apply(0, h.shape[1], h, added, self.bias, self.tanh, h, h)

    def prepare(self, h: Array, dsum: Array) -> None:
        """Do nothing: in one loop, the derivative is computed where it is needed."""

    def backward(self, h: Array, dy: Array, dh: Array, dsum: Array) -> None:
        """Add ``dy`` to dh, and write the gradient before the nonlinearity."""
        collect(0, h.shape[1], dh[:0], dh[:0], dy, dh)
        _differentiate(0, h.shape[1], h, dh, self.tanh, dsum)


def rnn_forward(
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    nonlinearity: str,
    batch_sizes: tuple[int, ...],
    reverse: bool,
) -> Any:
    """See the plain form."""
    if not walks(batch_sizes, x, h0, w_ih, w_hh, b_ih, b_hh):
        cell = Cell if are_floats(x, h0, w_ih, w_hh, b_ih, b_hh) else plain.Cell
        return plain.forward(x, h0, w_ih, w_hh, b_ih, b_hh, nonlinearity, batch_sizes, reverse, cell)
    steps, size = steps_of(batch_sizes, reverse), h0.shape[1]
    hs = steps.buffer(h0)
    bias = np.zeros(size, np.float32) if b_ih is None or b_hh is None else b_ih + b_hh
    states = rows_for(steps.batch, size, 2)
    states[:, : steps.batch, :size] = h0
    _forward(
        order_of(batch_sizes, reverse), w_hh[None], panels_for(size, 1, size), states, rows_for(steps.batch, size, 1),
        linear(x, w_ih, None), bias, nonlinearity == "tanh", steps.outputs(hs),
    )  # fmt: skip
    return steps.outputs(hs), steps.final(hs), (hs,)


def rnn_backward(
    dy: Array,
    dh_n: Array,
    x: Array,
    w_ih: Array,
    w_hh: Array,
    saved: tuple[Array, ...],
    nonlinearity: str,
    batch_sizes: tuple[int, ...],
    reverse: bool,
    needs: tuple[bool, ...],
) -> Any:
    """See the plain form."""
    if not walks(batch_sizes, dy, x, w_ih, w_hh):
        if not are_floats(dy, x, w_ih, w_hh):
            return plain.rnn_backward(dy, dh_n, x, w_ih, w_hh, saved, nonlinearity, batch_sizes, reverse, needs)
        dy = np.ascontiguousarray(dy)
        return plain.backward(dy, dh_n, x, w_ih, w_hh, saved, nonlinearity, batch_sizes, reverse, needs, Cell)
    (hs,) = saved
    steps, size = steps_of(batch_sizes, reverse), hs.shape[1]
    wide = rows_for(steps.rows + steps.batch, size)
    dsums, dh = wide[: steps.rows, :size], dh_n.copy()
    _backward(
        order_back(batch_sizes, reverse), w_hh.T[None], panels_for(size, 1, size), rows_for(steps.batch, size, 1),
        steps.outputs(hs), np.ascontiguousarray(dy), dh, nonlinearity == "tanh", wide,
    )  # fmt: skip
    dx, dw_ih, db = linear_backward(dsums, x if needs[2] else None, w_ih if needs[0] else None, needs[4] or needs[5])
    dw_hh = linear_backward(dsums, steps.all_before(hs), None, False)[1] if needs[3] else None
    return dx, dh, dw_ih, dw_hh, db, db


@njit(cache=True, nogil=True)
def _forward(
    order: Any, weight: Any, panels: Any, states: Any, added: Any, sums: Any, bias: Any, with_tanh: bool, hs: Any
) -> None:
    pack_all(weight, panels)
    for step in range(len(order)):
        start, count = order[step]
        rows = slice(start, start + count)
        before, after = states[step % 2][: whole_tiles(count)], states[(step + 1) % 2]
        of_step = (sums[rows], bias, with_tanh, hs[rows], after)
        in_ranges(_step, (panels, before, added, of_step), len(panels), least_blocks(panels, count))


@njit(cache=True, nogil=True)
def _step(part: int, begin: int, end: int, panels: Any, before: Any, added: Any, of_step: Any) -> None:
    multiply_blocks(part, begin, end, panels, before, added)
    sums, bias, with_tanh, h, after = of_step
    _apply(begin * COLUMNS, min(end * COLUMNS, h.shape[1]), sums, added[0], bias, with_tanh, h, after)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _apply(first: int, last: int, sums: Any, added: Any, bias: Any, with_tanh: bool, h: Any, after: Any) -> None:
    """Add to the sums of some units and apply the nonlinearity; write h to two places."""
    wide_vectors()
    units = slice(first, last)
    bias_now = bias[units]
    for b in range(len(h)):
        sums_b, added_b, h_b, after_b = sums[b][units], added[b][units], h[b][units], after[b][units]
        if with_tanh:
            for j in range(h_b.size):
                h_b[j] = tanh(sums_b[j] + added_b[j] + bias_now[j])
        else:
            for j in range(h_b.size):
                a = sums_b[j] + added_b[j] + bias_now[j]
                h_b[j] = a if a > _ZERO or a != a else _ZERO
        for j in range(h_b.size):
            after_b[j] = h_b[j]


@njit(cache=True, nogil=True)
def _backward(
    order: Any, weight: Any, panels: Any, product: Any, hs: Any, dys: Any, dh: Any, with_tanh: bool, dsums: Any
) -> None:
    pack_all(weight, panels)
    later, count = dsums[:0], 0  # of the step that was walked before, in whole tiles, and its rows
    for step in range(len(order)):
        start, running = order[step]
        rows = slice(start, start + running)
        of_step = (hs[rows], dys[rows], dh, with_tanh, dsums[rows])
        least = least_blocks(panels, max(count, running))
        in_ranges(_step_backward, (panels, later, product, count, of_step), len(panels), least)
        later, count = dsums[start : start + whole_tiles(running)], running


@njit(cache=True, nogil=True)
def _step_backward(
    part: int, begin: int, end: int, panels: Any, later: Any, product: Any, count: int, of_step: Any
) -> None:
    """Bring the gradients of ``count`` rows of sums to some units of the state, and from there to the sums before."""
    multiply_blocks(part, begin, end, panels, later, product)
    h, dy, dh, with_tanh, dsum = of_step
    first, last = begin * COLUMNS, min(end * COLUMNS, dh.shape[1])
    collect(first, last, product[0][:count], dh[:0], dy, dh)
    _differentiate(first, last, h, dh, with_tanh, dsum)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _differentiate(first: int, last: int, h: Any, dh: Any, with_tanh: bool, dsums: Any) -> None:
    """Write the gradients of the sums of some units."""
    wide_vectors()
    units = slice(first, last)
    for b in range(len(h)):
        h_b, dh_b, dsums_b = h[b][units], dh[b][units], dsums[b][units]
        if with_tanh:
            for j in range(h_b.size):
                dsums_b[j] = dh_b[j] * (_ONE - h_b[j] * h_b[j])
        else:
            for j in range(h_b.size):
                dsums_b[j] = dh_b[j] if h_b[j] > _ZERO else h_b[j] * dh_b[j]
