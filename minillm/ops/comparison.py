"""Relations between elements, tests of elements, and the logic of truth: what has no derivative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minillm.autograd.errors import OperationTypeError
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


class Relation(Binary):
    """y = what NumPy's function ``relation`` says of a and b, two tensors."""

    differentiable = False
    relation: str

    def forward(self, a: Any, b: Any) -> Array:
        if not (is_array(a) and is_array(b)):
            raise TypeError("it needs two tensors")
        return getattr(xp_of(a), self.relation)(a, b)


class LogicalAnd(Relation):
    """y = whether a and b are true (not zero)."""

    relation = "logical_and"


class LogicalOr(Relation):
    """y = whether a or b is true."""

    relation = "logical_or"


class LogicalXor(Relation):
    """y = whether one of a and b is true, and the other is not."""

    relation = "logical_xor"


class BitwiseAnd(Relation):
    """y = a & b, of booleans or of the bits of integers; numbers may stand for tensors."""

    relation = "bitwise_and"

    @classmethod
    def explain(cls, a: Any, b: Any, *rest: Any) -> str | None:
        return super().explain(a, b) or "it needs booleans or integers"

    def forward(self, a: Any, b: Any) -> Array:
        a, b = promoted(a, b)
        return getattr(xp_of(a if is_array(a) else b), self.relation)(a, b)


class BitwiseOr(BitwiseAnd):
    """y = a | b."""

    relation = "bitwise_or"


class BitwiseXor(BitwiseAnd):
    """y = a ^ b."""

    relation = "bitwise_xor"


class BitwiseNot(Function):
    """y = ~x, of booleans or of the bits of integers."""

    differentiable = False

    @classmethod
    def explain(cls, x: Any) -> str:
        return "it needs booleans or integers"

    def forward(self, x: Array) -> Array:
        return ~x


class Test(Function):
    """y = whether each element is something, by the name of NumPy's function."""

    differentiable = False

    def forward(self, x: Array, name: str) -> Array:
        return getattr(xp_of(x), name)(x)


class IsClose(Binary):
    """y = |a - b| <= atol + rtol |b|, or a == b."""

    differentiable = False

    def forward(self, a: Array, b: Array, rtol: float, atol: float, equal_nan: bool) -> Array:
        return xp_of(a).isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)


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
    return Test.apply(input, "logical_not")


def logical_and(input: Tensor, other: Tensor) -> Tensor:
    """Return whether both elements are true (not zero), broadcast.

    Example:
        >>> import minillm
        >>> minillm.logical_and(minillm.tensor([0, 1, 2]), minillm.tensor([True, False, True]))
        tensor([False, False,  True])
    """
    return LogicalAnd.apply(input, other)


def logical_or(input: Tensor, other: Tensor) -> Tensor:
    """Return whether at least one of the elements is true (not zero), broadcast.

    Example:
        >>> import minillm
        >>> minillm.logical_or(minillm.tensor([0, 1]), minillm.tensor([False, False]))
        tensor([False,  True])
    """
    return LogicalOr.apply(input, other)


def logical_xor(input: Tensor, other: Tensor) -> Tensor:
    """Return whether exactly one of the elements is true (not zero), broadcast.

    Example:
        >>> import minillm
        >>> minillm.logical_xor(minillm.tensor([0, 1]), minillm.tensor([True, True]))
        tensor([ True, False])
    """
    return LogicalXor.apply(input, other)


def invert(input: Tensor) -> Tensor:
    """Return ~input: the logical not of booleans, the bitwise not of integers."""
    return BitwiseNot.apply(input)


def isnan(input: Tensor) -> Tensor:
    """Return whether the elements are NaN.

    Example:
        >>> import minillm
        >>> minillm.isnan(minillm.tensor([1.0, float("nan")]))
        tensor([False,  True])
    """
    return Test.apply(input, "isnan")


def isinf(input: Tensor) -> Tensor:
    """Return whether the elements are infinite.

    Example:
        >>> import minillm
        >>> minillm.isinf(minillm.tensor([1.0, float("inf")]))
        tensor([False,  True])
    """
    return Test.apply(input, "isinf")


def isfinite(input: Tensor) -> Tensor:
    """Return whether the elements are neither NaN nor infinite.

    Example:
        >>> import minillm
        >>> minillm.isfinite(minillm.tensor([1.0, float("inf")]))
        tensor([ True, False])
    """
    return Test.apply(input, "isfinite")


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Return whether |input - other| <= atol + rtol |other|, or the two are equal infinities.

    Example:
        >>> import minillm
        >>> minillm.isclose(minillm.tensor([1.0, 2.0]), minillm.tensor([1.000001, 2.1]))
        tensor([ True, False])
    """
    if input.dtype != other.dtype:
        raise OperationTypeError(f"isclose: got {input.dtype} and {other.dtype}; it needs one dtype")
    return IsClose.apply(input, other, rtol, atol, equal_nan)


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Return whether all elements are close, as a bool of Python's; see :func:`isclose`.

    Example:
        >>> import minillm
        >>> minillm.allclose(minillm.tensor([1.0, 2.0]), minillm.tensor([1.000001, 2.0]))
        True
    """
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


def equal(input: Tensor, other: Tensor) -> bool:
    """Return whether two tensors have the same shape and equal elements, as a bool of Python's.

    Example:
        >>> import minillm
        >>> minillm.equal(minillm.tensor([1, 2]), minillm.tensor([1, 2]))
        True
    """
    return input.shape == other.shape and bool((input == other).all())
