"""The Transformer's layers and stacks: against PyTorch in every order and layout, names, masks, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minillm
from minillm import nn
from minillm.autograd.errors import OperationError
from minillm.backend import to_numpy
from minillm.nn import functional as F

E, H, N, S, T = 8, 2, 3, 6, 5
LAYER: dict[str, Any] = {"d_model": E, "nhead": H, "dim_feedforward": 12, "dropout": 0.0}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "batch first": {"batch_first": True},
    "norm first": {"norm_first": True, "batch_first": True},
    "no bias": {"bias": False},
    "gelu": {"activation": "gelu", "layer_norm_eps": 1e-2},
}
PADDING = np.arange(S) >= np.array([[S], [3], [4]])
EVERY = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())


@pytest.fixture(autouse=True)
def seeded() -> None:
    minillm.manual_seed(0)


def values(x: Any) -> np.ndarray:
    return to_numpy(x.detach().array)


def causal(n: int, kind: str) -> np.ndarray:
    later = np.triu(np.ones((n, n), bool), 1)
    return later if kind == "bool" else np.where(later, -np.inf, 0.0)


def sequence(length: int, options: dict[str, Any], batched: bool, seed: int) -> np.ndarray:
    shape = (length,) if not batched else (N, length) if options.get("batch_first") else (length, N)
    return np.random.default_rng(seed).standard_normal((*shape, E))


def pair(make: Any) -> tuple[Any, Any]:
    """A module of PyTorch and ours, with the same weights, made by ``make(nn, dtype=...)``."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs = make(torch.nn, dtype=torch.float64)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    ours = make(nn, dtype="float64")
    state = theirs.state_dict()
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict({name: value.numpy() for name, value in state.items()})
    return theirs, ours


def compare(theirs: Any, ours: Any, inputs: list[np.ndarray], masks: dict[str, Any]) -> None:
    """Compare outputs and all gradients."""
    import torch

    results = []
    for module, tensor in ((theirs, torch.tensor), (ours, minillm.tensor)):
        leaves = [tensor(x, requires_grad=True) for x in inputs]
        options = {k: tensor(m) if isinstance(m, np.ndarray) else m for k, m in masks.items()}
        y = module(*leaves, **options)
        (y * tensor(np.random.default_rng(5).standard_normal(tuple(y.shape)))).sum().backward()
        results.append([y, *(x.grad for x in leaves), *(p.grad for p in module.parameters())])
    for a, b in zip(results[1], results[0], strict=True):
        np.testing.assert_allclose(values(a), b.detach().numpy(), rtol=1e-8, atol=1e-9)


@EVERY
@pytest.mark.parametrize("batched", [True, False])
def test_encoder_layer(options: dict[str, Any], batched: bool) -> None:
    theirs, ours = pair(lambda nn, **kind: nn.TransformerEncoderLayer(**LAYER, **options, **kind))
    x = sequence(S, options, batched, 1)
    padding = PADDING if batched else PADDING[1]
    for masks in (
        {},
        {"src_mask": causal(S, "float")},
        {"src_mask": causal(S, "bool"), "is_causal": True},
        {"src_key_padding_mask": padding},
        {"src_key_padding_mask": padding, "src_mask": causal(S, "bool"), "is_causal": True},
    ):
        compare(theirs, ours, [x], masks)


@EVERY
@pytest.mark.parametrize("batched", [True, False])
def test_decoder_layer(options: dict[str, Any], batched: bool) -> None:
    theirs, ours = pair(lambda nn, **kind: nn.TransformerDecoderLayer(**LAYER, **options, **kind))
    inputs = [sequence(T, options, batched, 1), sequence(S, options, batched, 2)]
    padding = PADDING if batched else PADDING[1]
    for masks in (
        {},
        {"tgt_mask": causal(T, "float"), "memory_mask": np.random.default_rng(0).standard_normal((T, S))},
        {"tgt_mask": causal(T, "bool"), "tgt_is_causal": True, "memory_key_padding_mask": padding},
        {"tgt_key_padding_mask": padding[..., :T], "tgt_mask": causal(T, "bool")},
    ):
        compare(theirs, ours, inputs, masks)


@EVERY
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_stacks(options: dict[str, Any]) -> None:
    def encoder(nn: Any, **kind: Any) -> Any:
        layer = nn.TransformerEncoderLayer(**LAYER, **options, **kind)
        return nn.TransformerEncoder(layer, 2, nn.LayerNorm(E, **kind))

    def decoder(nn: Any, **kind: Any) -> Any:
        return nn.TransformerDecoder(nn.TransformerDecoderLayer(**LAYER, **options, **kind), 2)

    src, tgt = sequence(S, options, True, 1), sequence(T, options, True, 2)
    theirs, ours = pair(encoder)
    for masks in (
        {},
        {"mask": causal(S, "float")},
        {"mask": causal(S, "bool"), "src_key_padding_mask": PADDING},
        {"mask": np.random.default_rng(0).standard_normal((S, S))},
        {"mask": np.random.default_rng(0).standard_normal((N * H, S, S))},
    ):
        compare(theirs, ours, [src], masks)
    theirs, ours = pair(decoder)
    for masks in ({}, {"tgt_mask": causal(T, "float")}, {"memory_key_padding_mask": PADDING}):
        compare(theirs, ours, [tgt, src], masks)


@EVERY
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_transformer(options: dict[str, Any], batched: bool) -> None:
    def make(nn: Any, **kind: Any) -> Any:
        return nn.Transformer(**LAYER, num_encoder_layers=2, num_decoder_layers=2, **options, **kind)

    theirs, ours = pair(make)
    inputs = [sequence(S, options, batched, 1), sequence(T, options, batched, 2)]
    padding = PADDING if batched else PADDING[1]
    for masks in (
        {"tgt_mask": causal(T, "float")},
        {
            "tgt_mask": causal(T, "bool"),
            "src_key_padding_mask": padding,
            "memory_key_padding_mask": padding,
            "tgt_is_causal": True,
        },
    ):
        compare(theirs, ours, inputs, masks)


def test_layers_start_alike_in_a_stack_and_apart_in_a_transformer() -> None:
    layer = nn.TransformerEncoderLayer(**LAYER)
    first, second = nn.TransformerEncoder(layer, 2).layers
    assert first.linear1.weight is not second.linear1.weight
    np.testing.assert_array_equal(values(first.linear1.weight), values(second.linear1.weight))
    first, second = nn.Transformer(**LAYER, num_encoder_layers=2).encoder.layers
    assert (values(first.linear1.weight) != values(second.linear1.weight)).any()


def test_parts_of_ones_own() -> None:
    class Double(nn.Module):
        def forward(self, src: Any, *others: Any, **options: Any) -> Any:
            return src * 2

    class Add(nn.Module):
        def forward(self, tgt: Any, memory: Any, **options: Any) -> Any:
            return tgt + memory

    model = nn.Transformer(E, H, custom_encoder=Double(), custom_decoder=Add())
    x = minillm.ones(S, N, E)
    assert (values(model(x, x)) == 3).all()
    layer = nn.TransformerEncoderLayer(**LAYER, activation=lambda x: x * 0)
    assert layer(x).shape == (S, N, E)


@pytest.mark.parametrize("dtype", [None, "float64", "bool"])
def test_the_causal_mask(dtype: str | None) -> None:
    mask = nn.Transformer.generate_square_subsequent_mask(3, dtype=dtype)
    later = np.triu(np.ones((3, 3), bool), 1)
    np.testing.assert_array_equal(values(mask), later if dtype == "bool" else np.where(later, -np.inf, 0))
    assert str(mask.dtype) == (dtype or "float32")


@pytest.mark.parametrize("kind", ["float", "bool"])
def test_a_causal_mask_is_recognised(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    seen = []

    def attention(*arguments: Any) -> Any:
        seen.append(arguments[5])  # is_causal
        return scaled_dot_product_attention(*arguments)

    scaled_dot_product_attention = F.scaled_dot_product_attention
    module = "minillm.nn.functional.multi_head_attention.scaled_dot_product_attention"
    monkeypatch.setattr(module, attention)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(**LAYER), 1)
    x = minillm.randn(S, N, E)
    mask = causal(S, kind)
    mask = mask if kind == "bool" else mask.astype("float32")
    y = encoder(x, minillm.tensor(mask))
    z = encoder(x, minillm.tensor(mask), is_causal=False)
    encoder(x, minillm.tensor(np.zeros_like(mask)))
    encoder(x, minillm.tensor(mask[None].repeat(N * H, 0)))
    assert seen == [True, False, False, False]
    np.testing.assert_allclose(values(y), values(z), rtol=1e-4, atol=1e-5)


def test_dropout_while_training_alone() -> None:
    model = nn.Transformer(E, H, 1, 1, 12, dropout=0.5)
    src, tgt = minillm.randn(S, N, E), minillm.randn(T, N, E)
    assert (values(model(src, tgt)) != values(model(src, tgt))).any()
    model.eval()
    np.testing.assert_array_equal(values(model(src, tgt)), values(model(src, tgt)))


def test_it_trains_on_every_device(device: str) -> None:
    model = nn.Transformer(E, H, 1, 1, 12, dropout=0.1, batch_first=True)
    src, tgt = minillm.randn(N, S, E), minillm.randn(N, T, E)
    padding = minillm.tensor(PADDING)
    mask = model.generate_square_subsequent_mask(T)
    model(src, tgt, tgt_mask=mask, src_key_padding_mask=padding, memory_key_padding_mask=padding).sum().backward()
    assert all(np.isfinite(values(p.grad)).all() for p in model.parameters())


# -- errors -----------------------------------------------------------------------------------------


def test_an_unknown_activation() -> None:
    with pytest.raises(OperationError, match="got activation='swish'; it needs 'relu', 'gelu'"):
        nn.TransformerEncoderLayer(E, H, activation="swish")


@pytest.mark.parametrize("batch_first", [False, True])
def test_sizes_that_do_not_fit(batch_first: bool) -> None:
    model = nn.Transformer(E, H, 1, 1, 12, batch_first=batch_first)
    with pytest.raises(OperationError, match=r"the last dimension of both needs to be d_model = 8"):
        model(minillm.zeros(S, N, 7), minillm.zeros(T, N, E))
    dim = 0 if batch_first else 1
    with pytest.raises(OperationError, match=f"same batch size, in dimension {dim}"):
        model(minillm.zeros(2, 2, E), minillm.zeros(3, 3, E))
    with pytest.raises(OperationError, match="or both none"):
        model(minillm.zeros(S, E), minillm.zeros(T, N, E))


def test_an_error_inside_says_where() -> None:
    model = nn.Transformer(E, H, 1, 1, 12)
    with pytest.raises(OperationError, match=r"\(in Transformer.encoder.layers.0.self_attn\)"):
        model(minillm.zeros(S, N, E), minillm.zeros(T, N, E), src_mask=minillm.zeros(S, T))
