"""Vectors as wide as the processor has them.

LLVM prefers vectors of 256 bits on many processors that have wider ones, which once ran at a lower clock there. On
those of today the wider ones win wherever arithmetic counts: GELU with its slope took 0.63 of the time in arrays
that fit the cache, exp 0.65 (AVX-512, one thread). A function that calls ``wide_vectors()`` gets vectors of 512 bits
where the processor has them; elsewhere the call does nothing.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

__all__ = ["wide_vectors"]


def _wide_vectors(typing_context: Any) -> Any:
    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # llvmlite's own add() takes names from its list alone; LLVM takes any pair of texts.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.none(), write


wide_vectors: Any = intrinsic(_wide_vectors)
