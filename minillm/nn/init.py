"""Initial weights: fill a tensor in place with numbers whose spread keeps signals at their size.

Xavier: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
Kaiming: He, Zhang, Ren and Sun, 2015, arXiv:1502.01852. Orthogonal: Saxe, McClelland and Ganguli, 2013,
arXiv:1312.6120.

All return the tensor itself, are not recorded for backward, and take a ``generator`` to draw from.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minillm.autograd import no_grad
from minillm.autograd.errors import OperationError
from minillm.autograd.function import wrap
from minillm.backend import Generator, default_generator, to_device
from minillm.ops import Tensor


class _Switch(threading.local):
    """Whether this thread skips initial weights."""

    skipping = False


_switch = _Switch()


@contextmanager
def skipped() -> Iterator[None]:
    """Inside this block no initial weights are drawn: for modules whose weights are read from a file next.

    What the weights are is then left to chance, until they are read. Drawing those of GPT-2 takes seconds.

    Example:
        >>> import minillm
        >>> state = minillm.get_rng_state()
        >>> with minillm.nn.init.skipped():
        ...     layer = minillm.nn.Linear(2, 3)
        >>> state == minillm.get_rng_state()
        True
    """
    before = _switch.skipping
    _switch.skipping = True
    try:
        yield
    finally:
        _switch.skipping = before


@no_grad()
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with numbers that are equally likely between a and b.

    Example:
        >>> import minillm
        >>> minillm.nn.init.uniform_(minillm.empty(2, 3), -1.0, 1.0).shape
        (2, 3)
    """
    return tensor if _switch.skipping else tensor.uniform_(a, b, generator=generator)


@no_grad()
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with numbers of the normal distribution.

    Example:
        >>> import minillm
        >>> minillm.nn.init.normal_(minillm.empty(2, 3), std=0.02).shape
        (2, 3)
    """
    return tensor if _switch.skipping else tensor.normal_(mean, std, generator=generator)


@no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value.

    Example:
        >>> import minillm
        >>> minillm.nn.init.constant_(minillm.empty(2), 0.5)
        tensor([0.5000, 0.5000])
    """
    return tensor if _switch.skipping else tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones.

    Example:
        >>> import minillm
        >>> minillm.nn.init.ones_(minillm.empty(2))
        tensor([1., 1.])
    """
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros.

    Example:
        >>> import minillm
        >>> minillm.nn.init.zeros_(minillm.empty(2))
        tensor([0., 0.])
    """
    return constant_(tensor, 0.0)


@no_grad()
def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with ones on its diagonal and zeros elsewhere.

    Example:
        >>> import minillm
        >>> minillm.nn.init.eye_(minillm.empty(2, 3))
        tensor([[1., 0., 0.],
                [0., 1., 0.]])
    """
    if tensor.ndim != 2:
        raise OperationError(f"eye_: got shape {tensor.shape}; it needs a matrix")
    return _write(tensor, np.eye(tensor.shape[0], tensor.shape[1]))


@no_grad()
def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Fill with numbers of the normal distribution, none of them outside of a and b.

    Args:
        tensor: floats of any shape.
        mean: of the distribution before it is cut.
        std: of the distribution before it is cut.
        a: the lower bound.
        b: the upper bound.
        generator: to draw from; the default generator by default.

    Raises:
        OperationError: bounds that leave nothing, or a negative ``std``.

    Example:
        >>> import minillm
        >>> bool((minillm.nn.init.trunc_normal_(minillm.empty(100)).abs() <= 2).all())
        True
    """
    if not a <= b or std < 0:
        raise OperationError(f"trunc_normal_: got a={a}, b={b}, std={std}; it needs a <= b and std >= 0")
    draw = (generator or default_generator()).uniform(tensor.shape, dtype="float64", device="cpu")
    if std == 0 or a == b:
        return _write(tensor, np.clip(np.full(tensor.shape, mean), a, b))
    low, high = (a - mean) / std, (b - mean) / std
    mirrored = low > 0  # the distribution function is exact in its lower tail alone
    if mirrored:
        low, high = -high, -low
    # Its inverse, by a table: beyond 9 standard deviations nothing is drawn where there is more inside.
    low = max(low, min(high, 0.0) - 9.0)
    points = np.linspace(low, min(high, 9.0), 4097)
    below = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in points])
    values = np.interp(below[0] + draw * (below[-1] - below[0]), below, points)
    values = mean + std * (-values if mirrored else values)
    return _write(tensor, np.clip(values, a, b))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor that makes up for what an activation function takes from the spread of a signal.

    Args:
        nonlinearity: "linear", "conv1d", "sigmoid", "tanh", "relu", "leaky_relu" or "selu".
        param: the negative slope of leaky_relu; 0.01 by default.

    Raises:
        OperationError: another name.

    Example:
        >>> from minillm import nn
        >>> nn.init.calculate_gain("tanh")
        1.6666666666666667
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise OperationError(f"calculate_gain: got a negative slope of {param!r}; it needs a number")
        return math.sqrt(2.0 / (1 + slope**2))
    gains = {"tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4}
    if nonlinearity in gains:
        return gains[nonlinearity]
    if nonlinearity in ("linear", "sigmoid") or nonlinearity.startswith("conv"):
        return 1.0
    raise OperationError(
        f"calculate_gain: got {nonlinearity!r}; it knows linear, sigmoid, tanh, relu, leaky_relu and selu"
    )


def _fans(tensor: Tensor) -> tuple[int, int]:
    """Return how many inputs each output has, and how many outputs each input."""
    if tensor.ndim < 2:
        raise OperationError(
            f"init: got shape {tensor.shape}; fan in and fan out need a weight of at least two dimensions, (out, in)"
        )
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill evenly between -bound and bound = gain * sqrt(6 / (fan_in + fan_out)).

    Example:
        >>> import minillm
        >>> bool((minillm.nn.init.xavier_uniform_(minillm.empty(3, 3)).abs() <= 1).all())
        True
    """
    bound = gain * math.sqrt(6.0 / max(sum(_fans(tensor)), 1))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with normal numbers of standard deviation gain * sqrt(2 / (fan_in + fan_out)).

    Example:
        >>> import minillm
        >>> minillm.nn.init.xavier_normal_(minillm.empty(2, 3)).shape
        (2, 3)
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / max(sum(_fans(tensor)), 1)), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise OperationError(f"kaiming: got mode={mode!r}; it needs 'fan_in' or 'fan_out'")
    fan = _fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Fill evenly between -bound and bound = gain * sqrt(3 / fan).

    Args:
        tensor: a weight, (out, in, ...).
        a: the negative slope of the leaky_relu that follows.
        mode: "fan_in" keeps the size of signals on the way forward, "fan_out" on the way back.
        nonlinearity: the activation function that follows; see :func:`calculate_gain`.
        generator: to draw from; the default generator by default.

    Example:
        >>> import minillm
        >>> minillm.nn.init.kaiming_uniform_(minillm.empty(2, 3)).shape
        (2, 3)
    """
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Fill with normal numbers of standard deviation gain / sqrt(fan).

    Args:
        tensor: a weight, (out, in, ...).
        a: the negative slope of the leaky_relu that follows.
        mode: "fan_in" keeps the size of signals on the way forward, "fan_out" on the way back.
        nonlinearity: the activation function that follows; see :func:`calculate_gain`.
        generator: to draw from; the default generator by default.

    Example:
        >>> import minillm
        >>> minillm.nn.init.kaiming_normal_(minillm.empty(2, 3)).shape
        (2, 3)
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


@no_grad()
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """Fill a matrix with rows (or columns, the fewer of the two) that are orthogonal and of length gain.

    Args:
        tensor: (rows, ...); dimensions after the first count as one.
        gain: the length.
        generator: to draw from; the default generator by default.

    Example:
        >>> import minillm
        >>> w = minillm.nn.init.orthogonal_(minillm.empty(2, 3))
        >>> bool(((w @ w.T - minillm.eye(2)).abs() < 1e-6).all())
        True
    """
    if tensor.ndim < 2:
        raise OperationError(f"orthogonal_: got shape {tensor.shape}; it needs at least two dimensions")
    if not tensor.numel():
        return tensor
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    size = (max(rows, columns), min(rows, columns))
    draw = (generator or default_generator()).normal(size, dtype="float64", device="cpu")
    q, r = np.linalg.qr(draw)
    q *= np.sign(np.diag(r))  # without it the distribution would not be uniform
    return _write(tensor, (q.T if rows < columns else q).reshape(tensor.shape) * gain)


def _write(tensor: Any, values: Any) -> Any:
    """Write an array of the host into a tensor."""
    return tensor.copy_(wrap(to_device(values.astype(tensor.dtype), tensor.device)))
