"""Cases of the losses and similarities of ``nn.functional``, with every combination of their options."""

from __future__ import annotations

import itertools
from typing import Any

from minillm.testing.cases.case import X
from minillm.testing.cases.drawing import V0, I, Input, P, R, Same, V

REDUCTIONS = ("mean", "sum", "none")
UNIT: dict[str, Any] = {"low": 0.07, "high": 0.93}  # between 0 and 1


def classes(shape: tuple[int, ...]) -> int:
    """Return the number of classes in logits of this shape."""
    return shape[0] if len(shape) == 1 else shape[1]


def targets(shape: tuple[int, ...]) -> Input:
    """Return class numbers for logits of this shape."""
    return I(*(() if len(shape) == 1 else (shape[0], *shape[2:])), low=0, high=classes(shape))


def weight(shape: tuple[int, ...], is_given: bool) -> dict[str, Any]:
    """Return weights of classes, or nothing."""
    return {"weight": P(classes(shape), grad=False)} if is_given else {}


CLASSIFIED = itertools.product([(5,), (4, 5), (1, 5), (2, 5, 3), (2, 5, 3, 2)], [False, True], REDUCTIONS)
CROSS_ENTROPY = [
    X(R(*shape), targets(shape), reduction=reduction, label_smoothing=smoothing, **weight(shape, weighted))
    for shape, weighted, reduction in CLASSIFIED
    for smoothing in (0.0, 0.1, 1.0)
] + [
    X(R(*shape), P(*shape), reduction=reduction, label_smoothing=smoothing, **weight(shape, weighted))
    for shape, weighted, reduction, smoothing in itertools.product(
        [(5,), (4, 5), (2, 5, 3)], [False, True], REDUCTIONS, [0.0, 0.2]
    )
] + [
    X(R(5, 4), V(0, ignored, 3, ignored, 1), reduction=reduction, ignore_index=ignored)
    for reduction, ignored in itertools.product(REDUCTIONS, [-100, 2, 200])
]  # fmt: skip
CROSS_ENTROPY += [
    X(R(300, 700), I(300, low=0, high=700), order=1, check=False),  # several tiles
    X(R(2, 3), V(-100, -100), order=1, check=False), X(R(2, 3), V(-100, -100), reduction="sum"),
    X(R(0, 3), I(0), order=0), X(R(0, 3), I(0), reduction="none"),
    X(V((1e4, -1e4, 0.0), (-90.0, 0.0, 0.0)), V(0, 1), reduction="none", check=False),
]  # fmt: skip

NLL = [
    X(R(*shape), targets(shape), reduction=reduction, **weight(shape, weighted))
    for shape, weighted, reduction in itertools.product([(5,), (4, 5), (2, 5, 3)], [False, True], REDUCTIONS)
] + [X(R(3, 4), V(0, -100, 2), reduction=r) for r in REDUCTIONS] + [X(R(3, 4), V(0, 1, 2), ignore_index=1)]  # fmt: skip


def no_options() -> dict[str, Any]:
    """Return nothing."""
    return {}


def elementwise(*options: dict[str, Any], weighted: bool = True) -> list[X]:
    """Return cases of a loss of each element alone."""
    shapes: list[tuple[int, ...]] = [(), (3,), (2, 3), (0,)]
    found = [
        X(R(*shape), R(*shape), reduction=reduction, **option, check=bool(shape))
        for shape, reduction, option in itertools.product(shapes, REDUCTIONS, options)
    ]
    if weighted:
        found += [X(R(2, 3), R(2, 3), weight=P(2, 3, grad=False), reduction=r) for r in REDUCTIONS]
    return [*found, X(R(2, 3), R(2, 3, grad=False)), X(R(3), Same(0), check=False, order=1)]


LOSSES: dict[str, list[X]] = {
    "cross_entropy": CROSS_ENTROPY,
    "nll_loss": NLL,
    "mse_loss": elementwise({}),
    "l1_loss": elementwise({}),
    "smooth_l1_loss": elementwise({}, {"beta": 0.5}, {"beta": 0.0}, weighted=False),
    "huber_loss": elementwise({}, {"delta": 0.4}),
    "binary_cross_entropy": [
        X(R(4, 3, **UNIT), R(4, 3, **UNIT, grad=target), reduction=reduction, **options)
        for reduction, target in itertools.product(REDUCTIONS, [True, False])
        for options in (no_options(), {"weight": P(3, grad=False)}, {"weight": P(4, 1, grad=False)})
    ] + [
        X(V(0.0, 1.0, 0.0, 1.0), V(0.0, 1.0, 1.0, 0.0, grad=False), reduction="none", order=0),
        X(R(0, 2, **UNIT), R(0, 2, **UNIT), reduction="sum"), X(R(**UNIT), R(**UNIT)),
    ],
    "binary_cross_entropy_with_logits": [
        X(R(4, 3, low=-5, high=5), R(4, 3, **UNIT, grad=False), reduction=reduction, **options)
        for reduction in REDUCTIONS for options in (
            no_options(), {"weight": P(3, grad=False)}, {"pos_weight": P(3, grad=False)},
            {"weight": P(4, 1, grad=False), "pos_weight": P(3, grad=False)})
    ] + [
        X(V(-900.0, 900.0, 0.0), V(0.0, 0.0, 1.0, grad=False), reduction="none", order=1, check=False),
        X(R(3), R(3, **UNIT)), X(R(), V0(1.0, grad=False)), X(R(0), R(0, grad=False), reduction="sum"),
    ],
    "kl_div": [
        X(R(4, 3), P(4, 3), reduction=reduction) for reduction in (*REDUCTIONS, "batchmean")
    ] + [
        X(R(4, 3), R(4, 3), reduction=reduction, log_target=True) for reduction in (*REDUCTIONS, "batchmean")
    ] + [X(R(2), V(0.0, 1.0, grad=False), reduction="sum"), X(R(), P()), X(R(0), P(0), reduction="sum")],
    "cosine_similarity": [
        X(R(4, 3), R(4, 3), dim=dim) for dim in (0, 1, -1)
    ] + [X(R(2, 1, 3), R(4, 3)), X(R(2, 3), Same(0)), X(R(3), R(3), 0), X(R(0, 3), R(0, 3)),
         X(V((0.0, 0.0)), R(1, 2), order=0), X(R(2, 3), R(2, 3), eps=3.0, order=0)],
    "cosine_embedding_loss": [
        X(R(4, 3), R(4, 3), V(1, -1, 1, -1), reduction=reduction, margin=margin)
        for reduction, margin in itertools.product(REDUCTIONS, (0.0, 0.3))
    ] + [X(R(3), R(3), V0(-1)), X(R(3), R(3), V0(1), 0.2)],
}  # fmt: skip
LOSSES = {f"nn.functional.{name}": calls for name, calls in LOSSES.items()}
