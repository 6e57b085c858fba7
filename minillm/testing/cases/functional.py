"""Cases of ``nn.functional`` but the losses: layers, activations, norms, attention, convolution, pooling."""

from __future__ import annotations

import itertools
from typing import Any

from minillm.testing.cases.case import X
from minillm.testing.cases.drawing import V0, B, D, I, P, R, Same, V

INF, NAN = float("inf"), float("nan")
SMALL: dict[str, Any] = {"low": -0.6, "high": 0.6}  # weights that keep scores of the order of 1
FAR = V(-1e30, -1e4, -90.0, -25.0, -0.0, 25.0, 90.0, 1e4, 1e30)
# Any activation: shapes, an integer input, numbers far out.
EVERY = [X(R(3, 5)), X(R()), X(R(3, 0)), X(R(2, 1, 3)), X(FAR, order=1, check=False), X(V(NAN, 1.0), order=0)]
ALONG_A_DIM = [
    X(R(3, 4), dim=0), X(R(3, 4), dim=-1), X(R(2, 3, 4), dim=1), X(R(), dim=0), X(R(0, 3), dim=1),
    X(R(3), dim=0, dtype="float64", order=0), X(R(3, low=-900, high=900), dim=0, check=False),
    X(V(-INF, 0.0), dim=0, check=False), X(R(2, 600), dim=1),
]  # fmt: skip

POOLS: list[dict[str, Any]] = [
    {"kernel_size": 2}, {"kernel_size": 3, "stride": 2}, {"kernel_size": 3, "stride": 1, "padding": 1},
    {"kernel_size": 3, "stride": 2, "ceil_mode": True},
    {"kernel_size": 3, "stride": 3, "padding": 1, "ceil_mode": True},
    {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True},
]  # fmt: skip
DILATED = [{"kernel_size": 2, "dilation": 3, "stride": 2, "ceil_mode": True}, {"kernel_size": 2, "dilation": 2}]
CONV1D: list[dict[str, Any]] = [
    {}, {"stride": 2}, {"padding": 2}, {"padding": "same"}, {"padding": "same", "dilation": 3},
    {"padding": "valid", "dilation": 2}, {"groups": 2},
    {"stride": (3,), "padding": (1,), "dilation": (2,), "groups": 2},
]  # fmt: skip
CONV2D: list[dict[str, Any]] = [
    {}, {"stride": (2, 1)}, {"padding": (0, 2)}, {"padding": "same", "dilation": (1, 2)}, {"groups": 2},
]  # fmt: skip

FUNCTIONAL: dict[str, list[X]] = {
    "relu": [*EVERY, X(I(4)), X(V(INF, -INF), order=0), X(R(3, grad=False), inplace=True, order=0)],
    "gelu": [*EVERY, *[X(R(3, 5, low=-6, high=6), approximate=form) for form in ("none", "tanh")],
        X(FAR, approximate="tanh", order=1, check=False), X(R(3, 0), approximate="tanh")],
    "silu": [*EVERY, X(R(4, low=-9, high=9)), X(R(3, grad=False), inplace=True, order=0)],
    "softplus": [*EVERY, X(R(3, 5), beta=3, threshold=2), X(R(3, 5), 0.5)],
    "leaky_relu": [*EVERY, X(R(3, 5), 0.2), X(R(3, 5), negative_slope=-0.5),
        X(R(3, grad=False), 0.1, inplace=True, order=0)],
    "elu": [*EVERY, X(R(3, 5), 1.5), X(R(3, grad=False), 0.7, True, order=0)],
    "logsigmoid": [*EVERY, X(R(4, low=-9, high=9))],
    "tanh": [*EVERY, X(I(4)), X(V(INF, -INF), order=0)],
    "sigmoid": [*EVERY, X(I(4)), X(V(INF, -INF), order=0)],
    "glu": [X(R(3, 4)), X(R(4, 3), 0), X(R(2, 6, 3), dim=-2), X(R(0, 4)), X(R(2, 0))],
    "softmax": ALONG_A_DIM,
    "log_softmax": ALONG_A_DIM,
    "dropout": [X(R(3, 4), 0.5, False), X(R(3, 4), p=0.0), X(R(3, 4), 1.0), X(R(3, 4), 0.3, drawn=True),
        X(R(3, 4, grad=False), 1.0, inplace=True), X(R(0), 0.5)],
    "linear": [
        X(R(3, 4), R(5, 4), R(5)), X(R(3, 4), R(5, 4)), X(R(2, 3, 4), R(5, 4), R(5)), X(R(4), R(5, 4), R(5)),
        X(R(2, 3, 4), R(4), R()), X(R(0, 4), R(5, 4), R(5)), X(R(2, 3, 0), R(5, 0), R(5)), X(R(3, 4), R(0, 4), R(0)),
        X(R(4, 4), Same(0)), X(R(4), R(4)), X(R(2, 2, 1, 3, 4), R(2, 4), bias=R(2)),
    ],
    "embedding": [
        X(I(2, 3, low=0, high=6), R(6, 3)), X(V0(2), R(6, 3)), X(I(0, 2), R(6, 3), order=1),
        X(V((1, 0, 4), (3, 1, 1)), R(6, 3), padding_idx=-5, check=False),
        X(V((1, 0, 4), (0, 1, 1)), R(6, 3), 0, check=False),
        X(V((1, 0, 4), (3, 1, 1)), R(6, 3), 0, scale_grad_by_freq=True, order=1, check=False),
        X(V((1, 4), (4, 0)), R(6, 3), None, 1.0, order=1, check=False),
        X(V((1, 4), (4, 0)), R(6, 3, grad=False), max_norm=0.7, norm_type=1.0),
    ],
    "one_hot": [X(I(2, 3, low=0, high=4)), X(V0(1)), X(I(3, low=0, high=4), 6), X(I(0), 3), X(V((0, 2), (1, 1)), -1)],
    "layer_norm": [
        X(R(3, 5), (5,), R(5), R(5)), X(R(2, 3, 4, 5), (4, 5), R(4, 5), R(4, 5), 1e-3), X(R(5), (5,)),
        X(R(2, 3, 5), [5], R(5)), X(R(0, 5), (5,), R(5), R(5)), X(R(3, 5), (5,), None, R(5), order=1),
        X(R(3, 1), (1,), order=1),
        X(R(3, 5), normalized_shape=(5,), eps=0.5),
    ],
    "rms_norm": [
        X(R(3, 5), (5,), R(5)), X(R(2, 3, 4, 5), (4, 5), R(4, 5), 1e-3), X(R(2, 3, 5), (5,)), X(R(0, 5), (5,), R(5)),
        X(R(5), [5], eps=0.5),
    ],
    "batch_norm": [
        X(R(4, 3), None, None, R(3), R(3), training=True), X(R(4, 3, 5), None, None, R(3), R(3), True, eps=1e-3),
        X(R(4, 3), R(3, grad=False), P(3, grad=False)), X(R(4, 3), R(3, grad=False), P(3, grad=False), R(3), R(3)),
        X(R(4, 3), R(3, grad=False), P(3, grad=False), training=True, momentum=0.3),
        X(R(2, 3, 4), R(3, grad=False), P(3, grad=False), R(3), R(3), eps=0.1),
        X(R(3, 2, 2, 2), None, None, training=True),
    ],
    "normalize": [
        X(R(3, 5)), X(R(3, 5), dim=0), X(R(3, 5), p=1.0, dim=-1), X(R(3, 5), p=3.0), X(D(3, 5), p=INF),
        X(R(2, 3, 4), 2.0, 1), X(R(0, 3)), X(V((0.0, 0.0), (3.0, 4.0)), order=1, check=False), X(R(2, 3), eps=10.0),
    ],
    "pad": [
        X(R(3, 4), (1, 2), value=0.5), X(R(2, 3, 4), (1, 0, 2, 1)), X(R(2, 3, 4), (-1, 2, 1, -1)),
        *[X(R(2, 3, 4), (3, 2), mode=mode) for mode in ("reflect", "replicate", "circular")],
        X(R(2, 3, 4), (3, 6), mode="replicate"), X(I(2), (0, 1), "constant", 7), X(B(1), (1, 0), value=True),
        X(R(0), (1, 1)), X(R(2), ()),
        *[X(R(1, 2, 4, 5), (1, 2, 2, 1), mode=m) for m in ("reflect", "replicate", "circular")],
    ],
    "scaled_dot_product_attention": [
        X(R(3, 4), R(5, 4), R(5, 2)), X(R(2, 3, 4), R(2, 5, 4), R(2, 5, 2)),
        X(R(2, 3, 4, 5), R(2, 3, 6, 5), R(2, 3, 6, 5)),
        X(R(2, 1, 2, 2, 3, 4), R(2, 1, 2, 2, 3, 4), R(2, 1, 2, 2, 3, 4)), X(R(2, 3, 4), Same(0), Same(0)),
        X(R(2, 2, 4, 3), R(2, 2, 4, 3), R(2, 2, 4, 3), is_causal=True),
        X(R(2, 3, 4), R(2, 6, 4), R(2, 6, 2), is_causal=True), X(R(2, 6, 4), R(2, 3, 4), R(2, 3, 2), is_causal=True),
        X(R(2, 3, 1, 4), R(2, 3, 6, 4), R(2, 3, 6, 4)), X(R(2, 1, 4), R(2, 6, 4), R(2, 6, 4), is_causal=True),
        X(R(2, 3, 4), R(2, 1, 4), R(2, 1, 4)), X(R(2, 3, 4), R(2, 5, 4), R(2, 5, 2), scale=0.3),
        *[X(R(2, 3, 4, 5), R(2, 3, 6, 5), R(2, 3, 6, 5), mask) for mask in (
            B(4, 6), B(2, 1, 1, 6), R(2, 3, 4, 6), R(3, 1, 6), R(4, 1), R(4, 6, grad=False))],
        X(R(2, 3, 1, 5), R(2, 3, 6, 5), R(2, 3, 6, 5), B(2, 1, 1, 6)),
        X(R(2, 3, 4), R(2, 5, 4), R(2, 5, 2), scale=30.0, order=1, check=False),
        X(R(2, 5, 4), R(2, 5, 4), R(2, 5, 2), scale=-30.0, is_causal=True, order=1, check=False),
        X(R(2, 6, 4, 5), R(2, 3, 7, 5), R(2, 3, 7, 4), enable_gqa=True),
        X(R(4, 3, 5), R(2, 3, 5), R(2, 3, 4), enable_gqa=True, is_causal=True),
        X(R(2, 6, 1, 5), R(2, 3, 7, 5), R(2, 3, 7, 4), enable_gqa=True),
        X(R(2, 6, 4, 5), R(2, 3, 7, 5), R(2, 3, 7, 4), R(6, 1, 7), enable_gqa=True),
        X(R(6, 1, 5), R(3, 7, 5), R(3, 7, 4), B(1, 1, 7), enable_gqa=True), X(R(2, 0, 4), R(2, 5, 4), R(2, 5, 2)),
        X(R(0, 3, 4), R(0, 5, 4), R(0, 5, 2)), X(R(2, 3, 4), R(2, 5, 4), R(2, 5, 2), dropout_p=0.5, drawn=True),
        # several tiles of queries, over which the gradients of keys and values are added up
        X(R(1, 2, 130, 4), R(1, 2, 130, 4), R(1, 2, 130, 4), is_causal=True),
        X(R(2, 2, 300, 4), R(2, 2, 70, 4), R(2, 2, 70, 6), order=1), X(R(2, 300, 4), R(2, 690, 4), R(2, 690, 6),
            is_causal=True, order=1),
        X(R(3, 2, 600, 4), R(3, 2, 70, 4), R(3, 2, 70, 6), R(2, 600, 1), order=1),
    ],
    "multi_head_attention_forward": [
        X(R(5, 3, 8), R(7, 3, 8), R(7, 3, 8), 8, 2, R(24, 8, **SMALL), R(24), None, None, False, 0.0,
            R(8, 8, **SMALL), R(8)),
        X(R(5, 8), R(7, 8), R(7, 8), 8, 2, R(24, 8, **SMALL), None, None, None, True, 0.0, R(8, 8, **SMALL), None,
            need_weights=False),
        X(R(5, 3, 8), Same(0), Same(0), 8, 4, R(24, 8, **SMALL), R(24), R(1, 1, 8), R(1, 1, 8), False, 0.0,
            R(8, 8, **SMALL), R(8),
            attn_mask=R(5, 5), average_attn_weights=False),
        X(R(5, 3, 8), R(7, 3, 4), R(7, 3, 6), 8, 2, None, R(24), None, None, False, 0.0, R(8, 8, **SMALL), R(8),
            use_separate_proj_weight=True, q_proj_weight=R(8, 8, **SMALL), k_proj_weight=R(8, 4, **SMALL),
            v_proj_weight=R(8, 6, **SMALL)),
        X(R(5, 3, 8), Same(0), Same(0), 8, 2, R(24, 8, **SMALL), R(24), None, None, False, 0.0, R(8, 8, **SMALL), R(8),
            static_k=R(6, 7, 4), static_v=R(6, 7, 4)),
    ],
    "conv1d": [
        *[X(R(*batch, 4, 11), R(6, 4 // options.get("groups", 1), kernel), R(6), **options)
            for options, batch, kernel in itertools.product(CONV1D, [(2,), ()], [1, 3, 4])],
        X(R(2, 4, 5), R(3, 4, 5)), X(R(0, 4, 5), R(3, 4, 2)),
    ],
    "conv2d": [
        *[X(R(*batch, 4, 7, 8), R(6, 4 // options.get("groups", 1), 3, 2), **options)
            for options, batch in itertools.product(CONV2D, [(2,), ()])],
        X(R(1, 2, 5, 5), R(3, 2, 3, 3), R(3), 2, 1), X(R(2, 3, 4, 4), R(2, 3, 1, 1), R(2)),
    ],
    "max_pool1d": [
        *[X(D(*batch, 3, 9), **options) for options in (*POOLS, *DILATED) for batch in ((2,), ())],
        X(D(2, 3, 9), 3, return_indices=True), X(V(((1.0, 1.0, 1.0, 1.0),)), 2, check=False),
    ],
    "max_pool2d": [
        *[X(D(*batch, 3, 9, 8), **options) for options in (*POOLS, *DILATED) for batch in ((2,), ())],
        X(D(2, 3, 9, 8), (3, 2), (2, 1), return_indices=True),
    ],
    "avg_pool1d": [X(R(2, 3, 9), **options, count_include_pad=c) for options in POOLS for c in (True, False)] + [
        X(R(3, 9), 2)],
    "avg_pool2d": [X(R(2, 3, 9, 8), **options, count_include_pad=c) for options in POOLS for c in (True, False)] + [
        *[X(R(2, 3, 9, 8), **options, divisor_override=5) for options in POOLS], X(R(3, 4, 5), (2, 1))],
}  # fmt: skip
FUNCTIONAL = {f"nn.functional.{name}": calls for name, calls in FUNCTIONAL.items()}
