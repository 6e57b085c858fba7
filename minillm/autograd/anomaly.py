"""Looking for the operation that made the first NaN or infinity; see :func:`minillm.autograd.detect_anomaly`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minillm.autograd.errors import AnomalyError
from minillm.backend import Array, is_array, xp_of


def check_result(name: str, arrays: Sequence[Any], result: Any) -> None:
    """Raise an error if the operation ``name`` made the first NaN or infinity out of ``arrays``."""
    inputs = [a for a in arrays if is_array(a) and a.dtype.kind == "f"]
    numbers = [a for a in arrays if isinstance(a, float)]
    for y in result if type(result) is tuple else (result,):
        if not is_array(y) or y.dtype.kind != "f" or bool(xp_of(y).isfinite(y).all()):
            continue
        came_finite = all(bool(xp_of(a).isfinite(a).all()) for a in inputs)
        if came_finite and all(map(math.isfinite, numbers)):
            verb = "made"
        elif bool(xp_of(y).isnan(y).any()):
            verb = "passed on"
        else:  # infinities that were there before, as in a mask of -inf
            continue
        raise AnomalyError(f"{name} {verb} {_non_finite(y)}, out of {', '.join(map(_range_of, inputs))}")


def check_gradients(name: str, dxs: tuple[Any, ...]) -> None:
    """Raise an error if the backward of the operation ``name`` made a NaN or an infinity."""
    for i, dx in enumerate(dxs):
        array = getattr(dx, "array", dx)
        if is_array(array) and array.dtype.kind == "f" and not bool(xp_of(array).isfinite(array).all()):
            raise AnomalyError(f"backward of {name} made {_non_finite(array)}, in the gradient of argument {i}")


def _non_finite(y: Array) -> str:
    """Return an account of the NaNs and infinities of an array."""
    xp = xp_of(y)
    nan, infinite = int(xp.isnan(y).sum()), int(xp.isinf(y).sum())
    return f"{nan} NaN and {infinite} infinite of its {y.size} values"


def _range_of(x: Array) -> str:
    """Return shape and range of an input, for messages."""
    if not x.size:
        return f"shape {tuple(x.shape)}"
    return f"shape {tuple(x.shape)} with values from {float(x.min()):.6g} to {float(x.max()):.6g}"
