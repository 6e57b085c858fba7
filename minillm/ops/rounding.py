"""Functions that are constant between jumps: their derivative is 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minillm.autograd.function import Function
from minillm.backend import Array, xp_of
from minillm.ops.promotion import refuse

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


class Step(Function):
    """y = a function of NumPy's that is constant between jumps, by name,  dx = 0."""

    def forward(self, x: Array, name: str, *arguments: Any) -> Array:
        if x.dtype.kind != "f":
            return x.copy()  # integers are round
        return getattr(xp_of(x), name)(x, *arguments)

    def backward(self, dy: Any) -> Any:
        return dy * 0


class Sign(Step):
    """y = -1, 0 or 1, and 0 for NaN,  dx = 0."""

    def forward(self, x: Array, name: str = "sign", *arguments: Any) -> Array:
        return (x > 0).astype(x.dtype) - (x < 0).astype(x.dtype)


def sign(input: Tensor) -> Tensor:
    """Return -1, 0 or 1, the sign of the elements.

    Example:
        >>> import minillm
        >>> minillm.sign(minillm.tensor([-2.0, 0.0, 3.0]))
        tensor([-1.,  0.,  1.])
    """
    return input if input.dtype.kind == "b" else Sign.apply(input)


def floor(input: Tensor) -> Tensor:
    """Return the largest whole numbers that are not larger.

    Example:
        >>> import minillm
        >>> minillm.floor(minillm.tensor([-1.5, 1.5]))
        tensor([-2.,  1.])
    """
    refuse("floor", "b", input)
    return Step.apply(input, "floor")


def ceil(input: Tensor) -> Tensor:
    """Return the smallest whole numbers that are not smaller.

    Example:
        >>> import minillm
        >>> minillm.ceil(minillm.tensor([-1.5, 1.5]))
        tensor([-1.,  2.])
    """
    refuse("ceil", "b", input)
    return Step.apply(input, "ceil")


def trunc(input: Tensor) -> Tensor:
    """Return the whole part, rounded towards zero.

    Example:
        >>> import minillm
        >>> minillm.trunc(minillm.tensor([-1.5, 1.5]))
        tensor([-1.,  1.])
    """
    refuse("trunc", "b", input)
    return Step.apply(input, "trunc")


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """Return the nearest number with so many decimals; halves go to the even one.

    Example:
        >>> import minillm
        >>> minillm.round(minillm.tensor([0.5, 1.5, 2.25])), minillm.round(minillm.tensor([2.25]), decimals=1)
        (tensor([0., 2., 2.]), tensor([2.2000]))
    """
    refuse("round", "b", input)
    return Step.apply(input, "round", decimals)
