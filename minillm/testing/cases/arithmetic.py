"""Cases of arithmetic, choices, functions of one tensor, and comparison."""

from __future__ import annotations

from minillm.testing.cases.case import X
from minillm.testing.cases.drawing import B, D, I, P, R, Same, V

INF, NAN = float("inf"), float("nan")

# Functions of one tensor, in and around their domain.
POINTWISE = [X(R(3, 4)), X(R()), X(R(0, 3)), X(R(2, 1, 3)), X(I(4)), X(V(-INF, INF, NAN, 0.0), order=0)]
POSITIVE = [X(P(3, 4)), X(P()), X(P(0, 3)), X(I(4, low=1)), X(V(-1.0, 0.0, INF, NAN), order=0)]
STEPS = [X(R(3, 4), order=1, check=False), X(R(), order=1, check=False), X(I(4)),
    X(V(-0.5, 0.5, 1.5, INF, NAN, -0.0), order=0)]
BINARY = [
    X(R(3, 4), R(3, 4)), X(R(3, 4), R(4)), X(R(2, 1, 4), R(3, 1)), X(R(3, 1), R()), X(R(), R()),
    X(R(0, 4), R(1, 4)), X(R(3), I(3, low=1)), X(I(3), R(3)), X(I(2, 3), I(3, low=1)),
    X(R(2, 3), Same(0)), X(R(), Same(0)),
]  # fmt: skip
NUMBERS = [X(R(3), 2.5), X(R(3), 2), X(I(3), 2.5), X(I(3), 3), X(B(3), 2), X(R(), True), X(R(0), 2.0)]
COMPARISON = [
    *BINARY, *NUMBERS, X(V(1.0, 2.0, NAN, INF), V(1.0, 3.0, NAN, INF)), X(B(4), B(4)),
    X(I(4, low=0, high=3), I(4, low=0, high=3)),
]  # fmt: skip
LOGICAL = [X(B(4), B(4)), X(R(3, 1), I(4, low=0, high=2)), X(V(0.0, NAN, 1.0), V(1.0, 1.0, 0.0)),
    X(B(0), B(0)), X(B(4), Same(0))]
TESTS = [X(V(1.0, NAN, INF, -INF)), X(I(3)), X(B(3)), X(R(0)), X(R())]

ARITHMETIC: dict[str, list[X]] = {
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
    "true_divide": [X(R(3, 4), P(4)), X(R(3), Same(0)), X(I(3), 2), X(1, P(3))],
    "floor_divide": [X(R(3, 4), R(4), order=0), X(R(3), Same(0), order=0), X(I(5), 2), X(I(5), -2)],
    "remainder": [
        X(R(3, 4), R(4), check=False), X(R(3), 0.7, check=False), X(2.5, R(3), order=0),
        X(R(), R(2), check=False), X(I(9), 3), X(I(9), -3),
        X(7, V(2, -2, 3)), X(I(3), 2.5), X(R(0), 1.0), X(V(1.0, NAN, INF), 2.0, order=0), X(R(3), Same(0), check=False),
        X(V(1.0, -1.0), 0.0, order=0),
    ],
    "pow": [
        X(P(3, 4), R(3, 4)), X(P(3, 4), R(4)), X(P(3, 1), R(1, 4)), X(P(), R()), X(R(3), 2), X(R(3), 3),
        X(R(3), 1), X(R(3), 0),
        X(P(3), 0.5), X(P(3), -1.5), X(R(3), -2), X(R(3), 4), X(R(3), V(2.0, 3.0, 0.0, grad=False)),
        X(2.5, R(3)), X(2, R(3)), X(I(3), 2), X(I(3), 2.5, order=0),
        X(2, I(3, low=0)), X(I(3), I(3, low=0)), X(B(3), 2), X(R(0), 2),
        X(V(0.0, 0.0), V(1.0, 2.0, grad=False), check=False),
        X(V(0.0), V(0.0, grad=False), order=1, check=False), X(V(0.0, 2.0), 3.0),
        X(V(0.0, 0.0), V(0.0, 1.5), order=1, check=False), X(0.0, V(0.0, 1.5), order=1, check=False),
        X(1.0, R(3)), X(P(3), Same(0)), X(P(), Same(0)), X(I(3, low=1), -1.0), X(V(-8.0, 0.0), V(0.5, -1.0), order=0),
    ],
    "lerp": [
        X(R(3, 4), R(3, 4), 0.3), X(R(3, 4), R(4), R(3, 1)), X(R(3), R(3), 1.7), X(R(), R(), R()),
        X(R(0), R(0), 0.5), X(R(3), Same(0), 0.3), X(R(3), R(3), Same(0)), X(R(3), R(3), Same(1)),
        X(R(3), Same(0), Same(0)),
    ],
    # choices
    "where": [
        X(B(3, 4), R(3, 4), R(3, 4)), X(B(3, 1), R(4), R(1, 1)), X(B(3), R(3), 0.0), X(B(3), 1, R(3)),
        X(B(3), 1, 0), X(B(3), 1.5, 0), X(B(3), R(3), Same(1)), X(B(), R(), R()), X(B(0), R(0), R(0)),
        X(B(3), I(3), R(3)), X(B(3, 2), R(2), 5), X(B(4)), X(B(2, 3)), X(B()),
    ],
    "maximum": [
        X(D(3, 4), R(4)), X(R(3, 1), R(4)), X(R(), R(2)), X(I(4), I(4)), X(I(3), R(3)), X(R(0), R(0)),
        X(V(1.0, NAN), V(NAN, 1.0), order=0), X(V(1.0, 2.0), V(1.0, 3.0), check=False), X(R(3), Same(0)),
    ],
    "minimum": [
        X(D(3, 4), R(4)), X(R(3, 1), R(4)), X(R(), R(2)), X(I(4), I(4)), X(I(3), R(3)), X(R(0), R(0)),
        X(V(1.0, NAN), V(NAN, 1.0), order=0), X(V(1.0, 2.0), V(1.0, 3.0), check=False), X(R(3), Same(0)),
    ],
    "clamp": [
        X(D(3, 4), -1.0, 1.0), X(D(5), min=0.0), X(D(5), max=0.5), X(D(), -1, 1), X(R(0), 0, 1),
        X(D(5), 1.0, -1.0), X(I(5), -1, 2), X(I(5), -1.5, 2),
        X(D(3, 4), R(4), None), X(D(3, 4), R(4), P(3, 1)), X(D(4), None, R(4)), X(D(4), Same(0), Same(0)),
        X(V(NAN, 1.0, INF), 0.0, 2.0, order=0), X(V(0.0, 1.0, 0.5), 0.0, 1.0, check=False),
    ],
    "clamp_min": [X(D(5), 0.0), X(D(3, 4), R(4)), X(I(4), 1), X(D(4), Same(0))],
    "clamp_max": [X(D(5), 0.0), X(D(3, 4), R(4)), X(I(4), 1), X(D(4), Same(0))],
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
}  # fmt: skip

COMPARISONS: dict[str, list[X]] = {
    "eq": COMPARISON, "ne": COMPARISON, "lt": COMPARISON, "le": COMPARISON, "gt": COMPARISON,
    "ge": COMPARISON,
    "logical_and": LOGICAL, "logical_or": LOGICAL, "logical_xor": LOGICAL, "logical_not": TESTS,
    "isnan": TESTS, "isinf": TESTS, "isfinite": TESTS,
    "isclose": [
        X(V(1.0, 2.0, NAN, INF), V(1.0 + 1e-6, 2.1, NAN, INF)),
        X(V(1.0, NAN), V(1.0, NAN), equal_nan=True), X(V(1.0, 2.0), V(1.1, 2.5), rtol=0.2, atol=0.0),
        X(R(3, 1), R(2)), X(I(3), I(3)), X(V(1.0, NAN), Same(0)),
    ],
    "allclose": [
        X(R(3), R(3)), X(R(3), Same(0)), X(V(1.0, NAN), V(1.0, NAN), equal_nan=True),
        X(V(1.0, 2.0), V(1.01, 2.0), atol=0.1),
    ],
    "equal": [
        X(R(3), R(3)), X(R(3), Same(0)), X(V(1.0, NAN), Same(0)), X(V(1, 2), V(1, 2)), X(R(3), R(4)), X(R(0), R(0)),
    ],
}  # fmt: skip
