"""The table of kernels: what each is called with, on the shapes of the workloads, in either library.

A case makes passes for a library: functions that do the work and return tensors that can be compared. The names of
the libraries' functions are the same, so each case is written once.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

Passes = dict[str, Callable[[], list[Any]]]


@dataclasses.dataclass(frozen=True)
class Case:
    """A kernel on arrays of some shape.

    Attributes:
        kernel: its name in ``minillm.kernels``, without ``_forward`` and ``_backward``.
        label: the shape.
        make: takes a library and returns its passes.
        compares: whether results are equal; those of dropout are not.
        fused: whether PyTorch has a fused form, which ``make`` returns with ``fused=True``.
    """

    kernel: str
    label: str
    make: Callable[..., Passes]
    compares: bool = True
    fused: bool = False


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def operation(function: Callable[..., Any], *arrays: np.ndarray) -> Callable[[Any], Passes]:
    """Return what makes the passes of a function of a library and its tensors; floating ones get gradients."""

    def make(library: Any) -> Passes:
        leaves = [library.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
        with library.no_grad():
            dy = library.tensor(normal(*function(library, *leaves).shape, seed=1))
        learning = [x for x in leaves if x.requires_grad]

        def forward() -> list[Any]:
            with library.no_grad():
                return [function(library, *leaves)]

        def both() -> list[Any]:
            for x in learning:
                x.grad = None
            function(library, *leaves).backward(dy)
            return [x.grad for x in learning]

        return {"forward": forward, "forward, backward": both}

    return make


def attention(library: Any, q: Any, k: Any, v: Any, causal: bool = True) -> Any:
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))  # (B, T, H, D) -> (B, H, T, D), as in a model
    return library.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2)


def attention_cases() -> list[Case]:
    cases = []
    for B, H, T, D, causal in (
        (12, 4, 64, 32, True), (16, 6, 256, 64, True), (4, 12, 1024, 64, True), (32, 12, 64, 32, False),
    ):  # fmt: skip
        arrays = [normal(B, T, H, D, seed=i) for i in range(3)]
        label = f"({B}, {H}, {T}, {D}){', causal' if causal else ''}"
        cases.append(Case("attention", label, operation(functools.partial(attention, causal=causal), *arrays)))
    arrays = [normal(1, n, 12, 64, seed=i) for i, n in enumerate((1, 512, 512))]
    run = functools.partial(attention, causal=False)
    cases.append(Case("attention", "one query to 512 keys", operation(run, *arrays)))
    return cases


def recurrent(kind: str, width: int, batch: int, steps: int = 64, packed: bool = False) -> Callable[[Any], Passes]:
    """Return what makes the passes of a recurrent layer; packed sequences are 16 to 64 steps long."""
    lengths = np.random.default_rng(1).integers(steps // 4, steps + 1, batch)
    lengths[0] = steps

    def make(library: Any) -> Passes:
        layer = getattr(library.nn, kind)(width, width)
        state = {name: normal(*p.shape, seed=len(name)) / width**0.5 for name, p in layer.state_dict().items()}
        layer.load_state_dict({name: library.tensor(array) for name, array in state.items()})
        x = library.tensor(normal(steps, batch, width), requires_grad=True)
        dy = library.tensor(normal(steps, batch, width, seed=2))

        def run() -> Any:
            if not packed:
                return layer(x)[0]
            rnn = library.nn.utils.rnn
            rows = rnn.pack_padded_sequence(x, library.tensor(lengths), enforce_sorted=False)
            return rnn.pad_packed_sequence(layer(rows)[0])[0]

        def forward() -> list[Any]:
            with library.no_grad():
                return [run()]

        def both() -> list[Any]:
            layer.zero_grad()
            x.grad = None
            run().backward(dy)
            return [x.grad, *(p.grad for p in layer.parameters())]

        return {"forward": forward, "forward, backward": both}

    return make


GPT_LAYER: list[tuple[int, ...]] = [
    (128,), (128,), (384, 128), (384,), (128, 128), (128,), (128,), (128,), (512, 128), (512,), (128, 512), (128,),
]  # fmt: skip
PARAMETERS: dict[str, list[tuple[int, ...]]] = {
    "MLP 2-16-16-1": [(16, 2), (16,), (16, 16), (16,), (1, 16), (1,)],
    "GPT, 0.8 million numbers": [(65, 128), (64, 128), (128,), (128,), *GPT_LAYER * 4],
    "10 million numbers": [(1024, 1024)] * 8 + [(512, 2048)] * 2,
}


def optimizer(kind: str, shapes: list[tuple[int, ...]], **settings: Any) -> Callable[..., Passes]:
    """Return what makes the step of an optimizer."""

    def make(library: Any, **fused: bool) -> Passes:
        params = [library.tensor(normal(*shape, seed=i), requires_grad=True) for i, shape in enumerate(shapes)]
        for i, p in enumerate(params):
            p.grad = library.tensor(normal(*p.shape, seed=1000 + i))
        made = getattr(library.optim, kind)(params, **settings, **fused)

        def step() -> list[Any]:
            made.step()
            return params

        return {"step": step}

    return make


def optimizer_cases() -> list[Case]:
    cases = []
    for model, shapes in PARAMETERS.items():
        for kind in ("AdamW", "SGD", "Adagrad", "RMSprop", "NAdam", "RAdam"):
            if kind in ("AdamW", "SGD") or model.startswith("GPT"):
                settings = {"lr": 0.01, "momentum": 0.9} if kind == "SGD" else {"lr": 0.001}
                kernel = {"AdamW": "adam"}.get(kind, kind.lower())
                fused = kind in ("AdamW", "SGD", "Adagrad")
                made = optimizer(kind, shapes, **settings)
                cases.append(Case(kernel, f"{kind}, {model}", made, fused=fused))
    return cases


def cases() -> list[Case]:
    """Return the whole table; the arrays of a case are made here."""

    def functional(name: str, *arrays: np.ndarray, **options: Any) -> Callable[[Any], Passes]:
        return operation(lambda library, *x: getattr(library.nn.functional, name)(*x, **options), *arrays)

    def norm(name: str, rows: int, width: int, *vectors: np.ndarray) -> Callable[[Any], Passes]:
        x = normal(rows, width)
        return operation(lambda library, x, *v: getattr(library.nn.functional, name)(x, (width,), *v), x, *vectors)

    table: list[Case] = []
    for rows, inputs, outputs in ((768, 128, 512), (4096, 384, 1536), (2048, 512, 10000)):
        arrays = normal(rows, inputs), normal(outputs, inputs, seed=1), normal(outputs, seed=2)
        table.append(Case("linear", f"({rows}, {inputs}) -> {outputs}", functional("linear", *arrays)))
    for words, width, rows in ((65, 128, 768), (10000, 512, 2048), (30522, 384, 2048)):
        places = np.random.default_rng(0).integers(0, words, rows)
        label = f"{rows} rows of ({words}, {width})"
        table.append(Case("embedding", label, functional("embedding", places, normal(words, width))))
    table += attention_cases()
    for rows, words in ((768, 65), (4096, 65), (2048, 10000), (2048, 30522)):
        target = np.random.default_rng(0).integers(0, words, rows)
        loss = functional("cross_entropy", normal(rows, words), target)
        table.append(Case("cross_entropy", f"({rows}, {words})", loss))
    for rows, width in ((768, 128), (4096, 384), (2048, 768)):
        label, weight, bias = f"({rows}, {width})", normal(width, seed=1), normal(width, seed=2)
        table.append(Case("layer_norm", label, norm("layer_norm", rows, width, weight, bias)))
        table.append(Case("rms_norm", label, norm("rms_norm", rows, width, weight)))
    for shape in ((768, 512), (4096, 1536)):
        label, x = str(shape), normal(*shape)
        table.append(Case("gelu", label, functional("gelu", x)))
        table.append(Case("gelu_tanh", label, functional("gelu", x, approximate="tanh")))
        table.append(Case("silu", label, functional("silu", x)))
        table.append(Case("erf", label, operation(lambda library, x: x.erf(), x)))
        table.append(Case("dropout", label, functional("dropout", x, p=0.1), compares=False))
        table.append(Case("softmax", label, functional("softmax", x, dim=-1)))
        table.append(Case("log_softmax", label, functional("log_softmax", x, dim=-1)))
    for kind in ("LSTM", "GRU", "RNN"):
        for width, batch in ((512, 32), (64, 16)):
            label = f"{width} wide, batch {batch} x 64"
            table.append(Case(kind.lower(), label, recurrent(kind, width, batch)))
        packed = "512 wide, batch 32, packed, 16 to 64"
        table.append(Case(kind.lower(), packed, recurrent(kind, 512, 32, packed=True)))
    return table + optimizer_cases()
