"""The table of cases: every operation with inputs on which it is compared with PyTorch, and checked.

A case is a call that both libraries understand, with places for the inputs that are drawn: ``R(3, 4)`` stands
for a tensor of real numbers of that shape. One table drives the comparison of values, of gradients of the
first and second order, the gradient checks, and all of it on the strict stand-in.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np


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

    def draw(self, rng: np.random.Generator, dtype: str) -> np.ndarray:
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
        values = rng.uniform(self.low, self.high, self.shape)
        near = np.abs(values) < 0.05  # nor near the kinks of abs, relu, floor at 0
        return np.where(near, values + 0.1, values).astype(dtype)


def R(*shape: int, low: float = -2.0, high: float = 2.0, grad: bool = True) -> Input:
    """Real numbers."""
    return Input(shape, low, high, "real", needs_gradient=grad)


def P(*shape: int) -> Input:
    """Positive numbers."""
    return Input(shape, 0.3, 2.5, "real")


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
    """These values."""
    array = np.array(values)
    return Input(array.shape, 0, 0, "values", values=values, needs_gradient=grad)


class X:
    """A call: the arguments of an operation."""

    def __init__(self, *args: Any, method: bool = False, order: int = 2, check: bool = True,
        **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs
        self.method = method  # of the tensor, where there is no function
        self.order = order  # of the highest derivative that is compared
        self.check = check  # by differences, too


@dataclasses.dataclass(frozen=True)
class Case:
    """A named call."""

    name: str
    number: int
    call: X

    def __str__(self) -> str:
        return f"{self.name}-{self.number}"

    def inputs(self) -> Iterator[Input]:
        yield from _inputs_in((self.call.args, tuple(self.call.kwargs.values())))

    def draw(self, dtype: str = "float64") -> list[np.ndarray]:
        """The same arrays for the same case each time."""
        rng = np.random.default_rng(zlib.crc32(str(self).encode()))
        return [i.draw(rng, dtype) for i in self.inputs()]

    def run(self, library: Any, tensors: list[Any]) -> Any:
        """Call the operation of a library with tensors in the places of inputs."""
        queue = iter(tensors)
        args = [_filled(value, queue) for value in self.call.args]
        kwargs = {key: _filled(value, queue) for key, value in self.call.kwargs.items()}
        if "dtype" in kwargs:
            kwargs["dtype"] = getattr(library, kwargs["dtype"])
        if self.name == "getitem":  # an operator in PyTorch
            return args[0][args[1]]
        if self.name == "cast":  # a method in PyTorch
            return args[0].to(getattr(library, args[1]))
        if self.call.method:
            return getattr(args[0], self.name)(*args[1:], **kwargs)
        function = library
        for part in self.name.split("."):
            function = getattr(function, part)
        return function(*args, **kwargs)


def _inputs_in(value: Any) -> Iterator[Input]:
    if isinstance(value, Input):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _inputs_in(item)


def _filled(value: Any, tensors: Iterator[Any]) -> Any:
    if isinstance(value, Input):
        return next(tensors)
    if isinstance(value, (tuple, list)):
        return type(value)(_filled(item, tensors) for item in value)
    return value


INF, NAN = float("inf"), float("nan")

# Functions of one tensor, in and around their domain.
POINTWISE = [X(R(3, 4)), X(R()), X(R(0, 3)), X(R(2, 1, 3)), X(I(4)), X(V(-INF, INF, NAN, 0.0), order=0)]
POSITIVE = [X(P(3, 4)), X(P()), X(P(0, 3)), X(I(4, low=1)), X(V(-1.0, 0.0, INF, NAN), order=0)]
STEPS = [X(R(3, 4), order=1, check=False), X(R(), order=1, check=False), X(I(4)),
    X(V(-0.5, 0.5, 1.5, INF, NAN, -0.0), order=0)]
BINARY = [
    X(R(3, 4), R(3, 4)), X(R(3, 4), R(4)), X(R(2, 1, 4), R(3, 1)), X(R(3, 1), R()), X(R(), R()),
    X(R(0, 4), R(1, 4)), X(R(3), I(3, low=1)), X(I(3), R(3)), X(I(2, 3), I(3, low=1)),
]  # fmt: skip
NUMBERS = [X(R(3), 2.5), X(R(3), 2), X(I(3), 2.5), X(I(3), 3), X(B(3), 2), X(R(), True), X(R(0), 2.0)]
COMPARISON = [
    *BINARY, *NUMBERS, X(V(1.0, 2.0, NAN, INF), V(1.0, 3.0, NAN, INF)), X(B(4), B(4)),
    X(I(4, low=0, high=3), I(4, low=0, high=3)),
]  # fmt: skip
LOGICAL = [X(B(4), B(4)), X(R(3, 1), I(4, low=0, high=2)), X(V(0.0, NAN, 1.0), V(1.0, 1.0, 0.0)),
    X(B(0), B(0))]
TESTS = [X(V(1.0, NAN, INF, -INF)), X(I(3)), X(B(3)), X(R(0)), X(R())]
REDUCTION = [
    X(R(3, 4)), X(R(3, 4), 0), X(R(2, 3, 4), -1), X(R(2, 3, 4), (0, 2)),
    X(R(2, 3, 4), dim=(-1, 0), keepdim=True),
    X(R(3, 4), 1, True), X(R()), X(R(), 0), X(R(1, 3), 0), X(R(2, 3), dim=()),
]  # fmt: skip
EMPTY_SUMS = [X(R(0)), X(R(0, 3), 0), X(R(2, 0, 3), 1), X(R(0, 3), 1)]
EXTREME = [
    X(D(3, 4)), X(D(3, 4), 0), X(D(2, 3, 4), -1), X(D(2, 3, 4), 1, True), X(D()), X(D(), 0), X(D(0, 3), 1),
    X(V(1.0, NAN, 3.0), order=1, check=False), X(V(1.0, NAN, 3.0), 0, order=1, check=False), X(I(3, 4), 1),
    X(B(3), 0),
]  # fmt: skip
ARG = [
    X(D(3, 4)), X(D(3, 4), 0), X(D(2, 3, 4), -1), X(D(2, 3, 4), 1, keepdim=True), X(D(2, 3), None, True),
    X(D()),
    X(D(), 0), X(V(3, 1, 3, 1)), X(V(1.0, NAN, 3.0)), X(D(0, 3), 1),
]  # fmt: skip
ORDER = [
    X(D(5)), X(D(3, 4), 0), X(D(2, 3, 4), -2), X(D(3, 4), 1, True), X(D(3, 4), descending=True), X(D()),
    X(D(0, 3)),
    X(D(0, 3), 0), X(V(3.0, NAN, 1.0, -INF), order=1, check=False),
    X(V(3.0, NAN, 1.0), descending=True, order=0),
    X(V(2, 1, 2, 1, 2), stable=True), X(V(2, 1, 2, 1, 2), stable=True, descending=True),
    X(I(3, 4), dim=1, stable=True),
]  # fmt: skip

CASES: dict[str, list[X]] = {
    # arithmetic
    "add": [
        *BINARY, *NUMBERS, X(2.5, R(3)), X(2, I(3)), X(R(3), R(3), alpha=2.5), X(R(3), 4, alpha=0.5),
        X(B(3), B(3)), X(1, R(2, 3), alpha=3),
    ],
    "sub": [
        *BINARY, *NUMBERS[:-3], X(2.5, R(3)), X(2, I(3)), X(R(3), R(3), alpha=2.5), X(R(3), 4, alpha=0.5),
    ],
    "mul": [*BINARY, *NUMBERS, X(2.5, R(3)), X(2, I(3)), X(B(3), B(3))],
    "div": [
        *BINARY, *NUMBERS, X(2.5, P(3)), X(2, P(3)), X(2, I(3, low=1)), X(B(3), V(True, True, True)),
        X(V(1.0, -1.0, 0.0, 4.0), V(0.0, 0.0, 0.0, INF), order=0),
        *[X(a, b, rounding_mode=mode, order=1, check=False) for mode in ("floor", "trunc") for a, b in (
            (R(3, 4), R(4)), (R(3), 0.7), (2.5, R(3)), (R(), R(2)), (R(0), 1.0))],
        *[X(a, b, rounding_mode=mode, order=0) for mode in ("floor", "trunc") for a, b in (
            (I(3, 4), I(4, low=1)), (I(9), -2), (7, V(2, -2, 3)), (I(4), V(-1, -2, 3, -4)), (I(3), 2.5),
            (V(1.0, -1.0, 0.0, NAN, INF), V(0.0, 0.0, 0.0, 1.0, 2.0, grad=False)))],
    ],
    "true_divide": [X(R(3, 4), P(4)), X(I(3), 2), X(1, P(3))],
    "floor_divide": [X(R(3, 4), R(4), order=0), X(I(5), 2), X(I(5), -2)],
    "remainder": [
        X(R(3, 4), R(4), check=False), X(R(3), 0.7, check=False), X(2.5, R(3), order=0),
        X(R(), R(2), check=False), X(I(9), 3), X(I(9), -3),
        X(7, V(2, -2, 3)), X(I(3), 2.5), X(R(0), 1.0), X(V(1.0, NAN, INF), 2.0, order=0),
        X(V(1.0, -1.0), 0.0, order=0),
    ],
    "pow": [
        X(P(3, 4), R(3, 4)), X(P(3, 4), R(4)), X(P(3, 1), R(1, 4)), X(P(), R()), X(R(3), 2), X(R(3), 3),
        X(R(3), 1), X(R(3), 0),
        X(P(3), 0.5), X(P(3), -1.5), X(R(3), -2), X(R(3), 4), X(R(3), V(2.0, 3.0, 0.0, grad=False)),
        X(2.5, R(3)), X(2, R(3)), X(I(3), 2), X(I(3), 2.5, order=0),
        X(2, I(3, low=0)), X(I(3), I(3, low=0)), X(B(3), 2), X(R(0), 2),
        X(V(0.0, 0.0, 0.0), V(0.0, 1.0, 2.0, grad=False), check=False), X(V(0.0, 2.0), 3.0),
        X(V(0.0, 0.0), V(0.0, 1.5), order=1, check=False), X(0.0, V(0.0, 1.5), order=1, check=False),
        X(1.0, R(3)), X(I(3, low=1), -1.0), X(V(-8.0, 0.0), V(0.5, -1.0), order=0),
    ],
    "lerp": [
        X(R(3, 4), R(3, 4), 0.3), X(R(3, 4), R(4), R(3, 1)), X(R(3), R(3), 1.7), X(R(), R(), R()),
        X(R(0), R(0), 0.5),
    ],
    # choices
    "where": [
        X(B(3, 4), R(3, 4), R(3, 4)), X(B(3, 1), R(4), R(1, 1)), X(B(3), R(3), 0.0), X(B(3), 1, R(3)),
        X(B(3), 1, 0), X(B(3), 1.5, 0), X(B(), R(), R()), X(B(0), R(0), R(0)),
        X(B(3), I(3), R(3)), X(B(3, 2), R(2), 5), X(B(4)), X(B(2, 3)), X(B()),
    ],
    "maximum": [
        X(D(3, 4), R(4)), X(R(3, 1), R(4)), X(R(), R(2)), X(I(4), I(4)), X(I(3), R(3)), X(R(0), R(0)),
        X(V(1.0, NAN), V(NAN, 1.0), order=0), X(V(1.0, 2.0), V(1.0, 3.0), check=False),
    ],
    "minimum": [
        X(D(3, 4), R(4)), X(R(3, 1), R(4)), X(R(), R(2)), X(I(4), I(4)), X(I(3), R(3)), X(R(0), R(0)),
        X(V(1.0, NAN), V(NAN, 1.0), order=0), X(V(1.0, 2.0), V(1.0, 3.0), check=False),
    ],
    "clamp": [
        X(D(3, 4), -1.0, 1.0), X(D(5), min=0.0), X(D(5), max=0.5), X(D(), -1, 1), X(R(0), 0, 1),
        X(D(5), 1.0, -1.0), X(I(5), -1, 2), X(I(5), -1.5, 2),
        X(D(3, 4), R(4), None), X(D(3, 4), R(4), P(3, 1)), X(D(4), None, R(4)),
        X(V(NAN, 1.0, INF), 0.0, 2.0, order=0), X(V(0.0, 1.0, 0.5), 0.0, 1.0, check=False),
    ],
    "clamp_min": [X(D(5), 0.0), X(D(3, 4), R(4)), X(I(4), 1)],
    "clamp_max": [X(D(5), 0.0), X(D(3, 4), R(4)), X(I(4), 1)],
    # one tensor
    "neg": POINTWISE, "abs": POINTWISE, "exp": POINTWISE, "expm1": POINTWISE,
    "square": [*POINTWISE, X(B(3))], "sin": POINTWISE, "cos": POINTWISE, "tanh": [*POINTWISE, X(B(3))],
    "sigmoid": [*POINTWISE, X(R(3, low=-800, high=800), order=1, check=False)], "relu": POINTWISE,
    "erf": [*POINTWISE, X(R(40, low=-7, high=7))],
    "log": POSITIVE, "log2": POSITIVE, "log1p": [*POSITIVE, X(R(3, low=-0.9, high=0.9))], "sqrt": POSITIVE,
    "rsqrt": POSITIVE, "reciprocal": [*POSITIVE, X(R(4))],
    "sign": STEPS, "floor": STEPS, "ceil": STEPS, "trunc": STEPS,
    "round": [*STEPS, X(R(3, 4), decimals=1, order=0), X(R(3, high=900.0), decimals=-2, order=0)],
    "cast": [X(R(3), dtype, check=False) for dtype in ("float32", "float64", "float16")] + [X(R(3),
        "int64"), X(I(3), "float32"), X(B(3), "uint8"), X(I(3), "bool")],
        "clone": [X(R(3, 4)), X(I(3)), X(R())],
    # comparison
    "eq": COMPARISON, "ne": COMPARISON, "lt": COMPARISON, "le": COMPARISON, "gt": COMPARISON,
    "ge": COMPARISON,
    "logical_and": LOGICAL, "logical_or": LOGICAL, "logical_xor": LOGICAL, "logical_not": TESTS,
    "isnan": TESTS, "isinf": TESTS, "isfinite": TESTS,
    "isclose": [
        X(V(1.0, 2.0, NAN, INF), V(1.0 + 1e-6, 2.1, NAN, INF)),
        X(V(1.0, NAN), V(1.0, NAN), equal_nan=True), X(V(1.0, 2.0), V(1.1, 2.5), rtol=0.2, atol=0.0),
        X(R(3, 1), R(2)), X(I(3), I(3)),
    ],
    "allclose": [
        X(R(3), R(3)), X(V(1.0, NAN), V(1.0, NAN), equal_nan=True), X(V(1.0, 2.0), V(1.01, 2.0), atol=0.1),
    ],
    "equal": [X(R(3), R(3)), X(V(1, 2), V(1, 2)), X(R(3), R(4)), X(R(0), R(0))],
    # reduction
    "sum": [*REDUCTION, *EMPTY_SUMS, X(I(3, 4), 0), X(B(3, 4)), X(R(3), dtype="float32", order=0)],
    "nansum": [*REDUCTION, X(V(1.0, NAN, 2.0), check=False), X(I(3, 4), 1)],
    "mean": [*REDUCTION, EMPTY_SUMS[3], X(R(0), order=0), X(I(3), dtype="float64")],
    "prod": [
        X(R(3, 4)), X(R(3, 4), 0), X(R(2, 3, 4), -1), X(R(2, 5), 1, True), X(R()), X(R(), 0), X(R(1)),
        X(R(0)), X(R(0, 3), 0), X(I(3, 4), 1), X(B(3)), X(V(0.0, 2.0, 3.0)), X(V(0.0, 2.0, 0.0)), X(R(7)),
    ],
    "var": [
        *REDUCTION[:-4], X(R(3, 4), correction=0), X(R(3, 4), 1, correction=2), X(R(3, 4), 0, False),
        X(R(3, 4), unbiased=False), X(R(3, 4), False), X(R(3, 4), 1, True, True),
        X(R(5), dim=0, correction=0, keepdim=True),
    ],
    "std": [
        *REDUCTION[:-4], X(R(3, 4), correction=0), X(R(3, 4), 1, correction=2), X(R(3, 4), 0, False),
        X(R(3, 4), unbiased=False), X(V(2.0, 2.0, 2.0), order=1, check=False),
    ],
    "var_mean": [
        X(R(3, 4)), X(R(3, 4), 0), X(R(2, 3, 4), dim=(0, 2), keepdim=True), X(R(3, 4), 1, correction=0),
    ],
    "all": [
        X(B(3, 4)), X(B(3, 4), 0), X(R(3, 4), -1, True), X(B(2, 3, 2), (0, 2)), X(I(5, low=1)), X(B()),
        X(B(0)), X(B(0, 3), 0), X(V(0.0, NAN)),
    ],
    "any": [
        X(B(3, 4)), X(B(3, 4), 0), X(R(3, 4), -1, True), X(B(2, 3, 2), (0, 2)), X(I(5, low=0, high=1)),
        X(B()), X(B(0)), X(B(0, 3), 0), X(V(0.0, NAN)),
    ],
    "count_nonzero": [
        X(I(3, 4, low=0, high=2)), X(B(3, 4), 0), X(R(2, 3, 4), (0, 1)), X(R()), X(V(0.0, NAN)),
    ],
    "cumsum": [
        X(R(5), 0), X(R(3, 4), 1), X(R(2, 3, 4), -2), X(R(), 0), X(R(0, 3), 0), X(I(4), 0), X(B(4), 0),
        X(R(4), 0, dtype="float64", order=0),
    ],
    "logsumexp": [
        *REDUCTION[1:6], X(R(3), 0), X(R(), 0), X(R(2, 0), 1, order=0), X(R(0, 3), 1), X(I(3), 0),
        X(R(3, low=-900, high=900), 0, check=False), X(V(-INF, -INF), 0, order=0),
        X(V(INF, 1.0), 0, order=0), X(V(-INF, 1.0), 0, order=1, check=False),
    ],
    "softmax": [
        X(R(3, 4), 0), X(R(3, 4), -1), X(R(2, 3, 4), 1), X(R(), 0), X(R(0, 3), 1), X(R(3, 0), 1),
        X(R(3), 0, dtype="float64", order=0), X(R(3, low=-900, high=900), 0, check=False),
        X(V(-INF, 0.0), 0, check=False), X(V(-INF, -INF), 0, order=0),
    ],
    "log_softmax": [
        X(R(3, 4), 0), X(R(3, 4), -1), X(R(2, 3, 4), 1), X(R(), 0), X(R(0, 3), 1), X(R(3, 0), 1),
        X(R(3), 0, dtype="float64", order=0), X(R(3, low=-900, high=900), 0, check=False),
    ],
    # norms
    "norm": [
        X(R(3, 4)), X(R(3, 4), 1), X(R(3, 4), 3, 0), X(R(3, 4), dim=1, keepdim=True), X(D(5), INF), X(R()),
        X(R(3, 4), "fro", (0, 1)), X(R(0)),
    ],
    "linalg.vector_norm": [
        X(R(3, 4)), X(R(3, 4, grad=False), 0),
        *[X(D(3, 4), p) for p in (1, 1.5, 2, 3, -1, 0.5, INF, -INF)], X(R(3, 4), 2, 0),
        X(R(2, 3, 4), 3, (0, -1), True), X(R()), X(R(0)), X(V(0.0, 0.0), order=1, check=False),
        X(V(0.0, 1.0, 2.0), 3, order=1), X(V(0.0, 1.0), 1.5, order=1, check=False),
    ],
    "linalg.norm": [
        X(R(3, 4)), X(R(4)), X(R(4), 3), *[X(D(3, 4), o) for o in ("fro", 1, -1, INF, -INF)],
        X(D(2, 3, 4), 1, (0, 2)), X(D(2, 3, 4), INF, (-1, 0), True), X(R(2, 3, 4), "fro", (1, 2)),
        X(R(2, 3), None, 1), X(R(2, 3), 1, 1), X(R(2, 2, 2)),
    ],
    # search
    "amax": [
        *EXTREME[:-4], X(D(2, 3, 4), (0, 2)), X(D(2, 3, 4), dim=(0, -1), keepdim=True),
        X(V(2.0, 2.0, 1.0), check=False), X(V(2.0, NAN, NAN), order=0), X(I(3, 4), 0), X(B(3)),
    ],
    "amin": [*EXTREME[:-4], X(D(2, 3, 4), (0, 2)), X(V(2.0, 1.0, 1.0), check=False), X(I(3, 4), 0), X(B(3))],
    "max": [
        *EXTREME, X(R(3, 4), R(4)), X(D(3), other=R(3)), X(V(2.0, 2.0, 1.0), check=False),
        X(V(2.0, 2.0, 1.0), 0, check=False),
    ],
    "min": [*EXTREME, X(R(3, 4), R(4)), X(D(3), other=R(3)), X(V(2.0, 1.0, 1.0), check=False)],
    "argmax": ARG, "argmin": ARG,
    "median": [
        X(D(5)), X(D(4)), X(D(3, 4)), X(D(3, 4), 0), X(D(2, 3, 4), -1, True), X(D(2, 4, 3), 1), X(D()),
        X(D(), 0), X(I(5)), X(V(1.0, NAN, 3.0, 0.0), order=1, check=False),
        X(V(1.0, NAN, 3.0, 0.0), 0, order=1, check=False), X(V(2.0, 2.0, 1.0, 5.0), check=False),
    ],
    "sort": ORDER, "argsort": ORDER,
    "topk": [
        X(D(5), 2), X(D(3, 4), 2), X(D(3, 4), 2, 0), X(D(3, 4), 3, -1, False), X(D(3, 4), 4),
        X(D(3, 4), 0), X(D(), 1), X(D(), 0), X(D(0, 3), 2), X(I(1), 1), X(D(20), 7, largest=False),
    ],
    "unique": [
        X(V(3, 1, 3, 2)), X(I(3, 4), return_inverse=True), X(I(3, 4), return_counts=True),
        X(I(10, low=0, high=3), True, True, True), X(V((1, 2), (1, 2), (0, 5)), dim=0),
        X(V((1, 2), (1, 2), (0, 5)), dim=0, return_inverse=True, return_counts=True), X(B(4)),
        X(R(0, grad=False)),
    ],
    "bincount": [
        X(I(9, low=0, high=4)), X(I(9, low=0, high=4), minlength=7),
        X(V(0, 2, 2), V(0.5, 1.0, 2.0, grad=False)), X(I(0)),
    ],
    # shape
    "reshape": [
        X(R(3, 4), (2, 6)), X(R(3, 4), (-1,)), X(R(3, 4), (4, -1)), X(R(), (1, 1)), X(R(1), ()),
        X(R(0, 3), (3, 0)), X(R(0, 3), (-1,)), X(R(2, 3), 3, 2, method=True),
    ],
    "view": [
        X(R(3, 4), 2, 6, method=True), X(R(3, 4), (-1, 2), method=True), X(R(), 1, method=True),
        X(R(0, 3), 5, 0, method=True),
    ],
    "flatten": [
        X(R(2, 3, 4)), X(R(2, 3, 4), 1), X(R(2, 3, 4), 0, 1), X(R(2, 3, 4), -2, -1), X(R()), X(R(0, 3)),
        X(R(3)),
    ],
    "unflatten": [
        X(R(2, 12), 1, (3, 4)), X(R(12), 0, (3, -1)), X(R(2, 6), -1, (2, 1, -1)), X(R(0, 3), 0, (0, 2)),
    ],
    "squeeze": [
        X(R(1, 3, 1)), X(R(1, 3, 1), 0), X(R(1, 3, 1), 1), X(R(1, 3, 1), (0, -1)), X(R()), X(R(), 0),
        X(R(1)),
    ],
    "unsqueeze": [X(R(3, 4), 0), X(R(3, 4), -1), X(R(3, 4), 2), X(R(), 0)],
    "permute": [
        X(R(2, 3, 4), (2, 0, 1)), X(R(2, 3, 4), (-1, 0, -2)), X(R(), ()), X(R(2, 3), 1, 0, method=True),
    ],
    "transpose": [X(R(2, 3, 4), 0, 2), X(R(2, 3, 4), -1, 1), X(R(), 0, 0), X(R(2, 3), 0, 0)],
    "t": [X(R(2, 3)), X(R(3)), X(R())],
    "movedim": [
        X(R(2, 3, 4), 0, -1), X(R(2, 3, 4), (0, 1), (-1, 0)), X(R(2, 3, 4, 5), (3, 1), (0, 2)),
        X(R(3), 0, 0),
    ],
    "contiguous": [X(R(3, 4), method=True)],
    "numel": [X(R(3, 4)), X(R())],
    "broadcast_to": [
        X(R(4), (3, 4)), X(R(3, 1), (2, 3, 4)), X(R(), (2, 3)), X(R(1), (0,)), X(R(2, 3), (2, 3)),
    ],
    "expand": [
        X(R(3, 1), 3, 4, method=True), X(R(3, 1), -1, 4, method=True), X(R(3, 1), (2, -1, 4), method=True),
        X(R(), 3, method=True), X(R(1), 0, method=True),
    ],
    "repeat": [
        X(R(2, 3), 2, 2, method=True), X(R(3), (2, 1, 3), method=True), X(R(), 3, method=True),
        X(R(2, 3), 0, 1, method=True), X(R(0), 3, method=True),
    ],
    "tile": [X(R(2, 3), (2,)), X(R(2, 3), (2, 1, 2)), X(R(), (3,)), X(R(3), ())],
    "repeat_interleave": [
        X(R(3), 2), X(R(2, 3), 2, 1), X(R(2, 3), 3), X(R(2, 3), V(2, 0), 0), X(R(2, 3), V(1, 2, 0), -1),
        X(R(3), V(2)), X(R(), 3), X(R(0), 2), X(R(2, 3), 0, 0),
    ],
    "meshgrid": [
        X(R(2), R(3), indexing="ij"), X(R(2), R(3), R(4), indexing="xy"), X([R(2), R(3)], indexing="ij"),
        X(R(), R(3), indexing="ij"), X(R(2), indexing="xy"), X(R(0), R(3), indexing="ij"),
    ],
    # pieces
    "cat": [
        X([R(2, 3), R(1, 3)]), X([R(2, 3), R(2, 1), R(2, 2)], 1), X([R(2, 3), R(2, 3)], -1),
        X([R(0), R(2, 3)]), X([R(0, 3), R(2, 3)]), X([I(2), R(2)]), X([I(2), B(2)]), X([R(3)]),
    ],
    "stack": [
        X([R(2, 3), R(2, 3)]), X([R(2), R(2)], 1), X([R(2), R(2)], -1), X([R(), R()]), X([I(2), R(2)]),
        X([R(0), R(0)]),
    ],
    "narrow": [X(R(5), 0, 1, 3), X(R(3, 4), 1, -2, 2), X(R(3, 4), -1, 0, 0), X(R(3), 0, 3, 0)],
    "select": [X(R(3, 4), 0, 1), X(R(3, 4), 1, -1), X(R(3, 4), -2, 0)],
    "split": [
        X(R(5), 2), X(R(3, 4), 2, 1), X(R(5), [1, 4]), X(R(5), [0, 5], -1), X(R(0), 2), X(R(4), 4),
        X(R(0), 0),
    ],
    "chunk": [X(R(5), 2), X(R(3, 4), 3, 1), X(R(2), 5), X(R(0), 2)],
    "unbind": [X(R(3, 2)), X(R(3, 2), 1), X(R(3), -1)],
    "flip": [X(R(3), (0,)), X(R(2, 3, 4), (0, -1)), X(R(2, 3), [1]), X(R(0, 2), (0,)), X(R(2, 3), ())],
    "roll": [
        X(R(5), 2), X(R(3, 4), -1, 0), X(R(3, 4), (1, 2), (0, 1)), X(R(3, 4), 3), X(R(0), 1),
        X(R(4), 9, 0),
    ],
    "tril": [X(R(3, 4)), X(R(3, 4), 1), X(R(2, 4, 3), -1), X(B(3, 3)), X(R(0, 3))],
    "triu": [X(R(3, 4)), X(R(3, 4), 1), X(R(2, 4, 3), -1), X(B(3, 3)), X(R(0, 3))],
    "diagonal": [
        X(R(3, 4)), X(R(3, 4), 1), X(R(4, 3), -2), X(R(2, 3, 4), 0, 1, 2), X(R(2, 3, 4), 1, -1, 0),
        X(R(3, 3), 5), X(R(0, 0)),
    ],
    "diag": [X(R(3)), X(R(3), 1), X(R(3), -2), X(R(3, 4)), X(R(3, 4), -1), X(R(0))],
    # indexing
    "getitem": [
        *[X(R(3, 4, 2), index) for index in (
            0, -1, slice(1, None), (slice(None), 1), (..., 0), (None, 1, ...),
            (slice(0, 3, 2), slice(None), 1), (1, 2, 1), (), ..., None, True, False,
            slice(5, 9), (slice(None), None, slice(1, 3)), [0, 2], ([0, 2], [1, 1]),
            (slice(None), [3, 0, 0]), (..., [1, 0]), ([0, 1], slice(None), [1, 1]), [],
            [True, False, True])],
        *[X(R(3, 4, 2), index) for index in (
            V(0, 2, 0), V((0, 1), (2, 2)), (V(0, 2), V(1, -1)), (slice(None), V(-1, 0)),
            (V(0, 2), slice(None), V(0, 1)), (slice(None), V(0, 1), V(1, 1)), (V((0,), (2,)), V(1, 3)),
            B(3), B(3, 4), B(3, 4, 2), (slice(None), B(4)), (..., B(2)), (1, V(0, 0, 1)),
            (V(0, 1), None, V(1, 2)), V(1), (0, V(2)), I(0), (B(3), 0))],
        X(R(5), 2), X(R(), ...), X(R(), None), X(I(5), V(1, 1)), X(R(0, 3), slice(None)), X(R(4), V(1, 2)),
    ], "index_put": [
        X(R(5), (V(0, 2),), R(2)), X(R(5), (V(0, 2),), R(), check=True),
        X(R(3, 4), (V(0, 2), V(1, 1)), R(2)), X(R(3, 4), (V(0, 2),), R(4)),
        X(R(5), (V(0, 0, 2),), R(3), accumulate=True),
        X(R(3, 4), (V(0, 0), V(1, 1)), R(2), True), X(R(5), (V(True, False, True, False, False),), R(2)),
        X(R(5), (I(0),), R(0)), X(R(3, 4), (V(-1),), R(1, 4)),
    ],
    "masked_fill": [
        X(R(3, 4), B(3, 4), 0.5), X(R(3, 4), B(4), -INF, check=False), X(R(3, 4), B(3, 1), 2),
        X(R(), B(), 1.0), X(R(3), B(3), R()), X(I(3), B(3), 2.7), X(R(4), B(3, 4), 0.0), X(B(3), B(3), 1),
        X(R(0), B(0), 1.0),
    ],
    "masked_select": [
        X(R(3, 4), B(3, 4)), X(R(3, 4), B(4)), X(R(4), B(3, 4)), X(R(), B()), X(I(3), B(3)), X(R(0), B(0)),
    ],
    "nonzero": [
        X(I(3, 4, low=0, high=2)), X(R(3)), X(B(2, 2)), X(R()), X(V(0)), X(R(0, 3)),
        X(I(3, 4, low=0, high=2), as_tuple=True), X(R(), as_tuple=True), X(V(0.0, NAN)),
    ],
    "gather": [
        X(R(3, 4), 0, I(2, 4, low=0, high=3)), X(R(3, 4), 1, I(3, 6, low=0, high=4)),
        X(R(3, 4), -1, I(2, 2, low=0, high=4)), X(R(5), 0, I(7, low=0, high=5)), X(R(), 0, V(0)),
        X(R(3, 4), 0, I(0, 4)), X(R(2, 3, 4), 1, I(1, 5, 2, low=0, high=3)),
    ],
    "take_along_dim": [
        X(R(3, 4), I(2, 4, low=0, high=3), 0), X(R(3, 4), I(1, 2, low=0, high=4), 1),
        X(R(1, 4), I(3, 2, low=0, high=4), -1), X(R(3, 4), I(5, low=0, high=12)),
    ],
    "scatter": [
        X(R(3, 4), 0, V((0, 1, 2, 0)), R(1, 4)), X(R(3, 4), 1, V((0, 3), (1, 2)), R(2, 2)),
        X(R(3, 4), 1, V((0, 3), (1, 2)), R(3, 4, grad=False)), X(R(3, 4), -1, V((0, 3), (1, 2)), 2.5),
        X(R(3), 0, I(0), R(0)),
    ],
    "scatter_add": [
        X(R(3, 4), 0, I(2, 4, low=0, high=3), R(2, 4)), X(R(3, 4), 1, I(3, 6, low=0, high=4), R(3, 6)),
        X(R(3), 0, V(1, 1), R(4, grad=False)), X(R(3, 4), -1, I(1, 2, low=0, high=4), R(2, 4, grad=False)),
    ],
    "index_select": [
        X(R(3, 4), 0, V(2, 0, 2)), X(R(3, 4), -1, V(1)), X(R(3, 4), 1, I(0)), X(R(), 0, V(0)),
        X(R(0, 3), 1, V(0, 2)),
    ],
    "index_add": [
        X(R(3, 4), 0, V(2, 0, 2), R(3, 4)), X(R(3, 4), -1, V(1, 1), R(3, 2), alpha=2.5),
        X(I(3), 0, V(0, 0), I(2)),
    ],
    # products
    "matmul": [
        X(R(3, 4), R(4, 2)), X(R(4), R(4)), X(R(3, 4), R(4)), X(R(4), R(4, 2)), X(R(2, 3, 4), R(4, 5)),
        X(R(2, 3, 4), R(2, 4, 5)), X(R(2, 1, 3, 4), R(5, 4, 2)), X(R(2, 3, 4), R(4)), X(R(4), R(2, 4, 3)),
        X(R(0, 4), R(4, 2)), X(R(3, 0), R(0, 2)), X(R(2, 0), R(0)), X(I(3, 4), I(4, 2)), X(R(0), R(0, 3)),
        X(R(3, 4), R(2, 4, 5)),
    ],
    "mm": [X(R(3, 4), R(4, 2)), X(R(3, 0), R(0, 2))],
    "bmm": [X(R(2, 3, 4), R(2, 4, 5)), X(R(0, 3, 4), R(0, 4, 5))], "mv": [X(R(3, 4), R(4)), X(R(0, 4), R(4))],
    "dot": [X(R(4), R(4)), X(R(0), R(0)), X(I(3), I(3))],
    "outer": [X(R(3), R(4)), X(R(0), R(4)), X(I(2), R(3))],
    "addmm": [
        X(R(3, 2), R(3, 4), R(4, 2)), X(R(2), R(3, 4), R(4, 2)),
        X(R(), R(3, 4), R(4, 2), beta=0.5, alpha=2), X(V((NAN, NAN)), R(1, 3), R(3, 2), beta=0, order=0),
    ],
    "einsum": [
        *[X(e, *shapes) for e, *shapes in [
            ("ij->ji", R(3, 4)), ("ij->", R(3, 4)), ("ij->j", R(3, 4)), ("ii->i", R(3, 3)), ("ii", R(3, 3)),
            ("i,i->i", R(3), R(3)), ("i,i", R(3), R(3)), ("i,j->ij", R(3), R(4)),
            ("ij,jk", R(3, 4), R(4, 2)), ("ij,jk->ki", R(3, 4), R(4, 2)),
            ("bij,bjk->bik", R(2, 3, 4), R(2, 4, 5)), ("bhqd,bhkd->bhqk", R(2, 2, 3, 4), R(2, 2, 5, 4)),
            ("bij,kj->bik", R(2, 3, 4), R(5, 4)), ("...ij,...jk->...ik", R(2, 3, 4), R(4, 5)),
            ("...i,i->...", R(2, 3), R(3)), ("...->...", R(2, 3)),
            ("ij,jk,kl->il", R(2, 3), R(3, 4), R(4, 2)), ("i,j,k->kji", R(2), R(3), R(4)),
            ("ij,ij->", R(2, 3), R(2, 3)), ("ij,kl->jl", R(2, 3), R(4, 5)), ("iij->j", R(3, 3, 2)),
            ("ba", R(2, 3)), ("ij,j->i", R(0, 4), R(4)), ("ij,kj->ik", R(2, 1), R(3, 4)),
            ("bi,bi->b", R(1, 3), R(4, 3)),
            (" i j , j -> i ", R(2, 3), R(3)), ("...ij,...ij->...", R(2, 3, 4), R(1, 3, 4)),
            ("i,->i", R(3), R()), ("aBc->cB", R(2, 3, 4)),
        ]],
        X("ij,j->i", [R(3, 4), R(4)]),
    ],
}  # fmt: skip


# What makes tensors: no inputs, no gradients.
CREATION: dict[str, list[X]] = {
    "zeros": [X(2, 3), X((2, 3)), X(0), X(()), X(2, dtype="int64"), X(2, requires_grad=True)],
    "ones": [X(2, 3), X([2, 3]), X(2, dtype="bool"), X(2, dtype="float64")],
    "full": [X((2, 3), 7), X((2,), 1.5), X((), True), X((2,), 3, dtype="float64"), X((0,), 1)],
    "eye": [X(3), X(2, 3), X(3, 2, dtype="int64"), X(0)],
    "arange": [
        X(5), X(1, 4), X(1, 2, 0.25), X(5, 0, -2), X(0), X(2.5), X(3, dtype="float64"), X(0.0, 1.0, 0.1),
        X(0, 7, 3), X(1, 1),
    ],
    "linspace": [X(0, 1, 5), X(1, -1, 4), X(0, 1, 1), X(0, 1, 0), X(0, 1, 3, dtype="float64"), X(2.5, 7, 11)],
    "tensor": [
        X([1.0, 2.0]), X([[1, 2], [3, 4]]), X(3), X(2.5), X(True), X([True, False]), X([]), X([[], []]),
        X([1, 2.5]), X([1], dtype="float64"), X([1.5], dtype="int64"), X([1.0], requires_grad=True),
    ],
    "as_tensor": [X([1.0, 2.0]), X(3), X([1], dtype="float32"), X(I(3)), X(R(2), dtype="float32")],
    "zeros_like": [X(R(2, 3)), X(I(3)), X(R(2), dtype="int64")],
    "ones_like": [X(R(2, 3)), X(B(3)), X(R(2), dtype="int64")],
    "full_like": [X(R(2, 3), 2), X(I(3), 5), X(I(3), 2.0, dtype="float64")],
}  # fmt: skip

# What is drawn, or not written: tested by its shape and distribution, not beside PyTorch.
DRAWN = {"empty", "empty_like", "from_numpy", "multinomial", "normal", "rand", "rand_like", "randint",
    "randn", "randn_like", "randperm"}


def cases_of(name: str, table: dict[str, list[X]] = CASES) -> list[Case]:
    return [Case(name, i, call) for i, call in enumerate(table[name])]
