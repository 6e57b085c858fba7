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


class Cell:
    """What a step does to its rows between the products, in passes over arrays.

    Args:
        like: an array of the dtype, on the device.
        rows: the most rows of a step.
        size: of the state, H.
        bias: (3H,), what is added to the gates r z n, or None.
        bias_n: (H,), what is added to the part of the recurrent product that r multiplies, or None.
    """

    def __init__(self, like: Array, rows: int, size: int, bias: Array | None, bias_n: Array | None) -> None:
        xp = xp_of(like)
        self.size = size
        self.bias = self.bias_n = None
        if bias is not None and bias_n is not None:  # for every row: half the time of a vector that is broadcast
            self.bias = xp.empty((rows, 3 * size), like.dtype)
            self.bias[...] = bias
            self.bias_n = xp.empty((rows, size), like.dtype)
            self.bias_n[...] = bias_n

    def forward(self, gate: Array, added: Array, h_before: Array, hidden_n: Array, h: Array) -> None:
        """Apply the gates; write what r is multiplied with, and h."""
        xp, n, size = xp_of(gate), len(gate), self.size
        added_n = added[:, 2 * size :]
        if self.bias is None or self.bias_n is None:
            hidden_n[...] = added_n
        else:
            xp.add(added_n, self.bias_n[:n], out=hidden_n)
            gate += self.bias[:n]
        rz = gate[:, : 2 * size]
        rz += added[:, : 2 * size]
        rz *= 0.5  # sigmoid(a) = tanh(a / 2) / 2 + 1 / 2, which cannot overflow
        xp.tanh(rz, out=rz)
        rz *= 0.5
        rz += 0.5
        r, z, new = gate[:, :size], gate[:, size : 2 * size], gate[:, 2 * size :]
        xp.multiply(r, hidden_n, out=h)
        new += h
        xp.tanh(new, out=new)
        xp.subtract(h_before, new, out=h)
        h *= z
        h += new

    def prepare(self, gates: Array, hidden_n: Array, h_before: Array, dgates: Array, dnew: Array) -> None:
        """Write what the gradients of the gates of some steps are, but for the factor dh.

        dn = dh (1 - z) (1 - n^2),  dz = dh (h' - n) z (1 - z),  dr = dn hidden_n r (1 - r); and what n's part
        of the recurrent product gets is dn r.
        """
        xp, size = xp_of(gates), self.size
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

    def backward(
        self, gate: Array, hidden_n: Array, h_before: Array, dy: Array, dh: Array, direct: Array, dgate: Array,
        dnew: Array,
    ) -> None:  # fmt: skip
        """Add ``dy`` to dh; write the gradients of a step, and z dh, what goes to the state before directly."""
        dh += dy
        dgate_rzn = dgate.reshape(len(gate), 3, self.size)
        dgate_rzn *= dh[:, None]
        dnew *= dh
        xp_of(gate).multiply(dh, gate[:, self.size : 2 * self.size], out=direct)


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
    return forward(x, h0, w_ih, w_hh, b_ih, b_hh, batch_sizes, reverse, Cell)


@in_float32
def forward(
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    batch_sizes: tuple[int, ...],
    reverse: bool,
    cell_class: Any,
) -> tuple[Any, ...]:
    """Do what :func:`gru_forward` does, with any kind of :class:`Cell`."""
    xp = xp_of(x)
    steps = steps_of(batch_sizes, reverse)
    size = h0.shape[1]
    gates = xp.matmul(x, w_ih.T)  # (N, 3H)
    hs = steps.buffer(h0)
    hs_after = steps.outputs(hs)
    hidden_n = xp.empty((steps.rows, size), x.dtype)  # W_hn h + b_hn, which r is multiplied with
    recurrent = RepeatedProduct(w_hh.T, steps.batch, len(steps.walk))
    bias = bias_n = None
    if b_ih is not None and b_hh is not None:
        bias, bias_n = b_ih.copy(), b_hh[2 * size :]
        bias[: 2 * size] += b_hh[: 2 * size]

    cell = cell_class(x, steps.batch, size, bias, bias_n)
    for step in steps.walk:
        rows, h_before = step.rows, steps.before(hs, step)
        cell.forward(gates[rows], recurrent(h_before), h_before, hidden_n[rows], hs_after[rows])
    return hs_after, steps.final(hs), (hs, gates, hidden_n)


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
    return backward(dy, dh_n, x, w_ih, w_hh, saved, batch_sizes, reverse, needs, Cell)


@in_float32
def backward(
    dy: Array,
    dh_n: Array,
    x: Array,
    w_ih: Array,
    w_hh: Array,
    saved: tuple[Array, ...],
    batch_sizes: tuple[int, ...],
    reverse: bool,
    needs: tuple[bool, ...],
    cell_class: Any,
) -> tuple[Any, ...]:
    """Do what :func:`gru_backward` does, with any kind of :class:`Cell`."""
    xp = xp_of(x)
    steps = steps_of(batch_sizes, reverse)
    hs, gates, hidden_n = saved
    size = hs.shape[1]
    hs_before = steps.all_before(hs)
    dgates = xp.empty(gates.shape, x.dtype)  # with respect to the recurrent product
    dnew = xp.empty(hidden_n.shape, x.dtype)  # n's, with respect to the input's product
    dh = dh_n.copy()
    recurrent = RepeatedProduct(w_hh, steps.batch, len(steps.walk))
    cell = cell_class(x, steps.batch, size, None, None)
    direct = xp.empty(dh.shape, x.dtype)
    for tile in reversed(steps.tiles(3 * size)):
        rows = tile.rows
        cell.prepare(gates[rows], hidden_n[rows], hs_before[rows], dgates[rows], dnew[rows])
        for step in reversed(tile.steps):
            rows, n = step.rows, step.size
            dgate, dh_now, kept = dgates[rows], dh[:n], direct[:n]
            cell.backward(
                gates[rows], hidden_n[rows], hs_before[rows], dy[rows], dh_now, kept, dgate, dnew[rows]
            )
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
