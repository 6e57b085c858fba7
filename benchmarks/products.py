"""The floor of a workload: its matrix products alone, by NumPy's BLAS, with memory taken beforehand.

Equal products share their operands, which then lie in the cache: a real step cannot be faster than this with the
same BLAS. Attention counts its whole square, though a causal one needs half of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class Products:
    """A list of matrix products.

    Example:
        >>> products = Products()
        >>> products.linear(rows=8, inputs=4, outputs=2)
        >>> products.flops  # forward, gradient of the input, gradient of the weight
        384
        >>> products.run()
    """

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        self._calls: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = []
        self.flops = 0

    def add(self, a: np.ndarray, b: np.ndarray, times: int = 1) -> None:
        """Add ``a @ b``, done so many times."""
        out = np.matmul(a, b)
        self._calls.append((times, a, b, out))
        self.flops += 2 * times * out.size * a.shape[-1]

    def linear(self, rows: int, inputs: int, outputs: int, times: int = 1, backward: bool = True) -> None:
        """Add y = x W^T, and with ``backward`` dx = dy W and dW = dy^T x."""
        x, weight, dy = self.normal(rows, inputs), self.normal(outputs, inputs), self.normal(rows, outputs)
        self.add(x, weight.T, times)
        if backward:
            self.add(dy, weight, times)
            self.add(dy.T, x, times)

    def attention(self, batch: int, heads: int, tokens: int, size: int, times: int = 1) -> None:
        """Add scores and outputs of attention, and the four products of its backward."""
        q, p = self.normal(batch, heads, tokens, size), self.normal(batch, heads, tokens, tokens)
        self.add(q, q.swapaxes(2, 3), 2 * times)  # q k^T, dy v^T
        self.add(p, q, 2 * times)  # p v, ds k
        self.add(p.swapaxes(2, 3), q, 2 * times)  # p^T dy, ds^T q

    def transformer(self, layers: int, batch: int, tokens: int, width: int, heads: int) -> None:
        """Add blocks of attention and an MLP four times as wide, forward and backward."""
        rows = batch * tokens
        for outputs, inputs in ((3 * width, width), (width, width), (4 * width, width), (width, 4 * width)):
            self.linear(rows, inputs, outputs, layers)
        self.attention(batch, heads, tokens, width // heads, layers)

    def recurrent(self, steps: int, batch: int, width: int, gates: int) -> None:
        """Add a recurrent layer: one input product for all steps, one recurrent product each step."""
        rows, out = steps * batch, gates * width
        self.linear(rows, width, out)
        h, weight, dy = self.normal(batch, width), self.normal(width, out), self.normal(batch, out)
        self.add(h, weight, steps)
        self.add(dy, np.ascontiguousarray(weight.T), steps)
        self.add(self.normal(rows, out).T, self.normal(rows, width))

    def normal(self, *shape: int) -> np.ndarray:
        return self._random.standard_normal(shape, np.float32)

    def run(self) -> None:
        """Do them all."""
        for times, a, b, out in self._calls:
            for _ in range(times):
                np.matmul(a, b, out=out)


def reading(rows: int, width: int, times: int) -> Callable[[], Any]:
    """Return what reads a matrix from memory so many times, as fast as BLAS does: its product with a vector."""
    matrix, vector = np.ones((rows, width), np.float32), np.ones(width, np.float32)
    out = np.empty(rows, np.float32)

    def read() -> None:
        for _ in range(times):
            np.matmul(matrix, vector, out=out)

    return read
