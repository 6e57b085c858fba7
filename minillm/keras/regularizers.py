"""Penalties on weights that are added to the loss: l1 sum |w| + l2 sum w^2."""

from __future__ import annotations

from typing import Any

from minillm import ops
from minillm.keras.naming import class_and_config, look_up
from minillm.ops import Tensor


class Regularizer:
    """l1 sum |w| + l2 sum w^2.

    Args:
        l1: the factor of the sizes.
        l2: the factor of the squares.

    Example:
        >>> import minillm
        >>> L2(0.5)(minillm.tensor([1.0, 2.0]))
        tensor(2.5000)
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        if l1 < 0 or l2 < 0:
            raise ValueError(f"regularizer: got l1={l1}, l2={l2}; both need to be 0 or more")
        self.l1, self.l2 = l1, l2

    def __call__(self, weight: Tensor) -> Any:
        penalty: Any = 0.0
        if self.l1:
            penalty = penalty + self.l1 * ops.sum(ops.abs(weight))
        if self.l2:
            penalty = penalty + self.l2 * ops.sum(weight * weight)
        return penalty

    def get_config(self) -> dict[str, Any]:
        """Return what Keras saves of it."""
        return {
            "module": "keras.regularizers",
            "class_name": "L1L2",
            "config": {"l1": self.l1, "l2": self.l2},
            "registered_name": None,
        }


def l1(l1: float = 0.01) -> Regularizer:
    """Return l1 sum |w|."""
    return Regularizer(l1=l1)


def l2(l2: float = 0.01) -> Regularizer:
    """Return l2 sum w^2."""
    return Regularizer(l2=l2)


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> Regularizer:
    """Return l1 sum |w| + l2 sum w^2."""
    return Regularizer(l1, l2)


L1, L2, L1L2 = l1, l2, Regularizer
_KNOWN = {"l1": l1, "l2": l2, "l1_l2": l1_l2, "L1": l1, "L2": l2, "L1L2": Regularizer}


def get(identifier: Any) -> Regularizer | None:
    """Return a regularizer by name, from what Keras saves of one, or None.

    Raises:
        ValueError: an unknown name; the message lists the known ones.
    """
    if identifier is None or isinstance(identifier, Regularizer):
        return identifier
    if isinstance(identifier, str):
        return look_up("regularizer", identifier, _KNOWN)()
    name, config = class_and_config("a regularizer", identifier)
    return look_up("regularizer", name, _KNOWN)(**config)
