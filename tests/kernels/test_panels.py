"""Products of a few rows with a matrix in panels: any number of rows, columns and terms of a sum."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba", reason="needs numba (extra: fast)")

from minillm.kernels.fast.panels import COLUMNS, multiply_panel, pack, panels_for, rows_for, whole_tiles


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("rows", "groups", "units", "depth"),
    [(1, 1, 1, 1), (3, 4, 4, 3), (8, 1, COLUMNS, 128), (9, 3, COLUMNS + 1, 130), (32, 4, 70, 70), (5, 1, 33, 517)],
)
def test_products_with_panels(rows, groups, units, depth, turned):
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((groups, units, depth), np.float32)
    if turned:
        weight = np.ascontiguousarray(weight.transpose(0, 2, 1)).transpose(0, 2, 1)
    x, y = rows_for(rows, depth), rows_for(rows, units, groups)
    x[:rows, :depth] = rng.standard_normal((rows, depth))
    y[:] = np.nan
    panels = panels_for(units, groups, depth)
    panels[:] = np.nan
    pack(0, 0, len(panels), weight, panels)
    for block, of_block in enumerate(panels):
        for group in range(groups):
            multiply_panel(x, of_block[group], y[group][:, block * COLUMNS : (block + 1) * COLUMNS])
    wanted = np.einsum("rd,gud->gru", x[:rows, :depth].astype("float64"), weight)
    np.testing.assert_allclose(y[:, :rows, :units], wanted, rtol=1e-4, atol=1e-4)


def test_what_is_in_further_rows_does_not_matter():
    x, y = rows_for(3, 5), rows_for(3, 4, 1)
    x[3:, :5] = np.nan
    x[:3, :5] = 1
    panels = panels_for(4, 1, 5)
    pack(0, 0, 1, np.ones((1, 4, 5), np.float32), panels)
    multiply_panel(x, panels[0, 0], y[0][:, :COLUMNS])
    assert (y[0, :3, :4] == 5).all()


def test_rows_are_whole_tiles_and_zero_behind_their_width():
    for rows, width in [(1, 1), (8, 16), (9, 33), (31, 512)]:
        memory = rows_for(rows, width, 2)
        assert memory.shape[:2] == (2, whole_tiles(rows))
        assert rows <= whole_tiles(rows) < rows + 8
        assert memory.shape[2] >= width
        assert not memory[..., width:].any()
