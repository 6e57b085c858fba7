"""Relations between elements, tests of elements, and the logic of truth: what has no derivative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minillm.autograd.function import Function
from minillm.backend import Array, is_array, xp_of
from minillm.ops.promotion import Binary, Number, promoted

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


class Compare(Binary):
    """y = whether a relation holds between a and b."""

    differentiable = False
    relation: str

    def forward(self, a: Any, b: Any) -> Array:
        array = a if is_array(a) else b
        if not is_array(a) or not is_array(b):  # numbers compare by value, not in the array's dtype
            return getattr(xp_of(array), self.relation)(a, b)
        return getattr(xp_of(array), self.relation)(*promoted(a, b))


class Eq(Compare):
    """y = a == b."""

    relation = "equal"


class Ne(Compare):
    """y = a != b."""

    relation = "not_equal"


class Lt(Compare):
    """y = a < b."""

    relation = "less"


class Le(Compare):
    """y = a <= b."""

    relation = "less_equal"


class Gt(Compare):
    """y = a > b."""

    relation = "greater"


class Ge(Compare):
    """y = a >= b."""

    relation = "greater_equal"


class Bitwise(Binary):
    """y = the logical operation of two boolean tensors, or the bitwise one of two integer tensors."""

    differentiable = False
    relation: str

    def forward(self, a: Any, b: Any) -> Array:
        a, b = promoted(a, b)
        return getattr(xp_of(a if is_array(a) else b), self.relation)(a, b)


class And(Bitwise):
    """y = a & b."""

    relation = "bitwise_and"


class Or(Bitwise):
    """y = a | b."""

    relation = "bitwise_or"


class Xor(Bitwise):
    """y = a ^ b."""

    relation = "bitwise_xor"


class Plain(Function):
    """y = a function of NumPy's whose derivative is zero or that gives no floats, by name."""

    differentiable = False

    def forward(self, x: Array, name: str) -> Array:
        return getattr(xp_of(x), name)(x)


def eq(input: Tensor, other: Tensor | Number) -> Tensor:
    """Return whether the elements are equal, broadcast.

    Example:
        >>> import minillm
        >>> minillm.eq(minillm.tensor([1, 2]), 2)
        tensor([False,  True])
    """
    return Eq.apply(input, other)


def ne(input: Tensor, other: Tensor | Number) -> Tensor:
    """Return whether the elements differ, broadcast.

    Example:
        >>> import minillm
        >>> minillm.ne(minillm.tensor([1, 2]), 2)
        tensor([ True, False])
    """
    return Ne.apply(input, other)


def lt(input: Tensor, other: Tensor | Number) -> Tensor:
    """Return whether input < other, broadcast.

    Example:
        >>> import minillm
        >>> minillm.lt(minillm.tensor([1, 2]), 2)
        tensor([ True, False])
    """
    return Lt.apply(input, other)


def le(input: Tensor, other: Tensor | Number) -> Tensor:
    """Return whether input <= other, broadcast.

    Example:
        >>> import minillm
        >>> minillm.le(minillm.tensor([1, 3]), 2)
        tensor([ True, False])
    """
    return Le.apply(input, other)


def gt(input: Tensor, other: Tensor | Number) -> Tensor:
    """Return whether input > other, broadcast.

    Example:
        >>> import minillm
        >>> minillm.gt(minillm.tensor([1, 3]), 2)
        tensor([False,  True])
    """
    return Gt.apply(input, other)


def ge(input: Tensor, other: Tensor | Number) -> Tensor:
    """Return whether input >= other, broadcast.

    Example:
        >>> import minillm
        >>> minillm.ge(minillm.tensor([1, 2]), 2)
        tensor([False,  True])
    """
    return Ge.apply(input, other)


def logical_not(input: Tensor) -> Tensor:
    """Return whether the elements are zero or False.

    Example:
        >>> import minillm
        >>> minillm.logical_not(minillm.tensor([0, 2]))
        tensor([ True, False])
    """
    return Plain.apply(input, "logical_not")


def invert(input: Tensor) -> Tensor:
    """Return ~input: the logical not of booleans, the bitwise not of integers."""
    return Plain.apply(input, "invert")


def sign(input: Tensor) -> Tensor:
    """Return -1, 0 or 1, the sign of the elements.

    Example:
        >>> import minillm
        >>> minillm.sign(minillm.tensor([-2.0, 0.0, 3.0]))
        tensor([-1.,  0.,  1.])
    """
    return Plain.apply(input, "sign")


def isnan(input: Tensor) -> Tensor:
    """Return whether the elements are NaN.

    Example:
        >>> import minillm
        >>> minillm.isnan(minillm.tensor([1.0, float("nan")]))
        tensor([False,  True])
    """
    return Plain.apply(input, "isnan")


def isinf(input: Tensor) -> Tensor:
    """Return whether the elements are infinite.

    Example:
        >>> import minillm
        >>> minillm.isinf(minillm.tensor([1.0, float("inf")]))
        tensor([False,  True])
    """
    return Plain.apply(input, "isinf")


def isfinite(input: Tensor) -> Tensor:
    """Return whether the elements are neither NaN nor infinite.

    Example:
        >>> import minillm
        >>> minillm.isfinite(minillm.tensor([1.0, float("inf")]))
        tensor([ True, False])
    """
    return Plain.apply(input, "isfinite")
