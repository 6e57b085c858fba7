"""Matrix products from compiled code: OpenBLAS's own functions, called for parts of the result on several threads.

The products belong to the same threads as the loops around them. OpenBLAS's threads would wait in loops of their own
for the next product, on the processors that the loops of :mod:`minillm.kernels.fast.pool` need meanwhile.
"""

from __future__ import annotations

import ctypes
from typing import Any

import llvmlite.binding
import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from minillm.backend import Array
from minillm.backend.threads import openblas
from minillm.kernels.fast.pool import number_of_parts

__all__ = ["LEAST_PRODUCT", "fits", "has_products", "multiply_here", "one_thread_each", "threads_again"]

LEAST_PRODUCT = 1 << 18  # multiplications that are worth a thread: two to three microseconds


def _find(name: str) -> bool:
    """Give machine code the function of NumPy's OpenBLAS under the name ``minillm_<name>``, if it is there."""
    for library in openblas():
        for form in ("scipy_{}64_", "{}64_"):
            if hasattr(library, form.format(name)):
                function = getattr(library, form.format(name))
                llvmlite.binding.add_symbol(f"minillm_{name}", ctypes.cast(function, ctypes.c_void_p).value)
                return True
    return False


has_products = all([_find("cblas_sgemm"), _find("cblas_sgemv"), _find("openblas_set_num_threads")])

_int, _long, _float = types.int32, types.int64, types.float32
_sgemm: Any = types.ExternalFunction(
    "minillm_cblas_sgemm",
    types.none(_int, _int, _int, _long, _long, _long, _float, _long, _long, _long, _long, _float, _long, _long),
)
_sgemv: Any = types.ExternalFunction(
    "minillm_cblas_sgemv",
    types.none(_int, _int, _long, _long, _float, _long, _long, _long, _long, _float, _long, _long),
)
_set_num_threads: Any = types.ExternalFunction("minillm_openblas_set_num_threads", types.none(_int))
_ROWS, _AS_IT_IS, _TRANSPOSED = 101, 111, 112  # CBLAS's numbers


def fits(*arrays: Array) -> bool:
    """Return whether matrices of float32 can be multiplied where they are: in order along one dimension."""
    return has_products and all(
        a.dtype == np.float32 and a.size and (a.strides[1] == 4 or a.strides[0] == 4) and min(a.strides) >= 0
        for a in arrays
    )


@njit("void()", cache=True, nogil=True)
def one_thread_each() -> None:
    """Let OpenBLAS compute in the thread that calls it, until :func:`threads_again`."""
    _set_num_threads(1)


@njit("void()", cache=True, nogil=True)
def threads_again() -> None:
    """Let OpenBLAS use as many threads as the loops do."""
    _set_num_threads(number_of_parts(1 << 62, 1))


def _address(typing_context: Any, array: Any) -> Any:
    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(data, context.get_value_type(types.int64))

    return types.int64(array), write


_address_of: Any = intrinsic(_address)  # of the first number of an array


@njit(types.Tuple((types.boolean, _long))(_long, _long, _long, _long), cache=True, nogil=True)
def _leading(row_step: int, column_step: int, rows: int, columns: int) -> tuple[bool, int]:
    """Return whether a matrix is a transposed view, and how far its rows are apart, or its columns then.

    Args:
        row_step: from a row to the next, in bytes.
        column_step: from a column to the next.
        rows: their number.
        columns: likewise.
    """
    if column_step == 4 and (row_step >= 4 * columns or rows == 1):
        return False, max(row_step // 4, columns)
    return True, max(column_step // 4, rows)


# With addresses it is compiled once; with arrays it would be for each kind of array, which takes half a second each.
@njit(types.void(*[_long] * 12, _float), cache=True, nogil=True)
def _multiply(
    a: int, a_row: int, a_column: int, b: int, b_row: int, b_column: int, c: int, c_row: int,
    M: int, N: int, K: int, c_column: int, kept: float,
) -> None:  # fmt: skip
    one = np.float32(1)
    a_turned, a_step = _leading(a_row, a_column, M, K)
    b_turned, b_step = _leading(b_row, b_column, K, N)
    if M == 1:
        turned, rows, columns = (_AS_IT_IS, N, K) if b_turned else (_TRANSPOSED, K, N)
        _sgemv(_ROWS, turned, rows, columns, one, b, b_step, a, a_step if a_turned else 1, kept, c, c_column // 4)
    else:
        _sgemm(
            _ROWS, _TRANSPOSED if a_turned else _AS_IT_IS, _TRANSPOSED if b_turned else _AS_IT_IS, M, N, K,
            one, a, a_step, b, b_step, kept, c, c_row // 4,
        )  # fmt: skip


@njit(cache=True, nogil=True)
def multiply_here(a: Any, b: Any, c: Any, kept: float) -> None:
    """Make c into a b + kept c, in this thread.

    Args:
        a: (M, K), in order along either dimension.
        b: (K, N), likewise.
        c: (M, N), in order along the second.
        kept: 0 where c holds no numbers yet.
    """
    if c.size:
        _multiply(
            _address_of(a), a.strides[0], a.strides[1], _address_of(b), b.strides[0], b.strides[1],
            _address_of(c), c.strides[0], a.shape[0], b.shape[1], a.shape[1], c.strides[1], np.float32(kept),
        )  # fmt: skip
