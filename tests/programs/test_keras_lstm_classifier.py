"""The program for Keras runs on minillm when its import lines change, and nothing else, with the same numbers."""

from __future__ import annotations

import os
import re
import runpy
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")

PROGRAM = Path(__file__).with_name("keras_lstm_classifier.py")
IMPORT = re.compile(r"^(from|import) keras\b", re.MULTILINE)
SHAPES = [(100, 16), (16, 64), (16, 64), (64,), (16, 32), (8, 32), (32,), (8, 1), (1,)]


def run(folder, name, text, arguments, monkeypatch, capsys):
    """The program's names when it has ended, and what it printed."""
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
    capsys.readouterr()
    names = runpy.run_path(str(path), run_name="__main__")
    return names, capsys.readouterr().out


@pytest.fixture
def first_weights(tmp_path):
    draw = np.random.default_rng(0)
    path = tmp_path / "first.npz"
    np.savez(path, *[draw.uniform(-0.3, 0.3, size=shape).astype("float32") for shape in SHAPES])
    return path


def on_minillm():
    source = PROGRAM.read_text(encoding="utf-8")
    text = IMPORT.sub(r"\1 minillm.keras", source)
    changed = [line for line, new in zip(source.splitlines(), text.splitlines(), strict=True) if line != new]
    assert changed
    assert all(IMPORT.match(line) for line in changed)
    return text


def test_the_program_learns_on_minillm(tmp_path, first_weights, monkeypatch, capsys):
    names, out = run(tmp_path, "ours", on_minillm(), [first_weights, tmp_path / "m.keras"], monkeypatch, capsys)
    assert names["accuracy"] > 0.9
    assert (names["predictions"][:, 0] > 0.5).tolist() == [True, False]
    np.testing.assert_array_equal(names["reloaded"], names["predictions"])
    assert "│ lstm" in out
    assert re.search(r"6/6 - \d+s - \d+.?s/step - accuracy: \d", out)


def test_the_program_gives_the_numbers_of_keras(tmp_path, first_weights, monkeypatch, capsys):
    pytest.importorskip("torch")
    keras = pytest.importorskip("keras")
    if keras.backend.backend() != "torch":
        pytest.skip("Keras runs on another backend than PyTorch")
    # Keras 3 has no Tokenizer any more; minillm's, whose own tests hold Keras 2's results, stands in.
    real = PROGRAM.read_text(encoding="utf-8").replace("keras.preprocessing.text", "minillm.keras.preprocessing.text")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that input_length is deprecated
        keras.backend.clear_session()
        expected, real_out = run(tmp_path, "real", real, [first_weights], monkeypatch, capsys)
    from minillm import keras as ours

    ours.backend.clear_session()
    got, our_out = run(tmp_path, "ours", on_minillm(), [first_weights], monkeypatch, capsys)

    assert list(got["history"].history) == list(expected["history"].history)
    assert got["history"].epoch == expected["history"].epoch  # it stops early, at the same epoch
    assert len(got["history"].epoch) < 30
    for name, values in expected["history"].history.items():
        np.testing.assert_allclose(got["history"].history[name], values, atol=1e-4, err_msg=name)
    for mine, theirs in zip(got["weights"], expected["weights"], strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)
    np.testing.assert_allclose(got["predictions"], expected["predictions"], atol=1e-4)
    assert [got["loss"], got["accuracy"]] == pytest.approx([expected["loss"], expected["accuracy"]], abs=1e-4)
    assert_same_text(our_out, real_out)


def assert_same_text(ours, real):
    """The printed lines are equal but for times, and for the last digit of numbers."""
    times = re.compile(r"\d+s - +\d+.?s/step")
    number = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
    ours, real = times.sub("TIME", ours), times.sub("TIME", real)
    assert number.sub("N", ours) == number.sub("N", real)
    got, expected = ([float(n) for n in number.findall(text)] for text in (ours, real))
    assert got == pytest.approx(expected, abs=2e-3)
