"""Loops in parts, on threads that wait for work in machine code.

To hand a part of a loop to a thread of Python takes 30 to 130 microseconds: both threads need Python's lock, and one
that sleeps has to be woken. The threads here never need the lock. Each looks at a word of its own, in memory that
all share, until it is asked, so that its part begins and ends within some two microseconds, and work of ten is
worth a second thread. A thread that has found nothing for about a millisecond goes to sleep.

    who asks:   writes the function and its arguments;  state[i] = ASKED;  does part 0;
                if state[i] is still ASKED, makes it IDLE and does part i + 1 too, else waits until it is IDLE
    thread i:   waits until state[i] is ASKED;  makes it BUSY;  does part i + 1;  state[i] = IDLE

So nobody waits for a thread that has no processor yet, because it slept or because others use the machine.
A loop that comes while another one runs is done whole by the thread that asks, part after part: the parts are the
same, and so are the results, bit for bit.

The memory is reached from machine code by its name, so that code that is kept on disk finds it in every process.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
import time
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils

from minillm.backend import get_num_threads
from minillm.backend.threads import tell_number_of_threads
from minillm.kernels.fast.outlined import call, int64, ranges_of, slices_of, typed_intrinsic

__all__ = ["in_parts", "in_ranges", "number_of_parts"]

# Places in the memory, in words of 8 bytes; what is written often has 64 bytes of its own.
_TAKEN, _FUNCTION, _CONTEXT, _COUNT, _PARTS, _LIMIT = 0, 8, 9, 10, 11, 12
_MUTEX, _CONDITION = 16, 32  # of the C library, 128 bytes each
_WORKERS, _STRIDE = 48, 16  # of each thread: its state, whether it sleeps, whether it has begun to wait
_STATE, _ASLEEP, _READY = 0, 8, 9
_IDLE, _ASKED, _BUSY = 0, 1, 2
_MOST_WORKERS = 255
# Looks, after which a thread that waits lets another program have its processor, which then keeps it for milliseconds:
# on a machine with other work to do, a chain of products 20 us apart took 1.6 times as long with 256.
_PATIENCE = 4096
_LOOKS = 20_000  # at its state before a thread goes to sleep: about a millisecond

_words = np.zeros(_WORKERS + _STRIDE * _MOST_WORKERS + 8, np.int64)
_address = _words.ctypes.data + -_words.ctypes.data % 64
llvmlite.binding.add_symbol("minillm_pool", _address)


def _word(builder: Any, index: Any) -> Any:
    """Return the address of a word of the memory."""
    module = builder.module
    if "minillm_pool" in module.globals:
        memory = module.globals["minillm_pool"]
    else:
        memory = ir.GlobalVariable(module, ir.ArrayType(int64, len(_words)), "minillm_pool")
    return builder.gep(memory, [int64(0), index])


@typed_intrinsic
def _load(typing_context: Any, index: Any) -> Any:
    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_word(builder, arguments[0]), "seq_cst", 8)

    return types.int64(types.int64), write


@typed_intrinsic
def _store(typing_context: Any, index: Any, value: Any) -> Any:
    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store_atomic(arguments[1], _word(builder, arguments[0]), "seq_cst", 8)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64), write


@typed_intrinsic
def _exchange(typing_context: Any, index: Any, old: Any, new: Any) -> Any:
    """Write ``new`` where ``old`` is; return whether it was."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        index, old, new = arguments
        pair = builder.cmpxchg(_word(builder, index), old, new, "seq_cst", "seq_cst")
        return builder.extract_value(pair, 1)

    return types.boolean(types.int64, types.int64, types.int64), write


@typed_intrinsic
def _address_of(typing_context: Any, index: Any) -> Any:
    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ptrtoint(_word(builder, arguments[0]), int64)

    return types.int64(types.int64), write


@typed_intrinsic
def _pause(typing_context: Any) -> Any:
    """Tell the processor that this is a loop that waits, where it wants to know."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if llvmlite.binding.get_process_triple().startswith(("x86_64", "i686")):
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.none(), write


_sched_yield: Any = types.ExternalFunction("sched_yield", types.int32())
_lock: Any = types.ExternalFunction("pthread_mutex_lock", types.int32(types.int64))
_unlock: Any = types.ExternalFunction("pthread_mutex_unlock", types.int32(types.int64))
_wait: Any = types.ExternalFunction("pthread_cond_wait", types.int32(types.int64, types.int64))
_wake: Any = types.ExternalFunction("pthread_cond_broadcast", types.int32(types.int64))


@njit("int64(int64, int64)", cache=True, nogil=True)
def number_of_parts(count: int, least: int) -> int:
    """Return how many parts ``count`` items make, of at least ``least`` items each; at least 1."""
    limit: int = _load(_LIMIT)
    return max(1, min(limit, count // max(least, 1)))


@njit("void(int64)", cache=True, nogil=True)
def _wake_all(workers: int) -> None:
    mutex = _address_of(_MUTEX)
    _lock(mutex)
    for i in range(workers):
        _store(_WORKERS + _STRIDE * i + _ASLEEP, 0)
    _wake(_address_of(_CONDITION))
    _unlock(mutex)


@njit("void(UniTuple(int64, 2), int64, int64)", cache=True, nogil=True)
def _fork(outlined: Any, count: int, parts: int) -> None:
    """Call an outlined loop for each part, on as many threads, and wait for all."""
    function, context = outlined
    if parts <= 1 or not _exchange(_TAKEN, 0, 1):
        for part in range(parts):
            call(function, context, part, parts, count)
        return
    _store(_FUNCTION, function)
    _store(_CONTEXT, context)
    _store(_COUNT, count)
    _store(_PARTS, parts)
    asleep = False
    for i in range(parts - 1):
        worker = _WORKERS + _STRIDE * i
        _store(worker + _STATE, _ASKED)
        asleep |= _load(worker + _ASLEEP) != 0
    if asleep:
        _wake_all(parts - 1)
    call(function, context, 0, parts, count)
    for i in range(parts - 1):
        state = _WORKERS + _STRIDE * i + _STATE
        if _exchange(state, _ASKED, _IDLE):
            call(function, context, i + 1, parts, count)
        looks = 0
        while _load(state) != _IDLE:
            looks += 1
            if looks % _PATIENCE == 0:  # that thread has no processor perhaps
                _sched_yield()
            _pause()
    _store(_TAKEN, 0)


@njit(inline="always")
def in_ranges(loop: Any, arguments: Any, count: int, least: int) -> None:
    """Call ``loop(part, begin, end, *arguments)`` for each part of ``count`` items, at the same time.

    To be called in compiled code. The loop must be compiled too, and write to places of its own part alone.

    Args:
        loop: a compiled function.
        arguments: a tuple.
        count: the number of items; where it is 0, nothing is called.
        least: the fewest items that are worth a thread.
    """
    if count:
        _fork(ranges_of(loop, arguments), count, number_of_parts(count, least))


@njit(inline="always")
def in_parts(loop: Any, arrays: Any, others: Any, least: int) -> None:
    """Call ``loop(*slices, *others)`` with slices of ``arrays`` along their first dimension, at the same time.

    To be called in compiled code, like :func:`in_ranges`.

    Args:
        loop: a compiled function.
        arrays: a tuple of arrays of the same length.
        others: a tuple of what all parts get.
        least: the fewest items of the first dimension that are worth a thread.
    """
    count = arrays[0].shape[0]
    if count:
        _fork(slices_of(loop, (arrays, others)), count, number_of_parts(count, least))


@njit(cache=True, nogil=True)
def _sleep(worker: int) -> None:
    mutex, condition = _address_of(_MUTEX), _address_of(_CONDITION)
    _lock(mutex)
    _store(worker + _ASLEEP, 1)  # before the look: whoever asks after it sees this
    if _load(worker + _STATE) == _ASKED:
        _store(worker + _ASLEEP, 0)
    while _load(worker + _ASLEEP):  # once woken, it looks for a while, also where its part was done meanwhile
        _wait(condition, mutex)
    _unlock(mutex)


@njit("void(int64)", cache=True, nogil=True)
def _serve(me: int) -> None:
    """Do part ``me`` + 1 of each loop that this thread is asked for, until there is no function to call."""
    worker = _WORKERS + _STRIDE * me
    state = worker + _STATE
    _store(worker + _READY, 1)
    looks = 0
    while True:
        if _load(state) == _ASKED and _exchange(state, _ASKED, _BUSY):
            function = _load(_FUNCTION)
            if function == 0:
                _store(state, _IDLE)
                return
            call(function, _load(_CONTEXT), me + 1, _load(_PARTS), _load(_COUNT))
            _store(state, _IDLE)
            looks = 0
        looks += 1
        if looks >= _LOOKS:
            _sleep(worker)
            looks = 0
        elif looks % _PATIENCE == 0:
            _sched_yield()
        _pause()


@njit(cache=True, nogil=True)
def _end(workers: int) -> None:
    """Ask the threads to call nothing, which ends them."""
    while not _exchange(_TAKEN, 0, 1):
        _sched_yield()
    _store(_FUNCTION, 0)
    for i in range(workers):
        _store(_WORKERS + _STRIDE * i + _STATE, _ASKED)
    _wake_all(workers)
    for i in range(workers):
        while _load(_WORKERS + _STRIDE * i + _STATE) != _IDLE:
            _sched_yield()
    _store(_TAKEN, 0)


_threads: list[threading.Thread] = []
_pool = _words[(_address - _words.ctypes.data) // 8 :]
_has_threads = sys.platform != "win32"  # which has other names for what POSIX calls a mutex


def _limit(number: int) -> None:
    """Let loops use so many threads from now on; start those that are missing."""
    number = min(number, _MOST_WORKERS + 1) if _has_threads else 1
    while len(_threads) < number - 1:
        thread = threading.Thread(target=_serve, args=(len(_threads),), name="minillm-loops", daemon=True)
        thread.start()
        while not _pool[_WORKERS + _STRIDE * len(_threads) + _READY]:  # from there on, it needs Python's lock no more
            time.sleep(1e-4)
        _threads.append(thread)
    _pool[_LIMIT] = number


def _prepare() -> None:
    """Bring the memory to where no loop runs and there are no threads; those of a parent process are not ours."""
    _threads.clear()
    _pool[:] = 0
    if _has_threads:
        library = ctypes.CDLL(None)
        library.pthread_mutex_init(ctypes.c_void_p(_address + 8 * _MUTEX), None)
        library.pthread_cond_init(ctypes.c_void_p(_address + 8 * _CONDITION), None)


def _start_anew() -> None:
    _prepare()
    _limit(get_num_threads())


def _stop() -> None:
    """End the threads before the machine code that they run goes away."""
    _pool[_LIMIT] = 1
    _end(len(_threads))
    for thread in _threads:
        thread.join()
    _threads.clear()


_prepare()
tell_number_of_threads(_limit)
atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
