"""What the recurrent layers' walks over the steps have in common.

The products of all steps together are those of a linear layer. In the walk each thread owns some units: it multiplies
the state with the weights of their gates, applies these, and meets the other threads once a step. Backward likewise:
the gradients of the gates of all units with the weights of its own, then what a step does to these.

A step has the rows of the sequences that are still running, the longest first, as in
:class:`~minillm.kernels.cpu.steps.Steps`.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
from numba import njit

from minillm.backend import Array
from minillm.kernels.fast.panels import COLUMNS, multiply_panel, pack
from minillm.kernels.fast.pool import in_ranges
from minillm.kernels.fast.products import LEAST_PRODUCT
from minillm.kernels.fast.vectors import wide_vectors

__all__ = ["are_floats", "collect", "least_blocks", "multiply_blocks", "order_back", "order_of", "pack_all", "walks"]

_LEAST_STEPS = 4  # that repay to bring the weight into panels


def are_floats(*arrays: Array | None) -> bool:
    """Return whether all arrays that are there hold float32."""
    return all(a is None or a.dtype == np.float32 for a in arrays)


def walks(batch_sizes: tuple[int, ...], *arrays: Array | None) -> bool:
    """Return whether a walk in machine code pays for such steps, has rows, and knows the dtypes."""
    return len(batch_sizes) >= _LEAST_STEPS and batch_sizes[0] > 0 and are_floats(*arrays)


@functools.lru_cache(maxsize=64)
def order_of(batch_sizes: tuple[int, ...], reverse: bool) -> Array:
    """Return the steps in the order of the walk: of each its first row, and how many it has, (steps, 2)."""
    starts = itertools.accumulate(batch_sizes[:-1], initial=0)
    order = np.array(list(zip(starts, batch_sizes, strict=True)), np.int64)
    return np.ascontiguousarray(order[::-1]) if reverse else order


def order_back(batch_sizes: tuple[int, ...], reverse: bool) -> Array:
    """Return the steps from the last to the first, and one of no rows, in which gradients reach the initial state."""
    return np.concatenate([order_of(batch_sizes, not reverse), np.zeros((1, 2), np.int64)])


@njit(cache=True, nogil=True)
def pack_all(weight: Any, panels: Any) -> None:
    """Bring a weight (groups, units, depth) into panels, on all threads."""
    in_ranges(pack, (weight, panels), len(panels), max(1, 2**16 // panels[0].size))


@njit(cache=True, nogil=True)
def least_blocks(panels: Any, rows: int) -> int:
    """Return how many blocks of units are worth a thread in a step with so many rows."""
    least: int = LEAST_PRODUCT // (panels[0].size * rows) + 1
    return least


@njit(cache=True, nogil=True)
def multiply_blocks(part: int, begin: int, end: int, panels: Any, x: Any, products: Any) -> None:
    """Multiply rows with the panels of some blocks: a loop for ``in_ranges``.

    Args:
        part: not used.
        begin: the first block.
        end: behind the last block.
        panels: (blocks, groups, depth, COLUMNS).
        x: (rows, depth or more), in whole tiles of rows.
        products: (groups, rows, units'), of as many rows or more.
    """
    groups = panels.shape[1]
    for block in range(begin, end):
        columns = slice(block * COLUMNS, (block + 1) * COLUMNS)
        for group in range(groups):
            multiply_panel(x, panels[block, group], products[group][:, columns])


@njit(cache=True, nogil=True)
def collect(first: int, last: int, products: Any, direct: Any, dys: Any, dh: Any) -> None:
    """Write what comes back to some units of the state: from the later step, and in the rows of ``dys`` from outside.

    Args:
        first: the first unit.
        last: behind the last unit.
        products: (rows of the later step, units'); further rows of ``dh`` stay as they are.
        direct: what else comes from the later step, (batch, units), or of no rows.
        dys: (rows, units), the gradient of the outputs of a step.
        dh: (batch, units).
    """
    wide_vectors()
    units = slice(first, last)
    for b in range(len(products)):
        products_b, dh_b = products[b][units], dh[b][units]
        for j in range(dh_b.size):
            dh_b[j] = products_b[j]
        if len(direct):
            direct_b = direct[b][units]
            for j in range(dh_b.size):
                dh_b[j] += direct_b[j]
    for b in range(len(dys)):
        dys_b, dh_b = dys[b][units], dh[b][units]
        for j in range(dh_b.size):
            dh_b[j] += dys_b[j]
