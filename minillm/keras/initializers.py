"""Initial weights by Keras' names, in Keras' layouts: minillm.nn.init draws them.

A kernel of Keras is (..., in, out), one of PyTorch (out, in, ...): the numbers are drawn in the latter layout and
turned around, so that fan in and fan out are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from minillm.backend import Generator, to_numpy
from minillm.keras.naming import class_and_config, look_up, snake_case
from minillm.nn import init
from minillm.ops import Tensor, empty

HostArray = npt.NDArray[np.float32]

# Standard deviation of a normal distribution that is cut at two of its own.
_OF_CUT_NORMAL = 0.87962566103423978


class Initializer:
    """Fills a weight: call it with a shape.

    Args:
        fill: writes numbers into a tensor in PyTorch's layout; takes the generator to draw from too.
        config: the name and settings, for files.
        seed: of the numbers; None draws from the default generator.

    Example:
        >>> glorot_uniform(seed=0)((2, 3)).shape
        (2, 3)
    """

    def __init__(
        self, fill: Callable[[Tensor, Generator | None], Any], config: dict[str, Any], seed: int | None = None
    ) -> None:
        self._fill, self._config, self._seed = fill, config, seed

    def __call__(self, shape: tuple[int, ...]) -> HostArray:
        """Return an array of a shape in Keras' layout."""
        weight = empty(tuple(reversed(shape)), dtype="float32", device="cpu")
        self._fill(weight, None if self._seed is None else Generator(self._seed))
        return np.ascontiguousarray(to_numpy(weight.array).transpose())

    def get_config(self) -> dict[str, Any]:
        """Return what Keras saves of it."""
        return self._config


def _named(class_name: str, fill: Callable[[Tensor, Generator | None], Any], **config: Any) -> Initializer:
    whole = {"module": "keras.initializers", "class_name": class_name, "config": config, "registered_name": None}
    return Initializer(fill, whole, config.get("seed"))


def _fans(weight: Tensor) -> tuple[int, int]:
    field = math.prod(weight.shape[2:])
    return weight.shape[1] * field, weight.shape[0] * field


def _cut_normal(weight: Tensor, variance: float, generator: Generator | None) -> Tensor:
    std = math.sqrt(variance) / _OF_CUT_NORMAL
    return init.trunc_normal_(weight, 0.0, std, -2 * std, 2 * std, generator)


def zeros() -> Initializer:
    """Zeros."""
    return _named("Zeros", lambda weight, _: init.zeros_(weight))


def ones() -> Initializer:
    """Ones."""
    return _named("Ones", lambda weight, _: init.ones_(weight))


def constant(value: float = 0.0) -> Initializer:
    """One value everywhere."""
    return _named("Constant", lambda weight, _: init.constant_(weight, value), value=value)


def random_uniform(minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> Initializer:
    """Evenly distributed between two bounds."""
    return _named(
        "RandomUniform",
        lambda weight, generator: init.uniform_(weight, minval, maxval, generator),
        seed=seed, minval=minval, maxval=maxval,
    )  # fmt: skip


def random_normal(mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> Initializer:
    """Normally distributed."""
    return _named(
        "RandomNormal",
        lambda weight, generator: init.normal_(weight, mean, stddev, generator),
        seed=seed, mean=mean, stddev=stddev,
    )  # fmt: skip


def glorot_uniform(seed: int | None = None) -> Initializer:
    """Evenly between -b and b = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    return _named("GlorotUniform", lambda w, generator: init.xavier_uniform_(w, generator=generator), seed=seed)


def glorot_normal(seed: int | None = None) -> Initializer:
    """Normal, cut at two deviations, of variance 2 / (fan_in + fan_out)."""
    return _named("GlorotNormal", lambda w, g: _cut_normal(w, 2 / max(sum(_fans(w)), 1), g), seed=seed)


def he_uniform(seed: int | None = None) -> Initializer:
    """Evenly between -b and b = sqrt(6 / fan_in) (He et al. 2015)."""
    return _named("HeUniform", lambda w, g: init.kaiming_uniform_(w, nonlinearity="relu", generator=g), seed=seed)


def he_normal(seed: int | None = None) -> Initializer:
    """Normal, cut at two deviations, of variance 2 / fan_in."""
    return _named("HeNormal", lambda w, g: _cut_normal(w, 2 / max(_fans(w)[0], 1), g), seed=seed)


def orthogonal(gain: float = 1.0, seed: int | None = None) -> Initializer:
    """Orthogonal rows or columns, the fewer of the two (Saxe et al. 2013)."""
    return _named("Orthogonal", lambda w, g: init.orthogonal_(w, gain, g), seed=seed, gain=gain)


_KNOWN: dict[str, Callable[..., Initializer]] = {
    "constant": constant,
    "glorot_normal": glorot_normal,
    "glorot_uniform": glorot_uniform,
    "he_normal": he_normal,
    "he_uniform": he_uniform,
    "normal": random_normal,
    "ones": ones,
    "orthogonal": orthogonal,
    "random_normal": random_normal,
    "random_uniform": random_uniform,
    "uniform": random_uniform,
    "zeros": zeros,
}


def get(identifier: Any) -> Callable[[tuple[int, ...]], Any]:
    """Return an initializer: by name, from what Keras saves of one, or any function of a shape.

    Raises:
        ValueError: the name is unknown; the message lists the known ones.

    Example:
        >>> get("zeros")((2,)).tolist()
        [0.0, 0.0]
    """
    if callable(identifier):
        return identifier
    if isinstance(identifier, str):
        return look_up("initializer", snake_case(identifier), _KNOWN)()
    name, config = class_and_config("an initializer", identifier)
    config = {key: value for key, value in config.items() if key not in ("input_axes", "output_axes")}
    return look_up("initializer", snake_case(name), _KNOWN)(**config)


Zeros, Ones, Constant = zeros, ones, constant
RandomUniform, RandomNormal = random_uniform, random_normal
GlorotUniform, GlorotNormal, HeUniform, HeNormal = glorot_uniform, glorot_normal, he_uniform, he_normal
Orthogonal = orthogonal
