"""float16 in and out, float32 in between.

NumPy multiplies matrices of float16 by hand, and a sum of many terms loses most of its digits in it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from minillm.backend import is_array


def in_float32(kernel: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """Let a kernel whose first argument is float16 compute in float32.

    All arrays of that dtype among the arguments are widened, all arrays that come back narrowed; tuples
    of arrays that a kernel keeps for its backward stay wide.
    """

    @functools.wraps(kernel)
    def widened(*arguments: Any) -> tuple[Any, ...]:
        dtype = arguments[0].dtype
        if dtype.itemsize != 2:
            return kernel(*arguments)
        results = kernel(*(a.astype("float32") if is_array(a) and a.dtype == dtype else a for a in arguments))
        return tuple(result.astype(dtype) if is_array(result) else result for result in results)

    return widened
