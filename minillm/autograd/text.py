"""A tensor as text, as PyTorch prints it: four digits, and powers of ten where the range is wide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minillm.backend import to_numpy

HostArray = np.ndarray[Any, Any]


def tensor_text(tensor: Any) -> str:
    """Return the values, and what else is worth knowing: size, device, dtype, place in the graph.

    Example:
        >>> import minillm
        >>> tensor_text(minillm.tensor([0.5, 100.0])), tensor_text(minillm.tensor([1e-5, 1.0]))
        ('tensor([  0.5000, 100.0000])', 'tensor([1.0000e-05, 1.0000e+00])')
    """
    array = to_numpy(tensor.array)
    layout: dict[str, Any] = {"separator": ", ", "prefix": "tensor(", "max_line_width": 80}
    if array.dtype.kind == "f":
        layout["formatter"] = {"float_kind": _format_of(array)}
    values = np.array2string(array, threshold=1000, **layout)
    parts = [values.replace(", ..., ", ",  ..., ")]
    if 0 in array.shape and array.ndim > 1:
        parts.append(f"size={tuple(array.shape)}")
    if tensor.device.type != "cpu":
        parts.append(f"device='{tensor.device}'")
    if array.dtype not in (np.float32, np.int64, np.bool_):
        parts.append(f"dtype={array.dtype}")
    if tensor.grad_fn is not None:
        parts.append(f"grad_fn=<{tensor.grad_fn.name()}>")
    elif tensor.requires_grad:
        parts.append("requires_grad=True")
    return f"tensor({', '.join(parts)})"


def _format_of(array: HostArray) -> Callable[[Any], str]:
    """Return the function that writes each float, all in the same width."""
    shown = _shown(array).astype(np.float64)
    values = np.abs(shown[np.isfinite(shown) & (shown != 0)])
    whole = bool((values == np.ceil(values)).all())
    if values.size and (
        values.max() / values.min() > 1000 or values.max() > 1e8 or (not whole and values.min() < 1e-4)
    ):
        pattern = "{:.4e}"
    else:
        pattern = "{:.0f}." if whole else "{:.4f}"

    def write(value: Any) -> str:
        return pattern.format(value) if np.isfinite(value) else str(float(value))

    width = max(map(len, map(write, shown)), default=0) if array.ndim else 0
    return lambda value: write(value).rjust(width)


def _shown(array: HostArray) -> HostArray:
    """Return the values that will be printed: all, or of a large array the edges."""
    if array.size > 1000:
        for dim, size in enumerate(array.shape):
            if size > 6:
                array = np.take(array, [0, 1, 2, -3, -2, -1], axis=dim)
    return array.reshape(-1)
