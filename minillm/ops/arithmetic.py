"""Sums, products, quotients and powers of two operands; each class says its formula and derivative."""

from __future__ import annotations

import builtins
import math
from typing import TYPE_CHECKING, Any

from minillm.autograd.errors import OperationError
from minillm.backend import Array, get_default_dtype, is_array, xp_of
from minillm.kernels import LARGE, kernels_of
from minillm.ops.choice import where
from minillm.ops.pointwise import log
from minillm.ops.promotion import Binary, Number, promoted, quiet, refuse

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


class Add(Binary):
    """y = a + b."""

    def forward(self, a: Any, b: Any) -> Array:
        a, b = promoted(a, b)
        if is_array(a) and a.size > LARGE:
            return kernels_of(a).add(a, b) if is_array(b) else a + b
        return a + b

    def backward(self, dy: Any) -> Any:
        return dy, dy


class Sub(Binary):
    """y = a - b."""

    def forward(self, a: Any, b: Any) -> Array:
        if any(isinstance(x, bool) or (is_array(x) and x.dtype.kind == "b") for x in (a, b)):
            raise TypeError("booleans are not subtracted; use ^, or logical_not")
        a, b = promoted(a, b)
        return a - b

    def backward(self, dy: Any) -> Any:
        return dy, -dy if self.needs(1) else None


class Mul(Binary):
    """y = a b,  da = dy b,  db = dy a."""

    def forward(self, a: Any, b: Any) -> Array:
        self.save_for_backward(a if self.needs(1) else None, b if self.needs(0) else None)
        a, b = promoted(a, b)
        return a * b

    def backward(self, dy: Any) -> Any:
        a, b = self.saved
        return None if b is None else dy * b, None if a is None else dy * a


class Div(Binary):
    """y = a / b,  da = dy / b,  db = -dy a / b^2."""

    @quiet
    def forward(self, a: Any, b: Any) -> Array:
        self.save_for_backward(a if self.needs(1) else None, b)
        if any(is_array(x) and x.dtype.kind == "f" for x in (a, b)):
            a, b = promoted(a, b)
        else:
            a, b = (x.astype(get_default_dtype()) if is_array(x) else x for x in (a, b))
        return xp_of(a if is_array(a) else b).true_divide(a, b)

    def backward(self, dy: Any) -> Any:
        a, b = self.saved
        da = dy / b
        return da if self.needs(0) else None, None if a is None else -da * (a / b)


class DivRounded(Binary):
    """y = a / b, rounded down or towards zero, in the dtype of a and b; its derivative is 0."""

    @quiet
    def forward(self, a: Any, b: Any, mode: str) -> Array:
        a, b = promoted(a, b)
        xp = _checked_divisor(a, b)
        down = xp.floor_divide(a, b)
        if mode == "floor":
            return down
        if down.dtype.kind == "f":
            return xp.trunc(xp.true_divide(a, b))
        return down + ((down < 0) & (down * b != a))

    def backward(self, dy: Any) -> Any:
        return dy * 0, dy * 0


class Remainder(Binary):
    """y = a - b floor(a / b),  da = dy,  db = -dy floor(a / b)."""

    @quiet
    def forward(self, a: Any, b: Any) -> Array:
        self.save_for_backward(a, b)
        a, b = promoted(a, b)
        return _checked_divisor(a, b).remainder(a, b)

    def backward(self, dy: Any) -> Any:
        a, b = self.saved
        return dy, -dy * DivRounded.apply(a, b, "floor") if self.needs(1) else None


def _kinds(*operands: Any) -> set[str]:
    """Return the kinds of the operands: b for booleans, i and u for integers, f for floats."""
    kind = {bool: "b", int: "i", float: "f"}
    return {x.dtype.kind if is_array(x) else kind.get(type(x), "f") for x in operands}


def _checked_divisor(a: Any, b: Any) -> Any:
    """Return the array module, or raise an error for booleans and for integers divided by zero."""
    xp = xp_of(a if is_array(a) else b)
    kinds = _kinds(a, b)
    if kinds == {"b"}:
        raise TypeError("booleans are not divided; it needs floats or integers")
    if "f" not in kinds and bool(xp.any(b == 0) if is_array(b) else b == 0):
        raise ValueError("an integer is divided by zero")
    return xp


class Pow(Binary):
    """y = a^b,  da = dy b a^(b-1),  db = dy y log a."""

    @quiet
    def forward(self, a: Any, b: Any) -> Array:
        self.save_for_backward(a, b)
        xp = xp_of(a if is_array(a) else b)
        kinds = _kinds(a, b)
        if kinds == {"b"}:
            raise TypeError("booleans have no powers; it needs floats or integers")
        if "f" not in kinds and bool(xp.any(b < 0) if is_array(b) else b < 0):
            raise ValueError("integers to negative powers are no integers; cast them to floats")
        a, b = promoted(a, b)
        if not is_array(b):
            # NumPy's power is far slower than a product, or a root.
            if b in (1, 2, 3) and a.dtype.kind != "b":
                return a * a if b == 2 else a * a * a if b == 3 else a.copy()
            if b == 0.5:
                return xp.sqrt(a)
        return xp.power(a, b)

    def backward(self, dy: Any) -> Any:
        a, b = self.saved
        da = db = None
        if self.needs(0):
            if isinstance(b, Number):
                da = dy * 0 if b == 0 else dy * (b * a ** (b - 1))
            else:
                da = dy * where(b == 0, 0.0, b * a ** (b - 1))
        if self.needs(1):
            at_zero = (a == 0) & (b >= 0)  # the limit, where the formula says 0 * -inf
            log_a: Any
            if isinstance(a, Number):
                log_a = math.log(a) if a > 0 else -math.inf if a == 0 else math.nan
                db = dy * (a**b * log_a) if a else dy * where(b >= 0, 0.0, a**b * log_a)
            else:
                log_a = log(a)
                db = dy * where(at_zero, 0.0, a**b * log_a)
        return da, db


def add(input: Tensor | Number, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """Return input + alpha * other, broadcast.

    Example:
        >>> import minillm
        >>> minillm.add(minillm.tensor([1.0, 2.0]), 10)
        tensor([11., 12.])
    """
    return Add.apply(input, other if alpha == 1 else other * alpha)


def sub(input: Tensor | Number, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """Return input - alpha * other, broadcast.

    Example:
        >>> import minillm
        >>> minillm.sub(minillm.tensor([1.0, 2.0]), 10)
        tensor([-9., -8.])
    """
    return Sub.apply(input, other if alpha == 1 else other * alpha)


def mul(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """Return input * other, broadcast.

    Example:
        >>> import minillm
        >>> minillm.mul(minillm.tensor([1.0, 2.0]), 10)
        tensor([10., 20.])
    """
    return Mul.apply(input, other)


def div(input: Tensor | Number, other: Tensor | Number, *, rounding_mode: str | None = None) -> Tensor:
    """Return input / other, broadcast.

    Args:
        input: any tensor or number; integers give floats, unless they are rounded.
        other: what to divide by.
        rounding_mode: ``"floor"`` rounds down, ``"trunc"`` towards zero.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([7, -7])
        >>> minillm.div(x, 2), minillm.div(x, 2, rounding_mode="floor")
        (tensor([ 3.5000, -3.5000]), tensor([ 3, -4]))
    """
    if rounding_mode is None:
        return Div.apply(input, other)
    if rounding_mode not in ("floor", "trunc"):
        raise OperationError(f"div: got rounding_mode={rounding_mode!r}; it needs None, 'floor' or 'trunc'")
    return DivRounded.apply(input, other, rounding_mode)


def true_divide(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """Return :func:`div` without rounding."""
    return Div.apply(input, other)


def floor_divide(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """Return :func:`div`, rounded down; the operator ``//``."""
    return div(input, other, rounding_mode="floor")


def remainder(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """Return what is left of input divided by other, with the sign of other; the operator ``%``.

    Example:
        >>> import minillm
        >>> minillm.remainder(minillm.tensor([7.0, -7.0]), 3)
        tensor([1., 2.])
    """
    return Remainder.apply(input, other)


def pow(input: Tensor | Number, exponent: Tensor | Number) -> Tensor:
    """Return input to the power exponent, broadcast.

    Example:
        >>> import minillm
        >>> minillm.pow(minillm.tensor([1.0, 2.0]), 3)
        tensor([1., 8.])
    """
    return Pow.apply(input, exponent)


def lerp(input: Tensor, end: Tensor, weight: Tensor | builtins.float) -> Tensor:
    """Return what lies between input (weight 0) and end (weight 1): input + weight * (end - input).

    Example:
        >>> import minillm
        >>> minillm.lerp(minillm.tensor([0.0, 10.0]), minillm.tensor([10.0, 20.0]), 0.5)
        tensor([ 5., 15.])
    """
    refuse("lerp", "biu", input, end, weight)
    if input.dtype != end.dtype:
        raise OperationError(f"lerp: got {input.dtype} and {end.dtype}; it needs one dtype")
    return input + weight * (end - input)
