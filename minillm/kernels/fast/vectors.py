"""Vectors as wide as the processor has them, and memory that is asked for in advance.

LLVM prefers vectors of 256 bits on many processors that have wider ones, which once ran at a lower clock there. On
those of today the wider ones win wherever arithmetic counts: GELU with its slope took 0.63 of the time in arrays
that fit the cache, exp 0.65 (AVX-512, one thread). A function that calls ``wide_vectors()`` gets vectors of 512 bits
where the processor has them; elsewhere the call does nothing.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["prefetch", "wide_vectors"]


def _wide_vectors(typing_context: Any) -> Any:
    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # llvmlite's own add() takes names from its list alone; LLVM takes any pair of texts.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.none(), write


wide_vectors: Any = intrinsic(_wide_vectors)


def _prefetch(typing_context: Any, array: Any, row: Any, byte: Any) -> Any:
    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        matrix = context.make_array(signature.args[0])(context, builder, arguments[0])
        step, _ = cgutils.unpack_tuple(builder, matrix.strides, 2)
        start = builder.bitcast(matrix.data, ir.IntType(8).as_pointer())
        place = builder.gep(start, [builder.add(builder.mul(arguments[1], step), arguments[2])])
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [place, number(0), number(3), number(1)])  # to read, soon, of data
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), write


# prefetch(matrix, row, byte) asks for the bytes of a row, which may lie beyond the matrix.
prefetch: Any = intrinsic(_prefetch)
