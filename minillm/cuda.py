"""``minillm.cuda``: whether there are GPUs, and waiting for them, under PyTorch's names.

Example:
    >>> import minillm
    >>> device = "cuda" if minillm.cuda.is_available() else "cpu"
"""

from __future__ import annotations

from minillm import backend
from minillm.backend import Device


def is_available() -> bool:
    """Return whether CuPy is installed and finds a GPU."""
    return backend.is_available("cuda")


def device_count() -> int:
    """Return how many GPUs can be used."""
    count = 0
    while backend.is_available(f"cuda:{count}"):
        count += 1
    return count


def current_device() -> int:
    """Return the number of the GPU that ``"cuda"`` alone stands for."""
    return Device("cuda").index or 0


def synchronize(device: str | Device | None = None) -> None:
    """Wait until a GPU (the current one by default) has done all that it was given."""
    backend.synchronize("cuda" if device is None else device)


__all__ = ["current_device", "device_count", "is_available", "synchronize"]
