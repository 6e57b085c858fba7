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


@in_float32
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
    xp = xp_of(x)
    steps = steps_of(batch_sizes, reverse)
    hs = steps.buffer(h0)
    hs_after = steps.outputs(hs)
    xp.matmul(x, w_ih.T, out=hs_after)
    recurrent = RepeatedProduct(w_hh.T, steps.batch, len(steps.walk))
    bias = None
    if b_ih is not None and b_hh is not None:  # for every row: half the time of a vector that is broadcast
        bias = xp.empty(h0.shape, x.dtype)
        bias[...] = b_ih + b_hh

    for step in steps.walk:
        h = hs_after[step.rows]
        h += recurrent(steps.before(hs, step))
        if bias is not None:
            h += bias[: step.size]
        if nonlinearity == "tanh":
            xp.tanh(h, out=h)
        else:
            xp.maximum(h, 0, out=h)
    return hs_after, steps.final(hs), (hs,)


@in_float32
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
    xp = xp_of(x)
    steps = steps_of(batch_sizes, reverse)
    (hs,) = saved
    hs_after = steps.outputs(hs)
    dsums = xp.empty(hs_after.shape, x.dtype)  # gradient of what the nonlinearity is applied to
    dh = dh_n.copy()
    recurrent = RepeatedProduct(w_hh, steps.batch, len(steps.walk))

    for tile in reversed(steps.tiles(hs.shape[1])):
        h, derivative = hs_after[tile.rows], dsums[tile.rows]
        if nonlinearity == "tanh":
            xp.multiply(h, h, out=derivative)
            xp.subtract(1, derivative, out=derivative)
        else:
            xp.sign(h, out=derivative)
        for step in reversed(tile.steps):
            dsum, dh_now = dsums[step.rows], dh[: step.size]
            dh_now += dy[step.rows]
            dsum *= dh_now
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
