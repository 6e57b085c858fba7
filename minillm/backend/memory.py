"""Keep freed memory for the next array: on Linux a large temporary then costs no page faults.

glibc gives every large array pages of its own and hands them back when it is freed, so that each
temporary of a training step is faulted in and zeroed by the kernel anew: for arrays of 6 MB that
costs more than the arithmetic. Told to keep what is freed, malloc reuses warm pages.
`benchmarks/freed_memory.py` measures it.

The price: freed memory stays with the process, up to 2 GB of it. ``MINILLM_MALLOPT=0`` in the
environment turns this off, and so does any setting of glibc's own (``MALLOC_...``,
``GLIBC_TUNABLES``).
"""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["keep_freed_memory"]

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


def keep_freed_memory() -> bool:
    """Tell malloc to keep freed memory; `minillm.backend` does so when it is imported.

    Returns:
        Whether malloc agreed: False elsewhere than on glibc, and where the environment says no.

    Example:
        >>> from minillm.backend.memory import keep_freed_memory
        >>> keep_freed_memory() in (True, False)
        True
    """
    if not _on_glibc() or not _wanted():
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    # Older versions of glibc accept at most 32 MiB as the size that gets pages of its own.
    threshold = mallopt(_M_MMAP_THRESHOLD, 2**30) or mallopt(_M_MMAP_THRESHOLD, 2**25)
    trim = mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    # One heap for all threads: the heaps of worker threads are cut into pieces of 64 MB, which go
    # back to the system one by one.
    return bool(threshold and trim and mallopt(_M_ARENA_MAX, 1))


def _on_glibc() -> bool:
    if sys.platform != "linux":
        return False
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (ValueError, OSError):
        return False


def _wanted() -> bool:
    if os.environ.get("MINILLM_MALLOPT", "1").strip().lower() in ("0", "false", "off", "no"):
        return False
    set_by_hand = any(name.startswith("MALLOC_") for name in os.environ)
    return not set_by_hand and "glibc.malloc" not in os.environ.get("GLIBC_TUNABLES", "")
