"""The heart of matrix products on a processor with a matrix unit (Intel's AMX): float32 by way of bfloat16.

The unit multiplies tiles of bfloat16, numbers with the 8 leading bits of a float32, and adds up in float32, 16 times
as fast as vectors are multiplied. A float32 has 24 bits, so it is exactly the sum of three such numbers:

    a = a0 + a1 + a2,   a0 = a cut to 8 bits,  a1 = a - a0 cut to 8 bits,  a2 = a - a0 - a1

and of the nine products of the parts of a and b, six are all that a float32 can hold of a b:

    a b = a0 b0 + (a0 b1 + a1 b0) + (a0 b2 + a1 b1 + a2 b0) + about 2^-24 a b

A tile of 16 rows has 32 numbers of the common dimension side by side, as pairs: number j beside number 16 + j. The
right matrix has the same pairs one below the other. Where a number is infinite or NaN, its parts are no sum of it:
who splits is told. Parts below 2^-126 count as 0. ``MINILLM_AMX=0`` in the environment leaves the unit alone.

Source: Henry, Tang and Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision
Computations", ARITH 2019; Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from minillm.kernels.fast.outlined import int64, typed_intrinsic

__all__ = [
    "BLOCK",
    "HAS_UNIT",
    "SIZE",
    "STEP",
    "allow",
    "allowed",
    "begin",
    "end",
    "is_available",
    "multiply_block",
    "split",
]

STEP = 32  # numbers of the common dimension in a tile
BLOCK = 32  # rows and columns of what is computed at once: two tiles by two
PLANE = 2048  # bytes of two tiles, the same part of the numbers of a block and a step
SIZE = 3 * PLANE  # of all parts

_features = llvmlite.binding.get_host_cpu_features()
HAS_UNIT = bool(_features.get("amx-bf16") and _features.get("avx512f"))  # not yet whether the system lends it
_PERMISSION, _TILE_DATA, _ARCH_PRCTL = 0x1023, 18, 158
_word = np.zeros(1, np.int64)
llvmlite.binding.add_symbol("minillm_amx", _word.ctypes.data)

_index, _byte, _float = ir.IntType(32), ir.IntType(8), ir.FloatType()
_floats, _bits = ir.VectorType(_float, 16), ir.VectorType(_index, 16)
_pointer = _byte.as_pointer()


def is_available() -> bool:
    """Return whether there is such a unit and the system lets this process use it."""
    if not HAS_UNIT or not sys.platform.startswith("linux"):
        return False
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    return int(syscall(_ARCH_PRCTL, ctypes.c_long(_PERMISSION), ctypes.c_long(_TILE_DATA))) == 0


def allow(used: bool) -> None:
    """Let products use the unit from now on, where there is one."""
    _word[0] = used and is_available()


def _call(builder: Any, name: str, *arguments: Any) -> None:
    kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.{name}"), arguments)


@typed_intrinsic
def allowed(typing_context: Any) -> Any:
    """Return whether products use the unit, for compiled code."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        module = builder.module
        if "minillm_amx" in module.globals:
            word = module.globals["minillm_amx"]
        else:
            word = ir.GlobalVariable(module, int64, "minillm_amx")
        return builder.icmp_signed("!=", builder.load(word), int64(0))

    return types.boolean(), write


@typed_intrinsic
def begin(typing_context: Any) -> Any:
    """Make all eight tiles of this thread 16 rows of 64 bytes."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if HAS_UNIT:
            numbers = [1, 0, *[0] * 14, *[64, 0] * 8, *[0] * 16, *[16] * 8, *[0] * 8]
            kind = ir.ArrayType(_byte, 64)
            shapes = cgutils.global_constant(builder, "minillm_tiles", ir.Constant(kind, numbers))
            _call(builder, "ldtilecfg", builder.bitcast(shapes, _pointer))
        return context.get_dummy_value()

    return types.none(), write


@typed_intrinsic
def end(typing_context: Any) -> Any:
    """Give the tiles back: what they hold need not be kept when another thread comes."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if HAS_UNIT:
            _call(builder, "tilerelease")
        return context.get_dummy_value()

    return types.none(), write


@typed_intrinsic
def split(typing_context: Any, source: Any, row: Any, pair: Any, place: Any) -> Any:
    """Write the three parts of 16 rows of 16 pairs as tiles, PLANE bytes apart; return whether all are finite.

    Takes addresses and steps in bytes: the first numbers of the pairs of the first row, from row to row, from the
    first to the second numbers of the pairs, and where to write.
    """

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, row, pair, place = arguments
        high = ir.Constant(_bits, [0xFFFF0000] * 16)
        half = ir.Constant(_bits, [16] * 16)
        zeros = check = ir.Constant(_floats, None)
        fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_floats, [_floats] * 3), "llvm.fma.v16f32")
        for i in range(16):
            numbers = [
                builder.load(builder.inttoptr(at, _floats.as_pointer()), align=4)
                for at in (source, builder.add(source, pair))
            ]
            for number in numbers:
                check = builder.call(fma, [number, zeros, check])
            for part in range(3):
                cut = [builder.bitcast(number, _bits) for number in numbers]
                if part < 2:
                    cut = [builder.and_(number, high) for number in cut]
                    numbers = [
                        builder.fsub(number, builder.bitcast(most, _floats))
                        for number, most in zip(numbers, cut, strict=True)
                    ]
                joined = builder.or_(builder.lshr(cut[0], half), builder.and_(cut[1], high))
                at = builder.add(place, int64(part * PLANE + 64 * i))
                builder.store(joined, builder.inttoptr(at, _bits.as_pointer()), align=64)
            source = builder.add(source, row)
        sound = builder.fcmp_ordered("oeq", check, zeros)
        return builder.icmp_signed("==", builder.bitcast(sound, ir.IntType(16)), ir.IntType(16)(-1))

    return types.boolean(*[types.int64] * 4), write


def _store_nowhere(builder: Any) -> None:
    """Write the store of a tile, all its rows to the same place, where nobody reads it.

    A processor that has stored no tile for some 0.6 us takes 0.3 us longer for the next.
    """
    nowhere = builder.bitcast(cgutils.alloca_once(builder, _bits), _pointer)
    _call(builder, "tilestored64", _byte(4), nowhere, int64(0))


# Left and right parts in an order in which only the first two of the left are loaded twice.
_ORDER = [(0, 2), (0, 1), (1, 1), (1, 0), (0, 0), (2, 0)]
_LINE = 64  # bytes of the cache


@typed_intrinsic
def multiply_block(
    typing_context: Any, a: Any, b: Any, steps: Any, c: Any, c_row: Any, start: Any, start_row: Any
) -> Any:
    """Compute a block of the result from the parts of a block of rows and one of columns.

    Takes addresses and steps in bytes: the parts of the rows and columns, SIZE bytes for each of so many steps; where
    the block is written, and its step from row to row; where the sums start from (0 for zeros), and its step.
    """

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if not HAS_UNIT:
            return context.get_dummy_value()
        builder.function.attributes.add("noinline")
        a, b, steps, c, c_row, start, start_row = arguments
        kind = ir.FunctionType(ir.VoidType(), [_pointer, _index, _index, _index])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")

        def at(address: Any, offset: int) -> Any:
            return builder.inttoptr(builder.add(address, int64(offset)), _pointer)

        def quarters(name: str, address: Any, row: Any) -> None:
            below = builder.add(address, builder.mul(row, int64(16)))
            for tile, (first, offset) in enumerate([(address, 0), (address, 64), (below, 0), (below, 64)]):
                _call(builder, name, _byte(tile), at(first, offset), row)

        for tile in range(4):
            _call(builder, "tilezero", _byte(tile))
        with builder.if_then(builder.icmp_signed("!=", start, int64(0))):
            quarters("tileloadd64", start, start_row)
        row = c
        for _ in range(BLOCK):
            for offset in (0, 64):
                builder.call(fetch, [at(row, offset), _index(1), _index(3), _index(1)])
            row = builder.add(row, c_row)
        before = builder.block
        body, after = builder.append_basic_block("step"), builder.append_basic_block("after")
        builder.branch(body)
        builder.position_at_end(body)
        left, of_a, of_b = (builder.phi(int64) for _ in range(3))
        loaded: dict[int, int] = {}
        _store_nowhere(builder)
        for turn, (part_a, part_b) in enumerate(_ORDER):
            for tile, address, part in ((4, of_a, part_a), (6, of_b, part_b)):
                if loaded.get(tile) != part:
                    loaded[tile] = part
                    for i in range(2):
                        place = at(address, part * PLANE + 1024 * i)
                        _call(builder, "tileloadd64", _byte(tile + i), place, int64(64))
            for tile in range(4):
                _call(builder, "tdpbf16ps", _byte(tile), _byte(4 + tile // 2), _byte(6 + tile % 2))
                for line in range(4):  # of the next step: the unit is busy for 16 cycles each time
                    offset = SIZE + _LINE * (4 * (4 * turn + tile) + line)
                    builder.call(fetch, [at(of_b, offset), _index(0), _index(3), _index(1)])
        fewer = builder.sub(left, int64(1))
        for value, first, following in (
            (left, steps, fewer), (of_a, a, builder.add(of_a, int64(SIZE))), (of_b, b, builder.add(of_b, int64(SIZE)))
        ):  # fmt: skip
            value.add_incoming(first, before)
            value.add_incoming(following, body)
        builder.cbranch(builder.icmp_signed(">", fewer, int64(0)), body, after)
        builder.position_at_end(after)
        quarters("tilestored64", c, c_row)
        return context.get_dummy_value()

    return types.none(*[types.int64] * 7), write


allow(os.environ.get("MINILLM_AMX", "1").strip().lower() not in ("0", "false", "off", "no"))
