"""The names of ``keras.utils``."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import numpy.typing as npt

from minillm.backend import manual_seed
from minillm.data.pad_sequences import pad_sequences


def set_random_seed(seed: int) -> None:
    """Seed the generators of Python, NumPy and minillm.

    Example:
        >>> set_random_seed(0)
    """
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (what Keras seeds, and programs draw from)
    manual_seed(seed)


def to_categorical(x: Any, num_classes: int | None = None) -> npt.NDArray[np.float64]:
    """Return a row with a one at the class for each class number.

    Args:
        x: whole numbers from 0 on, of any shape; a last dimension of size 1 is dropped.
        num_classes: features of a row; the highest number plus one by default.

    Raises:
        ValueError: a number that is none of the classes.

    Example:
        >>> to_categorical([0, 2]).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    numbers = np.array(x, dtype="int64")
    shape = numbers.shape[:-1] if numbers.ndim > 1 and numbers.shape[-1] == 1 else numbers.shape
    flat = numbers.reshape(-1)
    count = num_classes or int(flat.max(initial=-1)) + 1
    if flat.size and not (flat.min() >= 0 and flat.max() < count):
        raise ValueError(f"to_categorical: got numbers from {flat.min()} to {flat.max()} for {count} classes")
    rows = np.zeros((len(flat), count))
    rows[np.arange(len(flat)), flat] = 1
    return rows.reshape((*shape, count))


__all__ = ["pad_sequences", "set_random_seed", "to_categorical"]
