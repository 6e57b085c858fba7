"""Figures of models that write: the examples of additions, and PyTorch's side of them and of the word model."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.real_data import language, writing
from benchmarks.real_data.runs import Setting

SUMS = [{"source": f"{a}+{b}", "target": f"{a + b}"} for a in range(12) for b in range(5)]


def test_parts_share_no_example():
    parts = writing.parts_of(SUMS, validation=7)
    assert {name: len(part) for name, part in parts.items()} == {"train": 47, "validation": 7, "test": 6}
    assert sorted(e["source"] for part in parts.values() for e in part) == sorted(e["source"] for e in SUMS)


def test_additions_the_other_way_round():
    first, second = writing.either_way([{"source": "12+5", "target": "71"}])
    assert first == {"source": "12+5", "target": "71"}
    assert second == {"source": "5+12", "target": "71"}


def test_targets_backwards():
    assert writing.backwards([{"source": "12+5", "target": "17"}]) == [{"source": "12+5", "target": "71"}]


def test_the_twin_in_torch_computes_the_same():
    twins = pytest.importorskip("benchmarks.real_data.torch_translator", reason="needs torch", exc_type=ImportError)
    model, task = writing.new_model(SUMS, reverse=True, dropout=0.0)
    twin, features = twins.TorchTranslator(model), task.features(SUMS[:30])
    expected = model(**task.batch(features)).loss
    expected.backward()
    loss = twin.loss(*twins.as_torch(task, features))
    loss.backward()
    np.testing.assert_allclose(loss.item(), expected.item(), rtol=1e-5)
    for name, parameter in twin.named_parameters():
        ours = model.get_parameter(name).grad.numpy()
        np.testing.assert_allclose(parameter.grad.numpy(), ours, rtol=1e-3, atol=1e-5, err_msg=name)


def test_the_twin_in_torch_counts_the_same_exact_targets():
    twins = pytest.importorskip("benchmarks.real_data.torch_translator", reason="needs torch", exc_type=ImportError)
    few = [{"source": f"{a}+1", "target": f"{a + 1}"} for a in range(8)]
    settings = writing.settings_of(Setting(None, 1), {"epochs": 12, "batch_size": 4, "lr": 1e-2})
    parts = {"train": few, "validation": few, "test": few}
    scores = twins.trained_in_torch(*writing.new_model(few, reverse=True, dropout=0.0), parts, settings)
    ours = writing.written(Setting(None, 1), parts, reverse=True, dropout=0.0, epochs=12, batch_size=4, lr=1e-2)
    assert scores == {"validation": 1.0, "test": 1.0}
    assert ours["exact"] == 1.0


def test_the_word_model_is_the_same_in_both_libraries(monkeypatch, tmp_path):
    pytest.importorskip("torch")
    for name, seed in (("valid.txt", 0), ("test.txt", 1)):
        words = np.random.default_rng(seed).integers(0, 8, 600)
        (tmp_path / name).write_text(" ".join(f"w{w} then" for w in words), encoding="utf-8")
    monkeypatch.setattr(language, "dataset_path", lambda name: tmp_path)
    monkeypatch.setattr(language, "WORDS", 10)
    figures = language.wikitext2(Setting(None, 1))
    assert figures["words"] == {"train": 1200, "test": 1200}
    assert figures["agreement"] > 0.999
    assert figures["perplexity"] < 9  # 10 words; every other one is always the same
