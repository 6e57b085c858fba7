"""Cases of recurrent networks, their cells, packed sequences and Transformers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from minillm.testing.cases.case import X
from minillm.testing.cases.drawing import I, R, V
from minillm.testing.cases.modules import PADDING, mask
from minillm.testing.cases.network import N, Net

INPUT, HIDDEN, STEPS, LENGTHS = 3, 4, 5, (3, 5, 1)
FORMS = ("batch", "batch_first", "no batch", "packed", "packed batch_first", "packed sorted")
E, H, S, T = 8, 2, 6, 5
LAYER: dict[str, Any] = {"d_model": E, "nhead": H, "dim_feedforward": 12, "dropout": 0.0}
STYLES: list[dict[str, Any]] = [
    {}, {"batch_first": True}, {"norm_first": True, "batch_first": True}, {"bias": False},
    {"activation": "gelu", "layer_norm_eps": 1e-2},
]  # fmt: skip


def packed(form: str) -> Callable[..., Any]:
    """Return a way to call a module: on a packed batch, whose result is padded again."""
    first = "first" in form
    lengths = sorted(LENGTHS, reverse=True) if "sorted" in form else list(LENGTHS)

    def call(t: Any, module: Any, x: Any, *state: Any) -> Any:
        utils = t.nn.utils.rnn
        pack = utils.pack_padded_sequence(x, t.tensor(lengths), batch_first=first, enforce_sorted="sorted" in form)
        pack, last = module(pack, *state)
        return [*utils.pad_packed_sequence(pack, batch_first=first), last, pack.batch_sizes]

    return call


def recurrent(name: str, **more: Any) -> list[Net]:
    """Return cases in every form of batch, with one and two layers and directions, with and without bias and state."""
    found = []
    combinations = itertools.product(FORMS, (1, 2), (False, True), (True, False))
    for number, (form, num_layers, bidirectional, bias) in enumerate(combinations):
        options = {"num_layers": num_layers, "bidirectional": bidirectional, "bias": bias,
            "batch_first": "first" in form}
        batch = () if form == "no batch" else (len(LENGTHS),)
        x = R(*((*batch, STEPS) if "first" in form else (STEPS, *batch)), INPUT)
        rows = (num_layers * (1 + bidirectional), *batch)
        state: list[Any] = [R(*rows, more.get("proj_size", HIDDEN)), R(*rows, HIDDEN)]
        with_state = number % 3 != 1
        last = (tuple(state) if name == "LSTM" else R(*rows, HIDDEN),) if with_state else ()
        via = packed(form) if form.startswith("packed") else None
        check = number % 11 == 0 and num_layers == 1
        found.append(N(INPUT, HIDDEN, **options, **more)(x, *last, via=via, check=check))
    return found


def cells(name: str, **more: Any) -> list[Net]:
    """Return cases of one step."""
    found = []
    for bias, batch, with_state in itertools.product((True, False), ((), (2,)), (True, False)):
        h = R(*batch, 4)
        state = ((h, R(*batch, 4)) if name == "LSTMCell" else h,) if with_state else ()
        found.append(N(3, 4, bias, **more)(R(*batch, 3), *state))
    return found


def sequence(length: int, options: dict[str, Any], batched: bool = True) -> Any:
    """Return an input of a Transformer."""
    return R(*((length,) if not batched else (3, length) if options.get("batch_first") else (length, 3)), E)


def padding(batched: bool, length: int = S) -> Any:
    """Return the mask of what is no token."""
    rows = [row[:length] for row in PADDING]
    return V(*(rows if batched else rows[1]))


def encoder_layers() -> list[Net]:
    """Return cases of one encoder layer."""
    found = []
    for options, batched in itertools.product(STYLES, (True, False)):
        for masks in (
            {}, {"src_mask": mask(S, "float")}, {"src_mask": mask(S, "bool"), "is_causal": True},
            {"src_key_padding_mask": padding(batched)},
            {"src_key_padding_mask": padding(batched), "src_mask": mask(S, "bool"), "is_causal": True},
        ):  # fmt: skip
            check = batched and not options
            found.append(N(**LAYER, **options)(sequence(S, options, batched), check=check, **masks))
    return [*found, N(E, H, 12, 0.5)(R(S, 3, E), drawn=True)]


def decoder_layers() -> list[Net]:
    """Return cases of one decoder layer."""
    found = []
    for options, batched in itertools.product(STYLES, (True, False)):
        for masks in (
            {}, {"tgt_mask": mask(T, "float"), "memory_mask": R(T, S)},
            {"tgt_mask": mask(T, "bool"), "tgt_is_causal": True, "memory_key_padding_mask": padding(batched)},
            {"tgt_key_padding_mask": padding(batched, T), "tgt_mask": mask(T, "bool")},
        ):  # fmt: skip
            inputs = [sequence(T, options, batched), sequence(S, options, batched)]
            found.append(N(**LAYER, **options)(*inputs, check=batched and not options, **masks))
    return found


def stacks() -> dict[str, list[Net]]:
    """Return cases of encoders, decoders and whole Transformers."""
    encoders, decoders, transformers = [], [], []
    for options in STYLES:
        def encoder(t: Any, options: dict[str, Any] = options) -> Any:
            layer = t.nn.TransformerEncoderLayer(**LAYER, **options)
            return t.nn.TransformerEncoder(layer, 2, t.nn.LayerNorm(E), enable_nested_tensor=False)

        def decoder(t: Any, options: dict[str, Any] = options) -> Any:
            return t.nn.TransformerDecoder(t.nn.TransformerDecoderLayer(**LAYER, **options), 2)

        src, tgt = sequence(S, options), sequence(T, options)
        for masks in (
            {}, {"mask": mask(S, "float")}, {"mask": mask(S, "bool"), "src_key_padding_mask": padding(True)},
            {"mask": R(S, S)}, {"mask": R(3 * H, S, S)},
        ):  # fmt: skip
            encoders.append(N.of(encoder)(src, check=False, **masks))
        for masks in ({}, {"tgt_mask": mask(T, "float")}, {"memory_key_padding_mask": padding(True)}):
            decoders.append(N.of(decoder)(tgt, src, check=False, **masks))
        for batched, masks in itertools.product((True, False), (
            {"tgt_mask": mask(T, "float")}, {"tgt_mask": mask(T, "bool"), "tgt_is_causal": True},
        )):  # fmt: skip
            hidden = {} if "tgt_is_causal" not in masks else {
                "src_key_padding_mask": padding(batched), "memory_key_padding_mask": padding(batched)}  # fmt: skip
            made = N(**LAYER, num_encoder_layers=2, num_decoder_layers=2, **options)
            inputs = [sequence(S, options, batched), sequence(T, options, batched)]
            transformers.append(made(*inputs, check=False, **masks, **hidden))
    return {"TransformerEncoder": encoders, "TransformerDecoder": decoders, "Transformer": transformers}


SEQUENCES: dict[str, list[Net]] = {
    "RNN": recurrent("RNN") + recurrent("RNN", nonlinearity="relu"),
    "GRU": recurrent("GRU"),
    "LSTM": recurrent("LSTM") + recurrent("LSTM", proj_size=2),
    "RNNCell": cells("RNNCell") + cells("RNNCell", nonlinearity="relu"),
    "GRUCell": cells("GRUCell"),
    "LSTMCell": cells("LSTMCell"),
    "TransformerEncoderLayer": encoder_layers(),
    "TransformerDecoderLayer": decoder_layers(),
    **stacks(),
}
SEQUENCES = {f"nn.{name}": calls for name, calls in SEQUENCES.items()}


def clipped(function: str, *arguments: Any, **options: Any) -> Callable[..., Any]:
    """Return a way to clip the gradients of parameters, and to look at them after that."""
    def call(t: Any, *parameters: Any) -> Any:
        for p in parameters:
            p.grad = p.detach() * 2
        total = getattr(t.nn.utils, function)(list(parameters), *arguments, **options)
        return [total, *(p.grad for p in parameters)]

    return call


def total_norm(t: Any, *gradients: Any) -> Any:
    """Return the norms of two kinds of the same gradients."""
    return [t.nn.utils.get_total_norm(list(gradients)), t.nn.utils.get_total_norm(list(gradients), norm_type=1.0)]


def scaled_by(t: Any, *parameters: Any) -> Any:
    """Return gradients scaled as if their norm were 3."""
    for p in parameters:
        p.grad = p.detach() * 2
    t.nn.utils.clip_grads_with_norm_(list(parameters), 0.5, t.ones((), dtype=parameters[0].dtype) * 3)
    return [p.grad for p in parameters]


def dealt(t: Any, vector: Any, *parameters: Any) -> Any:
    """Return parameters that were given the numbers of a vector."""
    t.nn.utils.vector_to_parameters(vector.detach(), list(parameters))
    return [p * 1 for p in parameters]


def parts(t: Any, packed: Any) -> list[Any]:
    """Return what a packed sequence consists of."""
    return [packed.data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices]


TWO = (R(3, 4), R(5))
UTILS: dict[str, list[X]] = {
    "clip_grad_norm_": [
        *[X(*TWO, via=clipped("clip_grad_norm_", *arguments), order=0) for arguments in (
            (1.0,), (100.0,), (0.5, 1.0), (0.5, float("inf")), (2.0, 3.0), (0.0,))],
        X(R(3), via=clipped("clip_grad_norm_", max_norm=0.5, norm_type=2.0, error_if_nonfinite=True), order=0),
    ],
    "clip_grad_value_": [X(*TWO, via=clipped("clip_grad_value_", value), order=0) for value in (0.5, 1.0, 100.0)],
    "get_total_norm": [X(R(3, 4, grad=False), R(5, grad=False), via=total_norm), X(R(2, grad=False), via=total_norm)],
    "clip_grads_with_norm_": [X(*TWO, via=scaled_by, order=0)],
    "parameters_to_vector": [X([R(3, 4), R(5), R()]), X([R(0), R(2, 1)])],
    "vector_to_parameters": [X(R(17), *TWO, via=dealt, order=0)],
    "rnn.pack_padded_sequence": [
        X(R(5, 3, 2), via=lambda t, x: parts(t, t.nn.utils.rnn.pack_padded_sequence(x, [5, 3, 1]))),
        X(R(3, 5, 2), via=lambda t, x: parts(t, t.nn.utils.rnn.pack_padded_sequence(
            x, t.tensor([1, 5, 2]), batch_first=True, enforce_sorted=False))),
        X(I(4, 2), via=lambda t, x: parts(t, t.nn.utils.rnn.pack_padded_sequence(x, [4, 2]))),
    ],
    "rnn.pad_packed_sequence": [
        X(R(5, 3, 2), via=lambda t, x: t.nn.utils.rnn.pad_packed_sequence(
            t.nn.utils.rnn.pack_padded_sequence(x, [5, 3, 1]), padding_value=-2.5)),
        X(R(5, 3, 2), via=lambda t, x: t.nn.utils.rnn.pad_packed_sequence(t.nn.utils.rnn.pack_padded_sequence(
            x, [2, 4, 1], enforce_sorted=False), batch_first=True, total_length=7)),
    ],
    "rnn.pack_sequence": [
        X(R(4, 2), R(2, 2), via=lambda t, *xs: parts(t, t.nn.utils.rnn.pack_sequence(list(xs)))),
        X(R(1), R(3), R(2), via=lambda t, *xs: parts(t, t.nn.utils.rnn.pack_sequence(list(xs), enforce_sorted=False))),
    ],
    "rnn.pad_sequence": [
        X([R(4, 2), R(2, 2)]), X([R(1), R(3)], batch_first=True, padding_value=7.0), X([R(2), R(3)], True, 1.0, "left"),
        X([I(2), I(1)]),
    ],
    "rnn.unpad_sequence": [  # PyTorch transposes its argument in place
        X(R(4, 2, 3), V(4, 2), via=lambda t, x, n: t.nn.utils.rnn.unpad_sequence(x.clone(), n)),
        X(R(2, 4, grad=False), V(1, 3), batch_first=True),
    ],
    "rnn.unpack_sequence": [X(R(4, 2), R(2, 2), via=lambda t, *xs: t.nn.utils.rnn.unpack_sequence(
        t.nn.utils.rnn.pack_sequence(list(xs))))],
    "rnn.invert_permutation": [X(V(2, 0, 1)), X(V(0))],
}  # fmt: skip
UTILS = {f"nn.utils.{name}": calls for name, calls in UTILS.items()}

FLAT = R(6, 5, grad=False)
INIT: dict[str, list[X]] = {
    "zeros_": [X(FLAT)], "ones_": [X(FLAT)], "constant_": [X(FLAT, 2.5)], "eye_": [X(FLAT), X(R(2, 2, grad=False))],
    "uniform_": [X(FLAT, drawn=True), X(FLAT, 1.0, 1.0)], "normal_": [X(FLAT, drawn=True), X(FLAT, 2.0, 0.0)],
    "trunc_normal_": [X(FLAT, drawn=True)], "xavier_uniform_": [X(FLAT, drawn=True), X(FLAT, gain=0.0)],
    "xavier_normal_": [X(FLAT, drawn=True), X(FLAT, gain=0.0)],
    "kaiming_uniform_": [X(FLAT, drawn=True), X(FLAT, 0.1, "fan_out", "leaky_relu", drawn=True)],
    "kaiming_normal_": [X(FLAT, drawn=True)], "orthogonal_": [X(FLAT, drawn=True), X(FLAT, gain=0.0)],
    "calculate_gain": [X(*arguments, via=lambda t, *arguments: float(t.nn.init.calculate_gain(*arguments)))
        for arguments in (["linear"], ["conv1d"], ["sigmoid"], ["tanh"], ["relu"], ["leaky_relu"], ["selu"],
            ["leaky_relu", 0.3])],
}  # fmt: skip
INIT = {f"nn.init.{name}": calls for name, calls in INIT.items()}
