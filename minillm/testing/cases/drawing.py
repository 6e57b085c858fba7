"""Inputs that stand in a table of cases and are drawn when a case runs: ``R(3, 4)``, ``I(5)``, ``B(2)``.

A case is written as a call that both libraries understand, ``X(R(3, 4), R(4))``, with these in the places of
tensors. They are drawn as NumPy arrays, the same ones each time, so that both libraries get equal numbers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

HostArray = np.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True)
class Input:
    """A tensor to draw: real numbers between two bounds, integers, or booleans."""

    shape: tuple[int, ...]
    low: float
    high: float
    kind: str  # "real", "int", "bool"; "values" for what stands in `values`
    values: Any = None
    is_distinct: bool = False
    needs_gradient: bool = True

    def draw(self, rng: np.random.Generator, dtype: str) -> HostArray:
        """Return new numbers, floats in this dtype."""
        if self.kind == "values":
            array = np.array(self.values)
            return array.astype(dtype) if array.dtype.kind == "f" else array
        if self.kind == "bool":
            return np.asarray(rng.random(self.shape) < 0.5)
        if self.kind == "int":
            return np.asarray(rng.integers(int(self.low), int(self.high), self.shape))
        size = int(np.prod(self.shape))
        if self.is_distinct:  # none near another: an order, or a largest, that no small step changes
            values = rng.permutation(np.linspace(self.low, self.high, max(size, 2)))[:size]
            return values.reshape(self.shape).astype(dtype)
        values = np.asarray(rng.uniform(self.low, self.high, self.shape))
        near = np.abs(values) < 0.05  # nor near the kinks of abs, relu, floor at 0
        return np.asarray(np.where(near, values + 0.1, values)).astype(dtype)


def R(*shape: int, low: float = -2.0, high: float = 2.0, grad: bool = True) -> Input:
    """Real numbers."""
    return Input(shape, low, high, "real", needs_gradient=grad)


def P(*shape: int, grad: bool = True) -> Input:
    """Positive numbers."""
    return Input(shape, 0.3, 2.5, "real", needs_gradient=grad)


def D(*shape: int) -> Input:
    """Distinct numbers."""
    return Input(shape, -2.0, 2.1, "real", is_distinct=True)


def I(*shape: int, low: int = -5, high: int = 6) -> Input:  # noqa: E743
    """Integers from ``low`` up to, not including, ``high``."""
    return Input(shape, low, high, "int")


def B(*shape: int) -> Input:
    """Booleans."""
    return Input(shape, 0, 1, "bool")


def V(*values: Any, grad: bool = True) -> Input:
    """These values; one number alone is a tensor without dimensions where it is written ``V0(number)``."""
    array = np.array(values)
    return Input(array.shape, 0, 0, "values", values=values, needs_gradient=grad)


def V0(value: Any, grad: bool = True) -> Input:
    """This value, without dimensions; or these nested lists as they are."""
    array = np.array(value)
    return Input(array.shape, 0, 0, "values", values=value, needs_gradient=grad)


@dataclasses.dataclass(frozen=True)
class Same:
    """The tensor of an input that stands before, given once more."""

    number: int  # of the input, from 0


class Places:
    """The tensors that go to the places of inputs, one after another."""

    def __init__(self, tensors: Sequence[Any]) -> None:
        self.tensors, self.count = tensors, 0

    def next(self) -> Any:
        """Return the tensor of the next input."""
        self.count += 1
        return self.tensors[self.count - 1]


def inputs_in(value: Any) -> Iterator[Input]:
    """All inputs in nested tuples, lists and dicts, in order."""
    if isinstance(value, Input):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from inputs_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from inputs_in(item)


def filled(value: Any, places: Places) -> Any:
    """Return the same nest with tensors in the places of inputs."""
    if isinstance(value, Input):
        return places.next()
    if isinstance(value, Same):
        return places.tensors[value.number]
    if isinstance(value, (tuple, list)):
        return type(value)(filled(item, places) for item in value)
    if isinstance(value, dict):
        return {key: filled(item, places) for key, item in value.items()}
    return value
