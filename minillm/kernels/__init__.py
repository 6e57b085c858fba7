"""Fused computations on plain arrays, in sets with the same names.

``cpu`` is written in array operations that NumPy and CuPy share, so it serves every device. ``fast`` holds the
same kernels as loops that numba compiles, for NumPy's arrays alone; what it lacks, it takes from ``cpu``. It is the
default where numba is installed; ``MINILLM_KERNELS`` and :func:`set_kernels` choose. Where the processor has a matrix
unit, ``fast`` multiplies by it (``MINILLM_AMX=0``: by vectors, as elsewhere).
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from typing import Any

from numpy import ndarray

from minillm.backend import Array
from minillm.kernels import cpu

__all__ = ["LARGE", "get_kernels", "kernels_of", "set_kernels"]

LARGE = 1 << 15  # numbers from which on a sum of two arrays is worth a kernel

_NAMES = ("numpy", "numba")
_of_numpy_arrays: Any = None  # the set that is in use; found at the first call, since numba takes long to import


def kernels_of(array: Array) -> Any:
    """Return the set of kernels for the device of an array."""
    if type(array) is ndarray:
        return _of_numpy_arrays or _chosen()
    return cpu


def set_kernels(name: str | None) -> None:
    """Choose the kernels that compute on the CPU.

    Args:
        name: ``"numpy"``, ``"numba"`` (the extra ``fast``), or None for the default: what ``MINILLM_KERNELS``
            says, else numba where it is installed.

    Raises:
        ValueError: there are no such kernels.

    Warns:
        UserWarning: numba is asked for and missing; NumPy's kernels are used.

    Example:
        >>> import minillm
        >>> minillm.set_kernels("numpy")
        >>> minillm.get_kernels()
        'numpy'
        >>> minillm.set_kernels(None)
    """
    global _of_numpy_arrays
    _of_numpy_arrays = None if name is None else _set_named(name, "set_kernels")


def get_kernels() -> str:
    """Return the name of the kernels that compute on the CPU: ``"numpy"`` or ``"numba"``."""
    return "numpy" if (_of_numpy_arrays or _chosen()) is cpu else "numba"


def _chosen() -> Any:
    """Return the default set, and remember it."""
    global _of_numpy_arrays
    name = os.environ.get("MINILLM_KERNELS", "")
    if not name:
        name = "numba" if importlib.util.find_spec("numba") else "numpy"
    _of_numpy_arrays = _set_named(name, "MINILLM_KERNELS")
    return _of_numpy_arrays


def _set_named(name: str, asker: str) -> Any:
    if name not in _NAMES:
        raise ValueError(f"{asker}: got {name!r}; there are {' and '.join(map(repr, _NAMES))}")
    if name == "numpy":
        return cpu
    try:
        importlib.import_module("numba")
    except ImportError as error:  # missing, or at odds with the NumPy that is installed
        warnings.warn(
            f"numba cannot be used ({error}), so NumPy's kernels are; pip install 'minillm[fast]' brings it",
            stacklevel=3,
        )
        return cpu
    return importlib.import_module("minillm.kernels.fast")
