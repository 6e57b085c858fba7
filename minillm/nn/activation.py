"""Activation functions as modules, for use in ``Sequential``; the formulas stand with the functions."""

from __future__ import annotations

from minillm.nn import functional as F
from minillm.nn.module import Module
from minillm.ops import Tensor


class _InPlace(Module):
    """An activation that can write its result into its input."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class ReLU(_InPlace):
    """y = max(x, 0).

    Example:
        >>> import minillm
        >>> minillm.nn.ReLU()(minillm.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, self.inplace)


class SiLU(_InPlace):
    """y = x sigmoid(x).

    Example:
        >>> import minillm
        >>> minillm.nn.SiLU()(minillm.tensor([0.0, 1.0]))
        tensor([0.0000, 0.7311])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input, self.inplace)


class GELU(Module):
    """y = x Phi(x), Phi the distribution function of the normal distribution.

    Args:
        approximate: "none", or "tanh" for the approximation that GPT-2 uses.

    Example:
        >>> import minillm
        >>> minillm.nn.GELU()(minillm.tensor([0.0, 1.0]))
        tensor([0.0000, 0.8413])
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class Tanh(Module):
    """y = tanh(x).

    Example:
        >>> import minillm
        >>> minillm.nn.Tanh()(minillm.tensor([0.0, 1.0]))
        tensor([0.0000, 0.7616])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class Sigmoid(Module):
    """y = 1 / (1 + e^-x).

    Example:
        >>> import minillm
        >>> minillm.nn.Sigmoid()(minillm.tensor([0.0]))
        tensor([0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class LogSigmoid(Module):
    """y = log sigmoid(x).

    Example:
        >>> import minillm
        >>> minillm.nn.LogSigmoid()(minillm.tensor([0.0]))
        tensor([-0.6931])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.logsigmoid(input)


class Softplus(Module):
    """y = log(1 + e^(beta x)) / beta.

    Args:
        beta: how sharp the bend is.
        threshold: where beta x is above it, y is x itself.

    Example:
        >>> import minillm
        >>> minillm.nn.Softplus()(minillm.tensor([0.0]))
        tensor([0.6931])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class LeakyReLU(_InPlace):
    """y = x above zero, negative_slope x below.

    Example:
        >>> import minillm
        >>> minillm.nn.LeakyReLU()(minillm.tensor([-1.0, 2.0]))
        tensor([-0.0100,  2.0000])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class ELU(_InPlace):
    """y = x above zero, alpha (e^x - 1) below.

    Example:
        >>> import minillm
        >>> minillm.nn.ELU()(minillm.tensor([-1.0, 2.0]))
        tensor([-0.6321,  2.0000])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class GLU(Module):
    """y = a sigmoid(b), a and b the halves of x along ``dim``.

    Example:
        >>> import minillm
        >>> minillm.nn.GLU()(minillm.tensor([3.0, 0.0]))
        tensor([1.5000])
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class _Along(Module):
    """An activation along one dimension."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_Along):
    """y = e^x, scaled so that it sums to 1 along ``dim``.

    Example:
        >>> import minillm
        >>> minillm.nn.Softmax(dim=-1)(minillm.tensor([0.0, 0.0]))
        tensor([0.5000, 0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim)


class LogSoftmax(_Along):
    """y = log softmax(x) along ``dim``.

    Example:
        >>> import minillm
        >>> minillm.nn.LogSoftmax(dim=-1)(minillm.tensor([0.0, 0.0]))
        tensor([-0.6931, -0.6931])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim)
