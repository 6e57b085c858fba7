"""A layer of gated recurrent units over a whole batch of sequences.

The input's product is one for all steps; a step adds the recurrent one and works on its rows in place.
Every gradient of a step is dh times a factor that does not depend on the later steps: backward writes
the factors first, a tile at a time, and multiplies while it walks.

Formulas: see :func:`minillm.nn.functional.recurrent.gru_composite`.
"""

from __future__ import annotations

from typing import Any

from minillm.backend import Array, xp_of
from minillm.kernels.cpu.half_precision import in_float32
from minillm.kernels.cpu.repeated_product import RepeatedProduct
from minillm.kernels.cpu.rows import column_sums
from minillm.kernels.cpu.steps import steps_of


@in_float32
def gru_forward(
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    batch_sizes: tuple[int, ...],
    reverse: bool,
) -> tuple[Array, Array, tuple[Array, ...]]:
    """Return the outputs (N, H), the last state (B, H), and what backward needs.

    Args:
        x: the packed input, (N, I).
        h0: (B, H).
        w_ih: (3H, I), gates r z n.
        w_hh: (3H, H).
        b_ih: (3H,) or None.
        b_hh: (3H,) or None.
        batch_sizes: see :class:`~minillm.kernels.cpu.steps.Steps`.
        reverse: walk from the end.
    """
    xp = xp_of(x)
    steps = steps_of(batch_sizes, reverse)
    size = h0.shape[1]
    gates = xp.matmul(x, w_ih.T)  # (N, 3H)
    hs = steps.buffer(h0)
    hs_after = steps.outputs(hs)
    hidden_n = xp.empty((steps.rows, size), x.dtype)  # W_hn h + b_hn, which r is multiplied with
    recurrent = RepeatedProduct(w_hh.T, steps.batch, len(steps.walk))
    bias = bias_n = None
    if b_ih is not None and b_hh is not None:  # for every row: half the time of a vector that is broadcast
        bias = xp.empty((steps.batch, 3 * size), x.dtype)
        bias[...] = b_ih
        bias[:, : 2 * size] += b_hh[: 2 * size]
        bias_n = xp.empty(h0.shape, x.dtype)
        bias_n[...] = b_hh[2 * size :]

    for step in steps.walk:
        rows, n = step.rows, step.size
        gate, h_before = gates[rows], steps.before(hs, step)
        added = recurrent(h_before)
        added_n, from_hidden = added[:, 2 * size :], hidden_n[rows]
        if bias is None or bias_n is None:
            from_hidden[...] = added_n
        else:
            xp.add(added_n, bias_n[:n], out=from_hidden)
            gate += bias[:n]
        rz = gate[:, : 2 * size]
        rz += added[:, : 2 * size]
        rz *= 0.5  # sigmoid(a) = tanh(a / 2) / 2 + 1 / 2, which cannot overflow
        xp.tanh(rz, out=rz)
        rz *= 0.5
        rz += 0.5
        r, z, new, h = gate[:, :size], gate[:, size : 2 * size], gate[:, 2 * size :], hs_after[rows]
        xp.multiply(r, from_hidden, out=h)
        new += h
        xp.tanh(new, out=new)
        xp.subtract(h_before, new, out=h)
        h *= z
        h += new
    return hs_after, steps.final(hs), (hs, gates, hidden_n)


@in_float32
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
) -> tuple[Any, ...]:
    """Return the gradients of x, h0, w_ih, w_hh, b_ih and b_hh, None where not needed."""
    xp = xp_of(x)
    steps = steps_of(batch_sizes, reverse)
    hs, gates, hidden_n = saved
    size = hs.shape[1]
    hs_before = steps.all_before(hs)
    dgates = xp.empty(gates.shape, x.dtype)  # with respect to the recurrent product
    dnew = xp.empty(hidden_n.shape, x.dtype)  # n's, with respect to the input's product
    dh = dh_n.copy()
    direct = xp.empty(dh.shape, x.dtype)
    recurrent = RepeatedProduct(w_hh, steps.batch, len(steps.walk))

    for tile in reversed(steps.tiles(3 * size)):
        rows = tile.rows
        _local_derivatives(gates[rows], hidden_n[rows], hs_before[rows], dgates[rows], dnew[rows])
        for step in reversed(tile.steps):
            rows, n = step.rows, step.size
            dgate, dn, dh_now, kept = dgates[rows], dnew[rows], dh[:n], direct[:n]
            dh_now += dy[rows]
            dgate_rzn = dgate.reshape(n, 3, size)
            dgate_rzn *= dh_now[:, None]
            dn *= dh_now
            xp.multiply(dh_now, gates[rows, size : 2 * size], out=kept)
            xp.add(recurrent(dgate), kept, out=dh_now)

    dw_hh = xp.matmul(dgates.T, hs_before) if needs[3] else None
    db_hh = column_sums(dgates) if needs[5] else None
    dgates[:, 2 * size :] = dnew
    return (
        xp.matmul(dgates, w_ih) if needs[0] else None,
        dh,
        xp.matmul(dgates.T, x) if needs[2] else None,
        dw_hh,
        column_sums(dgates) if needs[4] else None,
        db_hh,
    )


def _local_derivatives(
    gates: Array, hidden_n: Array, h_before: Array, dgates: Array, dnew: Array
) -> None:
    """Write what the gates' gradients are, but for the factor dh.

    dn = dh (1 - z) (1 - n^2),  dz = dh (h' - n) z (1 - z),  dr = dn hidden_n r (1 - r); and what n's part
    of the recurrent product gets is dn r.
    """
    xp = xp_of(gates)
    size = dnew.shape[1]
    r, z, n = (slice(k * size, (k + 1) * size) for k in range(3))
    rest = 1 - gates
    new, drz = gates[:, n], dgates[:, : 2 * size]
    xp.multiply(new, new, out=dnew)
    xp.subtract(1, dnew, out=dnew)
    dnew *= rest[:, z]
    xp.multiply(rest[:, : 2 * size], gates[:, : 2 * size], out=drz)
    dr, dz = dgates[:, r], dgates[:, z]
    dr *= hidden_n
    dr *= dnew
    xp.subtract(h_before, new, out=rest[:, n])
    dz *= rest[:, n]
    xp.multiply(dnew, gates[:, r], out=dgates[:, n])
