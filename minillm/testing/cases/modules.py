"""Cases of the modules: layers, containers, activations, losses, attention and Transformers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from minillm.testing.cases.drawing import D, I, P, R, Same, V
from minillm.testing.cases.network import N, Net

X34 = R(3, 4)
PADDING = tuple(tuple(row) for row in (np.arange(6) >= np.array([[6], [3], [4]])).tolist())  # (N, S)


def mask(length: int, kind: str) -> Any:
    """Return a causal mask as an input: booleans that hide, or numbers to add."""
    later = np.triu(np.ones((length, length), bool), 1)
    return V(*(later if kind == "bool" else np.where(later, -np.inf, 0.0)).tolist(), grad=False)


def activations() -> dict[str, list[Net]]:
    """Return cases of the activations."""
    made = {
        "ReLU": [N()], "GELU": [N(), N("tanh"), N(approximate="none")], "SiLU": [N()], "Tanh": [N()], "Sigmoid": [N()],
        "LogSigmoid": [N()], "Softplus": [N(), N(2.0, 3.0)], "LeakyReLU": [N(), N(0.2)], "ELU": [N(), N(0.5)],
        "GLU": [N(), N(1)], "Softmax": [N(1), N(dim=-1)], "LogSoftmax": [N(dim=1), N(-1)],
    }  # fmt: skip
    return {name: [n(x) for n in many for x in (X34, R(0, 4), R(2, 4, 2))] for name, many in made.items()}


def losses() -> dict[str, list[Net]]:
    """Return cases of the losses: their options go on to the functions, which have tables of their own."""
    x, y, p, q = R(4, 3), R(4, 3), R(4, 3, low=0.1, high=0.9), R(4, 3, low=0.1, high=0.9, grad=False)
    classes, signs = I(4, low=0, high=3), V(1, -1, 1, -1)
    every: list[tuple[str, dict[str, Any], tuple[Any, ...]]] = [
        ("CrossEntropyLoss", {}, (x, classes)),
        ("CrossEntropyLoss", {"ignore_index": 1, "label_smoothing": 0.1}, (x, classes)),
        ("CrossEntropyLoss", {}, (x, P(4, 3))), ("NLLLoss", {}, (x, classes)),
        ("NLLLoss", {"ignore_index": 1}, (x, classes)),
        ("MSELoss", {}, (x, y)), ("L1Loss", {}, (x, y)), ("SmoothL1Loss", {}, (x, y)),
        ("SmoothL1Loss", {"beta": 0.5}, (x, y)),
        ("HuberLoss", {}, (x, y)), ("HuberLoss", {"delta": 0.5}, (x, y)), ("BCELoss", {}, (p, q)),
        ("BCEWithLogitsLoss", {}, (x, q)), ("KLDivLoss", {}, (x, P(4, 3))), ("KLDivLoss", {"log_target": True}, (x, y)),
        ("CosineEmbeddingLoss", {}, (x, y, signs)), ("CosineEmbeddingLoss", {"margin": 0.1}, (x, y, signs)),
    ]  # fmt: skip
    found: dict[str, list[Net]] = {}
    for (name, options, inputs), reduction in itertools.product(every, ("mean", "sum", "none")):
        found.setdefault(name, []).append(N(**options, reduction=reduction)(*inputs))

    def weighted(name: str, **shapes: int) -> N:
        return N.of(lambda t: getattr(t.nn, name)(**{key: t.ones(n) * 0.5 for key, n in shapes.items()}))

    found["CrossEntropyLoss"].append(weighted("CrossEntropyLoss", weight=3)(x, classes))
    found["NLLLoss"].append(weighted("NLLLoss", weight=3)(x, classes))
    found["BCELoss"].append(weighted("BCELoss", weight=3)(p, q))
    found["BCEWithLogitsLoss"].append(weighted("BCEWithLogitsLoss", weight=3, pos_weight=3)(x, q))
    found["KLDivLoss"].append(N(reduction="batchmean")(x, P(4, 3)))
    found["CosineSimilarity"] = [N()(x, y), N(dim=0)(x, y), N(1, 1e-6)(R(2, 3, 4), R(2, 3, 4))]
    return found


def layers() -> dict[str, list[Net]]:
    """Return cases of the layers that know no time."""
    return {
        "Linear": [N(4, 3)(R(2, 4)), N(4, 3)(R(2, 5, 4)), N(4, 3, bias=False)(R(4)), N(4, 3, False)(R(0, 4)),
            N(1, 1)(R(3, 1))],
        "Embedding": [
            N(6, 3)(I(2, 3, low=0, high=6)), N(6, 3, padding_idx=-1)(V(1, 5, 5), check=False), N(6, 3)(I(0), order=1),
            N(6, 3, 0, scale_grad_by_freq=True)(V(1, 1, 0, 2), order=1, check=False),
            N(6, 3, max_norm=0.5, norm_type=1.0)(V(1, 1, 2), order=1, check=False),
        ],
        "LayerNorm": [N(4)(R(2, 3, 4)), N((3, 4), bias=False)(R(2, 3, 4)),
            N([4], 0.1, elementwise_affine=False)(R(2, 4)),
            N(4)(R(4)), N(4)(R(0, 4))],
        "RMSNorm": [N(4)(R(2, 3, 4)), N((3, 4), eps=0.1, elementwise_affine=False)(R(2, 3, 4)), N(4)(R(4)),
            N(4)(R(0, 4))],
        "BatchNorm1d": [
            N(4)(R(5, 4)), N(4, bias=False)(R(5, 4)),
            N(3, momentum=None, eps=0.1)(R(5, 3, 4)), N(4, affine=False)(R(5, 4)),
            N(4, track_running_stats=False)(R(5, 4)), N(4)(R(5, 4), training=False), N(3)(R(2, 3, 5), training=False),
            N(4, 0.1, 0.5)(R(5, 4), via=lambda t, module, x: [module(x), module(x * 2 + 1)]),
            N(4, track_running_stats=False)(R(5, 4), training=False),
        ],
        "Dropout": [N(0.5)(X34, training=False), N(1.0)(X34), N(0.0)(X34), N(0.5)(X34, drawn=True)],
        "Flatten": [N()(R(2, 3, 4)), N(0, 1)(R(2, 3, 4)), N(start_dim=-2)(R(2, 3, 4)), N()(R(0, 3, 2))],
        "Identity": [N()(X34), N(1, 2, three=3)(R())],
        "Conv1d": [
            N(4, 6, 3, padding=2, groups=2, padding_mode=mode, stride=2)(R(2, 4, 9))
            for mode in ("zeros", "reflect", "replicate", "circular")
        ] + [N(4, 6, 3, bias=False, dilation=2)(R(4, 9)), N(2, 3, 1)(R(2, 2, 5)),
        N(2, 2, 3, padding="same")(R(1, 2, 5)),
             N(2, 3, 2)(R(0, 2, 5))],
        "Conv2d": [
            N(4, 6, 3, padding=2, groups=2, padding_mode=mode, stride=2)(R(2, 4, 9, 8))
            for mode in ("zeros", "reflect", "replicate", "circular")
        ] + [N(4, 6, 3, bias=False, dilation=2)(R(4, 9, 8)),
        N(2, 3, (2, 1), stride=(1, 2), padding=(0, 1))(R(2, 2, 5, 4))],
        "MaxPool1d": [N(3, stride=2, padding=1)(D(2, 3, 9)), N(2)(D(3, 8)),
            N(2, return_indices=True, dilation=2)(D(2, 3, 9)),
            N(4, ceil_mode=True)(D(2, 3, 9))],
        "MaxPool2d": [N((3, 2), ceil_mode=True)(D(2, 3, 8, 7)), N(2, 1, 1)(D(3, 5, 4)),
            N(2, return_indices=True)(D(2, 3, 4, 4))],
        "AvgPool1d": [N(3, stride=2, padding=1, count_include_pad=False)(R(2, 3, 9)), N(2)(R(3, 8)),
            N(4, ceil_mode=True)(R(2, 3, 9))],
        "AvgPool2d": [N((3, 2), divisor_override=3)(R(2, 3, 8, 7)), N(2, 1, 1)(R(3, 5, 4)), N(2)(R(2, 3, 4, 4))],
    }  # fmt: skip


def containers() -> dict[str, list[Net]]:
    """Return cases of the containers, and of Parameter and Module by a class of one's own."""
    def pair(t: Any) -> list[Any]:
        return [t.nn.Linear(4, 4), t.nn.Linear(4, 2, bias=False)]

    def own(t: Any) -> Any:
        class Scaled(t.nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.scale = t.nn.Parameter(t.ones(4))
                self.frozen = t.nn.Parameter(t.ones(1), requires_grad=True)
                self.register_buffer("shift", t.ones(4) * 2)
                self.register_buffer("hidden", t.ones(1), persistent=False)
                self.inner = t.nn.Sequential(t.nn.Linear(4, 2), t.nn.Tanh())

            def forward(self, x: Any, power: int = 1) -> Any:
                return self.inner((x * self.scale + self.shift) ** power) * self.frozen

        return Scaled()

    def listed(t: Any, module: Any, x: Any) -> Any:
        for item in module:
            x = item(x)
        return x

    def keyed(t: Any, module: Any, x: Any) -> Any:
        return module["second"](module["first"](x)) + len(module)

    def weighed(t: Any, module: Any, x: Any) -> Any:
        return sum(x @ p for p in module)

    return {
        "Module": [N.of(own)(X34), N.of(own)(X34, power=2)],
        "Parameter": [N.of(own)(R(2, 4), via=lambda t, m, x: t.nn.Parameter(x.detach()) * m.scale, check=False)],
        "Sequential": [N.of(lambda t: t.nn.Sequential(*pair(t), t.nn.ReLU()))(X34),
            N.of(lambda t: t.nn.Sequential())(X34)],
        "ModuleList": [N.of(lambda t: t.nn.ModuleList(pair(t)))(X34, via=listed)],
        "ModuleDict": [N.of(lambda t: t.nn.ModuleDict(dict(zip(("first", "second"), pair(t), strict=True))))(X34,
            via=keyed)],
        "ParameterList": [N.of(lambda t: t.nn.ParameterList([t.nn.Parameter(t.ones(4, 2)) for _ in range(3)]))(X34,
            via=weighed)],
    }  # fmt: skip


def attention() -> dict[str, list[Net]]:
    """Return cases of multi-head attention: layouts, sizes of keys and values, masks, weights."""
    sizes: list[dict[str, Any]] = [
        {}, {"batch_first": True}, {"bias": False}, {"add_bias_kv": True}, {"kdim": 4, "vdim": 6},
        {"add_bias_kv": True, "add_zero_attn": True, "batch_first": True},
        {"kdim": 4, "vdim": 4, "batch_first": True, "bias": False},
    ]  # fmt: skip
    found = []
    for options, batched, weights in itertools.product(sizes, (True, False), (True, False)):
        def seq(n: int, size: int, first: bool = options.get("batch_first", False), batched: bool = batched) -> Any:
            return R(*((n,) if not batched else (3, n) if first else (n, 3)), size)

        kdim, vdim = options.get("kdim", 8), options.get("vdim", 8)
        call = {"need_weights": weights, "check": not options}
        made = N(8, 2, **options)
        found.append(made(seq(5, 8), seq(7, kdim), seq(7, vdim), **call))
        found.append(made(seq(5, 8), seq(7, kdim), seq(7, vdim), attn_mask=R(5, 7), average_attn_weights=False, **call))
        if kdim == vdim:
            found.append(made(seq(5, 8), seq(7, kdim), Same(1), **call))
        if kdim == vdim == 8:
            found.append(made(seq(5, 8), Same(0), Same(0), **call))
    # key_padding_mask and attn_mask: none, booleans, floats, floats for each head
    padding = {"": None, "b": V(*(row[:5] for row in PADDING)), "f": R(3, 5, grad=False)}
    attends = {"": None, "b": mask(5, "bool"), "f": R(5, 5), "3": R(6, 5, 5)}
    for (k, keys), (a, attn), weights in itertools.product(padding.items(), attends.items(), (True, False)):
        if a or k:
            options = {"key_padding_mask": keys, "attn_mask": attn, "need_weights": weights}
            found.append(N(8, 2)(R(5, 3, 8), Same(0), Same(0), **options))
    found.append(N(8, 2)(R(5, 3, 8), Same(0), Same(0), attn_mask=mask(5, "bool"), is_causal=True, need_weights=False))
    found.append(N(8, 2, dropout=0.5)(R(5, 3, 8), Same(0), Same(0), drawn=True))
    return {"MultiheadAttention": found}


MODULES: dict[str, list[Net]] = {**layers(), **containers(), **activations(), **losses(), **attention()}
MODULES = {f"nn.{name}": calls for name, calls in MODULES.items()}
