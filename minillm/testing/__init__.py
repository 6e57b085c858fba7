"""What checks code that uses minillm: beside PyTorch, and exercises that know whether they are solved.

``cases`` holds the table that drives the tests and the report of ``minillm parity``, which ``parity`` makes.
"""

from __future__ import annotations

from minillm.testing.comparison import Comparison, compare
from minillm.testing.exercises import exercise

__all__ = ["Comparison", "compare", "exercise"]
