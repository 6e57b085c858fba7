"""The table of kernels: what each is called with, on the shapes of the workloads, in either library.

A case makes passes for a library: functions that do the work and return tensors that can be compared. The names of
the libraries' functions are the same, so each case is written once.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

Passes = dict[str, Callable[[], list[Any]]]
Draw = Callable[[], np.ndarray]  # an array is made when its case is measured, not before


@dataclasses.dataclass(frozen=True)
class Case:
    """A kernel on arrays of some shape.

    Attributes:
        kernel: its name in ``minillm.kernels``, without ``_forward`` and ``_backward``.
        label: the shape.
        make: takes a library and returns its passes.
        tolerance: how far results may lie apart, in parts of the largest number; those of dropout may lie anywhere.
        fused: whether PyTorch has a fused form, which ``make`` returns with ``fused=True``.
    """

    kernel: str
    label: str
    make: Callable[..., Passes]
    tolerance: float = 1e-4
    fused: bool = False


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def operation(function: Callable[..., Any], *draws: Draw) -> Callable[[Any], Passes]:
    """Return what makes the passes of a function of a library and its tensors; floating ones get gradients."""

    def make(library: Any) -> Passes:
        leaves = [library.tensor(a, requires_grad=a.dtype.kind == "f") for a in (draw() for draw in draws)]
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


def drawn(*shape: int, seed: int = 0) -> Draw:
    return functools.partial(normal, *shape, seed=seed)


def drawn_places(words: int, rows: int) -> Draw:
    return lambda: np.random.default_rng(0).integers(0, words, rows)


def attention(library: Any, q: Any, k: Any, v: Any, causal: bool = True) -> Any:
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))  # (B, T, H, D) -> (B, H, T, D), as in a model
    return library.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2)


def attention_cases() -> list[Case]:
    cases = []
    for B, H, T, D, causal in (
        (12, 4, 64, 32, True), (16, 6, 256, 64, True), (4, 12, 1024, 64, True), (32, 12, 64, 32, False),
    ):  # fmt: skip
        draws = [drawn(B, T, H, D, seed=i) for i in range(3)]
        label = f"({B}, {H}, {T}, {D}){', causal' if causal else ''}"
        cases.append(Case("attention", label, operation(functools.partial(attention, causal=causal), *draws)))
    draws = [drawn(1, n, 12, 64, seed=i) for i, n in enumerate((1, 512, 512))]
    run = functools.partial(attention, causal=False)
    cases.append(Case("attention", "one query to 512 keys", operation(run, *draws)))
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


def linear_gelu(library: Any, x: Any, weight: Any, bias: Any) -> Any:
    """Return GELU of a linear layer, in one operation where the library has one."""
    F = library.nn.functional
    return F.linear_gelu(x, weight, bias) if hasattr(F, "linear_gelu") else F.gelu(F.linear(x, weight, bias))


def add_to(kernels: Any, total: np.ndarray, x: np.ndarray) -> np.ndarray:
    result = total.copy()
    kernels.add_to(result, x)
    return result


def on_arrays(ours: Callable[..., Any], theirs: Callable[..., Any], *draws: Draw) -> Callable[[Any], Passes]:
    """Return what makes the pass of a kernel that no gradient goes through, on arrays.

    Args:
        ours: takes the set of kernels and arrays.
        theirs: takes tensors of PyTorch's.
        draws: make the arrays.
    """

    def make(library: Any) -> Passes:
        arrays = [draw() for draw in draws]
        if library.__name__ == "torch":
            tensors = [library.from_numpy(array) for array in arrays]

            def forward() -> list[Any]:
                with library.inference_mode():
                    return [theirs(*tensors)]
        else:
            from minillm.kernels import kernels_of

            def forward() -> list[Any]:
                return [ours(kernels_of(arrays[0]), *arrays)]

        return {"forward": forward}

    return make


def decode_cases() -> list[Case]:
    """Return the kernels for one new token: GPT-2's of 124 million parameters, after 512 tokens."""
    from torch.nn import functional as F

    x, weight, bias = drawn(1, 768), drawn(768, seed=1), drawn(768, seed=2)
    cases = [
        Case("token_layer_norm", "(1, 768)", on_arrays(
            lambda k, *a: k.token_layer_norm(*a, 1e-5), lambda x, w, b: F.layer_norm(x, (768,), w, b), x, weight, bias,
        )),
        Case("token_rms_norm", "(1, 768)", on_arrays(
            lambda k, *a: k.token_rms_norm(*a, 1e-5), lambda x, w: F.rms_norm(x, (768,), w, 1e-5), x, weight,
        )),
        Case("token_attention", "12 heads of 64, 512 keys", on_arrays(
            lambda k, *a: k.token_attention(*a, 512, 0.125, None), F.scaled_dot_product_attention,
            drawn(1, 12, 1, 64), drawn(1, 12, 512, 64, seed=1), drawn(1, 12, 512, 64, seed=2),
        )),
    ]  # fmt: skip
    for outputs in (768, 3072, 50257):
        draws, label = (x, drawn(outputs, 768, seed=3), drawn(outputs, seed=4)), f"(1, 768) -> {outputs}"
        cases.append(Case("token_linear", label, on_arrays(lambda k, *a: k.token_linear(*a), F.linear, *draws)))
        for kind, tolerance in (("bfloat16", 0.01), ("int8", 0.02)):
            made = quantized(kind, outputs)
            cases.append(Case("quantized_linear", f"{label}, {kind}", made, tolerance))
    made = on_arrays(lambda k, w: k.quantize(w, "int8")[0], torch_quantized, drawn(50257, 768))
    return [*cases, Case("quantize", "(50257, 768), int8", made, tolerance=0.01)]


def quantized(kind: str, outputs: int) -> Callable[[Any], Passes]:
    """Return what makes the pass of a product with a small weight; PyTorch's is that of the float32 weight."""
    from torch.nn import functional as F

    known: dict[str, Any] = {}

    def ours(kernels: Any, x: np.ndarray, weight: np.ndarray) -> Any:
        if kind not in known:
            known[kind] = kernels.quantize(weight, kind)
        return kernels.quantized_linear(x, *known[kind], None)

    return on_arrays(ours, F.linear, drawn(1, 768), drawn(outputs, 768, seed=3))


def torch_quantized(weight: Any) -> Any:
    import torch

    scale = weight.abs().amax(dim=1, keepdim=True) / 127
    return (weight / scale).round().to(torch.int8)


def rotary_case() -> Case:
    """Return rotary positions, whose public face is a Llama model: the composite on PyTorch's side."""

    def angles() -> np.ndarray:
        places, waves = np.arange(256, dtype=np.float32), 10000 ** (-np.arange(32, dtype=np.float32) / 32)
        return (places[:, None] * waves).reshape(1, 256, 1, 32)

    cos, sin = (function(angles()) for function in (np.cos, np.sin))

    def rotate(library: Any, x: Any) -> Any:
        if library.__name__ != "torch":
            from minillm.models.rope import Rotate

            return Rotate.apply(x, cos, sin)
        (x1, x2), c, s = x.chunk(2, dim=-1), library.from_numpy(cos), library.from_numpy(sin)
        return library.cat([x1 * c - x2 * s, x2 * c + x1 * s], dim=-1)

    return Case("rotary", "(8, 256, 12, 64)", operation(rotate, drawn(8, 256, 12, 64)))


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
    """Return the whole table."""

    def functional(name: str, *draws: Draw, **options: Any) -> Callable[[Any], Passes]:
        return operation(lambda library, *x: getattr(library.nn.functional, name)(*x, **options), *draws)

    def norm(name: str, rows: int, width: int, *vectors: Draw) -> Callable[[Any], Passes]:
        x = drawn(rows, width)
        return operation(lambda library, x, *v: getattr(library.nn.functional, name)(x, (width,), *v), x, *vectors)

    table: list[Case] = []
    for rows, inputs, outputs in ((768, 128, 512), (4096, 384, 1536), (2048, 512, 10000)):
        draws = drawn(rows, inputs), drawn(outputs, inputs, seed=1), drawn(outputs, seed=2)
        table.append(Case("linear", f"({rows}, {inputs}) -> {outputs}", functional("linear", *draws)))
    for rows, inputs, outputs in ((768, 128, 512), (4096, 384, 1536)):
        draws = drawn(rows, inputs), drawn(outputs, inputs, seed=1), drawn(outputs, seed=2)
        table.append(Case("linear_gelu", f"({rows}, {inputs}) -> {outputs}", operation(linear_gelu, *draws)))
        x, y = drawn(rows, outputs), drawn(rows, outputs, seed=1)
        table.append(Case("add", f"({rows}, {outputs})", operation(lambda library, x, y: x + y, x, y)))
        table.append(Case("add_to", f"({rows}, {outputs})", on_arrays(add_to, lambda x, y: x.clone().add_(y), x, y)))
    for shape in ((48, 64, 32), (96, 256, 64), (1, 1024, 1024)):
        stack, rows, inner = shape
        draws = drawn(stack, rows, inner), drawn(stack, inner, rows, seed=1)
        label = f"{stack} of ({rows}, {inner}) @ ({inner}, {rows})"
        table.append(Case("matmul", label, operation(lambda library, a, b: library.matmul(a, b), *draws)))
    for words, width, rows in ((65, 128, 768), (10000, 512, 2048), (30522, 384, 2048)):
        label, places = f"{rows} rows of ({words}, {width})", drawn_places(words, rows)
        table.append(Case("embedding", label, functional("embedding", places, drawn(words, width))))
    table += attention_cases()
    for rows, words in ((768, 65), (4096, 65), (2048, 10000), (2048, 30522)):
        loss = functional("cross_entropy", drawn(rows, words), drawn_places(words, rows))
        table.append(Case("cross_entropy", f"({rows}, {words})", loss))
    for rows, width in ((768, 128), (4096, 384), (2048, 768)):
        label, weight, bias = f"({rows}, {width})", drawn(width, seed=1), drawn(width, seed=2)
        table.append(Case("layer_norm", label, norm("layer_norm", rows, width, weight, bias)))
        table.append(Case("rms_norm", label, norm("rms_norm", rows, width, weight)))
    for shape in ((768, 512), (4096, 1536)):
        label, x = str(shape), drawn(*shape)
        table.append(Case("gelu", label, functional("gelu", x)))
        table.append(Case("gelu_tanh", label, functional("gelu", x, approximate="tanh")))
        table.append(Case("silu", label, functional("silu", x)))
        table.append(Case("erf", label, operation(lambda library, x: x.erf(), x)))
        table.append(Case("dropout", label, functional("dropout", x, p=0.1), tolerance=math.inf))
        table.append(Case("softmax", label, functional("softmax", x, dim=-1)))
        table.append(Case("log_softmax", label, functional("log_softmax", x, dim=-1)))
    for kind in ("LSTM", "GRU", "RNN"):
        for width, batch in ((512, 32), (64, 16)):
            label = f"{width} wide, batch {batch} x 64"
            table.append(Case(kind.lower(), label, recurrent(kind, width, batch)))
        packed = "512 wide, batch 32, packed, 16 to 64"
        table.append(Case(kind.lower(), packed, recurrent(kind, 512, 32, packed=True)))
    return [*table, rotary_case(), *decode_cases(), *optimizer_cases()]
