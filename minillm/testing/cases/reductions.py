"""Cases of reductions, norms, searches and sorts."""

from __future__ import annotations

from minillm.testing.cases.case import X
from minillm.testing.cases.drawing import B, D, I, R, V

INF, NAN = float("inf"), float("nan")

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

REDUCTIONS: dict[str, list[X]] = {
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
}  # fmt: skip
