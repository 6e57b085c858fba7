"""Sums, products, quotients and powers of two operands; each class says its formula and derivative."""

from __future__ import annotations

import builtins
import math
from typing import TYPE_CHECKING, Any

from minillm.backend import Array, get_default_dtype, is_array, result_type, xp_of
from minillm.ops.choice import where
from minillm.ops.pointwise import log
from minillm.ops.promotion import Binary, Number, promoted, quiet

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


class Add(Binary):
    """y = a + b."""

    def forward(self, a: Any, b: Any) -> Array:
        a, b = promoted(a, b)
        return a + b

    def backward(self, dy: Any) -> Any:
        return dy, dy


class Sub(Binary):
    """y = a - b."""

    def forward(self, a: Any, b: Any) -> Array:
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
        a, b = promoted(a, b)
        xp = xp_of(a if is_array(a) else b)
        if not any(is_array(x) and x.dtype.kind == "f" for x in (a, b)):
            dtype = get_default_dtype()
            if isinstance(a, builtins.float) or isinstance(b, builtins.float):
                dtype = result_type(a, b)
            a = a.astype(dtype) if is_array(a) else a
            b = b.astype(dtype) if is_array(b) else b
        return xp.true_divide(a, b)

    def backward(self, dy: Any) -> Any:
        a, b = self.saved
        da = dy / b
        return da if self.needs(0) else None, None if a is None else -da * (a / b)


class Pow(Binary):
    """y = a^b,  da = dy b a^(b-1),  db = dy y log a."""

    @quiet
    def forward(self, a: Any, b: Any) -> Array:
        self.save_for_backward(a, b)
        a, b = promoted(a, b)
        # NumPy's power is far slower than a product.
        if not is_array(b) and is_array(a) and b in (1, 2, 3):
            return a * a if b == 2 else a * a * a if b == 3 else +a
        xp = xp_of(a if is_array(a) else b)
        if not is_array(b) and b == 0.5:
            return xp.sqrt(a)
        if is_array(a) and a.dtype.kind in "iu" and not is_array(b) and b < 0:
            raise ValueError("integers to negative powers are not integers")
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
            else:
                log_a = log(a)
            db = dy * where(at_zero, 0.0, a**b * log_a)
        return da, db


def add(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """Return input + alpha * other, broadcast.

    Example:
        >>> import minillm
        >>> minillm.add(minillm.tensor([1.0, 2.0]), 10)
        tensor([11., 12.])
    """
    return Add.apply(input, other if alpha == 1 else mul(other, alpha))


def sub(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """Return input - alpha * other, broadcast.

    Example:
        >>> import minillm
        >>> minillm.sub(minillm.tensor([1.0, 2.0]), 10)
        tensor([-9., -8.])
    """
    return Sub.apply(input, other if alpha == 1 else mul(other, alpha))


def mul(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """Return input * other, broadcast.

    Example:
        >>> import minillm
        >>> minillm.mul(minillm.tensor([1.0, 2.0]), 10)
        tensor([10., 20.])
    """
    return Mul.apply(input, other)


def div(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """Return input / other, broadcast; integers give floats.

    Example:
        >>> import minillm
        >>> minillm.div(minillm.tensor([1, 2]), 2)
        tensor([0.5000, 1.0000])
    """
    return Div.apply(input, other)


def pow(input: Tensor | Number, exponent: Tensor | Number) -> Tensor:
    """Return input to the power exponent, broadcast.

    Example:
        >>> import minillm
        >>> minillm.pow(minillm.tensor([1.0, 2.0]), 3)
        tensor([1., 8.])
    """
    return Pow.apply(input, exponent)
