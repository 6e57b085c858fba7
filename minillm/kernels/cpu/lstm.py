"""A layer of a long short-term memory over a whole batch of sequences.

The input's product is one for all steps; a step adds the recurrent one and works on its rows in place.
Backward keeps one array of factors that do not depend on the later steps, turns it into the gradients of
the gates while it walks, and takes the gradients of the weights from it in one product each.

Formulas: see :func:`minillm.nn.functional.recurrent.lstm_composite`.
"""

from __future__ import annotations

from typing import Any

from minillm.backend import Array, xp_of
from minillm.kernels.cpu.half_precision import in_float32
from minillm.kernels.cpu.repeated_product import RepeatedProduct
from minillm.kernels.cpu.rows import column_sums
from minillm.kernels.cpu.steps import steps_of


@in_float32
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
) -> tuple[Array, Array, Array, tuple[Array, ...]]:
    """Return the outputs (N, H or P), the last states h and c, and what backward needs.

    Args:
        x: the packed input, (N, I).
        h0: (B, H), or (B, P) with a projection.
        c0: (B, H).
        w_ih: (4H, I), gates i f g o.
        w_hh: (4H, H or P).
        b_ih: (4H,) or None.
        b_hh: (4H,) or None.
        w_hr: the projection, (P, H), or None.
        batch_sizes: see :class:`~minillm.kernels.cpu.steps.Steps`.
        reverse: walk from the end.
    """
    xp = xp_of(x)
    steps = steps_of(batch_sizes, reverse)
    size = c0.shape[1]
    gates = xp.matmul(x, w_ih.T)  # (N, 4H)
    hs, cs = steps.buffer(h0), steps.buffer(c0)
    hs_after, cs_after = steps.outputs(hs), steps.outputs(cs)
    tanh_cs = xp.empty((steps.rows, size), x.dtype)
    product = xp.empty((steps.batch, size), x.dtype)
    recurrent = RepeatedProduct(w_hh.T, steps.batch, len(steps.walk))
    # sigmoid(a) = tanh(a / 2) / 2 + 1 / 2: one tanh for all gates, and no overflow. Factors and bias are
    # there for every row: that takes half the time of a vector which is broadcast.
    half = xp.full((steps.batch, 4 * size), 0.5, x.dtype)
    shift = xp.full((steps.batch, 4 * size), 0.5, x.dtype)
    half[:, 2 * size : 3 * size] = 1
    shift[:, 2 * size : 3 * size] = 0
    bias = None
    if b_ih is not None and b_hh is not None:
        bias = xp.empty((steps.batch, 4 * size), x.dtype)
        bias[...] = b_ih + b_hh

    for step in steps.walk:
        rows, n = step.rows, step.size
        gate = gates[rows]
        gate += recurrent(steps.before(hs, step))
        if bias is not None:
            gate += bias[:n]
        gate *= half[:n]
        xp.tanh(gate, out=gate)
        gate *= half[:n]
        gate += shift[:n]
        i, f = gate[:, :size], gate[:, size : 2 * size]
        g, o = gate[:, 2 * size : 3 * size], gate[:, 3 * size :]
        c, tanh_c, ig = cs_after[rows], tanh_cs[rows], product[:n]
        xp.multiply(f, steps.before(cs, step), out=c)
        xp.multiply(i, g, out=ig)
        c += ig
        xp.tanh(c, out=tanh_c)
        if w_hr is None:
            xp.multiply(o, tanh_c, out=hs_after[rows])
        else:
            xp.multiply(o, tanh_c, out=ig)
            xp.matmul(ig, w_hr.T, out=hs_after[rows])
    return hs_after, steps.final(hs), steps.final(cs), (hs, cs, gates, tanh_cs)


@in_float32
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
) -> tuple[Any, ...]:
    """Return the gradients of x, h0, c0, w_ih, w_hh, b_ih, b_hh and w_hr, None where not needed."""
    xp = xp_of(x)
    steps = steps_of(batch_sizes, reverse)
    hs, cs, gates, tanh_cs = saved
    size = cs.shape[1]
    cs_before = steps.all_before(cs)
    dgates = xp.empty((steps.rows, 4 * size), x.dtype)
    dcell = xp.empty((steps.rows, size), x.dtype)  # dc / d(o tanh c)
    dh, dc = dh_n.copy(), dc_n.copy()
    product = xp.empty((steps.batch, size), x.dtype)
    recurrent = RepeatedProduct(w_hh, steps.batch, len(steps.walk))
    dhs = None if w_hr is None else xp.empty((steps.rows, dh.shape[1]), x.dtype)

    for tile in reversed(steps.tiles(4 * size)):
        rows = tile.rows
        _local_derivatives(gates[rows], cs_before[rows], tanh_cs[rows], dgates[rows], dcell[rows])
        for step in reversed(tile.steps):
            rows, n = step.rows, step.size
            dgate, dh_now, dc_now, dhidden = dgates[rows], dh[:n], dc[:n], product[:n]
            dh_now += dy[rows]
            if w_hr is None or dhs is None:
                dout = dh_now
            else:
                dhs[rows] = dh_now
                dout = xp.matmul(dh_now, w_hr)
            xp.multiply(dout, dcell[rows], out=dhidden)
            dc_now += dhidden
            dgate_ifg = dgate.reshape(n, 4, size)[:, :3]
            dgate_ifg *= dc_now[:, None]
            dgate_o = dgate[:, 3 * size :]
            dgate_o *= dout
            dc_now *= gates[rows, size : 2 * size]
            recurrent.write(dgate, dh_now)

    db = column_sums(dgates) if needs[5] or needs[6] else None
    dw_hr = None
    if dhs is not None and needs[7]:
        dw_hr = xp.matmul(dhs.T, gates[:, 3 * size :] * tanh_cs)
    return (
        xp.matmul(dgates, w_ih) if needs[0] else None,
        dh,
        dc,
        xp.matmul(dgates.T, x) if needs[3] else None,
        xp.matmul(dgates.T, steps.all_before(hs)) if needs[4] else None,
        db,
        db,
        dw_hr,
    )


def _local_derivatives(
    gates: Array, c_before: Array, tanh_c: Array, dgates: Array, dcell: Array
) -> None:
    """Write what the gates' gradients are, but for the factor dc (of i, f, g) or dh (of o).

    di = dc g i (1 - i),  df = dc c' f (1 - f),  dg = dc i (1 - g^2),  do = dh tanh(c) o (1 - o);
    dc += dh o (1 - tanh(c)^2).
    """
    xp = xp_of(gates)
    size = dcell.shape[1]
    i, f, g, o = (slice(k * size, (k + 1) * size) for k in range(4))
    rest = 1 - gates
    xp.multiply(rest, gates, out=dgates)
    dgates[:, g] += rest[:, g]  # (1 - g) g + (1 - g) = 1 - g^2
    dgates[:, i] *= gates[:, g]
    dgates[:, f] *= c_before
    dgates[:, g] *= gates[:, i]
    dgates[:, o] *= tanh_c
    xp.multiply(tanh_c, tanh_c, out=dcell)
    xp.subtract(1, dcell, out=dcell)
    dcell *= gates[:, o]
