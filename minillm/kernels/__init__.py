"""Fused computations on plain arrays, in sets with the same names.

``cpu`` is written in array operations that NumPy and CuPy share, so it serves every device; faster sets
for one device stand beside it and fall back to it.
"""

from __future__ import annotations

from typing import Any

from minillm.backend import Array
from minillm.kernels import cpu


def kernels_of(array: Array) -> Any:
    """Return the set of kernels for the device of an array."""
    return cpu
