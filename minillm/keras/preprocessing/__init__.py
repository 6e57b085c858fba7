"""Texts and sequences, as in ``keras.preprocessing``."""

from __future__ import annotations

from minillm.keras.preprocessing import sequence, text

__all__ = ["sequence", "text"]
