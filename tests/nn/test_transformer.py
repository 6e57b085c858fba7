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
PADDING = np.arange(S) >= np.array([[S], [3], [4]])
@pytest.fixture(autouse=True)
def seeded() -> None:
    minillm.manual_seed(0)


def values(x: Any) -> np.ndarray:
    return to_numpy(x.detach().array)


def causal(n: int, kind: str) -> np.ndarray:
    later = np.triu(np.ones((n, n), bool), 1)
    return later if kind == "bool" else np.where(later, -np.inf, 0.0)


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
