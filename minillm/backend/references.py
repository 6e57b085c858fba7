"""Whether memory has one user: Python counts the references to each object.

    array = tensor.array
    alone = sys.getrefcount(array) == ONE_REFERENCE + 1  # the local variable, and the tensor

A view holds a reference to the array whose memory it shows, so views are counted, too.
"""

from __future__ import annotations

import sys

__all__ = ["ONE_REFERENCE"]


def _references_to_a_local() -> int:
    value = object()
    return sys.getrefcount(value)


# What `sys.getrefcount(name)` returns for an object that nothing but the local variable `name` refers to:
# 2 up to Python 3.13, which counts the argument of the call as well.
ONE_REFERENCE = _references_to_a_local()
