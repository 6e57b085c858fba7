"""What checks code that uses minillm: exercises that know whether they are solved."""

from __future__ import annotations

from minillm.testing.exercises import exercise

__all__ = ["exercise"]
