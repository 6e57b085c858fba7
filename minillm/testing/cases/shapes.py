"""Cases of shapes: views, copies, pieces and their joining."""

from __future__ import annotations

from minillm.testing.cases.case import X
from minillm.testing.cases.drawing import B, I, R, Same, V

INF, NAN = float("inf"), float("nan")

SHAPES: dict[str, list[X]] = {
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
        X(R(), R(3), indexing="ij"), X(R(2), indexing="xy"), X(R(2), Same(0), indexing="ij"),
        X(R(0), R(3), indexing="ij"),
    ],
    "cat": [
        X([R(2, 3), R(1, 3)]), X([R(2, 3), R(2, 1), R(2, 2)], 1), X([R(2, 3), R(2, 3)], -1),
        X([R(0), R(2, 3)]), X([R(0, 3), R(2, 3)]), X([I(2), R(2)]), X([I(2), B(2)]), X([R(3)]), X([R(2, 3), Same(0)]),
        X([R(2, 3), R(2, 1), Same(0)], 1),
    ],
    "stack": [
        X([R(2, 3), R(2, 3)]), X([R(2), R(2)], 1), X([R(2), R(2)], -1), X([R(), R()]), X([I(2), R(2)]),
        X([R(0), R(0)]), X([R(2, 3), Same(0)], 1),
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
}  # fmt: skip
