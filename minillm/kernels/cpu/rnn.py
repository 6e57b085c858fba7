"""A layer of a simple (Elman) recurrent network over a whole batch of sequences.

The input's product is one for all steps; a step adds the recurrent one in place. Backward writes the
derivative of the nonlinearity first and turns it into the gradient before it while it walks.

Formulas: see :func:`minillm.nn.functional.recurrent.rnn_composite`.
"""

from __future__ import annotations

from typing import Any

from minillm.backend import Array, xp_of
from minillm.kernels.cpu.half_precision import in_float32
from minillm.kernels.cpu.repeated_product import RepeatedProduct
from minillm.kernels.cpu.rows import column_sums
from minillm.kernels.cpu.steps import steps_of


class Cell:
    """What a step does to its rows between the products, in passes over arrays.

    Args:
        like: an array of the dtype, on the device.
        rows: the most rows of a step.
        size: of the state, H.
        bias: (H,) or None.
        nonlinearity: "tanh" or "relu".
    """

    def __init__(self, like: Array, rows: int, size: int, bias: Array | None, nonlinearity: str) -> None:
        self.tanh = nonlinearity == "tanh"
        self.bias = None
        if bias is not None:  # for every row: half the time of a vector that is broadcast
            self.bias = xp_of(like).empty((rows, size), like.dtype)
            self.bias[...] = bias

    def forward(self, h: Array, added: Array) -> None:
        """Add ``added`` to the input's product in ``h`` and apply the nonlinearity."""
        h += added
        if self.bias is not None:
            h += self.bias[: len(h)]
        if self.tanh:
            xp_of(h).tanh(h, out=h)
        else:
            xp_of(h).maximum(h, 0, out=h)

    def prepare(self, h: Array, dsum: Array) -> None:
        """Write the derivative of the nonlinearity in some steps."""
        xp = xp_of(h)
        if self.tanh:
            xp.multiply(h, h, out=dsum)
            xp.subtract(1, dsum, out=dsum)
        else:
            xp.sign(h, out=dsum)

    def backward(self, h: Array, dy: Array, dh: Array, dsum: Array) -> None:
        """Add ``dy`` to dh, and make the derivative of a step into the gradient before the nonlinearity."""
        dh += dy
        dsum *= dh


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
) -> tuple[Array, Array, tuple[Array, ...]]:
    """Return the outputs (N, H), the last state (B, H), and what backward needs.

    Args:
        x: the packed input, (N, I).
        h0: (B, H).
        w_ih: (H, I).
        w_hh: (H, H).
        b_ih: (H,) or None.
        b_hh: (H,) or None.
        nonlinearity: "tanh" or "relu".
        batch_sizes: see :class:`~minillm.kernels.cpu.steps.Steps`.
        reverse: walk from the end.
    """
    return forward(x, h0, w_ih, w_hh, b_ih, b_hh, nonlinearity, batch_sizes, reverse, Cell)


@in_float32
def forward(
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    nonlinearity: str,
    batch_sizes: tuple[int, ...],
    reverse: bool,
    cell_class: Any,
) -> tuple[Any, ...]:
    """Do what :func:`rnn_forward` does, with any kind of :class:`Cell`."""
    xp = xp_of(x)
    steps = steps_of(batch_sizes, reverse)
    size = h0.shape[1]
    hs = steps.buffer(h0)
    hs_after = steps.outputs(hs)
    xp.matmul(x, w_ih.T, out=hs_after)
    recurrent = RepeatedProduct(w_hh.T, steps.batch, len(steps.walk))
    bias = b_ih + b_hh if b_ih is not None and b_hh is not None else None
    cell = cell_class(x, steps.batch, size, bias, nonlinearity)
    for step in steps.walk:
        cell.forward(hs_after[step.rows], recurrent(steps.before(hs, step)))
    return hs_after, steps.final(hs), (hs,)


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
) -> tuple[Any, ...]:
    """Return the gradients of x, h0, w_ih, w_hh, b_ih and b_hh, None where not needed."""
    return backward(dy, dh_n, x, w_ih, w_hh, saved, nonlinearity, batch_sizes, reverse, needs, Cell)


@in_float32
def backward(
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
    cell_class: Any,
) -> tuple[Any, ...]:
    """Do what :func:`rnn_backward` does, with any kind of :class:`Cell`."""
    xp = xp_of(x)
    steps = steps_of(batch_sizes, reverse)
    (hs,) = saved
    size = hs.shape[1]
    hs_after = steps.outputs(hs)
    dsums = xp.empty(hs_after.shape, x.dtype)  # gradient of what the nonlinearity is applied to
    dh = dh_n.copy()
    recurrent = RepeatedProduct(w_hh, steps.batch, len(steps.walk))
    cell = cell_class(x, steps.batch, size, None, nonlinearity)
    for tile in reversed(steps.tiles(size)):
        cell.prepare(hs_after[tile.rows], dsums[tile.rows])
        for step in reversed(tile.steps):
            rows, dh_now = step.rows, dh[: step.size]
            dsum = dsums[rows]
            cell.backward(hs_after[rows], dy[rows], dh_now, dsum)
            recurrent.write(dsum, dh_now)

    db = column_sums(dsums) if needs[4] or needs[5] else None
    return (
        xp.matmul(dsums, w_ih) if needs[0] else None,
        dh,
        xp.matmul(dsums.T, x) if needs[2] else None,
        xp.matmul(dsums.T, steps.all_before(hs)) if needs[3] else None,
        db,
        db,
    )
