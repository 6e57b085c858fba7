"""One of two values for each element: by a condition, or the larger, or the smaller."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from minillm.autograd.errors import OperationError
from minillm.autograd.function import Function
from minillm.backend import Array, get_default_dtype, is_array, result_type, xp_of
from minillm.ops.promotion import Binary, Number, promoted

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


class Where(Function):
    """y = a where the condition holds, b elsewhere."""

    @classmethod
    def explain(cls, condition: Any, a: Any, b: Any) -> str | None:
        return Binary.explain(a, b) or Binary.explain(condition, a) or Binary.explain(condition, b)

    def forward(self, condition: Array, a: Any, b: Any) -> Array:
        if condition.dtype.kind != "b":
            raise TypeError("the condition must be boolean")
        self.save_constants(condition)
        dtype: Any = None
        if is_array(a) or is_array(b):
            dtype = result_type(a, b)
        elif isinstance(a, builtins.float) or isinstance(b, builtins.float):
            dtype = get_default_dtype()
        y = xp_of(condition).where(condition, a, b)
        return y if dtype is None or y.dtype == dtype else y.astype(dtype)

    def backward(self, dy: Any) -> Any:
        (condition,) = self.constants
        return (
            None,
            where(condition, dy, 0.0) if self.needs(1) else None,
            where(condition, 0.0, dy) if self.needs(2) else None,
        )


class Nonzero(Function):
    """y = the indices of the elements that are not zero: one row an element, or one vector a dimension."""

    differentiable = False

    def forward(self, x: Array, as_tuple: bool) -> Any:
        indices = xp_of(x).nonzero(x if x.ndim else x.reshape(1))
        return tuple(indices) if as_tuple else xp_of(x).stack(indices, axis=1)[:, : x.ndim]


class Maximum(Binary):
    """y = max(a, b); where the two are equal, each gets half of the gradient."""

    function = "maximum"

    def forward(self, a: Any, b: Any) -> Array:
        if not (is_array(a) and is_array(b)):
            raise TypeError("it needs two tensors; clamp takes numbers")
        self.save_for_backward(a, b)
        a, b = promoted(a, b)
        return getattr(xp_of(a), self.function)(a, b)

    def backward(self, dy: Any) -> Any:
        a, b = self.saved
        half = where(a == b, dy * 0.5, 0.0)
        larger, smaller = where(a > b, dy, half), where(a < b, dy, half)
        return (larger, smaller) if self.function == "maximum" else (smaller, larger)


class Minimum(Maximum):
    """y = min(a, b); where the two are equal, each gets half of the gradient."""

    function = "minimum"


class Clamp(Function):
    """y = x, held between two numbers,  dx = dy where x lies between them."""

    def forward(self, x: Array, low: Number | None, high: Number | None) -> Array:
        xp = xp_of(x)
        y = x if low is None else xp.maximum(*promoted(x, low))
        y = y if high is None else xp.minimum(*promoted(y, high))
        if y.dtype.kind == "b":
            raise TypeError("booleans are not held between bounds")
        if self.needs(0):
            inside = xp.ones(x.shape, bool) if low is None else x >= low
            self.save_constants(inside if high is None else inside & (x <= high))
        return y

    def backward(self, dy: Any) -> Any:
        (inside,) = self.constants
        return where(inside, dy, 0.0)


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """Return input where the condition holds, other elsewhere; all three are broadcast.

    Args:
        condition: a boolean tensor.
        input: taken where the condition is True; a tensor or a number.
        other: taken where it is False. Without both, the indices of what is true, for each dimension.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([1.0, -2.0])
        >>> minillm.where(x > 0, x, 0.0)
        tensor([1., 0.])
    """
    if input is None and other is None:
        return Nonzero.apply(condition, True)
    return Where.apply(condition, input, other)


def maximum(input: Tensor, other: Tensor) -> Tensor:
    """Return the larger of the two, element by element.

    Example:
        >>> import minillm
        >>> minillm.maximum(minillm.tensor([1.0, 5.0]), minillm.tensor([3.0, 3.0]))
        tensor([3., 5.])
    """
    return Maximum.apply(input, other)


def minimum(input: Tensor, other: Tensor) -> Tensor:
    """Return the smaller of the two, element by element.

    Example:
        >>> import minillm
        >>> minillm.minimum(minillm.tensor([1.0, 5.0]), minillm.tensor([3.0, 3.0]))
        tensor([1., 3.])
    """
    return Minimum.apply(input, other)


def clamp(input: Tensor, min: Tensor | Number | None = None, max: Tensor | Number | None = None) -> Tensor:
    """Return input, held between ``min`` and ``max``.

    Args:
        input: any tensor.
        min: the lower bound, a number or a tensor that broadcasts; None for no bound.
        max: the upper bound, likewise; where it is below ``min``, it wins.

    Example:
        >>> import minillm
        >>> minillm.clamp(minillm.tensor([-1.0, 0.5, 2.0]), 0, 1)
        tensor([0.0000, 0.5000, 1.0000])
    """
    if min is None and max is None:
        raise OperationError("clamp: got neither min nor max; it needs at least one of them")
    if all(bound is None or isinstance(bound, Number) for bound in (min, max)):
        return Clamp.apply(input, min, max)
    lifted = input if min is None else where(input < min, min, input)
    return lifted if max is None else where(lifted > max, max, lifted)


def clamp_min(input: Tensor, min: Tensor | Number) -> Tensor:
    """Return :func:`clamp` with a lower bound alone."""
    return clamp(input, min)


def clamp_max(input: Tensor, max: Tensor | Number) -> Tensor:
    """Return :func:`clamp` with an upper bound alone."""
    return clamp(input, None, max)
