"""The heart of matrix products: a small tile of the result in registers, and the moves that bring numbers to it.

A tile is some rows of some vectors. It stays in registers while the common dimension is walked:

    for each k:  load B[k] of the tile's columns;  for each row r:  tile[r] += A[r, k] B[k]

With 6 rows of 4 vectors (of 32 registers) a step of k takes 10 loads for 24 products. All places are given as
addresses and steps in bytes, so that a tile is compiled once, whatever the arrays.

Source: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 2008; Van Zee and van de
Geijn, "BLIS: A Framework for Rapidly Instantiating BLAS Functionality", ACM TOMS 2015.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils

from minillm.kernels.fast.outlined import int64, typed_intrinsic

__all__ = [
    "LANES",
    "ON_STACK",
    "REGISTERS",
    "add_first",
    "add_vector",
    "address_of",
    "copy_and_fill",
    "copy_first",
    "copy_vector",
    "fetch",
    "keep",
    "load",
    "on_stack",
    "row_at",
    "store",
    "tile_of",
    "turn",
]

_features = llvmlite.binding.get_host_cpu_features()
_has_32 = _features.get("avx512f") or not llvmlite.binding.get_process_triple().startswith(("x86_64", "i686"))
LANES = 16 if _features.get("avx512f") else 8 if _features.get("avx2") else 4  # numbers in a vector
REGISTERS = 32 if _has_32 else 16
ON_STACK = 1 << 17  # bytes
_GROUP = 3  # rows whose addresses are found from one: x86 adds a step once or twice for nothing

_index, _float = ir.IntType(32), ir.FloatType()
_vector = ir.VectorType(_float, LANES)


def tile_of(rows: int, vectors: int) -> Any:
    """Return what multiplies a tile, for compiled code.

    It takes, as addresses and steps between rows or along the common dimension, in bytes: A, its step from row to row,
    its step along k; B, its step along k; C, its step from row to row; the number of k; and where the sums start from,
    an address (0 for zeros), and its step from row to row. C may be where they start from.

    Args:
        rows: of the tile.
        vectors: of LANES numbers, of each row.
    """

    @typed_intrinsic
    def tile(
        typing_context: Any, a: Any, a_row: Any, a_step: Any, b: Any, b_step: Any, c: Any, c_row: Any, depth: Any,
        start: Any, start_row: Any,
    ) -> Any:  # fmt: skip
        return types.none(*[types.int64] * 10), _writer_of_tile(rows, vectors)

    return tile


def _writer_of_tile(rows: int, vectors: int) -> Any:
    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a, a_row, a_step, b, b_step, c, c_row, depth, start, start_row = arguments
        builder.function.attributes.add("noinline")  # or the sums would not stay in registers in a larger function
        further = [int64(0), a_row, builder.shl(a_row, int64(1))]

        def add_products(sums: Any, places: Any) -> tuple[Any, Any]:
            *of_a, of_b = places
            numbers = [builder.load(_at(builder, of_b, v), align=4) for v in range(vectors)]
            added = []
            for r in range(rows):
                place = builder.add(of_a[r // _GROUP], further[r % _GROUP])
                number = builder.load(builder.inttoptr(place, _float.as_pointer()), align=4)
                everywhere = _broadcast(builder, number)
                for v in range(vectors):
                    product = builder.fmul(everywhere, numbers[v], flags=["contract"])
                    added.append(builder.fadd(product, sums[r * vectors + v], flags=["contract"]))
            return added, [*(builder.add(place, a_step) for place in of_a), builder.add(of_b, b_step)]

        zeros = [ir.Constant(_vector, None)] * (rows * vectors)
        before = builder.block
        with builder.if_then(builder.icmp_signed("!=", start, int64(0))):
            loaded = [builder.load(place, align=4) for place in _places(builder, start, start_row, rows, vectors)]
            at_end = builder.block
        sums = []
        for zero, number in zip(zeros, loaded, strict=True):
            sums.append(builder.phi(_vector))
            sums[-1].add_incoming(zero, before)
            sums[-1].add_incoming(number, at_end)
        places = [builder.add(a, builder.mul(a_row, int64(r))) for r in range(0, rows, _GROUP)]
        sums = _loop(builder, depth, sums, [*places, b], add_products)
        for place, total in zip(_places(builder, c, c_row, rows, vectors), sums, strict=True):
            builder.store(total, place, align=4)
        return context.get_dummy_value()

    return write


def _loop(builder: Any, count: Any, sums: Any, places: Any, step: Any) -> Any:
    """Write a loop of ``count`` steps, one or more, and return the sums after it.

    It is not unrolled: LLVM would put the loads of all steps of a turn first, more than there are registers.
    """
    values = [*sums, *places]
    before, body, after = builder.block, builder.append_basic_block("body"), builder.append_basic_block("after")
    builder.branch(body)
    builder.position_at_end(body)
    left, going = builder.phi(count.type), [builder.phi(value.type) for value in values]
    sums, places = step(going[: len(sums)], going[len(sums) :])
    for phi, first, next_one in zip(going, values, [*sums, *places], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(next_one, body)
    fewer = builder.sub(left, int64(1))
    left.add_incoming(count, before)
    left.add_incoming(fewer, body)
    builder.cbranch(builder.icmp_signed(">", fewer, int64(0)), body, after)
    builder.position_at_end(after)
    return sums


def _places(builder: Any, first: Any, step: Any, rows: int, vectors: int) -> Any:
    """Write the place of each vector of a tile in memory, row after row."""
    row = first
    for _ in range(rows):
        for v in range(vectors):
            yield _at(builder, row, v)
        row = builder.add(row, step)


def _at(builder: Any, address: Any, vector: int) -> Any:
    """Return the place of a vector, so many vectors behind an address."""
    return builder.inttoptr(builder.add(address, int64(4 * LANES * vector)), _vector.as_pointer())


def _broadcast(builder: Any, number: Any) -> Any:
    """Write a vector in which all numbers are the same."""
    nothing = ir.Constant(_vector, ir.Undefined)
    vector = builder.insert_element(nothing, number, _index(0))
    return builder.shuffle_vector(vector, nothing, ir.Constant(ir.VectorType(_index, LANES), None))


@typed_intrinsic
def load(typing_context: Any, address: Any) -> Any:
    """Return the float32 at an address."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(builder.inttoptr(arguments[0], _float.as_pointer()), align=4)

    return types.float32(types.int64), write


@typed_intrinsic
def store(typing_context: Any, address: Any, value: Any) -> Any:
    """Write a float32 to an address."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[1], builder.inttoptr(arguments[0], _float.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.none(types.int64, types.float32), write


@typed_intrinsic
def copy_vector(typing_context: Any, source: Any, place: Any) -> Any:
    """Copy LANES numbers from an address to another."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, place = arguments
        builder.store(builder.load(_at(builder, source, 0), align=4), _at(builder, place, 0), align=4)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64), write


def _masked(builder: Any, name: str, kind: Any, arguments: list[Any]) -> Any:
    """Write a load or store of some numbers of a vector."""
    function = ir.FunctionType(kind, [argument.type for argument in arguments])
    full = f"llvm.masked.{name}.v{LANES}f32.p0"
    return builder.call(cgutils.get_or_insert_function(builder.module, function, full), arguments)


def _first(builder: Any, count: Any) -> Any:
    """Write a mask that is 1 for so many numbers of a vector."""
    kind = ir.VectorType(int64, LANES)
    single = builder.insert_element(ir.Constant(kind, ir.Undefined), count, _index(0))
    everywhere = builder.shuffle_vector(single, single, ir.Constant(ir.VectorType(_index, LANES), None))
    return builder.icmp_signed("<", ir.Constant(kind, list(range(LANES))), everywhere)


@typed_intrinsic
def copy_first(typing_context: Any, source: Any, place: Any, count: Any) -> Any:
    """Copy up to LANES numbers from an address to another."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, place, count = arguments
        mask, of_four = _first(builder, count), _index(4)
        loaded = [_at(builder, source, 0), of_four, mask, ir.Constant(_vector, None)]
        numbers = _masked(builder, "load", _vector, loaded)
        _masked(builder, "store", ir.VoidType(), [numbers, _at(builder, place, 0), of_four, mask])
        return context.get_dummy_value()

    return types.none(*[types.int64] * 3), write


@typed_intrinsic
def add_first(typing_context: Any, source: Any, place: Any, count: Any) -> Any:
    """Add up to LANES numbers from an address to those at another."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, place, count = arguments
        mask, of_four = _first(builder, count), _index(4)
        a, b = (
            _masked(builder, "load", _vector, [_at(builder, at, 0), of_four, mask, ir.Constant(_vector, None)])
            for at in (source, place)
        )
        total = builder.fadd(a, b)
        _masked(builder, "store", ir.VoidType(), [total, _at(builder, place, 0), of_four, mask])
        return context.get_dummy_value()

    return types.none(*[types.int64] * 3), write


@typed_intrinsic
def copy_and_fill(typing_context: Any, source: Any, place: Any, count: Any) -> Any:
    """Write LANES numbers: up to so many from an address, and zeros."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, place, count = arguments
        loaded = [_at(builder, source, 0), _index(4), _first(builder, count), ir.Constant(_vector, None)]
        builder.store(_masked(builder, "load", _vector, loaded), _at(builder, place, 0), align=4)
        return context.get_dummy_value()

    return types.none(*[types.int64] * 3), write


@typed_intrinsic
def add_vector(typing_context: Any, source: Any, place: Any) -> Any:
    """Add LANES numbers from an address to those at another."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, place = (_at(builder, address, 0) for address in arguments)
        total = builder.fadd(builder.load(place, align=4), builder.load(source, align=4))
        builder.store(total, place, align=4)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64), write


@typed_intrinsic
def fetch(typing_context: Any, address: Any) -> Any:
    """Ask for the memory at an address, which may be no array's."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, _index, _index, _index])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [place, _index(0), _index(3), _index(1)])  # to read, soon, of data
        return context.get_dummy_value()

    return types.none(types.int64), write


@typed_intrinsic
def turn(typing_context: Any, source: Any, source_row: Any, place: Any, place_row: Any) -> Any:
    """Write LANES rows of LANES numbers as columns.

    Halves of vectors that are LANES / 2 rows apart change places, then quarters, and so on down to single numbers.
    """

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, source_row, place, place_row = arguments
        rows = []
        for _ in range(LANES):
            rows.append(builder.load(_at(builder, source, 0), align=4))
            source = builder.add(source, source_row)
        apart = LANES // 2
        while apart:
            kind = ir.VectorType(_index, LANES)
            upper = ir.Constant(kind, [LANES + (i ^ apart) if i & apart else i for i in range(LANES)])
            lower = ir.Constant(kind, [LANES + i if i & apart else i ^ apart for i in range(LANES)])
            for i in range(LANES):
                if not i & apart:
                    pair = rows[i], rows[i | apart]
                    rows[i] = builder.shuffle_vector(*pair, upper)
                    rows[i | apart] = builder.shuffle_vector(*pair, lower)
            apart //= 2
        for row in rows:
            builder.store(row, _at(builder, place, 0), align=4)
            place = builder.add(place, place_row)
        return context.get_dummy_value()

    return types.none(*[types.int64] * 4), write


@typed_intrinsic
def on_stack(typing_context: Any) -> Any:
    """Return the address of ON_STACK bytes that live until the function that calls this returns.

    All threads take other memory from one place, one after the other: half a microsecond where two want some.
    """

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        with builder.goto_entry_block():
            memory = builder.alloca(ir.ArrayType(ir.IntType(8), ON_STACK))
            memory.align = 64
        return builder.ptrtoint(memory, int64)

    return types.int64(), write


@typed_intrinsic
def address_of(typing_context: Any, array: Any) -> Any:
    """Return the address of the first number of an array, which has to live on meanwhile."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(data, context.get_value_type(types.int64))

    return types.int64(array), write


@njit(cache=True, nogil=True)
def keep(memory: Any) -> None:
    """Let an array whose address is used live up to here."""
    if memory.size:
        memory[0] = 0


@typed_intrinsic
def row_at(typing_context: Any, address: Any, size: Any) -> Any:
    """Return the ``size`` float32 numbers from an address on as an array, which owns nothing."""
    kind = types.Array(types.float32, 1, "C")

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, size = arguments
        array = context.make_array(kind)(context, builder)
        context.populate_array(
            array,
            data=builder.inttoptr(address, _float.as_pointer()),
            shape=cgutils.pack_array(builder, [size]),
            strides=cgutils.pack_array(builder, [int64(4)]),
            itemsize=int64(4),
            meminfo=None,
        )
        return array._getvalue()

    return kind(types.int64, types.int64), write
