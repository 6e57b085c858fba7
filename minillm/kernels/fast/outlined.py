"""Functions that are called by their address or name, and loops that another thread can call.

A loop and its arguments become a function of four numbers, (where the arguments are, part, number of parts, number of
items), which takes the arguments from there, finds the bounds of its part and calls the loop. Its address fits a word
of memory, whatever the loop and the types of its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import cfunc, types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["by_name", "call", "int64", "ranges_of", "slices_of", "typed_intrinsic"]

typed_intrinsic: Any = intrinsic  # it takes the typing context away, which its own type does not tell
int64 = ir.IntType(64)
_part_type = ir.FunctionType(ir.VoidType(), [int64] * 4)


@typed_intrinsic
def call(typing_context: Any, function: Any, context: Any, part: Any, parts: Any, count: Any) -> Any:
    """Call a function that :func:`ranges_of` or :func:`slices_of` made."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function, *others = arguments
        builder.call(builder.inttoptr(function, _part_type.as_pointer()), others)
        return context.get_dummy_value()

    return types.none(*[types.int64] * 5), write


def _bound(builder: Any, count: Any, part: Any, parts: Any, aligned: bool) -> Any:
    """Write count part / parts, rounded down; ``aligned``, to a multiple of 64 where it is not the end."""
    bound = builder.sdiv(builder.mul(count, part), parts)
    if not aligned:
        return bound
    last = builder.icmp_signed("==", part, parts)
    return builder.select(last, count, builder.and_(bound, int64(-64)))


def _outlined(
    typing_context: Any, loop: Any, heads: Any, arguments: Any, arguments_of: Any, aligned: bool
) -> Any:
    """Return the type and the writer of an intrinsic that makes a call of ``loop`` into something to announce.

    The writer puts the arguments on the stack, and returns their address and that of a function that reads them
    there and calls ``loop`` for one part. ``heads`` are types that come first in the call; ``arguments_of`` writes
    the values of all, from the part, the bounds of its items, and the arguments. ``aligned`` parts begin where vectors
    do, so that a number is computed by the same instructions, and to the same bits, whatever the number of parts.
    """
    signature = typing_context.resolve_function_type(loop, [*heads, *arguments], {})

    def write(context: Any, builder: Any, _: Any, values: Any) -> Any:
        packed = values[-1]
        slot = cgutils.alloca_once_value(builder, packed)
        name = f"minillm_part_of_{loop.dispatcher.py_func.__name__}"
        function = ir.Function(builder.module, _part_type, builder.module.get_unique_name(name))
        function.linkage = "internal"
        inner = ir.IRBuilder(function.append_basic_block("entry"))
        address, part, parts, count = function.args
        begin = _bound(inner, count, part, parts, aligned)
        end = _bound(inner, count, inner.add(part, int64(1)), parts, aligned)
        unpacked = inner.load(inner.inttoptr(address, packed.type.as_pointer()))
        called_with = arguments_of(context, inner, unpacked, part, begin, end)
        compiled = loop.dispatcher.overloads[signature.args]
        context.call_internal_no_propagate(inner, compiled.fndesc, signature, called_with)
        inner.ret_void()
        context.active_code_library.add_linking_library(compiled.library)
        pair = [builder.ptrtoint(function, int64), builder.ptrtoint(slot, int64)]
        return context.make_tuple(builder, types.UniTuple(types.int64, 2), pair)

    return write


def by_name(name: str, count: int) -> Callable[[Callable[..., None]], Any]:
    """Compile a function of so many whole numbers once; compiled code calls what this returns, and finds it by name.

    Else numba would compile it anew into each function that calls it, which takes a second where it is a large one.
    """

    def compile_it(function: Callable[..., None]) -> Any:
        kind = types.void(*[types.int64] * count)
        compiled = cfunc(kind, cache=True)(function)
        llvmlite.binding.add_symbol(name, compiled.address)
        _compiled.append(compiled)
        return types.ExternalFunction(name, kind)

    return compile_it


_compiled: list[Any] = []  # machine code goes when nobody holds it


@typed_intrinsic
def ranges_of(typing_context: Any, loop: Any, arguments: Any) -> Any:
    """Return the addresses of a function that calls loop(part, begin, end, *arguments), and of the arguments."""

    def called_with(context: Any, builder: Any, packed: Any, part: Any, begin: Any, end: Any) -> Any:
        values = cgutils.unpack_tuple(builder, packed, len(arguments))
        return [part, begin, end, *_borrowed(context, builder, arguments.types, values)]

    heads = [types.int64] * 3
    write = _outlined(typing_context, loop, heads, arguments.types, called_with, False)
    return types.UniTuple(types.int64, 2)(loop, arguments), write


@typed_intrinsic
def slices_of(typing_context: Any, loop: Any, arguments: Any) -> Any:
    """Return those of one that calls loop(*slices, *others), with arguments = (arrays, others)."""
    cut, whole = arguments.types
    for array in cut:
        if not isinstance(array, types.Array) or (array.ndim > 1 and array.layout == "F"):
            return None

    def called_with(context: Any, builder: Any, packed: Any, part: Any, begin: Any, end: Any) -> Any:
        arrays, others = (builder.extract_value(packed, i) for i in range(2))
        slices = [
            _slice(context, builder, kind, builder.extract_value(arrays, i), begin, end)
            for i, kind in enumerate(cut)
        ]
        values = [*slices, *(builder.extract_value(others, i) for i in range(len(whole)))]
        return _borrowed(context, builder, [*cut, *whole], values)

    write = _outlined(typing_context, loop, [], [*cut, *whole], called_with, cut[0].ndim == 1)
    return types.UniTuple(types.int64, 2)(loop, arguments), write


def _borrowed(context: Any, builder: Any, kinds: Any, values: Any) -> list[Any]:
    """Write the values with arrays that own nothing: whoever waits for the loop keeps their memory alive.

    Owners are counted, which takes a tenth of a microsecond and more where two threads do so in the same place:
    attention of 64 queries took as long on two threads as on one.
    """
    borrowed = []
    for kind, value in zip(kinds, values, strict=True):
        if isinstance(kind, types.Array):
            array = context.make_array(kind)(context, builder, value)
            array.meminfo = cgutils.get_null_value(array.meminfo.type)
            array.parent = cgutils.get_null_value(array.parent.type)
            value = array._getvalue()
        borrowed.append(value)
    return borrowed


def _slice(context: Any, builder: Any, kind: Any, value: Any, begin: Any, end: Any) -> Any:
    """Write array[begin:end], in the layout that the array has: what lies in order goes on to."""
    array = context.make_array(kind)(context, builder, value)
    shape, strides = (cgutils.unpack_tuple(builder, t, kind.ndim) for t in (array.shape, array.strides))
    array.data = cgutils.pointer_add(builder, array.data, builder.mul(begin, strides[0]), array.data.type)
    shape[0] = builder.sub(end, begin)
    items = shape[0]
    for n in shape[1:]:
        items = builder.mul(items, n)
    array.shape, array.nitems = cgutils.pack_array(builder, shape), items
    return array._getvalue()
