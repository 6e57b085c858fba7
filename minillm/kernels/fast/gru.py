"""A layer of gated recurrent units: the walk of the plain form, with what a step does between products in one loop."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels.cpu import gru as plain
from minillm.kernels.fast.hyperbolic import sigmoid, tanh
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["gru_backward", "gru_forward"]

_ONE = np.float32(1)


class Cell:
    """The compiled form of the plain set's ``Cell``."""

    def __init__(self, like: Array, rows: int, size: int, bias: Array | None, bias_n: Array | None) -> None:
        self.bias = np.zeros(3 * size, np.float32) if bias is None else bias
        self.bias_n = np.zeros(size, np.float32) if bias_n is None else np.ascontiguousarray(bias_n)

    def forward(self, gate: Array, added: Array, h_before: Array, hidden_n: Array, h: Array) -> None:
        """Apply the gates; write what r is multiplied with, and h."""
        _forward(gate, added, self.bias, self.bias_n, h_before, hidden_n, h)

    def prepare(self, gates: Array, hidden_n: Array, h_before: Array, dgates: Array, dnew: Array) -> None:
        """Do nothing: in one loop, all factors are computed where they are needed."""

    def backward(
        self, gate: Array, hidden_n: Array, h_before: Array, dy: Array, dh: Array, direct: Array, dgate: Array,
        dnew: Array,
    ) -> None:  # fmt: skip
        """Add ``dy`` to dh; write the gradients of a step, and z dh, what goes to the state before directly."""
        _backward(gate, hidden_n, h_before, dy, dh, direct, dgate, dnew)


def gru_forward(x: Array, *arguments: Any) -> Any:
    """See the plain form."""
    return plain.forward(x, *arguments, Cell if x.dtype == np.float32 else plain.Cell)


def gru_backward(dy: Array, *arguments: Any) -> Any:
    """See the plain form."""
    if dy.dtype != np.float32:
        return plain.gru_backward(dy, *arguments)
    return plain.backward(np.ascontiguousarray(dy), *arguments, Cell)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _forward(gate: Any, added: Any, bias: Any, bias_n: Any, h_before: Any, hidden_n: Any, h: Any) -> None:
    wide_vectors()
    rows, size = h.shape
    for b in range(rows):
        gate_b, added_b = gate[b], added[b]
        r, z, n, added_n = gate_b[:size], gate_b[size : 2 * size], gate_b[2 * size :], added_b[2 * size :]
        shift_n, before, hidden_b, h_b = bias[2 * size :], h_before[b], hidden_n[b], h[b]
        for j in range(2 * size):
            gate_b[j] = gate_b[j] + added_b[j] + bias[j]
        for j in range(size):
            r[j] = sigmoid(r[j])
        for j in range(size):
            z[j] = sigmoid(z[j])
        for j in range(size):
            hidden_b[j] = added_n[j] + bias_n[j]
        for j in range(size):
            n[j] = tanh(n[j] + shift_n[j] + r[j] * hidden_b[j])
        for j in range(size):
            h_b[j] = (before[j] - n[j]) * z[j] + n[j]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _backward(
    gate: Any, hidden_n: Any, h_before: Any, dy: Any, dh: Any, direct: Any, dgate: Any, dnew: Any
) -> None:
    wide_vectors()
    rows, size = dh.shape
    for b in range(rows):
        gate_b, dgate_b = gate[b], dgate[b]
        r, z, n = gate_b[:size], gate_b[size : 2 * size], gate_b[2 * size :]
        dr, dz, dn = dgate_b[:size], dgate_b[size : 2 * size], dgate_b[2 * size :]
        before, hidden_b, dy_b, dh_b, direct_b, dnew_b = h_before[b], hidden_n[b], dy[b], dh[b], direct[b], dnew[b]
        for j in range(size):
            dh_b[j] += dy_b[j]
        for j in range(size):
            direct_b[j] = dh_b[j] * z[j]
        for j in range(size):
            dz[j] = dh_b[j] * (before[j] - n[j]) * z[j] * (_ONE - z[j])
        for j in range(size):
            dnew_b[j] = dh_b[j] * (_ONE - z[j]) * (_ONE - n[j] * n[j])
        for j in range(size):
            dr[j] = dnew_b[j] * hidden_b[j] * r[j] * (_ONE - r[j])
        for j in range(size):
            dn[j] = dnew_b[j] * r[j]
