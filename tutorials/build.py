"""Execute every step and write the site: ``python tutorials/build.py [FOLDER] [--steps 01 03]``.

The folder (tutorials/site by default) gets for each step an executed notebook, NN_name.ipynb, and a page, NN_name.html,
with outputs and pictures inside; and index.html, the path through them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from pages import Step, page_of_path, page_of_step
from traitlets.config import Config

HERE = Path(__file__).resolve().parent
LIMIT_S = 300  # for one cell; a whole step computes for a minute at most on two free cores


def execute(source: Path, scratch: Path) -> Step:
    """Run a step as a notebook in an empty folder, and return it with its outputs."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for cell in notebook.cells:
        if "solution" in cell.metadata.get("tags", []):
            cell.metadata["jupyter"] = {"source_hidden": True}  # folds it in JupyterLab
    config = Config()
    if os.name != "nt":  # kernel and client meet at files of this folder, not at a port
        config.KernelManager.transport = "ipc"
        config.KernelManager.connection_file = str(scratch / f"{source.stem[:2]}.json")
    client = NotebookClient(
        notebook, config=config, kernel_name="python3", timeout=LIMIT_S, resources={"metadata": {"path": str(scratch)}}
    )
    start = time.perf_counter()
    client.execute()
    seconds = time.perf_counter() - start
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when each cell ran: noise
    return Step(source.stem, notebook, seconds)


def set_environment(scratch: Path) -> None:
    """Let kernels draw into the notebook, sharply, and leave no files where the site is built."""
    os.environ.pop("MPLBACKEND", None)  # Agg would keep pictures out of notebooks
    settings = scratch / "matplotlibrc"
    settings.write_text("figure.dpi: 130\n", encoding="utf-8")
    os.environ["MATPLOTLIBRC"] = str(settings)
    os.environ["MINILLM_PICTURES"] = str(scratch / "pictures")


def main() -> int:
    """Build the site; return 1 if a step fails."""
    parser = argparse.ArgumentParser(description="Execute the tutorials and write them as notebooks and pages.")
    parser.add_argument("folder", nargs="?", type=Path, default=HERE / "site", help="where to (default: %(default)s)")
    parser.add_argument("--steps", nargs="+", default=[""], metavar="NN", help="only these, as in --steps 01 03")
    parser.add_argument("--source", type=Path, default=HERE, help="the folder of the steps (default: %(default)s)")
    arguments = parser.parse_args()
    sources = [p for p in sorted(arguments.source.glob("[0-9]*.py")) if p.name.startswith(tuple(arguments.steps))]
    if not sources:
        parser.error(f"no steps found in {arguments.source}")
    steps = []
    with tempfile.TemporaryDirectory() as scratch:
        set_environment(Path(scratch))
        for source in sources:
            print(f"{source.stem} ...", end=" ", flush=True)
            try:
                steps.append(execute(source, Path(scratch)))
            except CellExecutionError as error:
                print(f"failed\n{error}", file=sys.stderr)
                return 1
            print(f"{steps[-1].seconds:.0f} s")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for number, step in enumerate(steps):
        nbformat.write(step.notebook, arguments.folder / f"{step.stem}.ipynb")
        before = steps[number - 1] if number else None
        after = steps[number + 1] if number + 1 < len(steps) else None
        text = page_of_step(step, before, after)
        (arguments.folder / f"{step.stem}.html").write_text(text, encoding="utf-8")
    (arguments.folder / "index.html").write_text(page_of_path(steps), encoding="utf-8")
    print(f"open {(arguments.folder / 'index.html').resolve().as_uri()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
