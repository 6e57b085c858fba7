"""A layer of a long short-term memory: the walk of the plain form; what a step does between products is one loop."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels.cpu import lstm as plain
from minillm.kernels.fast.hyperbolic import sigmoid, tanh
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["lstm_backward", "lstm_forward"]

_ONE = np.float32(1)


class Cell:
    """The compiled form of the plain set's ``Cell``."""

    def __init__(self, like: Array, rows: int, size: int, bias: Array | None) -> None:
        self.bias = np.zeros(4 * size, np.float32) if bias is None else bias

    def forward(self, gate: Array, added: Array, c_before: Array, c: Array, tanh_c: Array, h: Array) -> None:
        """Add ``added`` to the gates and apply them; write c, tanh(c) and h = o tanh(c)."""
        _forward(gate, added, self.bias, c_before, c, tanh_c, h)

    def prepare(self, gates: Array, c_before: Array, tanh_c: Array, dgates: Array) -> None:
        """Do nothing: in one loop, all factors are computed where they are needed."""

    def backward(
        self, gate: Array, c_before: Array, tanh_c: Array, dh: Array, dc: Array, dgate: Array, first: int
    ) -> None:
        """Write the gradient of the gates of a step, and make that of c into that of the c before it."""
        _backward(gate, c_before, tanh_c, dh, dc, dgate)


def lstm_forward(x: Array, *arguments: Any) -> Any:
    """See the plain form."""
    return plain.forward(x, *arguments, Cell if x.dtype == np.float32 else plain.Cell)


def lstm_backward(dy: Array, *arguments: Any) -> Any:
    """See the plain form."""
    return plain.backward(dy, *arguments, Cell if dy.dtype == np.float32 else plain.Cell)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _forward(gate: Any, added: Any, bias: Any, c_before: Any, c: Any, tanh_c: Any, h: Any) -> None:
    wide_vectors()
    rows, size = c.shape
    for b in range(rows):
        # Rows of their own: with two indices LLVM makes no vectors of these loops, which take three times as long.
        gate_b, added_b = gate[b], added[b]
        i, f = gate_b[:size], gate_b[size : 2 * size]
        g, o = gate_b[2 * size : 3 * size], gate_b[3 * size :]
        c_before_b, c_b, tanh_c_b, h_b = c_before[b], c[b], tanh_c[b], h[b]
        for j in range(4 * size):
            gate_b[j] = gate_b[j] + added_b[j] + bias[j]
        for j in range(size):
            i[j] = sigmoid(i[j])
        for j in range(size):
            f[j] = sigmoid(f[j])
        for j in range(size):
            g[j] = tanh(g[j])
        for j in range(size):
            o[j] = sigmoid(o[j])
        for j in range(size):
            c_b[j] = f[j] * c_before_b[j] + i[j] * g[j]
        for j in range(size):
            tanh_c_b[j] = tanh(c_b[j])
        for j in range(size):
            h_b[j] = o[j] * tanh_c_b[j]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _backward(gate: Any, c_before: Any, tanh_c: Any, dh: Any, dc: Any, dgate: Any) -> None:
    wide_vectors()
    rows, size = dc.shape
    for b in range(rows):
        for j in range(size):
            o, t = gate[b, 3 * size + j], tanh_c[b, j]
            dgate[b, 3 * size + j] = dh[b, j] * t * o * (_ONE - o)
        for j in range(size):
            t = tanh_c[b, j]
            dc[b, j] += dh[b, j] * gate[b, 3 * size + j] * (_ONE - t * t)
        for j in range(size):
            i, g = gate[b, j], gate[b, 2 * size + j]
            dgate[b, j] = dc[b, j] * g * i * (_ONE - i)
            dgate[b, 2 * size + j] = dc[b, j] * i * (_ONE - g * g)
        for j in range(size):
            f = gate[b, size + j]
            dgate[b, size + j] = dc[b, j] * c_before[b, j] * f * (_ONE - f)
        for j in range(size):
            dc[b, j] *= gate[b, size + j]
