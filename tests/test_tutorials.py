"""Every tutorial runs whole, from any folder, on the CPU and on the strict stand-in, and keeps its form.

A step asserts its own numbers, so running it is the check.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

TUTORIALS = Path(__file__).resolve().parents[1] / "tutorials"
STEPS = sorted(TUTORIALS.glob("[0-9]*.py"))
LIMIT_S = 240  # a step takes at most 60 s of two free cores; machines that run tests are seldom free

step = pytest.mark.parametrize("path", STEPS, ids=lambda path: path.stem)


def count_exercises(text: str) -> int:
    return len(re.findall(r"^exercise\(", text, re.MULTILINE))


@step
@pytest.mark.parametrize("device", ["cpu", "strict"])
def test_it_runs(path, device, tmp_path):
    pictures = tmp_path / "pictures"
    environment = {
        **os.environ,
        "MINILLM_DEVICE": device,
        "MINILLM_PICTURES": str(pictures),
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": str(tmp_path / "matplotlib"),
        "PYTHONIOENCODING": "utf-8",
    }
    # A test that hangs would say nothing of what it printed; a run that is cut off does.
    run = subprocess.run(
        [sys.executable, str(path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT_S,
        check=False,
    )
    assert run.returncode == 0, f"{run.stdout[-2000:]}\n{run.stderr[-4000:]}"
    assert list(pictures.glob(f"{path.stem[:2]}_*.png")), "it draws no picture"
    exercises = count_exercises(path.read_text(encoding="utf-8"))
    assert run.stdout.count(": not done yet.") == exercises, "an exercise is open until the reader solves it"
    assert {p.name for p in tmp_path.iterdir()} <= {"pictures", "matplotlib", "data"}, "it leaves files behind"


@step
def test_it_has_the_form_of_a_step(path):
    text = path.read_text(encoding="utf-8")
    cells = re.split(r"^# %%", text, flags=re.MULTILINE)
    assert cells[0] == "", "a step begins with a cell"
    assert cells[1].startswith(f" [markdown]\n# # {int(path.stem[:2])}. "), "and that with its title, # 1. ..."
    assert count_exercises(text) >= 3
    assert text.count('# %% tags=["solution"]') >= 3, "solutions stand in cells that fold away"
    assert re.search(r"^# ## Where to go next", text, re.MULTILINE)
    assert re.search(r"^assert ", text, re.MULTILINE), "a step checks what it says"
    assert not re.search(r"\bsimply\b", text, re.IGNORECASE), "nothing is simple to somebody who learns it"


def test_the_steps_are_numbered_in_order():
    assert [int(path.stem[:2]) for path in STEPS] == list(range(1, len(STEPS) + 1))
    assert STEPS
