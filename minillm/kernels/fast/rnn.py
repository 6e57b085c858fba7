"""A layer of a simple recurrent network: the walk of the plain form; what a step does between products is one loop."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels.cpu import rnn as plain
from minillm.kernels.fast.hyperbolic import tanh
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["rnn_backward", "rnn_forward"]

_ZERO, _ONE = np.float32(0), np.float32(1)


class Cell:
    """The compiled form of the plain set's ``Cell``."""

    def __init__(self, like: Array, rows: int, size: int, bias: Array | None, nonlinearity: str) -> None:
        self.bias = np.zeros(size, np.float32) if bias is None else bias
        self.tanh = nonlinearity == "tanh"

    def forward(self, h: Array, added: Array) -> None:
        """Add ``added`` to the input's product in ``h`` and apply the nonlinearity."""
        _forward(h, added, self.bias, self.tanh)

    def prepare(self, h: Array, dsum: Array) -> None:
        """Do nothing: in one loop, the derivative is computed where it is needed."""

    def backward(self, h: Array, dy: Array, dh: Array, dsum: Array) -> None:
        """Add ``dy`` to dh, and write the gradient before the nonlinearity."""
        _backward(h, dy, dh, dsum, self.tanh)


def rnn_forward(x: Array, *arguments: Any) -> Any:
    """See the plain form."""
    return plain.forward(x, *arguments, Cell if x.dtype == np.float32 else plain.Cell)


def rnn_backward(dy: Array, *arguments: Any) -> Any:
    """See the plain form."""
    if dy.dtype != np.float32:
        return plain.rnn_backward(dy, *arguments)
    return plain.backward(np.ascontiguousarray(dy), *arguments, Cell)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _forward(h: Any, added: Any, bias: Any, with_tanh: Any) -> None:
    wide_vectors()
    for b in range(len(h)):
        h_b, added_b = h[b], added[b]
        if with_tanh:
            for j in range(h_b.size):
                h_b[j] = tanh(h_b[j] + added_b[j] + bias[j])
        else:
            for j in range(h_b.size):
                a = h_b[j] + added_b[j] + bias[j]
                h_b[j] = a if a > _ZERO or a != a else _ZERO


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _backward(h: Any, dy: Any, dh: Any, dsum: Any, with_tanh: Any) -> None:
    wide_vectors()
    for b in range(len(h)):
        h_b, dy_b, dh_b, dsum_b = h[b], dy[b], dh[b], dsum[b]
        for j in range(h_b.size):
            dh_b[j] += dy_b[j]
        if with_tanh:
            for j in range(h_b.size):
                dsum_b[j] = dh_b[j] * (_ONE - h_b[j] * h_b[j])
        else:
            for j in range(h_b.size):
                dsum_b[j] = dh_b[j] if h_b[j] > _ZERO else h_b[j] * dh_b[j]
