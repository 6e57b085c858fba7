"""Operations that work on each element alone: arithmetic, exponentials, comparisons, choices.

Two families. A ``Binary`` operation takes two tensors, or a tensor and a number: their dtypes are promoted
as PyTorch does, their shapes broadcast (aligned at the right, sizes equal or 1), and the engine sums the
gradients back down. A ``Unary`` one takes a single tensor. Each class says its formula and derivative.
"""

from __future__ import annotations

import builtins
import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minillm.autograd.errors import OperationError, OperationTypeError
from minillm.autograd.function import Function
from minillm.backend import Array, get_default_dtype, is_array, result_type, to_dtype, xp_of
from minillm.kernels import kernels_of

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor

Number = builtins.float | builtins.int | builtins.bool


# PyTorch's infinities and NaN come without a word, and so do ours.
quiet = functools.partial(np.errstate, all="ignore")


def promoted(a: Any, b: Any) -> tuple[Any, Any]:
    """Return two operands in the dtype that PyTorch would compute in; numbers stay numbers."""
    try:
        if a.dtype is b.dtype:
            return a, b
    except AttributeError:  # one is a Python number, which bends to a float array
        array = a if is_array(a) else b
        if is_array(array) and array.dtype.kind == "f":
            return a, b
    dtype = result_type(a, b)
    return (
        a.astype(dtype) if is_array(a) and a.dtype != dtype else a,
        b.astype(dtype) if is_array(b) and b.dtype != dtype else b,
    )


def floating(x: Array) -> Array:
    """Return ``x`` itself if it holds floats, else a copy in the default dtype."""
    return x if x.dtype.kind == "f" else x.astype(get_default_dtype())


# -- arithmetic -------------------------------------------------------------------------------------


class Binary(Function):
    """An operation of two operands that are promoted and broadcast."""

    @classmethod
    def explain(cls, a: Any, b: Any, *rest: Any) -> str | None:
        shape_a, shape_b = getattr(a, "shape", ()), getattr(b, "shape", ())
        for i in range(1, min(len(shape_a), len(shape_b)) + 1):
            if shape_a[-i] != shape_b[-i] and 1 not in (shape_a[-i], shape_b[-i]):
                return (
                    f"the shapes do not broadcast: dimension -{i} has size {shape_a[-i]} and {shape_b[-i]}; "
                    "aligned at the right, sizes need to be equal or 1"
                )
        return None


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
        with quiet():
            return xp.true_divide(a, b)

    def backward(self, dy: Any) -> Any:
        a, b = self.saved
        da = dy / b
        return da if self.needs(0) else None, None if a is None else -da * (a / b)


class Pow(Binary):
    """y = a^b,  da = dy b a^(b-1),  db = dy y log a."""

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
        with quiet():
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


class Maximum(Binary):
    """y = max(a, b); where the two are equal, each gets half of the gradient."""

    def forward(self, a: Any, b: Any) -> Array:
        self.save_for_backward(a, b)
        a, b = promoted(a, b)
        return xp_of(a).maximum(a, b)

    def backward(self, dy: Any) -> Any:
        a, b = self.saved
        half = dy * 0.5
        return where(a > b, dy, where(a == b, half, 0.0)), where(b > a, dy, where(a == b, half, 0.0))


class Minimum(Binary):
    """y = min(a, b); where the two are equal, each gets half of the gradient."""

    def forward(self, a: Any, b: Any) -> Array:
        self.save_for_backward(a, b)
        a, b = promoted(a, b)
        return xp_of(a).minimum(a, b)

    def backward(self, dy: Any) -> Any:
        a, b = self.saved
        half = dy * 0.5
        return where(a < b, dy, where(a == b, half, 0.0)), where(b < a, dy, where(a == b, half, 0.0))


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


def where(condition: Tensor, input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """Return input where the condition holds, other elsewhere; all three are broadcast.

    Args:
        condition: a boolean tensor.
        input: taken where the condition is True.
        other: taken where it is False.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([1.0, -2.0])
        >>> minillm.where(x > 0, x, 0.0)
        tensor([1., 0.])
    """
    return Where.apply(condition, input, other)


# -- functions of one tensor ------------------------------------------------------------------------


class Neg(Function):
    """y = -x."""

    def forward(self, x: Array) -> Array:
        return -x

    def backward(self, dy: Any) -> Any:
        return -dy


class Abs(Function):
    """y = |x|,  dx = dy sign x."""

    def forward(self, x: Array) -> Array:
        self.save_for_backward(x)
        return xp_of(x).abs(x)

    def backward(self, dy: Any) -> Any:
        (x,) = self.saved
        return dy * sign(x)


class Exp(Function):
    """y = e^x,  dx = dy y."""

    def forward(self, x: Array) -> Array:
        with quiet():
            y = xp_of(x).exp(floating(x))
        self.save_for_backward(y)
        return y

    def backward(self, dy: Any) -> Any:
        (y,) = self.saved
        return dy * y


class Expm1(Function):
    """y = e^x - 1, exact near 0,  dx = dy (y + 1)."""

    def forward(self, x: Array) -> Array:
        with quiet():
            y = xp_of(x).expm1(floating(x))
        self.save_for_backward(y)
        return y

    def backward(self, dy: Any) -> Any:
        (y,) = self.saved
        return dy * (y + 1)


class Log(Function):
    """y = log x,  dx = dy / x."""

    def forward(self, x: Array) -> Array:
        self.save_for_backward(x)
        with quiet():
            return xp_of(x).log(floating(x))

    def backward(self, dy: Any) -> Any:
        (x,) = self.saved
        return dy / x


class Log1p(Function):
    """y = log(1 + x), exact near 0,  dx = dy / (1 + x)."""

    def forward(self, x: Array) -> Array:
        self.save_for_backward(x)
        with quiet():
            return xp_of(x).log1p(floating(x))

    def backward(self, dy: Any) -> Any:
        (x,) = self.saved
        return dy / (1 + x)


class Sqrt(Function):
    """y = sqrt x,  dx = dy / 2y."""

    def forward(self, x: Array) -> Array:
        with quiet():
            y = xp_of(x).sqrt(floating(x))
        self.save_for_backward(y)
        return y

    def backward(self, dy: Any) -> Any:
        (y,) = self.saved
        return dy / (2 * y)


class Sin(Function):
    """y = sin x,  dx = dy cos x."""

    def forward(self, x: Array) -> Array:
        self.save_for_backward(x)
        return xp_of(x).sin(floating(x))

    def backward(self, dy: Any) -> Any:
        (x,) = self.saved
        return dy * cos(x)


class Cos(Function):
    """y = cos x,  dx = -dy sin x."""

    def forward(self, x: Array) -> Array:
        self.save_for_backward(x)
        return xp_of(x).cos(floating(x))

    def backward(self, dy: Any) -> Any:
        (x,) = self.saved
        return -dy * sin(x)


class Tanh(Function):
    """y = tanh x,  dx = dy (1 - y^2)."""

    def forward(self, x: Array) -> Array:
        y = xp_of(x).tanh(floating(x))
        self.save_for_backward(y)
        return y

    def backward(self, dy: Any) -> Any:
        (y,) = self.saved
        return dy * (1 - y * y)


class Sigmoid(Function):
    """y = 1 / (1 + e^-x) = (1 + tanh(x / 2)) / 2, which cannot overflow,  dx = dy y (1 - y)."""

    def forward(self, x: Array) -> Array:
        y = xp_of(x).tanh(floating(x) * 0.5)
        y = y * 0.5 + 0.5
        self.save_for_backward(y)
        return y

    def backward(self, dy: Any) -> Any:
        (y,) = self.saved
        return dy * (y * (1 - y))


class Relu(Function):
    """y = max(x, 0),  dx = dy where y > 0."""

    def forward(self, x: Array) -> Array:
        y = xp_of(x).maximum(x, 0)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Any) -> Any:
        (y,) = self.saved
        return dy * (y > 0)


class Erf(Function):
    """y = 2/sqrt(pi) * the integral of e^(-t^2) from 0 to x,  dx = dy 2/sqrt(pi) e^(-x^2)."""

    def forward(self, x: Array) -> Array:
        self.save_for_backward(x)
        return kernels_of(x).erf(floating(x))

    def backward(self, dy: Any) -> Any:
        (x,) = self.saved
        return dy * (exp(-(x * x)) * (2 / math.sqrt(math.pi)))


class Clamp(Function):
    """y = x, held between two numbers,  dx = dy where x lies between them."""

    def forward(self, x: Array, low: Number | None, high: Number | None) -> Array:
        xp = xp_of(x)
        y = x if low is None else xp.maximum(*promoted(x, low))
        y = y if high is None else xp.minimum(*promoted(y, high))
        if self.needs(0):
            inside = xp.ones(x.shape, bool) if low is None else x >= low
            self.save_constants(inside if high is None else inside & (x <= high))
        return y

    def backward(self, dy: Any) -> Any:
        (inside,) = self.constants
        return where(inside, dy, 0.0)


class Cast(Function):
    """y = x in another dtype; the engine casts the gradient back."""

    def forward(self, x: Array, dtype: Any) -> Array:
        return x.astype(dtype, copy=False)

    def backward(self, dy: Any) -> Any:
        return dy


def neg(input: Tensor) -> Tensor:
    """Return -input.

    Example:
        >>> import minillm
        >>> minillm.neg(minillm.tensor([1.0, -2.0]))
        tensor([-1.,  2.])
    """
    if input.dtype.kind == "b":
        raise OperationTypeError("neg: got bool; use logical_not, or ~")
    return Neg.apply(input)


def abs(input: Tensor) -> Tensor:
    """Return |input|.

    Example:
        >>> import minillm
        >>> minillm.abs(minillm.tensor([1.0, -2.0]))
        tensor([1., 2.])
    """
    return Abs.apply(input)


def exp(input: Tensor) -> Tensor:
    """Return e to the power input.

    Example:
        >>> import minillm
        >>> minillm.exp(minillm.tensor([0.0, 1.0]))
        tensor([1.0000, 2.7183])
    """
    return Exp.apply(input)


def expm1(input: Tensor) -> Tensor:
    """Return exp(input) - 1, exact for small numbers.

    Example:
        >>> import minillm
        >>> minillm.expm1(minillm.tensor([0.0, 1.0]))
        tensor([0.0000, 1.7183])
    """
    return Expm1.apply(input)


def log(input: Tensor) -> Tensor:
    """Return the natural logarithm.

    Example:
        >>> import minillm
        >>> minillm.log(minillm.tensor([1.0, 10.0]))
        tensor([0.0000, 2.3026])
    """
    return Log.apply(input)


def log1p(input: Tensor) -> Tensor:
    """Return log(1 + input), exact for small numbers.

    Example:
        >>> import minillm
        >>> minillm.log1p(minillm.tensor([0.0, 1.0]))
        tensor([0.0000, 0.6931])
    """
    return Log1p.apply(input)


def sqrt(input: Tensor) -> Tensor:
    """Return the square root.

    Example:
        >>> import minillm
        >>> minillm.sqrt(minillm.tensor([4.0, 9.0]))
        tensor([2., 3.])
    """
    return Sqrt.apply(input)


def rsqrt(input: Tensor) -> Tensor:
    """Return 1 / sqrt(input).

    Example:
        >>> import minillm
        >>> minillm.rsqrt(minillm.tensor([4.0]))
        tensor([0.5000])
    """
    return 1 / sqrt(input)


def square(input: Tensor) -> Tensor:
    """Return input * input.

    Example:
        >>> import minillm
        >>> minillm.square(minillm.tensor([3.0]))
        tensor([9.])
    """
    return Mul.apply(input, input)


def sin(input: Tensor) -> Tensor:
    """Return the sine of input, in radians.

    Example:
        >>> import minillm
        >>> minillm.sin(minillm.tensor([0.0]))
        tensor([0.])
    """
    return Sin.apply(input)


def cos(input: Tensor) -> Tensor:
    """Return the cosine of input, in radians.

    Example:
        >>> import minillm
        >>> minillm.cos(minillm.tensor([0.0]))
        tensor([1.])
    """
    return Cos.apply(input)


def tanh(input: Tensor) -> Tensor:
    """Return the hyperbolic tangent, between -1 and 1.

    Example:
        >>> import minillm
        >>> minillm.tanh(minillm.tensor([0.0, 1.0]))
        tensor([0.0000, 0.7616])
    """
    return Tanh.apply(input)


def sigmoid(input: Tensor) -> Tensor:
    """Return 1 / (1 + exp(-input)), between 0 and 1.

    Example:
        >>> import minillm
        >>> minillm.sigmoid(minillm.tensor([0.0]))
        tensor([0.5000])
    """
    return Sigmoid.apply(input)


def relu(input: Tensor) -> Tensor:
    """Return max(input, 0).

    Example:
        >>> import minillm
        >>> minillm.relu(minillm.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """
    return Relu.apply(input)


def erf(input: Tensor) -> Tensor:
    """Return the error function, between -1 and 1.

    Example:
        >>> import minillm
        >>> minillm.erf(minillm.tensor([0.0, 1.0]))
        tensor([0.0000, 0.8427])
    """
    return Erf.apply(input)


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
    result = input if min is None else Maximum.apply(input, min)
    return result if max is None else Minimum.apply(result, max)


def cast(input: Tensor, dtype: Any) -> Tensor:
    """Return input in another dtype; itself where it has that dtype already.

    Example:
        >>> import minillm
        >>> minillm.ops.cast(minillm.tensor([1.5]), "int64")
        tensor([1])
    """
    dtype = to_dtype(dtype)
    return input if input.dtype == dtype else Cast.apply(input, dtype)


# -- without a derivative ---------------------------------------------------------------------------


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
