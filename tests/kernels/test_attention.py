"""The kernel of attention: tiles, weights that are kept or computed again, memory."""

from __future__ import annotations

import importlib
import tracemalloc
from typing import Any

import numpy as np
import pytest

from minillm.backend import to_device, to_numpy
from minillm.kernels.cpu import attention, attention_backward

module = importlib.import_module("minillm.kernels.cpu.attention")


def inputs(*shape: int, seed: int = 0, dtype: str = "float64") -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for _ in range(4)]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scale", [0.5, 50.0])  # with scores that exp takes as they are, and larger ones
@pytest.mark.parametrize("masked", [None, "bool", "float"])
@pytest.mark.parametrize("dropped", [False, True])
def test_weights_kept_and_computed_again_give_the_same(
    device: str, monkeypatch: pytest.MonkeyPatch, causal: bool, scale: float, masked: str | None, dropped: bool
) -> None:
    arrays: list[Any] = inputs(2, 3, 150, 4)
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
        y, saved = attention(q, k, v, mask, *options, True)
        assert (len(saved) > 2) == bool(limit)
        assert (saved[1] is not None) == (scale > 1)
        gradients = attention_backward(dy, q, k, v, mask, y, saved, *options, masked == "float")
        results.append([to_numpy(x) for x in (y, *gradients) if x is not None])
    assert len(results[0]) == (5 if masked == "float" else 4)
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("causal", [False, True])
def test_the_size_of_tiles_changes_nothing(monkeypatch: pytest.MonkeyPatch, causal: bool) -> None:
    q, k, v, dy = inputs(3, 2, 100, 4)
    results = []
    for size in (1, 1 << 16, 1 << 19, 1 << 30):
        monkeypatch.setattr(module, "_TILE_BYTES", size)
        y, saved = attention(q, k, v, None, causal, 0.5, None, 1.0, True)
        results.append([y, *attention_backward(dy, q, k, v, None, y, saved, causal, 0.5, None, 1.0, False)[:3]])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("lead", [(), (7,), (3, 5), (2, 3, 4), (1, 9), (0,), (3, 0)])
@pytest.mark.parametrize("size", [1, 2, 4, 5, 100])
def test_parts_cover_the_leading_dimensions_once(lead: tuple[int, ...], size: int) -> None:
    counts = np.zeros(lead, int)
    if not counts.size:
        return
    for part in module._parts(lead, size):
        assert counts[part].size <= size
        counts[part] += 1
    assert (counts == 1).all()


@pytest.mark.parametrize("causal", [False, True])
def test_no_matrix_of_all_scores(causal: bool) -> None:
    """For 2048 tokens it would take 16 MB for each head."""
    q, k, v, dy = inputs(2, 2048, 8, dtype="float32")
    tracemalloc.start()
    try:
        attention(q, k, v, None, causal, 0.3, None, 1.0, False)
        _, inference = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        y, saved = attention(q, k, v, None, causal, 0.3, None, 1.0, True)
        kept = sum(p.nbytes for p in saved[2:])
    finally:
        tracemalloc.stop()
    assert inference < 8e6
    assert kept <= module._SAVED_BYTES
    if causal:  # what lies above the diagonal is neither computed nor kept
        assert kept < 0.6 * 2 * 2048 * 2048 * 4
    assert attention_backward(dy, q, k, v, None, y, saved, causal, 0.3, None, 1.0, False)[0].shape == q.shape


def test_long_sequences_keep_no_weights() -> None:
    q, k, v, dy = inputs(3, 4096, 2, dtype="float32")
    y, saved = attention(q, k, v, None, True, 0.3, None, 1.0, True)
    assert saved[2:] == ()  # 3 x 4096 x 4096 / 2 x 4 bytes are more than _SAVED_BYTES
    dq = attention_backward(dy, q, k, v, None, y, saved, True, 0.3, None, 1.0, False)[0]
    assert np.isfinite(dq).all()


def test_numpys_buffers_are_left_as_they_were() -> None:
    before = np.getbufsize()
    q, k, v, _ = inputs(2, 3, 4)
    attention(q, k, v, None, False, 1.0, None, 1.0, False)
    with pytest.raises(ValueError, match="matmul"):
        attention(q, k[..., :2], v, None, False, 1.0, None, 1.0, False)
    assert np.getbufsize() == before


def test_inputs_are_left_as_they_were() -> None:
    arrays = inputs(2, 100, 4)
    mask = np.random.default_rng(1).standard_normal((100, 100))
    before = [a.copy() for a in (*arrays, mask)]
    q, k, v, dy = arrays
    y, saved = attention(q, k, v, mask, False, 40.0, None, 1.0, True)
    out = y.copy()
    first = attention_backward(dy, q, k, v, mask, y, saved, False, 40.0, None, 1.0, True)
    again = attention_backward(dy, q, k, v, mask, y, saved, False, 40.0, None, 1.0, True)
    for a, b in zip((*arrays, mask, y), (*before, out), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
