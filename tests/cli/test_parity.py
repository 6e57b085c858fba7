from __future__ import annotations

import importlib
import re

import pytest

from minillm.ops import pointwise
from minillm.testing import cases
from minillm.testing.cases.case import X
from minillm.testing.cases.drawing import R
from tests.cli.conftest import assert_fails, call, succeed


def test_a_table_and_totals():
    pytest.importorskip("torch")
    out = succeed("parity", "tanh", "optim.SGD", "StepLR")
    assert re.search(r"^  tanh +14 +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+$", out, re.MULTILINE)
    assert re.search(r"^  optim.SGD +\d+ +[\d.]+ +- +- +[\d.]+$", out, re.MULTILINE)
    assert "Optimizers\n" in out
    assert re.search(r"^5 names, \d+ cases in float64, 0 disagreements$", out, re.MULTILINE)
    assert re.search(r"^time: [\d.]+ of PyTorch's", out, re.MULTILINE)


def test_float32():
    pytest.importorskip("torch")
    assert "cases in float32, 0 disagreements" in succeed("parity", "nn.layernorm", "--dtype", "float32")


def test_a_page_that_needs_nothing_else(tmp_path):
    pytest.importorskip("torch")
    succeed("parity", "bmm", "nn.Linear", "--html", tmp_path / "deep" / "page.html")
    text = (tmp_path / "deep" / "page.html").read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "<code>bmm</code>" in text
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"(src|href)=|https?://|@import|url\(", text)


def test_a_disagreement_is_an_error(monkeypatch, tmp_path):
    pytest.importorskip("torch")
    monkeypatch.setattr(pointwise.Tanh, "backward", lambda self, dy: dy * 0.5)
    outcome = call("parity", "Tensor.tanh_", "--html", tmp_path / "page.html")
    assert_fails(outcome, 1, "parity: error:", "disagreements with PyTorch")
    assert "  DISAGREES" in outcome.out
    assert "DISAGREES Tensor.tanh_-0: gradient of input 0:" in outcome.out
    assert "Tensor.tanh_-0" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_what_raises_is_a_disagreement(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setitem(cases.FAMILIES["Shape"], "t", [X(R(2, 2, 2))])
    outcome = call("parity", "t")
    assert_fails(outcome, 1, "2 disagreements")  # as a function, as a method
    assert "DISAGREES t-0: " in outcome.out


def test_an_unknown_name_is_a_usage_error():
    pytest.importorskip("torch")
    assert_fails(call("parity", "tanh", "nonsense*"), 2, "nothing is named nonsense*", "--help")


def test_without_pytorch_it_says_how_to_install_it(monkeypatch):
    real = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", lambda name, *a: real("no_torch" if name == "torch" else name, *a))
    assert_fails(call("parity"), 2, "needs PyTorch, which is not installed here: pip install torch")
