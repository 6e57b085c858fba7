"""Scaled dot-product attention: against PyTorch and its own formula, masks, groups of heads, errors."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minillm
from minillm.autograd import gradcheck, gradgradcheck
from minillm.autograd.errors import OperationError
from minillm.backend import to_numpy
from minillm.nn import functional as F
from minillm.nn.functional.attention import ScaledDotProductAttention, attention_composite


@pytest.fixture(autouse=True)
def seeded() -> None:
    minillm.manual_seed(0)


class Case(NamedTuple):
    """Shapes of query, key, value and mask, the mask's kind, and options."""

    q: tuple[int, ...]
    k: tuple[int, ...]
    v: tuple[int, ...]
    mask: tuple[int, ...] | None = None
    kind: str = "bool"
    options: dict[str, Any] = {}  # noqa: RUF012


SMALL = {
    "two dimensions": Case((3, 4), (5, 4), (5, 2)),
    "three dimensions": Case((2, 3, 4), (2, 5, 4), (2, 5, 2)),
    "heads": Case((2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 5)),
    "more leading dimensions": Case((2, 1, 2, 2, 3, 4), (2, 1, 2, 2, 3, 4), (2, 1, 2, 2, 3, 4)),
    "causal": Case((2, 2, 4, 3), (2, 2, 4, 3), (2, 2, 4, 3), options={"is_causal": True}),
    "causal, more keys": Case((2, 3, 4), (2, 6, 4), (2, 6, 2), options={"is_causal": True}),
    "causal, more queries": Case((2, 6, 4), (2, 3, 4), (2, 3, 2), options={"is_causal": True}),
    "one query": Case((2, 3, 1, 4), (2, 3, 6, 4), (2, 3, 6, 4)),
    "one query, causal": Case((2, 1, 4), (2, 6, 4), (2, 6, 4), options={"is_causal": True}),
    "one key": Case((2, 3, 4), (2, 1, 4), (2, 1, 4)),
    "mask of booleans": Case((2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 5), (4, 6)),
    "mask of keys": Case((2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 5), (2, 1, 1, 6)),
    "mask of one query": Case((2, 3, 1, 5), (2, 3, 6, 5), (2, 3, 6, 5), (2, 1, 1, 6)),
    "additive mask": Case((2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 5), (2, 3, 4, 6), "float"),
    "additive mask of heads": Case((2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 5), (3, 1, 6), "float"),
    "additive mask of queries": Case((2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 5), (4, 1), "float"),
    "scale": Case((2, 3, 4), (2, 5, 4), (2, 5, 2), options={"scale": 0.3}),
    "large scores": Case((2, 3, 4), (2, 5, 4), (2, 5, 2), options={"scale": 30.0}),
    "large scores, causal": Case((2, 5, 4), (2, 5, 4), (2, 5, 2), options={"scale": -30.0, "is_causal": True}),
    "large scores, masked": Case((2, 3, 4), (2, 5, 4), (2, 5, 2), (2, 1, 5), options={"scale": 30.0}),
    "large additive mask": Case((2, 3, 4), (2, 5, 4), (2, 5, 2), (2, 1, 5), "large"),
    "groups": Case((2, 6, 4, 5), (2, 3, 7, 5), (2, 3, 7, 4), options={"enable_gqa": True}),
    "groups, causal": Case((4, 3, 5), (2, 3, 5), (2, 3, 4), options={"enable_gqa": True, "is_causal": True}),
    "groups, one query": Case((2, 6, 1, 5), (2, 3, 7, 5), (2, 3, 7, 4), options={"enable_gqa": True}),
    "groups, mask": Case((2, 6, 4, 5), (2, 3, 7, 5), (2, 3, 7, 4), (6, 1, 7), "float", {"enable_gqa": True}),
    "groups, one query, mask": Case((6, 1, 5), (3, 7, 5), (3, 7, 4), (1, 1, 7), "bool", {"enable_gqa": True}),
    "groups, one query, small mask": Case((6, 1, 5), (3, 7, 5), (3, 7, 4), (1, 7), "bool", {"enable_gqa": True}),
    "groups of one": Case((2, 3, 4, 5), (2, 3, 7, 5), (2, 3, 7, 4), options={"enable_gqa": True}),
    "no queries": Case((2, 0, 4), (2, 5, 4), (2, 5, 2)),
    "no batch": Case((0, 3, 4), (0, 5, 4), (0, 5, 2)),
}  # fmt: skip
# Several tiles of queries, over which the gradients of keys and values are added up.
LARGE = {
    "causal, short": Case((2, 3, 200, 8), (2, 3, 200, 8), (2, 3, 200, 8), options={"is_causal": True}),
    "causal, long": Case((1, 2, 700, 4), (1, 2, 700, 4), (1, 2, 700, 4), options={"is_causal": True}),
    "causal, long, more keys": Case((2, 300, 4), (2, 690, 4), (2, 690, 6), options={"is_causal": True}),
    "causal, long, more queries": Case((2, 690, 4), (2, 300, 4), (2, 300, 6), options={"is_causal": True}),
    "causal, large scores": Case((2, 600, 4), (2, 600, 4), (2, 600, 4), options={"is_causal": True, "scale": 30.0}),
    "all": Case((2, 2, 600, 4), (2, 2, 70, 4), (2, 2, 70, 6)),
    "mask": Case((3, 2, 600, 4), (3, 2, 70, 4), (3, 2, 70, 6), (3, 1, 1, 70)),
    "additive mask": Case((3, 2, 600, 4), (3, 2, 70, 4), (3, 2, 70, 6), (2, 600, 1), "float"),
    "several groups of matrices": Case((3, 5, 256, 4), (3, 5, 256, 4), (3, 5, 256, 4)),
}  # fmt: skip
CASES = {**SMALL, **{f"tiles: {name}": case for name, case in LARGE.items()}}
EVERY = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
EVERY_SMALL = pytest.mark.parametrize("case", SMALL.values(), ids=SMALL.keys())


def arrays_of(case: Case, dtype: str = "float64") -> tuple[list[np.ndarray], np.ndarray | None]:
    """Query, key and value laid out as a projection leaves them (heads inside), and the mask."""
    rng = np.random.default_rng(0)
    arrays = []
    for shape in case[:3]:
        if len(shape) > 2:  # (..., H, L, E) as a view of (..., L, H, E)
            *lead, heads, length, size = shape
            arrays.append(rng.standard_normal((*lead, length, heads, size)).swapaxes(-2, -3).astype(dtype))
        else:
            arrays.append(rng.standard_normal(shape).astype(dtype))
    mask: np.ndarray | None = None
    if case.mask:
        mask = rng.standard_normal(case.mask).astype(dtype)
        if case.kind == "bool":
            mask = mask > -0.3
        elif case.kind == "large":
            mask = mask * 100
            mask[..., ::2] = -np.inf
    return arrays, mask


def tensors_of(case: Case, dtype: str = "float64") -> list[minillm.Tensor]:
    """Query, key, value and mask (or None) as leaves of the default device."""
    arrays, mask = arrays_of(case, dtype)
    leaves: list[Any] = [minillm.tensor(a, requires_grad=True) for a in arrays]
    differentiable = mask is not None and case.kind == "float"
    return [*leaves, None if mask is None else minillm.tensor(mask, requires_grad=differentiable)]


def attend(case: Case, q: Any, k: Any, v: Any, mask: Any = None) -> Any:
    return F.scaled_dot_product_attention(q, k, v, mask, **case.options)


def is_steep(case: Case) -> bool:
    """Whether the scores are so large that they are shifted before exp."""
    return abs(case.options.get("scale", 1.0)) > 1 or case.kind == "large"


def values(x: Any) -> np.ndarray:
    return to_numpy(x.detach().array)


@EVERY
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_it_agrees_with_pytorch(case: Case, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    arrays, mask = arrays_of(case, dtype)
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    their_mask = None if mask is None else torch.tensor(mask, requires_grad=case.kind == "float")
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        expected = torch.nn.functional.scaled_dot_product_attention(*theirs, their_mask, **case.options)
    *ours, our_mask = tensors_of(case, dtype)
    y = attend(case, *ours, our_mask)

    tolerance = {"rtol": 1e-9, "atol": 1e-11} if dtype == "float64" else {"rtol": 1e-3, "atol": 2e-5}
    if dtype == "float32" and is_steep(case):  # rounding of scores of 100 moves the weights by 1e-5
        tolerance = {"rtol": 1e-2, "atol": 5e-3}
    assert y.shape == tuple(expected.shape)
    assert str(y.dtype) == dtype
    np.testing.assert_allclose(values(y), expected.detach().numpy(), **tolerance)
    dy = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
    expected.backward(torch.tensor(dy))
    y.backward(minillm.tensor(dy))
    inputs = [*zip(ours, theirs, strict=True)]
    inputs += [(our_mask, their_mask)] if case.kind == "float" and mask is not None else []
    for x, t in inputs:
        np.testing.assert_allclose(values(x.grad), t.grad.numpy(), **tolerance)


@EVERY
def test_it_agrees_with_its_formula(case: Case, device: str) -> None:
    if device != "cpu" and case in LARGE.values() and case.options.get("scale"):
        pytest.skip("once")
    results = []
    for function in (ScaledDotProductAttention.apply, attention_composite):
        q, k, v, mask = tensors_of(case)
        if case.options.get("enable_gqa"):  # the formula knows no groups: repeat the heads
            groups = q.shape[-3] // k.shape[-3]
            k_all, v_all = (
                minillm.stack([x] * groups, dim=-3).reshape(*x.shape[:-3], groups * x.shape[-3], *x.shape[-2:])
                for x in (k, v)
            )
        else:
            k_all, v_all = k, v
        scale = case.options.get("scale", 1 / math.sqrt(q.shape[-1]))
        y = function(q, k_all, v_all, mask, case.options.get("is_causal", False), scale, None, 1.0)
        y.backward(minillm.tensor(np.random.default_rng(1).standard_normal(y.shape)))
        leaves = [x for x in (q, k, v, mask) if x is not None and x.requires_grad]
        results.append([values(y), *(values(x.grad) for x in leaves)])
    for fused, formula in zip(*results, strict=True):
        np.testing.assert_allclose(fused, formula, rtol=1e-9, atol=1e-11)


@EVERY_SMALL
def test_first_and_second_derivatives(case: Case) -> None:
    *leaves, mask = tensors_of(case)
    if not min(math.prod(x.shape) for x in leaves):
        pytest.skip("nothing to differentiate")
    inputs = (*leaves, mask) if mask is not None else tuple(leaves)
    tolerances = {"atol": 1e-4, "rtol": 1e-2, "eps": 1e-7} if is_steep(case) else {}
    assert gradcheck(lambda *x: attend(case, *x), inputs, fast_mode=True, **tolerances)
    if not is_steep(case):
        assert gradgradcheck(lambda *x: attend(case, *x), inputs, fast_mode=True)


@EVERY
def test_no_gradient_no_saving_same_result(case: Case, device: str) -> None:
    *leaves, mask = tensors_of(case)
    y = attend(case, *leaves, mask)
    with minillm.no_grad():
        z = attend(case, *leaves, mask)
    np.testing.assert_allclose(values(z), values(y), rtol=1e-12, atol=1e-14)
    assert z.grad_fn is None


@settings(max_examples=40)
@given(st.data())
def test_any_shapes_agree_with_the_formula(data: st.DataObject) -> None:
    size = st.integers(1, 5)
    lead = data.draw(st.lists(size, max_size=3))
    L, S, E, Ev = (data.draw(size) for _ in range(4))
    causal = data.draw(st.booleans())
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    ones = [data.draw(st.booleans()) for _ in range(len(lead) + 2)]
    mask_shape = [1 if one else n for one, n in zip(ones, [*lead, L, S], strict=True)]
    kind = data.draw(st.sampled_from(["none", "bool", "float"]))
    mask = None
    if kind != "none" and not causal:
        mask = rng.standard_normal(mask_shape[data.draw(st.integers(0, len(lead))) :])
        mask = minillm.tensor(mask > 0 if kind == "bool" else mask)
    arrays = [rng.standard_normal((*lead, *sizes)) * 4 for sizes in ((L, E), (S, E), (S, Ev))]
    results = []
    for function in (ScaledDotProductAttention.apply, attention_composite):
        leaves = [minillm.tensor(a, requires_grad=True) for a in arrays]
        y = function(*leaves, mask, causal, 1.0, None, 1.0)
        (y * y).sum().backward()
        results.append([values(y), *(values(x.grad) for x in leaves)])
    for fused, formula in zip(*results, strict=True):
        np.testing.assert_allclose(fused, formula, rtol=1e-8, atol=1e-10)


# -- masks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bool", "float"])
@pytest.mark.parametrize("scale", [1.0, 100.0])
@pytest.mark.parametrize("length", [1, 3])
def test_a_query_without_keys_gives_zeros_and_no_gradient(device: str, kind: str, scale: float, length: int) -> None:
    q, k, v = (minillm.randn(2, n, 4, requires_grad=True) for n in (length, 5, 5))
    seen = np.ones((2, length, 5), bool)
    seen[1, 0] = False
    mask = seen if kind == "bool" else np.where(seen, 0, -np.inf).astype("float32")
    y = F.scaled_dot_product_attention(q, k, v, minillm.tensor(mask), scale=scale)
    assert not values(y)[1, 0].any()
    assert values(y)[0, 0].all()
    y.sum().backward()
    assert np.isfinite(values(k.grad)).all()
    assert not values(q.grad)[1, 0].any()
    with minillm.no_grad():
        assert not values(F.scaled_dot_product_attention(q, k, v, minillm.tensor(mask), scale=scale))[1, 0].any()


def test_no_keys_give_zeros(device: str) -> None:
    q, k, v = (minillm.randn(2, n, 4, requires_grad=True) for n in (3, 0, 0))
    mask = minillm.zeros(3, 1, requires_grad=True)
    y = F.scaled_dot_product_attention(q, k, v, mask)
    assert y.shape == (2, 3, 4)
    assert not values(y).any()
    y.sum().backward()
    assert not values(q.grad).any()
    assert k.grad.shape == (2, 0, 4)
    assert not values(mask.grad).any()
    formula = attention_composite(q, k, v, None, False, 0.5, None, 1.0)
    assert not values(formula).any()


def test_what_is_hidden_changes_nothing(device: str) -> None:
    q, k, v = (minillm.randn(2, 6, 4) for _ in range(3))
    before = values(F.scaled_dot_product_attention(q, k, v, is_causal=True))
    k[:, 4:] = 1e30  # its scores overflow where they are not hidden
    v[:, 4:] = 1e30
    after = values(F.scaled_dot_product_attention(q, k, v, is_causal=True))
    np.testing.assert_allclose(after[:, :4], before[:, :4], rtol=1e-5, atol=1e-6)
    mask = minillm.ones(6, 6, dtype="bool").tril()
    masked = values(F.scaled_dot_product_attention(q, k, v, mask))
    np.testing.assert_allclose(masked[:, :4], before[:, :4], rtol=1e-5, atol=1e-6)


def test_nan_comes_through(device: str) -> None:
    q, k, v = (minillm.randn(3, 4) for _ in range(3))
    q[1, 2] = math.nan
    y = values(F.scaled_dot_product_attention(q, k, v))
    assert np.isnan(y[1]).all()
    assert np.isfinite(y[[0, 2]]).all()


def test_a_mask_is_read_when_it_is_given(device: str) -> None:
    """Backward computes with the mask again: it may not have changed since."""
    q, k, v = (minillm.randn(3, 4, requires_grad=True) for _ in range(3))
    mask = minillm.ones(3, 3, dtype="bool")
    y = F.scaled_dot_product_attention(q, k, v, mask).sum()
    mask[0, 0] = False
    with pytest.raises(OperationError, match=r"scaled_dot_product_attention: .* written to"):
        y.backward()


# -- dropout ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"is_causal": True}])
@pytest.mark.parametrize("length", [3, 300])
def test_dropout_drops_weights_and_keeps_the_mean(device: str, options: dict[str, Any], length: int) -> None:
    q, k = minillm.randn(2, length, 4), minillm.randn(2, length, 4)
    v = minillm.eye(length).expand(2, length, length)  # the output is the weights
    minillm.manual_seed(0)
    weights = values(F.scaled_dot_product_attention(q, k, v, dropout_p=0.25, **options))
    exact = values(F.scaled_dot_product_attention(q, k, v, **options))
    dropped = (weights == 0) & (exact != 0)
    np.testing.assert_allclose(weights[~dropped], exact[~dropped] / 0.75, rtol=1e-4, atol=1e-6)
    if length > 3:
        assert 0.22 < dropped.sum() / (exact != 0).sum() < 0.28
    minillm.manual_seed(0)
    again = values(F.scaled_dot_product_attention(q, k, v, dropout_p=0.25, **options))
    np.testing.assert_array_equal(again, weights)


def test_dropout_of_everything(device: str) -> None:
    q, k, v = (minillm.randn(2, 3, 4, requires_grad=True) for _ in range(3))
    y = F.scaled_dot_product_attention(q, k, v, dropout_p=1.0)
    assert not values(y).any()
    y.sum().backward()
    assert not values(v.grad).any()


@pytest.mark.parametrize("case", [SMALL["heads"], SMALL["causal"], SMALL["groups"], LARGE["causal, short"]])
def test_derivatives_under_dropout(case: Case) -> None:
    def fixed(*x: Any) -> Any:
        minillm.manual_seed(3)
        return F.scaled_dot_product_attention(*x, dropout_p=0.4, **case.options)

    leaves = tensors_of(case)[:3]
    assert gradcheck(fixed, leaves, fast_mode=True)
    assert gradgradcheck(fixed, leaves, fast_mode=True)


def test_groups_draw_the_same_as_all_heads() -> None:
    q, k, v = minillm.randn(2, 6, 5, 4), minillm.randn(2, 3, 5, 4), minillm.randn(2, 3, 5, 4)
    k_all, v_all = (x.unsqueeze(2).expand(2, 3, 2, 5, 4).reshape(2, 6, 5, 4) for x in (k, v))
    minillm.manual_seed(0)
    y = F.scaled_dot_product_attention(q, k, v, dropout_p=0.5, enable_gqa=True)
    minillm.manual_seed(0)
    z = F.scaled_dot_product_attention(q, k_all, v_all, dropout_p=0.5)
    np.testing.assert_allclose(values(y), values(z), rtol=1e-5, atol=1e-6)


# -- memory and dtypes ------------------------------------------------------------------------------


def test_the_output_lies_in_memory_like_the_query() -> None:
    """So that joining the heads, which follows, is a view."""
    x = minillm.randn(2, 5, 3, 4, requires_grad=True)  # (B, T, H, D)
    q = x.transpose(1, 2)
    y = F.scaled_dot_product_attention(q, q, q, is_causal=True)
    assert y.transpose(1, 2).is_contiguous()


def test_float16_computes_in_float32(device: str) -> None:
    arrays = [np.random.default_rng(i).standard_normal((2, 70, 8)).astype("float16") for i in range(3)]
    wide = [minillm.tensor(a.astype("float32"), requires_grad=True) for a in arrays]
    half = [minillm.tensor(a, requires_grad=True) for a in arrays]
    mask = np.random.default_rng(3).standard_normal((70, 70)).astype("float16")
    y = F.scaled_dot_product_attention(*wide, minillm.tensor(mask.astype("float32")))
    z = F.scaled_dot_product_attention(*half, minillm.tensor(mask))
    assert str(z.dtype) == "float16"
    np.testing.assert_allclose(values(z), values(y), rtol=1e-3, atol=1e-3)
    y.sum().backward()
    z.sum().backward()
    for a, b in zip(wide, half, strict=True):
        assert str(b.grad.dtype) == "float16"
        np.testing.assert_allclose(values(b.grad), values(a.grad), rtol=1e-2, atol=2e-3)


def test_backward_twice_over_a_kept_graph() -> None:
    q, k, v = (minillm.randn(2, 200, 4, dtype="float64", requires_grad=True) for _ in range(3))
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True).sum()
    y.backward(retain_graph=True)
    first = [values(x.grad).copy() for x in (q, k, v)]
    y.backward()
    for x, g in zip((q, k, v), first, strict=True):
        np.testing.assert_allclose(values(x.grad), 2 * g, rtol=1e-12)


def test_only_some_inputs_require_grad(device: str) -> None:
    q, k, v = (minillm.randn(2, 3, 4) for _ in range(3))
    v.requires_grad_()
    F.scaled_dot_product_attention(q, k, v).sum().backward()
    np.testing.assert_allclose(values(v.grad).sum(), 2 * 3 * 4, rtol=1e-5)
    assert q.grad is None


# -- errors -----------------------------------------------------------------------------------------

X = (2, 4, 3, 8)  # a query that fits


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        ((X, (2, 4, 5, 7), (2, 4, 5, 8)), {}, r"\(2, 4, 3, 8\) and \(2, 4, 5, 7\) .* same number of features"),
        ((X, (2, 4, 5, 8), (2, 4, 6, 8)), {}, "key and value need the same length"),
        (((8,), (5, 8), (5, 8)), {}, r"at least two dimensions, \(length, features\)"),
        ((X, (2, 2, 5, 8), (2, 2, 5, 8)), {}, "need to broadcast; for heads that share .* enable_gqa=True"),
        ((X, (3, 4, 5, 8), (3, 4, 5, 8)), {}, "leading dimensions need to broadcast$"),
        ((X, (3, 2, 5, 8), (3, 2, 5, 8)), {"enable_gqa": True}, "leading dimensions need to broadcast$"),
        ((X, (2, 3, 5, 8), (2, 3, 5, 8)), {"enable_gqa": True}, "4 heads of the query .* multiple of the 3 heads"),
        ((X, (2, 2, 5, 8), (2, 1, 5, 8)), {"enable_gqa": True}, "same number of heads"),
        ((X, X, X), {"dropout_p": 1.5}, r"dropout_p=1\.5; a probability"),
        ((X, X, X), {"dropout_p": -0.1}, r"dropout_p=-0\.1; a probability"),
    ],
)
def test_shapes_that_do_not_fit(shapes: Any, options: dict[str, Any], message: str) -> None:
    tensors = [minillm.zeros(*shape) for shape in shapes]
    with pytest.raises(OperationError, match=f"scaled_dot_product_attention: got .*{message}"):
        F.scaled_dot_product_attention(*tensors, **options)


@pytest.mark.parametrize("shape", [(4, 3), (3, 1, 3, 3), (5, 2, 4, 3, 3), (2, 4, 2, 3)])
def test_masks_that_do_not_fit(shape: tuple[int, ...]) -> None:
    x = minillm.zeros(*X)
    with pytest.raises(OperationError, match=r"the mask needs to broadcast to \(2, 4, 3, 3\)"):
        F.scaled_dot_product_attention(x, x, x, minillm.ones(*shape, dtype="bool"))


def test_a_mask_beside_causality() -> None:
    x = minillm.zeros(*X)
    with pytest.raises(OperationError, match="is_causal=True makes a mask of its own"):
        F.scaled_dot_product_attention(x, x, x, minillm.ones(3, 3, dtype="bool"), is_causal=True)


@pytest.mark.parametrize("dtype", ["int64", "float64"])
def test_the_dtype_of_a_mask(dtype: str) -> None:
    x = minillm.zeros(*X)
    with pytest.raises(TypeError, match=f"a mask of {dtype}; it needs booleans .* or float32"):
        F.scaled_dot_product_attention(x, x, x, minillm.ones(3, 3, dtype=dtype))


@pytest.mark.parametrize("dtypes", [("float32", "float64", "float32"), ("int64", "int64", "int64")])
def test_dtypes_that_do_not_fit(dtypes: tuple[str, str, str]) -> None:
    tensors = [minillm.zeros(*X, dtype=dtype) for dtype in dtypes]
    with pytest.raises(TypeError, match="need the same floating point dtype"):
        F.scaled_dot_product_attention(*tensors)
