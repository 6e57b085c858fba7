"""The few names of ``keras.backend`` that everyday programs use."""

from __future__ import annotations

from minillm.keras.naming import clear_session


def epsilon() -> float:
    """Return the small number that probabilities are kept away from 0 and 1 by."""
    from minillm.keras.losses import EPSILON

    return EPSILON


def floatx() -> str:
    """Return the type of floats.

    Example:
        >>> floatx()
        'float32'
    """
    return "float32"


__all__ = ["clear_session", "epsilon", "floatx"]
