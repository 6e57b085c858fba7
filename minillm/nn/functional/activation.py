"""Activation functions: the bends between the linear layers.

ReLU: Nair and Hinton, 2010. GELU: Hendrycks and Gimpel, 2016, arXiv:1606.08415. SiLU (swish): Elfwing,
Uchibe and Doya, 2017, arXiv:1702.03118. ELU: Clevert, Unterthiner and Hochreiter, 2015, arXiv:1511.07289.
GLU: Dauphin, Fan, Auli and Grangier, 2016, arXiv:1612.08083.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from minillm import ops
from minillm.autograd.errors import OperationError
from minillm.autograd.function import Function
from minillm.backend import Array, xp_of
from minillm.kernels import kernels_of
from minillm.ops import Tensor
from minillm.ops.promotion import quiet, refuse
from minillm.ops.shape import dim_of

# -- fused ------------------------------------------------------------------------------------------


def gelu_composite(x: Any) -> Any:
    """Return x Phi(x), Phi the distribution function of the normal distribution."""
    return x * (0.5 * (1 + ops.erf(x * math.sqrt(0.5))))


class Gelu(Function):
    """y = x Phi(x),  dx = dy (Phi(x) + x phi(x))."""

    composite = gelu_composite

    def forward(self, x: Array) -> Array:
        self.kernels = kernels_of(x)  # sets differ in what they save
        y, saved = self.kernels.gelu(x, self.needs(0))
        self.save_for_backward(saved)
        return y

    def backward(self, dy: Array) -> Any:
        (saved,) = self.saved
        return self.kernels.gelu_backward(dy, saved)


def gelu_tanh_composite(x: Any) -> Any:
    """Return x times an approximation of Phi(x) by tanh."""
    return 0.5 * x * (1 + ops.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))))


class GeluTanh(Function):
    """y = x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2."""

    composite = gelu_tanh_composite

    def forward(self, x: Array) -> Array:
        self.kernels = kernels_of(x)  # sets differ in what they save
        y, saved = self.kernels.gelu_tanh(x, self.needs(0))
        self.save_for_backward(saved)
        return y

    def backward(self, dy: Array) -> Any:
        (saved,) = self.saved
        return self.kernels.gelu_tanh_backward(dy, saved)


def silu_composite(x: Any) -> Any:
    """Return x sigmoid(x)."""
    return x * ops.sigmoid(x)


class Silu(Function):
    """y = x s,  dx = dy s (1 + x (1 - s)),  s = sigmoid(x)."""

    composite = silu_composite

    def forward(self, x: Array) -> Array:
        self.kernels = kernels_of(x)  # sets differ in what they save
        y, saved = self.kernels.silu(x, self.needs(0))
        self.save_for_backward(saved)
        return y

    def backward(self, dy: Array) -> Any:
        (saved,) = self.saved
        return self.kernels.silu_backward(dy, saved)


# -- plain ------------------------------------------------------------------------------------------


class Softplus(Function):
    """y = log(1 + e^(beta x)) / beta,  dx = dy sigmoid(beta x); linear above the threshold."""

    @quiet
    def forward(self, x: Array, beta: float, threshold: float) -> Array:
        self.beta, self.threshold = beta, threshold
        self.save_for_backward(x)
        xp = xp_of(x)
        scaled = x * beta
        y = (xp.maximum(scaled, 0) + xp.log1p(xp.exp(-xp.abs(scaled)))) / beta
        return xp.where(scaled > threshold, x, y)

    def backward(self, dy: Any) -> Any:
        (x,) = self.saved
        scaled = x * self.beta
        return ops.where(scaled > self.threshold, dy, dy * ops.sigmoid(scaled))


class LogSigmoid(Function):
    """y = -log(1 + e^-x),  dx = dy sigmoid(-x)."""

    @quiet
    def forward(self, x: Array) -> Array:
        self.save_for_backward(x)
        xp = xp_of(x)
        return xp.minimum(x, 0) - xp.log1p(xp.exp(-xp.abs(x)))

    def backward(self, dy: Any) -> Any:
        (x,) = self.saved
        return dy * ops.sigmoid(-x)


class LeakyRelu(Function):
    """y = x above zero, slope x below."""

    def forward(self, x: Array, slope: float) -> Array:
        self.slope = slope
        xp = xp_of(x)
        positive = x > 0
        self.save_constants(positive)
        return xp.where(positive, x, x * x.dtype.type(slope))

    def backward(self, dy: Any) -> Any:
        (positive,) = self.constants
        return ops.where(positive, dy, dy * self.slope)


class Elu(Function):
    """y = x above zero, alpha (e^x - 1) below."""

    def forward(self, x: Array, alpha: float) -> Array:
        self.alpha = alpha
        self.save_for_backward(x)
        xp = xp_of(x)
        return xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0)))

    def backward(self, dy: Any) -> Any:
        (x,) = self.saved
        below = ops.where(x > 0, 0.0, x)  # exp of large numbers would overflow, though unused
        return ops.where(x > 0, dy, dy * (self.alpha * ops.exp(below)))


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return max(input, 0).

    Example:
        >>> import minillm
        >>> minillm.nn.functional.relu(minillm.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """
    result = ops.relu(input)
    return input._become("relu_", result) if inplace else result


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """Return input times the probability that a standard normal number is below it.

    Args:
        input: floats of any shape.
        approximate: "none" for the error function, "tanh" for the approximation that GPT-2 uses.

    Raises:
        OperationError: another ``approximate``.
        OperationTypeError: an input of integers or booleans.

    Example:
        >>> import minillm
        >>> minillm.nn.functional.gelu(minillm.tensor([-1.0, 0.0, 1.0]))
        tensor([-0.1587,  0.0000,  0.8413])
    """
    refuse("gelu", "biu", input)
    if approximate == "none":
        return Gelu.apply(input)
    if approximate == "tanh":
        return GeluTanh.apply(input)
    raise OperationError(f"gelu: got approximate={approximate!r}; it needs to be 'none' or 'tanh'")


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return input * sigmoid(input), also called swish.

    Raises:
        OperationTypeError: an input of integers or booleans.

    Example:
        >>> import minillm
        >>> minillm.nn.functional.silu(minillm.tensor([-1.0, 0.0, 1.0]))
        tensor([-0.2689,  0.0000,  0.7311])
    """
    refuse("silu", "biu", input)
    result = Silu.apply(input)
    return input._become("silu_", result) if inplace else result


def softplus(input: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """Return log(1 + exp(beta * input)) / beta, a smooth relu.

    Args:
        input: floats of any shape.
        beta: how sharp the bend is.
        threshold: where beta * input is above it, the result is the input itself.

    Raises:
        OperationTypeError: an input of integers or booleans.

    Example:
        >>> import minillm
        >>> minillm.nn.functional.softplus(minillm.tensor([0.0, 30.0]))
        tensor([ 0.6931, 30.0000])
    """
    refuse("softplus", "biu", input)
    return Softplus.apply(input, beta, threshold)


def logsigmoid(input: Tensor) -> Tensor:
    """Return log(sigmoid(input)), exact where sigmoid itself is 0.

    Raises:
        OperationTypeError: an input of integers or booleans.

    Example:
        >>> import minillm
        >>> minillm.nn.functional.logsigmoid(minillm.tensor([0.0, -200.0]))
        tensor([  -0.6931, -200.0000])
    """
    refuse("logsigmoid", "biu", input)
    return LogSigmoid.apply(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Return the input above zero, negative_slope * input below.

    Raises:
        OperationTypeError: an input of integers or booleans.

    Example:
        >>> import minillm
        >>> minillm.nn.functional.leaky_relu(minillm.tensor([-1.0, 2.0]))
        tensor([-0.0100,  2.0000])
    """
    refuse("leaky_relu", "biu", input)
    result = LeakyRelu.apply(input, negative_slope)
    return input._become("leaky_relu_", result) if inplace else result


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Return the input above zero, alpha * (exp(input) - 1) below.

    Raises:
        OperationTypeError: an input of integers or booleans.

    Example:
        >>> import minillm
        >>> minillm.nn.functional.elu(minillm.tensor([-1.0, 2.0]))
        tensor([-0.6321,  2.0000])
    """
    refuse("elu", "biu", input)
    result = Elu.apply(input, alpha)
    return input._become("elu_", result) if inplace else result


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """Return a * sigmoid(b), where a and b are the two halves of the input along ``dim``.

    Raises:
        OperationError: a size along ``dim`` that is odd, or a dim that there is not.
        OperationTypeError: an input of integers or booleans.

    Example:
        >>> import minillm
        >>> minillm.nn.functional.glu(minillm.tensor([3.0, 0.0]))
        tensor([1.5000])
    """
    refuse("glu", "biu", input)
    dim_of("glu", input.ndim, dim)
    if not input.ndim or input.shape[dim] % 2:
        raise OperationError(f"glu: got shape {input.shape}; it needs an even size along dim {dim}, to halve it")
    a, b = ops.chunk(input, 2, dim)
    return a * ops.sigmoid(b)


def _implicit_dim(name: str, ndim: int) -> int:
    """Return the dimension that PyTorch takes where none is given, with PyTorch's warning."""
    warnings.warn(
        f"{name}: the implicit choice of a dimension is deprecated; say dim=-1 for the last one", FutureWarning,
        stacklevel=3,
    )  # fmt: skip
    return 0 if ndim in (0, 1, 3) else 1


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Return exp(input), scaled so that it sums to 1 along ``dim``.

    Args:
        input: floats of any shape.
        dim: along which the result sums to 1. Leaving it out is deprecated, as in PyTorch.
        _stacklevel: PyTorch's; it has no effect here.
        dtype: cast the input first.

    Example:
        >>> import minillm
        >>> minillm.nn.functional.softmax(minillm.tensor([0.0, 0.0]), dim=0)
        tensor([0.5000, 0.5000])
    """
    return ops.softmax(input, _implicit_dim("softmax", input.ndim) if dim is None else dim, dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Return the logarithm of softmax.

    Args:
        input: floats of any shape.
        dim: along which the exponentials of the result sum to 1. Leaving it out is deprecated.
        _stacklevel: PyTorch's; it has no effect here.
        dtype: cast the input first.

    Example:
        >>> import minillm
        >>> minillm.nn.functional.log_softmax(minillm.tensor([0.0, 0.0]), dim=0)
        tensor([-0.6931, -0.6931])
    """
    return ops.log_softmax(input, _implicit_dim("log_softmax", input.ndim) if dim is None else dim, dtype)
