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


class Cell:
    """What a step does to its rows between the products, in passes over arrays.

    Args:
        like: an array of the dtype, on the device.
        rows: the most rows of a step.
        size: of the state, H.
        bias: (4H,) or None.
    """

    def __init__(self, like: Array, rows: int, size: int, bias: Array | None) -> None:
        xp = xp_of(like)
        self.size = size
        self.bias = None
        # sigmoid(a) = tanh(a / 2) / 2 + 1 / 2: one tanh for all gates, and no overflow. Factors and bias are
        # there for every row: that takes half the time of a vector which is broadcast.
        self.half = xp.full((rows, 4 * size), 0.5, like.dtype)
        self.shift = xp.full((rows, 4 * size), 0.5, like.dtype)
        self.half[:, 2 * size : 3 * size] = 1
        self.shift[:, 2 * size : 3 * size] = 0
        if bias is not None:
            self.bias = xp.empty((rows, 4 * size), like.dtype)
            self.bias[...] = bias
        self.product = xp.empty((rows, size), like.dtype)
        self.dcell = xp.empty((0, size), like.dtype)

    def forward(self, gate: Array, added: Array, c_before: Array, c: Array, tanh_c: Array, h: Array) -> None:
        """Add ``added`` to the gates and apply them; write c, tanh(c) and h = o tanh(c)."""
        xp, n, size = xp_of(gate), len(gate), self.size
        gate += added
        if self.bias is not None:
            gate += self.bias[:n]
        gate *= self.half[:n]
        xp.tanh(gate, out=gate)
        gate *= self.half[:n]
        gate += self.shift[:n]
        i, f = gate[:, :size], gate[:, size : 2 * size]
        g, o = gate[:, 2 * size : 3 * size], gate[:, 3 * size :]
        ig = self.product[:n]
        xp.multiply(f, c_before, out=c)
        xp.multiply(i, g, out=ig)
        c += ig
        xp.tanh(c, out=tanh_c)
        xp.multiply(o, tanh_c, out=h)

    def prepare(self, gates: Array, c_before: Array, tanh_c: Array, dgates: Array) -> None:
        """Write what the gradients of the gates of some steps are, but for the factor dc (of i, f, g) or dh (of o).

        di = dc g i (1 - i),  df = dc c' f (1 - f),  dg = dc i (1 - g^2),  do = dh tanh(c) o (1 - o);
        dc += dh o (1 - tanh(c)^2).
        """
        xp, size = xp_of(gates), self.size
        i, f, g, o = (slice(k * size, (k + 1) * size) for k in range(4))
        if len(self.dcell) < len(gates):
            self.dcell = xp.empty(tanh_c.shape, tanh_c.dtype)
        dcell = self.dcell[: len(gates)]  # dc / d(o tanh c)
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

    def backward(
        self, gate: Array, c_before: Array, tanh_c: Array, dh: Array, dc: Array, dgate: Array, first: int
    ) -> None:
        """Write the gradient of the gates of a step, and make that of c into that of the c before it.

        ``first`` is the number of its first row among those that were prepared.
        """
        n, size = len(gate), self.size
        dhidden = self.product[:n]
        xp_of(gate).multiply(dh, self.dcell[first : first + n], out=dhidden)
        dc += dhidden
        dgate_ifg = dgate.reshape(n, 4, size)[:, :3]
        dgate_ifg *= dc[:, None]
        dgate_o = dgate[:, 3 * size :]
        dgate_o *= dh
        dc *= gate[:, size : 2 * size]


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
    return forward(x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr, batch_sizes, reverse, Cell)


@in_float32
def forward(
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
    cell_class: Any,
) -> tuple[Any, ...]:
    """Do what :func:`lstm_forward` does, with any kind of :class:`Cell`."""
    xp = xp_of(x)
    steps = steps_of(batch_sizes, reverse)
    size = c0.shape[1]
    gates = xp.matmul(x, w_ih.T)  # (N, 4H)
    hs, cs = steps.buffer(h0), steps.buffer(c0)
    hs_after, cs_after = steps.outputs(hs), steps.outputs(cs)
    tanh_cs = xp.empty((steps.rows, size), x.dtype)
    recurrent = RepeatedProduct(w_hh.T, steps.batch, len(steps.walk))
    bias = b_ih + b_hh if b_ih is not None and b_hh is not None else None
    cell = cell_class(x, steps.batch, size, bias)
    hidden = None if w_hr is None else xp.empty((steps.batch, size), x.dtype)
    for step in steps.walk:
        rows = step.rows
        before = steps.before(cs, step)
        h = hs_after[rows] if hidden is None else hidden[: step.size]
        cell.forward(gates[rows], recurrent(steps.before(hs, step)), before, cs_after[rows], tanh_cs[rows], h)
        if w_hr is not None:
            xp.matmul(h, w_hr.T, out=hs_after[rows])
    return hs_after, steps.final(hs), steps.final(cs), (hs, cs, gates, tanh_cs)


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
    return backward(dy, dh_n, dc_n, x, w_ih, w_hh, w_hr, saved, batch_sizes, reverse, needs, Cell)


@in_float32
def backward(
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
    cell_class: Any,
) -> tuple[Any, ...]:
    """Do what :func:`lstm_backward` does, with any kind of :class:`Cell`."""
    xp = xp_of(x)
    steps = steps_of(batch_sizes, reverse)
    hs, cs, gates, tanh_cs = saved
    size = cs.shape[1]
    cs_before = steps.all_before(cs)
    dgates = xp.empty((steps.rows, 4 * size), x.dtype)
    dh, dc = dh_n.copy(), dc_n.copy()
    dhs = None if w_hr is None else xp.empty((steps.rows, dh.shape[1]), x.dtype)
    recurrent = RepeatedProduct(w_hh, steps.batch, len(steps.walk))
    cell = cell_class(x, steps.batch, size, None)
    for tile in reversed(steps.tiles(4 * size)):
        rows = tile.rows
        cell.prepare(gates[rows], cs_before[rows], tanh_cs[rows], dgates[rows])
        first = rows.start
        for step in reversed(tile.steps):
            rows, n = step.rows, step.size
            dh_now = dh[:n]
            dh_now += dy[rows]
            dout = dh_now
            if w_hr is not None and dhs is not None:
                dhs[rows] = dh_now
                dout = xp.matmul(dh_now, w_hr)
            dgate = dgates[rows]
            cell.backward(
                gates[rows], cs_before[rows], tanh_cs[rows], dout, dc[:n], dgate, rows.start - first
            )
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
