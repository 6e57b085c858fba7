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

from minillm.backend import Array
from minillm.backend.threads import openblas
from minillm.kernels.fast.pool import in_ranges, number_of_parts

__all__ = ["LEAST_PRODUCT", "fits", "has_products", "multiply", "multiply_here", "one_thread_each", "threads_again"]

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


@njit(cache=True, nogil=True)
def one_thread_each() -> None:
    """Let OpenBLAS compute in the thread that calls it, until :func:`threads_again`."""
    _set_num_threads(1)


@njit(cache=True, nogil=True)
def threads_again() -> None:
    """Let OpenBLAS use as many threads as the loops do."""
    _set_num_threads(number_of_parts(1 << 62, 1))


@njit(cache=True, nogil=True)
def _leading(a: Any) -> tuple[bool, int]:
    """Return whether a matrix is a transposed view, and the step between its rows, or its columns then."""
    if a.strides[1] == a.itemsize and (a.strides[0] >= a.itemsize * a.shape[1] or a.shape[0] == 1):
        return False, max(a.strides[0] // a.itemsize, a.shape[1])
    return True, max(a.strides[1] // a.itemsize, a.shape[0])


@njit(cache=True, nogil=True)
def multiply_here(a: Any, b: Any, c: Any, kept: float) -> None:
    """Make c into a b + kept c, in this thread.

    Args:
        a: (M, K), in order along either dimension.
        b: (K, N), likewise.
        c: (M, N), in order along the second.
        kept: 0 where c holds no numbers yet.
    """
    (M, K), N = a.shape, b.shape[1]
    if M == 0 or N == 0:
        return
    one, kept = np.float32(1), np.float32(kept)
    a_turned, a_step = _leading(a)
    b_turned, b_step = _leading(b)
    if M == 1:
        turned, rows, columns = (_AS_IT_IS, N, K) if b_turned else (_TRANSPOSED, K, N)
        x_step = 1 if not a_turned else a_step
        _sgemv(_ROWS, turned, rows, columns, one, b.ctypes.data, b_step, a.ctypes.data, x_step, kept, c.ctypes.data, 1)
        return
    _sgemm(
        _ROWS, _TRANSPOSED if a_turned else _AS_IT_IS, _TRANSPOSED if b_turned else _AS_IT_IS, M, N, K,
        one, a.ctypes.data, a_step, b.ctypes.data, b_step, kept, c.ctypes.data, c.strides[0] // c.itemsize,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def multiply(a: Any, b: Any, c: Any, kept: float) -> None:
    """Make c into a b + kept c, on as many threads as that is worth; see :func:`multiply_here`."""
    (M, K), N = a.shape, b.shape[1]
    one_thread_each()
    if min(N, 256) <= M:
        in_ranges(_rows, (a, b, c, kept), M, LEAST_PRODUCT // (K * N) + 1)
    else:
        in_ranges(_columns, (a, b, c, kept), N, LEAST_PRODUCT // (K * M) + 1)
    threads_again()


@njit(cache=True, nogil=True)
def _rows(part: int, begin: int, end: int, a: Any, b: Any, c: Any, kept: float) -> None:
    multiply_here(a[begin:end], b, c[begin:end], kept)


@njit(cache=True, nogil=True)
def _columns(part: int, begin: int, end: int, a: Any, b: Any, c: Any, kept: float) -> None:
    multiply_here(a, b[:, begin:end], c[:, begin:end], kept)
