"""The kernel of attention: tiles, weights that are kept or computed again, memory."""

from __future__ import annotations

import importlib
import tracemalloc
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import minillm
from minillm.backend import to_device, to_numpy
from minillm.nn.functional.attention import attention_composite

module = importlib.import_module("minillm.kernels.cpu.attention")
tiles = importlib.import_module("minillm.kernels.cpu.attention_tiles")


def inputs(*shape: int, seed: int = 0, dtype: str = "float64") -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for _ in range(4)]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scale", [0.5, 50.0])  # with scores that exp takes as they are, and larger ones
@pytest.mark.parametrize("masked", [None, "bool", "float"])
@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("width", [4, 80])  # with outputs divided by the sums of weights, and weights themselves
def test_weights_kept_and_computed_again_give_the_same(
    kernels: ModuleType,
    device: str,
    monkeypatch: pytest.MonkeyPatch,
    causal: bool,
    scale: float,
    masked: str | None,
    dropped: bool,
    width: int,
) -> None:
    arrays: list[Any] = inputs(2, 3, 150, width)
    scale *= (4 / width) ** 0.5
    rng = np.random.default_rng(1)
    mask = None
    if masked:
        mask = rng.standard_normal((150, 150))
        mask[np.diag_indices(150)] = 1  # each query sees a key
        mask = to_device(mask > 0 if masked == "bool" else mask, device)
    kept = to_device(rng.random((2, 3, 150, 150)) > 0.3, device) if dropped else None
    q, k, v, dy = (to_device(a, device) for a in arrays)
    options = (causal, scale, kept, 1.4)
    results = []
    for limit in (1 << 26, 0):
        monkeypatch.setattr(module, "_SAVED_BYTES", limit)
        y, saved = kernels.attention(q, k, v, mask, *options, True)
        assert (len(saved) > 2) == bool(limit)
        assert (saved[1] is not None) == (scale > 1)
        gradients = kernels.attention_backward(dy, q, k, v, mask, y, saved, *options, masked == "float")
        results.append([to_numpy(x) for x in (y, *gradients) if x is not None])
    assert len(results[0]) == (5 if masked == "float" else 4)
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("causal", [False, True])
def test_the_size_of_tiles_changes_nothing(kernels: ModuleType, monkeypatch: pytest.MonkeyPatch, causal: bool) -> None:
    q, k, v, dy = inputs(3, 2, 100, 4)
    results = []
    for size in (1, 1 << 16, 1 << 19, 1 << 30):
        monkeypatch.setattr(tiles, "_TILE_BYTES", size)
        y, saved = kernels.attention(q, k, v, None, causal, 0.5, None, 1.0, True)
        results.append([y, *kernels.attention_backward(dy, q, k, v, None, y, saved, causal, 0.5, None, 1.0, False)[:3]])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("lead", [(), (7,), (3, 5), (2, 3, 4), (1, 9), (0,), (3, 0)])
@pytest.mark.parametrize("size", [1, 2, 4, 5, 100])
def test_parts_cover_the_leading_dimensions_once(lead: tuple[int, ...], size: int) -> None:
    counts = np.zeros(lead, int)
    if not counts.size:
        return
    for part in tiles.parts_of(lead, size):
        assert counts[part].size <= size
        counts[part] += 1
    assert (counts == 1).all()


@pytest.mark.parametrize("causal", [False, True])
def test_no_matrix_of_all_scores(kernels: ModuleType, causal: bool) -> None:
    """For 2048 tokens it would take 16 MB for each head."""
    q, k, v, dy = inputs(2, 2048, 8, dtype="float32")
    kernels.attention(*inputs(2, 2, 8, dtype="float32")[:3], None, causal, 0.3, None, 1.0, False)  # compiled by now
    tracemalloc.start()
    try:
        kernels.attention(q, k, v, None, causal, 0.3, None, 1.0, False)
        _, inference = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        y, saved = kernels.attention(q, k, v, None, causal, 0.3, None, 1.0, True)
        kept = sum(p.nbytes for p in saved[2:])
    finally:
        tracemalloc.stop()
    assert inference < 8e6
    assert kept <= 1 << 26
    if causal:  # what lies above the diagonal is neither computed nor kept
        assert kept < 0.6 * 2 * 2048 * 2048 * 4
    assert kernels.attention_backward(dy, q, k, v, None, y, saved, causal, 0.3, None, 1.0, False)[0].shape == q.shape


def test_long_sequences_keep_no_weights(kernels: ModuleType) -> None:
    q, k, v, dy = inputs(3, 4096, 2, dtype="float32")
    y, saved = kernels.attention(q, k, v, None, True, 0.3, None, 1.0, True)
    assert saved[2:] == ()  # 3 x 4096 x 4096 / 2 x 4 bytes are more than are saved
    dq = kernels.attention_backward(dy, q, k, v, None, y, saved, True, 0.3, None, 1.0, False)[0]
    assert np.isfinite(dq).all()


def test_numpys_buffers_are_left_as_they_were(kernels: ModuleType) -> None:
    before = np.getbufsize()
    q, k, v, _ = inputs(2, 3, 4)
    kernels.attention(q, k, v, None, False, 1.0, None, 1.0, False)
    with pytest.raises(ValueError, match="matmul"):
        kernels.attention(q, k[..., :2], v, None, False, 1.0, None, 1.0, False)
    assert np.getbufsize() == before


def test_inputs_are_left_as_they_were(kernels: ModuleType) -> None:
    arrays = inputs(2, 100, 4)
    mask = np.random.default_rng(1).standard_normal((100, 100))
    before = [a.copy() for a in (*arrays, mask)]
    q, k, v, dy = arrays
    y, saved = kernels.attention(q, k, v, mask, False, 40.0, None, 1.0, True)
    out = y.copy()
    first = kernels.attention_backward(dy, q, k, v, mask, y, saved, False, 40.0, None, 1.0, True)
    again = kernels.attention_backward(dy, q, k, v, mask, y, saved, False, 40.0, None, 1.0, True)
    for a, b in zip((*arrays, mask, y), (*before, out), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


# -- against the formula ------------------------------------------------------------------------------------

SHAPES = {  # lead of q, lead of k and v, L, S, E, Ev
    "one head": ((), (), 5, 5, 3, 3),
    "batch and heads": ((2, 3), (2, 3), 7, 7, 4, 5),
    "several tiles": ((3,), (3,), 150, 150, 4, 4),
    "fewer queries": ((2,), (2,), 3, 70, 4, 4),
    "more queries": ((2,), (2,), 70, 3, 4, 4),
    "shared keys": ((2, 3, 2), (2, 3, 1), 9, 9, 4, 4),
    "length 1": ((2, 2), (2, 2), 1, 1, 4, 4),
    "no keys": ((2,), (2,), 3, 0, 4, 4),
    "no queries": ((2,), (2,), 0, 3, 4, 4),
    "no batch": ((0, 2), (0, 2), 3, 3, 4, 4),
}
MASKS = (None, "bool", "padding", "float", "all")


def mask_of(kind: str | None, lead: tuple[int, ...], L: int, S: int, dtype: str) -> np.ndarray | None:
    rng = np.random.default_rng(3)
    if kind == "bool":
        return rng.random((*lead, L, S)) > 0.4  # some queries see no key
    if kind == "padding":
        return rng.random((*lead[:1], *(1,) * len(lead[1:]), 1, S)) > 0.3
    if kind == "float":
        return rng.standard_normal((L, S)).astype(dtype)
    return None if kind is None else np.zeros((1, S), bool)


@pytest.mark.parametrize("threads", [3], indirect=True)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("masked", "size"), [*((m, 0.7) for m in MASKS), (None, 300.0), ("bool", 300.0)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_fused_is_composite(
    kernels: ModuleType, threads: int, monkeypatch: pytest.MonkeyPatch, shape: Any, dtype: str, size: float,
    masked: str | None, causal: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(tiles, "_LEAST_SCORES", 1)
    lead, lead_k, L, S, E, Ev = shape  # size is that of the scores: exp takes them as they are, or not
    rng = np.random.default_rng(0)
    q, dy = (rng.standard_normal((*lead, L, n)).astype(dtype) for n in (E, Ev))
    k, v = (rng.standard_normal((*lead_k, S, n)).astype(dtype) for n in (E, Ev))
    mask = mask_of(masked, lead, L, S, dtype)
    kept = rng.random((*lead, L, S)) > 0.3 if size < 1 else None
    tensors = [minillm.tensor(a, dtype="float64", requires_grad=True) for a in (q, k, v)]
    wide_mask: Any = None
    if mask is not None:
        wide_mask = minillm.tensor(mask if mask.dtype == bool else mask.astype("float64"))
        if masked == "float":
            wide_mask.requires_grad_()
            tensors.append(wide_mask)
    wide_kept = None if kept is None else minillm.tensor(kept)
    exact = attention_composite(*tensors[:3], wide_mask, causal, size, wide_kept, 1.5)
    gradients = minillm.autograd.grad(exact, tensors, minillm.tensor(dy, dtype="float64"), allow_unused=True)

    y, saved = kernels.attention(q, k, v, mask, causal, size, kept, 1.5, True)
    got = kernels.attention_backward(dy, q, k, v, mask, y, saved, causal, size, kept, 1.5, masked == "float")
    close = {"rtol": 1e-9, "atol": 1e-9} if dtype == "float64" else {"rtol": 1e-3, "atol": 1e-4 * max(size, 1)}
    np.testing.assert_allclose(y, exact.detach().numpy(), **close)
    inference = kernels.attention(q, k, v, mask, causal, size, kept, 1.5, False)[0]
    np.testing.assert_allclose(inference, y, **close)
    for actual, wanted in zip(got, gradients, strict=False):
        wanted = wanted.numpy()
        assert actual is not None
        assert actual.dtype == dtype
        shared = tuple(i for i, n in enumerate(wanted.shape) if n == 1 != actual.shape[i])
        actual = actual.sum(axis=shared, keepdims=True)
        np.testing.assert_allclose(actual, wanted, **close)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_infinite_scores_and_nan(kernels: ModuleType, dtype: str) -> None:
    q, k, v = (x[..., :70, :] for x in inputs(2, 100, 4, dtype=dtype)[:3])
    q[0, 3], q[1, 5] = np.nan, np.inf
    y, _ = kernels.attention(q, k, v, None, False, 0.5, None, 1.0, True)
    assert np.isnan(y[0, 3]).all()
    assert np.isnan(y[1, 5]).all()
    assert np.isfinite(np.delete(y.reshape(140, 4), [3, 75], axis=0)).all()
    mask = np.zeros((70, 70), dtype)
    mask[:, ::2] = -np.inf
    mask[7] = -np.inf
    q, k, v = (x[..., :70, :] for x in inputs(2, 100, 4, dtype=dtype)[:3])
    y, _ = kernels.attention(q, k, v, mask, False, 0.5, None, 1.0, True)
    assert (y[:, 7] == 0).all()
    expected, _ = kernels.attention(q, k, v, mask == 0, False, 0.5, None, 1.0, True)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_groups_for_the_threads() -> None:
    """Enough work is cut into a multiple of 4 groups, little work stays in one piece."""
    assert len(tiles.groups_of((32, 12), (0, 64, 64, None), 4)) % 4 == 0
    assert len(tiles.groups_of((12, 4), (0, 64, 64, None), 4)) == 2
    assert len(tiles.groups_of((2, 2), (0, 16, 16, None), 4)) == 1
    assert len(tiles.groups_of((), (0, 2048, 2048, None), 4)) == 1


def test_keys_and_values_that_heads_share(kernels: ModuleType, threads: int) -> None:
    rng = np.random.default_rng(0)
    q, dy = (rng.standard_normal((2, 6, 9, 4)).astype("float32") for _ in range(2))
    k, v = (np.broadcast_to(rng.standard_normal((2, 1, 9, 4)).astype("float32"), q.shape) for _ in range(2))
    results = []
    for keys, values in ((k, v), (k.copy(), v.copy())):
        y, saved = kernels.attention(q, keys, values, None, True, 0.5, None, 1.0, True)
        gradients = kernels.attention_backward(dy, q, keys, values, None, y, saved, True, 0.5, None, 1.0, False)
        results.append((y, *gradients[:3]))
    for shared, copied in zip(*results, strict=True):
        np.testing.assert_allclose(shared, copied, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [None, "bool", "float"])
def test_compiled_weights_that_are_computed_again(
    causal: bool, masked: str | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba", reason="needs numba (extra: fast)")
    compiled = importlib.import_module("minillm.kernels.fast.attention")
    q, k, v, dy = inputs(2, 150, 8, dtype="float32")
    rng = np.random.default_rng(1)
    mask = None
    if masked:
        mask = rng.standard_normal((150, 150)).astype("float32")
        mask = (mask > 0) | np.eye(150, dtype=bool) if masked == "bool" else mask
    kept = rng.random((*q.shape[:-1], 150)) > 0.3
    results = []
    for limit in (1 << 26, 0):
        monkeypatch.setattr(compiled, "_SAVED_BYTES", limit)
        y, saved = compiled.attention(q, k, v, mask, causal, 0.3, kept, 1.4, True)
        assert (len(saved) > 2) == bool(limit)
        gradients = compiled.attention_backward(
            dy, q, k, v, mask, y, saved, causal, 0.3, kept, 1.4, masked == "float"
        )  # fmt: skip
        results.append([x for x in (y, *gradients) if x is not None])
    for kept_weights, again in zip(*results, strict=True):
        np.testing.assert_allclose(again, kept_weights, rtol=1e-5, atol=1e-6)
