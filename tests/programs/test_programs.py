"""Programs as everyday users write them for PyTorch and Transformers, on minillm: only import lines differ.

Each program is run twice, as it stands and with ``torch`` and ``transformers`` in its imports replaced, on the same
tiny random models and the same text; the numbers need to agree.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minillm.tokenizers import BPETokenizer, WordPieceTokenizer

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

HERE = Path(__file__).parent
CLASSIFIER = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "max_position_embeddings": 64, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.2,
}  # fmt: skip


def for_minillm(source: str) -> str:
    """A program with its import lines changed, and nothing else."""
    lines = []
    for line in source.split("\n"):
        if re.match(r"(import|from) (torch|transformers)\b", line):
            line = re.sub(r"^from transformers\b", "from minillm.transformers", line)
            line = re.sub(r"^from torch\b", "from minillm", line)
            line = re.sub(r"^import torch$", "import minillm as torch", line)
            line = re.sub(r"^import torch\.", "import minillm.", line)
        lines.append(line)
    return "\n".join(lines)


def test_only_import_lines_are_changed():
    for path in HERE.glob("*.py"):
        if not path.name.startswith(("test_", "conftest", "keras")):
            before, after = path.read_text().split("\n"), for_minillm(path.read_text()).split("\n")
            changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
            assert all(a.startswith(("import ", "from ")) for a, _ in changed)
            assert not any(re.match(r"(import|from) (torch|transformers)\b", line) for line in after)


def run(path: Path, arguments: list[Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
    return runpy.run_path(str(path))


def run_both(name: str, arguments: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """What the variables of a program hold at its end: with PyTorch, and with minillm."""
    other = tmp_path / f"minillm_{name}"
    other.write_text(for_minillm((HERE / name).read_text()))
    theirs = [str(tmp_path / "their_out") if a == "OUT" else a for a in arguments]
    ours = [str(tmp_path / "our_out") if a == "OUT" else a for a in arguments]
    return run(HERE / name, theirs, monkeypatch), run(other, ours, monkeypatch)


@pytest.fixture(scope="module")
def sentences(tmp_path_factory) -> Path:
    """Forty labelled sentences: reviews of films where there are some, else the prose of Python's own manual."""
    folder = os.environ.get("MINILLM_DATA")
    rows = []
    if folder and (Path(folder) / "rt-polarity").is_dir():
        for label, name in enumerate(("rt-polarity.neg", "rt-polarity.pos")):
            lines = (Path(folder) / "rt-polarity" / name).read_text(encoding="latin-1").split("\n")[:20]
            rows += [(label, line.strip()) for line in lines]
    else:
        for label, topic in enumerate(("exceptions", "naming")):
            text = " ".join(importlib.import_module("pydoc_data.topics").topics[topic].split())
            rows += [(label, sentence) for sentence in text.split(". ")[:20]]
    rows = [row for pair in zip(rows[: len(rows) // 2], rows[len(rows) // 2 :], strict=False) for row in pair]
    path = tmp_path_factory.mktemp("data") / "sentences.tsv"
    path.write_text("".join(f"{label}\t{text}\n" for label, text in rows), encoding="utf-8")
    return path


def words_of(path: Path) -> list[str]:
    return [line.split("\t")[1] for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def bert(tmp_path_factory, sentences) -> dict[str, Path]:
    """A tokenizer, a tiny encoder, and the same with a head."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("tokenizer", "encoder", "classifier")}
    tokenizer = WordPieceTokenizer.train_from_iterator(words_of(sentences), 400, show_progress=False)
    tokenizer.save_pretrained(folders["tokenizer"])
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=len(tokenizer), **CLASSIFIER)
    model = transformers.BertForSequenceClassification(config)
    model.save_pretrained(folders["classifier"])
    model.bert.save_pretrained(folders["encoder"])
    return folders


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["pt", "np"])
def test_bert_classifier(bert, sentences, tmp_path, monkeypatch, kind):
    theirs, ours = run_both(
        "bert_classifier.py", [bert["classifier"], bert["tokenizer"], sentences, kind], tmp_path, monkeypatch
    )
    assert len(ours["losses"]) == 25
    np.testing.assert_allclose(ours["losses"], theirs["losses"], atol=1e-4)
    np.testing.assert_allclose(ours["scores"], theirs["scores"], atol=1e-4)
    assert ours["predictions"] == theirs["predictions"]
    assert ours["accuracy"] == theirs["accuracy"]


def test_a_new_head_is_announced_and_learns(bert, sentences, tmp_path, monkeypatch, caplog):
    path = tmp_path / "program.py"
    path.write_text(for_minillm((HERE / "bert_classifier.py").read_text()).replace("lr=5e-5", "lr=1e-3"))
    ours = run(path, [bert["encoder"], bert["tokenizer"], sentences, "pt"], monkeypatch)
    assert "has no weights for classifier.weight, classifier.bias" in caplog.text
    assert np.mean(ours["losses"][-5:]) < np.mean(ours["losses"][:5])


@pytest.mark.filterwarnings("ignore")
def test_bert_on_dictionaries(bert, sentences, tmp_path, monkeypatch):
    arguments = [bert["classifier"], bert["tokenizer"], sentences]
    theirs, ours = run_both("bert_dictionaries.py", [*arguments, 0], tmp_path, monkeypatch)
    np.testing.assert_allclose(ours["losses"], theirs["losses"], atol=1e-4)
    np.testing.assert_allclose(ours["scores"], theirs["scores"], atol=1e-4)
    for name in ("predictions", "accuracy", "precision", "recall", "f1"):
        assert ours[name] == theirs[name], name
    shuffled = run(tmp_path / "minillm_bert_dictionaries.py", [*arguments, 1], monkeypatch)
    assert shuffled["losses"] != ours["losses"]
    assert shuffled["losses"][-1] < shuffled["losses"][0]


@pytest.mark.filterwarnings("ignore")
def test_gpt2_language_model(sentences, tmp_path, monkeypatch):
    folder = tmp_path / "gpt2"
    tokenizer = BPETokenizer.train_from_iterator(
        words_of(sentences), 400, special_tokens=["<|endoftext|>"], show_progress=False,
        special_names={"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"},
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer), n_positions=64, n_embd=32, n_layer=2, n_head=4, resid_pdrop=0.0, embd_pdrop=0.0,
        attn_pdrop=0.0, initializer_range=0.3, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    theirs, ours = run_both("gpt2_language_model.py", [folder, sentences, "OUT"], tmp_path, monkeypatch)
    assert ours["trainable"] == theirs["trainable"]
    np.testing.assert_allclose(ours["losses"], theirs["losses"], rtol=1e-4)
    np.testing.assert_allclose(ours["validation_losses"], theirs["validation_losses"], rtol=1e-4)
    np.testing.assert_allclose(ours["padded_loss"], theirs["padded_loss"], rtol=1e-4)
    for name in ("greedy", "beams", "several", "written"):
        assert ours[name] == theirs[name], name
    assert ours["sampled"].shape[1] <= 30
    back = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "our_out").eval()
    prompt = ours["prompt"].numpy()
    with torch.no_grad():
        expected = back(torch.tensor(prompt)).logits.numpy()
    np.testing.assert_allclose(ours["model"](ours["prompt"]).logits.numpy(force=True), expected, atol=1e-5)


@pytest.mark.parametrize(("vocabulary", "width"), [(120, 24), (10000, 64)])
def test_rnn_language_model(sentences, tmp_path, monkeypatch, vocabulary, width):
    rng = np.random.default_rng(0)
    shapes = {
        "embedding.weight": (vocabulary, width), "rnn.weight_ih_l0": (width, width), "rnn.weight_hh_l0": (width, width),
        "rnn.bias_ih_l0": (width,), "rnn.bias_hh_l0": (width,), "fc.weight": (vocabulary, width),
        "fc.bias": (vocabulary,),
    }  # fmt: skip
    np.savez(tmp_path / "w.npz", **{n: rng.normal(size=s, scale=0.2).astype(np.float32) for n, s in shapes.items()})
    text = tmp_path / "text.txt"
    text.write_text("\n".join(words_of(sentences)), encoding="utf-8")
    with contextlib.redirect_stdout(None):
        theirs, ours = run_both(
            "rnn_language_model.py", [tmp_path / "w.npz", text, vocabulary, width], tmp_path, monkeypatch
        )
    assert len(ours["losses"]) == 20
    np.testing.assert_allclose(ours["losses"], theirs["losses"], atol=1e-4)
    np.testing.assert_allclose(ours["scores"], theirs["scores"], atol=1e-4)
    assert ours["perplexity"] == pytest.approx(theirs["perplexity"], rel=1e-4)
    assert ours["written"] == theirs["written"]
    for name, value in theirs["state"].items():
        np.testing.assert_allclose(ours["state"][name], value, atol=1e-4, err_msg=name)
