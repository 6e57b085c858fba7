from __future__ import annotations

import pytest

from minillm.cli import demo
from minillm.training import text_source
from minillm.training.log import read_log
from minillm.training.run_directory import RunDirectory
from tests.cli.conftest import TEXT, assert_fails, call, draw_losses, succeed

CODE = "def add(a, b):\n    return a + b\n\n\nclass Cat:\n    def sit(self, mat):\n        self.mat = mat\n\n" * 15


@pytest.fixture
def small(monkeypatch):
    """Short texts and a tiny model, so that it takes a second."""
    monkeypatch.setitem(text_source.CORPORA, "english", lambda: TEXT * 2)
    monkeypatch.setitem(text_source.CORPORA, "python", lambda: CODE * 2)
    monkeypatch.setattr(demo, "OPTIONS", {**demo.OPTIONS, "layers": 3, "heads": 2, "width": 16, "vocab_size": 300})
    shorter = {"block_size": 16, "batch_size": 4, "eval_windows": 4, "checkpoint_interval": 0}
    for name in ("PRETRAINING", "FINETUNING"):
        monkeypatch.setattr(demo, name, {**getattr(demo, name), **shorter})


def test_the_whole_way(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(RunDirectory, "draw_losses", draw_losses)
    out = succeed("demo", "--steps", 30, "--finetune-steps", 20)
    for part in ("1. Text", "2. A model that knows nothing", "3. Pretraining", "4. Fine-tuning", "5. What came out"):
        assert part in out
    assert out.count("    | The") >= 2  # before and after pretraining
    assert out.count("    | def") >= 2  # before and after fine-tuning
    assert "log(300) = 5.70" in " ".join(out.split())
    moments = ("random weights", "after pretraining", "after fine-tuning")
    rows = [line for line in out.splitlines() if line.strip().startswith(moments)]
    before, middle, after = ([float(figure) for figure in row.split()[-4:]] for row in rows)
    assert middle[0] < before[0]  # English is learnt
    assert after[1] < middle[1]  # and then Python
    assert after[3] < middle[3]
    for name in ("pretrained", "finetuned"):
        run = tmp_path / "runs" / "demo" / name
        assert (run / "loss.png").read_bytes().startswith(b"\x89PNG")
        succeed("generate", run, "--max-new-tokens", 3)
    info = RunDirectory.open(tmp_path / "runs" / "demo" / "finetuned").info
    assert info.training.freeze == demo.FROZEN
    assert info.parent == str((tmp_path / "runs" / "demo" / "pretrained").resolve())
    lines = [line.split("    ")[1] for line in out.splitlines() if line.startswith("    minillm ")]
    assert len(lines) == 5


def test_what_it_says_to_try_works(small, tmp_path):
    out = succeed("demo", "--steps", 3, "--finetune-steps", 2, "--out", tmp_path / "d")
    line = next(line for line in out.splitlines() if "--resume" in line)
    command = line.split("    ")[1].split()
    assert command[0] == "minillm"
    succeed(*command[1:])
    assert read_log(tmp_path / "d" / "pretrained" / "log.jsonl")[-1]["step"] == 12


def test_a_second_demo_has_a_place_of_its_own(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        succeed("demo", "--steps", 1, "--finetune-steps", 1)
    assert {p.name for p in (tmp_path / "runs").iterdir()} == {"demo", "demo-2"}


def test_without_matplotlib(small, tmp_path, monkeypatch):
    from minillm import viz

    monkeypatch.setattr(RunDirectory, "draw_losses", draw_losses)
    monkeypatch.setattr(viz, "can_plot", lambda: False)
    out = succeed("demo", "--steps", 1, "--finetune-steps", 1, "--out", tmp_path / "d")
    assert "(no plot: Matplotlib is not installed" in out


def test_bad_input(tmp_path):
    assert_fails(call("demo", "--steps", 0), 2, "argument --steps: got 0")
    (tmp_path / "file").write_text("mine")
    assert_fails(call("demo", "--out", tmp_path / "file"), 1, "is a file; a run needs a directory of its own")


def test_control_characters_do_not_reach_the_terminal(capsys):
    demo.quote("a\x1b[31mb\r\nc\td")
    assert capsys.readouterr().out == "    | a\ufffd[31mb\ufffd\n    | c\ufffdd\n\n"


def test_frozen_layers_are_half_of_the_model():
    assert demo.OPTIONS["layers"] == 4
    assert demo.FROZEN[0] == "transformer.h.[01]"


def test_what_to_try_next_can_be_typed_as_it_stands(monkeypatch):
    monkeypatch.setattr("sys.argv", [".venv/bin/minillm", "demo"])
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert demo.program() == ".venv/bin/minillm"
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert demo.program() == "minillm"
