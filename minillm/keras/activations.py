"""Activation functions by Keras' names: minillm's own, with Keras' defaults."""

from __future__ import annotations

from collections.abc import Callable

from minillm import ops
from minillm.keras.naming import look_up
from minillm.nn import functional as F
from minillm.ops import Tensor

Activation = Callable[[Tensor], Tensor]


def linear(x: Tensor) -> Tensor:
    """Return the input.

    Example:
        >>> import minillm
        >>> linear(minillm.tensor([1.0]))
        tensor([1.])
    """
    return x


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Return exp(x) / sum exp(x) along an axis.

    Example:
        >>> import minillm
        >>> softmax(minillm.tensor([[0.0, 0.0]]))
        tensor([[0.5000, 0.5000]])
    """
    return F.softmax(x, dim=axis)


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Return the logarithm of :func:`softmax`."""
    return F.log_softmax(x, dim=axis)


def leaky_relu(x: Tensor, negative_slope: float = 0.2) -> Tensor:
    """Return x, or ``negative_slope`` times it where it is negative (Keras' slope is 0.2)."""
    return F.leaky_relu(x, negative_slope)


def gelu(x: Tensor, approximate: bool = False) -> Tensor:
    """Return x times the normal distribution function of x, exact or by tanh."""
    return F.gelu(x, "tanh" if approximate else "none")


def selu(x: Tensor) -> Tensor:
    """Return the scaled ELU of Klambauer et al., 2017."""
    return 1.0507009873554805 * F.elu(x, 1.6732632423543772)


def softsign(x: Tensor) -> Tensor:
    """Return x / (1 + |x|)."""
    return x / (1 + ops.abs(x))


def hard_sigmoid(x: Tensor) -> Tensor:
    """Return x / 6 + 1/2, cut to between 0 and 1."""
    return ops.clamp(x / 6 + 0.5, min=0.0, max=1.0)


def relu6(x: Tensor) -> Tensor:
    """Return ReLU, cut at 6."""
    return ops.clamp(x, min=0.0, max=6.0)


relu: Activation = F.relu
elu: Activation = F.elu
silu: Activation = F.silu
swish: Activation = F.silu
sigmoid: Activation = F.sigmoid
softplus: Activation = F.softplus
tanh: Activation = F.tanh
exponential: Activation = ops.exp

_KNOWN: dict[str, Activation] = {
    "elu": elu,
    "exponential": exponential,
    "gelu": gelu,
    "hard_sigmoid": hard_sigmoid,
    "leaky_relu": leaky_relu,
    "linear": linear,
    "log_softmax": log_softmax,
    "relu": relu,
    "relu6": relu6,
    "selu": selu,
    "sigmoid": sigmoid,
    "silu": silu,
    "softmax": softmax,
    "softplus": softplus,
    "softsign": softsign,
    "swish": swish,
    "tanh": tanh,
}
_NAMES = {function: name for name, function in _KNOWN.items() if name != "swish"}


def get(identifier: str | Activation | None) -> Activation:
    """Return an activation function by its name; None means the linear one.

    Raises:
        ValueError: the name is unknown; the message lists the known ones.

    Example:
        >>> import minillm
        >>> get("relu")(minillm.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """
    if identifier is None:
        return linear
    if callable(identifier):
        return identifier
    return look_up("activation", identifier, _KNOWN)


def name_of(activation: Activation) -> str | None:
    """Return the name of an activation function, or None where it has none here."""
    return _NAMES.get(activation)
