"""MultiheadAttention: against PyTorch in every layout and with every mask, names, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minillm
from minillm import nn
from minillm.autograd import gradcheck, gradgradcheck
from minillm.autograd.errors import OperationError
from minillm.backend import to_numpy
from minillm.nn import functional as F
from minillm.nn.functional.multi_head_attention import SplitHeads

E, H, N, L, S = 8, 2, 3, 5, 7
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "batch first": {"batch_first": True},
    "no bias": {"bias": False},
    "learned key": {"add_bias_kv": True},
    "learned key and zeros": {"add_bias_kv": True, "add_zero_attn": True, "batch_first": True},
    "other sizes": {"kdim": 4, "vdim": 6},
    "one other size": {"kdim": 4, "vdim": 4, "batch_first": True, "bias": False},
}
# key_padding_mask and attn_mask: b for booleans, f for floats, 3 for one of each head
@pytest.fixture(autouse=True)
def seeded() -> None:
    minillm.manual_seed(0)


def values(x: Any) -> np.ndarray:
    return to_numpy(x.detach().array)


def pair(torch: Any, options: dict[str, Any], dropout: float = 0.0) -> tuple[Any, Any]:
    """A module of PyTorch and ours, with the same weights."""
    torch.manual_seed(0)
    theirs = torch.nn.MultiheadAttention(E, H, dropout, dtype=torch.float64, **options)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter)
    ours = nn.MultiheadAttention(E, H, dropout, dtype="float64", **options)
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    return theirs, ours


def rng_of(shape: Any) -> np.ndarray:
    return np.random.default_rng(5).standard_normal(tuple(shape))


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("padded", [True, False])
def test_the_causal_hint_agrees_with_pytorch(need_weights: bool, padded: bool) -> None:
    torch = pytest.importorskip("torch")
    theirs, ours = pair(torch, {})
    x = rng_of((L, N, E))
    mask = np.triu(np.ones((L, L), bool), 1)
    padding = np.arange(L) >= np.array([[L], [3], [4]]) if padded else None
    outputs = []
    for module, tensor in ((theirs, torch.tensor), (ours, minillm.tensor)):
        t = tensor(x)
        outputs.append(
            module(
                t, t, t, None if padding is None else tensor(padding), need_weights, tensor(mask), is_causal=True
            )[0]
        )  # fmt: skip
    np.testing.assert_allclose(values(outputs[1]), outputs[0].detach().numpy(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_names_shapes_and_start_are_pytorchs(options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.nn.MultiheadAttention(256, H, **options)
    ours = nn.MultiheadAttention(256, H, **options)
    assert {k: tuple(v.shape) for k, v in ours.state_dict().items()} == {
        k: tuple(v.shape) for k, v in theirs.state_dict().items()
    }
    for name, parameter in ours.named_parameters():
        expected = theirs.get_parameter(name).detach()
        assert bool((values(parameter) == 0).all()) == bool((expected == 0).all()), name
        np.testing.assert_allclose(values(parameter).std(), expected.numpy().std(), rtol=0.3)


def test_weights_and_no_weights_give_the_same(device: str) -> None:
    module = nn.MultiheadAttention(E, H, batch_first=True, dtype="float64")
    x = minillm.randn(N, L, E, dtype="float64")
    padding = minillm.tensor(np.arange(L) >= np.array([[L], [3], [4]]))
    y, weights = module(x, x, x, padding)
    z, none = module(x, x, x, padding, need_weights=False)
    assert none is None
    np.testing.assert_allclose(values(z), values(y), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(values(weights).sum(-1), 1, rtol=1e-12)
    assert not values(weights)[1, :, 3:].any()


@pytest.mark.parametrize("need_weights", [True, False])
def test_a_batch_row_without_keys(device: str, need_weights: bool) -> None:
    """PyTorch gives NaN with weights and zeros without; here both are zeros."""
    module = nn.MultiheadAttention(E, H, batch_first=True)
    x = minillm.randn(2, L, E, requires_grad=True)
    padding = minillm.tensor(np.array([[False] * L, [True] * L]))
    y, weights = module(x, x, x, padding, need_weights=need_weights)
    np.testing.assert_allclose(values(y)[1], np.broadcast_to(values(module.out_proj.bias), (L, E)))
    if need_weights:
        assert not values(weights)[1].any()
    y.sum().backward()
    assert np.isfinite(values(x.grad)).all()


@pytest.mark.parametrize("need_weights", [True, False])
def test_dropout_while_training_alone(need_weights: bool) -> None:
    module = nn.MultiheadAttention(E, H, dropout=0.5)
    x = minillm.randn(L, N, E)
    minillm.manual_seed(1)
    y, weights = module(x, x, x, need_weights=need_weights)
    minillm.manual_seed(1)
    again, _ = module(x, x, x, need_weights=need_weights)
    np.testing.assert_array_equal(values(again), values(y))
    if need_weights:
        average = values(module(x, x, x, average_attn_weights=False)[1])
        assert 0.3 < (average == 0).mean() < 0.7
    module.eval()
    z, _ = module(x, x, x, need_weights=need_weights)
    assert np.abs(values(z) - values(y)).max() > 1e-3
    np.testing.assert_array_equal(values(module(x, x, x, need_weights=need_weights)[0]), values(z))
    assert weights is None or weights.shape == (N, L, L)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_split_heads(device: str, batch_first: bool, count: int) -> None:
    x = minillm.randn(3, 5, count * 6, dtype="float64", requires_grad=True)
    heads = SplitHeads.apply(x, count, 2, batch_first)
    for i, part in enumerate(heads):
        expected = values(x)[..., 6 * i : 6 * i + 6].reshape(3, 5, 2, 3)
        expected = expected.transpose(0, 2, 1, 3) if batch_first else expected.transpose(1, 2, 0, 3)
        np.testing.assert_array_equal(values(part), expected)
    assert gradcheck(lambda x: SplitHeads.apply(x, count, 2, batch_first), x)
    assert gradgradcheck(lambda x: SplitHeads.apply(x, count, 2, batch_first), x, fast_mode=True)


def test_repr_names_what_it_is() -> None:
    text = repr(nn.MultiheadAttention(E, H, batch_first=True))
    assert "embed_dim=8, num_heads=2, batch_first=True" in text
    assert "out_proj" in text


# -- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("embed_dim", "num_heads"), [(0, 1), (8, 0), (-8, 2), (8, 3)])
def test_sizes_that_do_not_fit(embed_dim: int, num_heads: int) -> None:
    with pytest.raises(ValueError, match=f"got embed_dim={embed_dim} and num_heads={num_heads}; both need"):
        nn.MultiheadAttention(embed_dim, num_heads)


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        (((L, N, 6), (S, N, E), (S, N, E)), {}, r"got .*\(5, 3, 6\) .*; the query needs embed_dim = 8 features"),
        (((L, N, E), (S, E), (S, E)), {}, r"each needs \(length, batch, features\), or each \(length, features\)"),
        (((E,), (E,), (E,)), {}, "or each"),
        (((L, N, E), (S, N, E), (L, N, E)), {}, "key and value need the same length"),
        (((L, N, E), (S, 2, E), (S, 2, E)), {}, "same batch size, in dimension 1"),
        (((L, N, E),), {"is_causal": True}, "is_causal is a hint about attn_mask, which is None"),
        (((L, N, E),), {"attn_mask": (L, S)}, r"attn_mask of shape \(5, 7\); it needs \(5, 5\) or \(6, 5, 5\)"),
        (((L, N, E),), {"key_padding_mask": (L, N)}, r"key_padding_mask of shape \(5, 3\); it needs \(3, 5\)"),
        (((L, E),), {"key_padding_mask": (1, L)}, r"key_padding_mask of shape \(1, 5\); it needs \(5,\)"),
        (((L, E),), {"attn_mask": (6, L, L)}, r"attn_mask of shape .* it needs \(5, 5\) or \(2, 5, 5\)"),
    ],
)  # fmt: skip
def test_inputs_that_do_not_fit(shapes: Any, options: dict[str, Any], message: str) -> None:
    tensors = [minillm.zeros(*shape) for shape in shapes]
    q, k, v = (*tensors, *[tensors[-1]] * (3 - len(tensors)))
    options = {k: minillm.zeros(*v, dtype="bool") if isinstance(v, tuple) else v for k, v in options.items()}
    with pytest.raises(OperationError, match=message) as caught:
        nn.MultiheadAttention(E, H)(q, k, v, **options)
    assert "(in MultiheadAttention)" in str(caught.value)


def test_masks_of_integers() -> None:
    x = minillm.zeros(L, N, E)
    with pytest.raises(TypeError, match="got int64 for attn_mask; it needs booleans"):
        nn.MultiheadAttention(E, H)(x, x, x, attn_mask=minillm.zeros(L, L, dtype="int64"))


def call(**options: Any) -> Any:
    """The function with weights that fit, and these arguments in their place."""
    x = minillm.zeros(L, N, E)
    named: dict[str, Any] = {
        "query": x, "key": x, "value": x, "embed_dim_to_check": E, "num_heads": H,
        "in_proj_weight": minillm.zeros(3 * E, E), "in_proj_bias": None, "bias_k": None, "bias_v": None,
        "add_zero_attn": False, "dropout_p": 0.0, "out_proj_weight": minillm.zeros(E, E), "out_proj_bias": None,
    }  # fmt: skip
    return F.multi_head_attention_forward(**{**named, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 3}, "embed_dim=8 and num_heads=3; the first needs to be a multiple"),
        ({"in_proj_weight": None}, "it needs in_proj_weight, or with use_separate_proj_weight"),
        ({"use_separate_proj_weight": True}, "it needs in_proj_weight, or with use_separate_proj_weight"),
        ({"bias_k": (1, 1, E)}, "got one of bias_k and bias_v; it needs both or none"),
        ({"static_k": (3, S, 4)}, r"static_k of shape \(3, 7, 4\); it needs \(6, length, 4\)"),
        ({"static_v": (6, S, 3)}, r"static_v of shape \(6, 7, 3\); it needs \(6, length, 4\)"),
        (
            {"static_k": (6, S, 4), "bias_k": (1, 1, E), "bias_v": (1, 1, E)},
            "cannot be added to a static key or value",
        ),
    ],
)
def test_arguments_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OperationError, match=f"multi_head_attention: .*{message}"):
        call(**{k: minillm.zeros(*v) if isinstance(v, tuple) else v for k, v in options.items()})
