"""Other libraries' files on disk, read and written: weights in safetensors, whole or in several files."""

from __future__ import annotations

from minillm.interop.safetensors import SafetensorsFile, read_arrays, write_arrays

__all__ = ["SafetensorsFile", "read_arrays", "write_arrays"]
