"""Functions of one tensor that work on each element alone; each class says its formula and derivative."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from minillm.autograd.function import Function
from minillm.backend import Array, xp_of
from minillm.kernels import kernels_of
from minillm.ops.promotion import floating, quiet, refuse
from minillm.ops.rounding import sign

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


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

    @quiet
    def forward(self, x: Array) -> Array:
        y = xp_of(x).exp(floating(x))
        self.save_for_backward(y)
        return y

    def backward(self, dy: Any) -> Any:
        (y,) = self.saved
        return dy * y


class Expm1(Function):
    """y = e^x - 1, exact near 0,  dx = dy (y + 1)."""

    @quiet
    def forward(self, x: Array) -> Array:
        y = xp_of(x).expm1(floating(x))
        self.save_for_backward(y)
        return y

    def backward(self, dy: Any) -> Any:
        (y,) = self.saved
        return dy * (y + 1)


class Log(Function):
    """y = log x to a base, by the name of NumPy's function,  dx = dy / (x log base)."""

    @quiet
    def forward(self, x: Array, name: str = "log", base: float = math.e) -> Array:
        self.save_for_backward(x)
        self.log_base = math.log(base)
        return getattr(xp_of(x), name)(floating(x))

    def backward(self, dy: Any) -> Any:
        (x,) = self.saved
        return dy / (x if self.log_base == 1 else x * self.log_base)


class Log1p(Function):
    """y = log(1 + x), exact near 0,  dx = dy / (1 + x)."""

    @quiet
    def forward(self, x: Array) -> Array:
        self.save_for_backward(x)
        return xp_of(x).log1p(floating(x))

    def backward(self, dy: Any) -> Any:
        (x,) = self.saved
        return dy / (1 + x)


class Sqrt(Function):
    """y = sqrt x,  dx = dy / 2y."""

    @quiet
    def forward(self, x: Array) -> Array:
        y = xp_of(x).sqrt(floating(x))
        self.save_for_backward(y)
        return y

    def backward(self, dy: Any) -> Any:
        (y,) = self.saved
        return dy / (2 * y)


class Reciprocal(Function):
    """y = 1 / x,  dx = -dy y^2."""

    @quiet
    def forward(self, x: Array) -> Array:
        y = 1 / floating(x)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Any) -> Any:
        (y,) = self.saved
        return -dy * (y * y)


class Sin(Function):
    """y = sin x,  dx = dy cos x."""

    @quiet
    def forward(self, x: Array) -> Array:
        self.save_for_backward(x)
        return xp_of(x).sin(floating(x))

    def backward(self, dy: Any) -> Any:
        (x,) = self.saved
        return dy * cos(x)


class Cos(Function):
    """y = cos x,  dx = -dy sin x."""

    @quiet
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
        return dy - dy * (y * y)  # two thirds of the time of dy * (1 - y * y), where arrays are small


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


def neg(input: Tensor) -> Tensor:
    """Return -input.

    Example:
        >>> import minillm
        >>> minillm.neg(minillm.tensor([1.0, -2.0]))
        tensor([-1.,  2.])
    """
    refuse("neg", "b", input)
    return Neg.apply(input)


def abs(input: Tensor) -> Tensor:
    """Return |input|.

    Example:
        >>> import minillm
        >>> minillm.abs(minillm.tensor([1.0, -2.0]))
        tensor([1., 2.])
    """
    refuse("abs", "b", input)
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


def log2(input: Tensor) -> Tensor:
    """Return the logarithm to the base 2.

    Example:
        >>> import minillm
        >>> minillm.log2(minillm.tensor([1.0, 8.0]))
        tensor([0., 3.])
    """
    return Log.apply(input, "log2", 2)


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
    return Reciprocal.apply(sqrt(input))


def reciprocal(input: Tensor) -> Tensor:
    """Return 1 / input.

    Example:
        >>> import minillm
        >>> minillm.reciprocal(minillm.tensor([4.0]))
        tensor([0.2500])
    """
    return Reciprocal.apply(input)


def square(input: Tensor) -> Tensor:
    """Return input * input.

    Example:
        >>> import minillm
        >>> minillm.square(minillm.tensor([3.0]))
        tensor([9.])
    """
    return input**2


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
    refuse("relu", "b", input)
    return Relu.apply(input)


def erf(input: Tensor) -> Tensor:
    """Return the error function, between -1 and 1.

    Example:
        >>> import minillm
        >>> minillm.erf(minillm.tensor([0.0, 1.0]))
        tensor([0.0000, 0.8427])
    """
    return Erf.apply(input)
