"""Cases of indexing, gathering and scattering."""

from __future__ import annotations

from minillm.testing.cases.case import X
from minillm.testing.cases.drawing import B, I, R, V

INF, NAN = float("inf"), float("nan")

INDEXING: dict[str, list[X]] = {
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
}  # fmt: skip
