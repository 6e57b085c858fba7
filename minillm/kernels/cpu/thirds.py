"""Queries, keys and values, or their gradients, as thirds of one array."""

from __future__ import annotations

from typing import Any

from minillm.backend import Array, xp_of

__all__ = ["empty_thirds", "thirds_of_one"]


def empty_thirds(q: Array, k: Array, v: Array) -> tuple[Array, Array, Array]:
    """Return arrays for the gradients of the three: thirds of one array, where they are thirds of one."""
    xp = xp_of(q)
    if thirds_of_one(q, k, v) is None:
        return xp.empty_like(q), xp.empty_like(k), xp.empty_like(v)
    B, H, T, D = q.shape
    parts = xp.empty((B, T, 3, H, D), q.dtype).transpose(2, 0, 3, 1, 4)
    return parts[0], parts[1], parts[2]


def thirds_of_one(q: Any, k: Any, v: Any) -> Array | None:
    """Return the array (B, T, 3, H, D) of which three of (B, H, T, D) are the thirds, in this order, or None.

    A layer that projects to all three at once gives such; a gradient that is one already need not be put together.
    """
    if not all(hasattr(x, "base") for x in (q, k, v)) or q.ndim != 4:
        return None
    base = q.base
    if base is None or k.base is not base or v.base is not base:
        return None
    B, H, T, D = q.shape
    if base.size != 3 * q.size or not base.flags.c_contiguous:
        return None
    whole: Array = base.reshape(B, T, 3, H, D)
    parts = whole.transpose(2, 0, 3, 1, 4)
    alike = all(
        x.shape == part.shape and x.strides == part.strides and _address(x) == _address(part)
        for x, part in zip((q, k, v), parts, strict=True)
    )
    return whole if alike else None


def _address(x: Any) -> Any:
    return x.data.ptr if hasattr(x.data, "ptr") else x.__array_interface__["data"][0]
