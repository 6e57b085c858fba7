"""The compiled set of kernels: loops over NumPy's arrays that numba turns into machine code, kept on disk.

Every kernel has the name, the arguments and the results of its plain form in ``kernels/cpu``, which it calls for
what it does not cover (float16, say). A file is imported when one of its kernels is first asked for, so a program
waits for the machine code that it needs and no more.
"""

from __future__ import annotations

import importlib
from typing import Any

from minillm.kernels import cpu

# Which file holds a kernel; the others are those of the plain set.
_FILES: dict[str, str] = {}


def __getattr__(name: str) -> Any:
    if name in _FILES:
        kernel = getattr(importlib.import_module(f"{__name__}.{_FILES[name]}"), name)
    elif name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    else:
        kernel = getattr(cpu, name)
    globals()[name] = kernel  # the next call finds it without asking here
    return kernel
