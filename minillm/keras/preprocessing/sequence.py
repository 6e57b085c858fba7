"""The names of ``keras.preprocessing.sequence``: see :mod:`minillm.data.pad_sequences`."""

from __future__ import annotations

from minillm.data.pad_sequences import pad_sequences

__all__ = ["pad_sequences"]
