"""Rows of different lengths in one array, as Keras' `pad_sequences` makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: npt.DTypeLike = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> npt.NDArray[Any]:
    """Cut and fill up rows to one length.

    By default both happen at the beginning, so that a recurrent network reads the last words last.

    Args:
        sequences: Rows of numbers, or of vectors of one shape.
        maxlen: The length; None means that of the longest row.
        dtype: The type of the array.
        padding: Where short rows are filled up: ``"pre"`` or ``"post"``.
        truncating: Where long rows lose elements: ``"pre"`` or ``"post"``.
        value: What they are filled up with.

    Returns:
        Shape ``(rows, maxlen)``, or ``(rows, maxlen, *shape of a vector)``.

    Raises:
        ValueError: A row is no sequence, or its vectors have another shape than those before; the
            message names its place. A side is neither ``"pre"`` nor ``"post"``, or `maxlen` is
            negative.

    Example:
        >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2)
        array([[0, 1],
               [2, 3],
               [5, 6]], dtype=int32)
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ValueError(f"pad_sequences: {name}={side!r} is neither 'pre' nor 'post'")
    if not hasattr(sequences, "__len__"):
        raise ValueError(f"pad_sequences: needs a list of rows, got {type(sequences).__name__}")
    for place, row in enumerate(sequences):
        if not hasattr(row, "__len__"):
            raise ValueError(f"pad_sequences: row {place} is no sequence but {row!r}")
    longest = max(map(len, sequences), default=0)
    if maxlen is None:
        maxlen = longest
    if maxlen < 0:
        raise ValueError(f"pad_sequences: maxlen must not be negative, got {maxlen}")
    if isinstance(value, str) and np.dtype(dtype).kind not in "OSU":
        raise ValueError(f"pad_sequences: the value {value!r} needs dtype=object, got {np.dtype(dtype)}")

    shape = next((np.asarray(row).shape[1:] for row in sequences if len(row)), ())
    result = np.full((len(sequences), maxlen, *shape), value, dtype=dtype)
    for place, row in enumerate(sequences):
        kept = row[max(0, len(row) - maxlen) :] if truncating == "pre" else row[:maxlen]
        if not len(kept):
            continue
        array = np.asarray(kept, dtype=dtype)
        if array.shape[1:] != shape:
            raise ValueError(
                f"pad_sequences: the elements of row {place} have the shape {array.shape[1:]}, those before {shape}"
            )
        start = 0 if padding == "post" else maxlen - len(array)
        result[place, start : start + len(array)] = array
    return result
