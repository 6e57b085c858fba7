"""Cases of what makes tensors: no gradients. What is drawn at random is compared by its shape and dtype."""

from __future__ import annotations

import numpy as np

from minillm.testing.cases.case import X
from minillm.testing.cases.drawing import B, I, P, R, V

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
    "as_tensor": [X([1.0, 2.0]), X(3), X([1], dtype="float32"), X(I(3)), X(R(2), dtype="float32", check=False)],
    "zeros_like": [X(R(2, 3)), X(I(3)), X(R(2), dtype="int64")],
    "ones_like": [X(R(2, 3)), X(B(3)), X(R(2), dtype="int64")],
    "full_like": [X(R(2, 3), 2), X(I(3), 5), X(I(3), 2.0, dtype="float64")],
    # drawn at random, or not written at all
    "empty": [X(2, 3, drawn=True), X((0,), dtype="int64", drawn=True), X(2, requires_grad=True, drawn=True)],
    "empty_like": [X(R(2, 3), drawn=True), X(I(2), drawn=True), X(R(2), dtype="float32", drawn=True)],
    "from_numpy": [X(np.arange(3)), X(np.ones((2, 0))), X(np.array(2.5, "float32"))],
    "rand": [X(2, 3, drawn=True), X((0, 2), drawn=True), X(2, dtype="float64", requires_grad=True, drawn=True)],
    "rand_like": [X(R(2, 3), drawn=True), X(R(2), dtype="float64", drawn=True)],
    "randn": [X(2, 3, drawn=True), X((), drawn=True), X(2, dtype="float64", drawn=True)],
    "randn_like": [X(R(2, 3), drawn=True), X(R(0), drawn=True)],
    "randint": [
        X(5, (2, 3), drawn=True), X(-2, 3, (4,), drawn=True), X(3, 4, (2, 2)),
        X(0, 2, (3,), dtype="float32", drawn=True),
    ],
    "randperm": [X(5, drawn=True), X(1), X(0)],
    "normal": [X(0.0, 1.0, (2, 3), drawn=True), X(R(3, grad=False), 0.5, drawn=True),
        X(R(3, grad=False), P(3, grad=False), drawn=True),
        X(R(3, grad=False), V(0.0, 0.0, 0.0, grad=False))],
    "multinomial": [
        X(P(4, grad=False), 2, drawn=True), X(P(3, 4, grad=False), 5, True, drawn=True), X(V(0.0, 1.0, grad=False), 1),
        X(V(0.0, 3.0, 0.0, grad=False), 4, replacement=True),
    ],
}  # fmt: skip
