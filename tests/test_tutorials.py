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


SMALL_STEP = '''\
# %% [markdown]
# # 1. A small step
#
# You will see a picture of $x^2$. And no more.
#
# *Reading time: about 3 minutes.*

# %%
import matplotlib.pyplot as plt

print("2 < 3")
plt.plot([1, 4, 9])
plt.show()

# %% [markdown]
# ## An exercise
#
# Compute $f'(x)$.

# %% tags=["solution"]
answer = 42
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site of one small step; returns its folder."""
    for module in ("ipykernel", "jupytext", "latex2mathml", "mdit_py_plugins", "nbclient"):
        pytest.importorskip(module, reason="needs the extra: tutorials")
    folder = tmp_path_factory.mktemp("tutorials")
    (folder / "01_small.py").write_text(SMALL_STEP, encoding="utf-8")
    run = build(folder)
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    return folder / "site"


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(TUTORIALS / "build.py"), str(folder / "site"), "--source", str(folder)],
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT_S,
        check=False,
    )


def test_a_page_holds_outputs_pictures_formulas_and_folds_solutions_away(site):
    text = (site / "01_small.html").read_text(encoding="utf-8")
    assert "<pre>2 &lt; 3</pre>" in text
    assert text.count('<img alt="Picture: 1. A small step" src="data:image/png;base64,') == 1
    assert text.count("<math") == 2
    assert "$" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL), "a formula was left as it is typed"
    assert re.search(r"<details><summary>Show the solution</summary>(?:(?!</details>).)*answer", text, re.DOTALL)
    assert "http" not in re.sub(r'xmlns="[^"]*"', "", text), "a page needs nothing from elsewhere"


def test_the_first_page_shows_the_path(site):
    text = (site / "index.html").read_text(encoding="utf-8")
    assert '<a href="01_small.html">1. A small step</a>' in text
    assert "You will see a picture of" in text
    assert "And no more" not in text, "one sentence a step"
    assert re.search(r"3 minutes of reading · \d+ s of computing", text)
    assert "data:image/png;base64," in text


def test_the_notebook_is_executed(site):
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(site / "01_small.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code[0].outputs[0].text == "2 < 3\n"
    assert code[1].metadata.jupyter.source_hidden


@pytest.mark.usefixtures("site")  # skips where there is nothing to build with
def test_a_step_that_fails_stops_the_build(tmp_path):
    (tmp_path / "01_wrong.py").write_text("# %% [markdown]\n# # 1. No\n\n# %%\nassert 1 == 2\n", encoding="utf-8")
    run = build(tmp_path)
    assert run.returncode == 1
    assert "assert 1 == 2" in run.stderr
    assert not (tmp_path / "site").exists()
