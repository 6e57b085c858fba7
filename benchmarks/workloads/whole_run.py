"""W6: the preset shakespeare-char from the start of the process to its end, in processes of their own.

``minillm train`` beside a script for PyTorch that does the same (``benchmarks/torch_char.py``): importing, reading
and encoding the text, 2000 steps, evaluations, checkpoints, the loss on the whole validation text.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import ClassVar

from benchmarks.workload import BASE, Arrays, Contestant, Disagreement, Workload, kernel_set

LOSS_APART = 0.06  # weights and batches are drawn anew: over seeds the loss lies within 0.04
TRIED = 20  # steps of the runs that show that all contestants work, before any is timed


def shakespeare() -> str:
    """Return the path of tinyshakespeare.

    Raises:
        FileNotFoundError: MINILLM_DATA does not name a folder that has it.
    """
    path = Path(os.environ.get("MINILLM_DATA", ""), "tinyshakespeare", "input.txt")
    if not os.environ.get("MINILLM_DATA") or not path.exists():
        raise FileNotFoundError("tinyshakespeare: set MINILLM_DATA to a folder with tinyshakespeare/input.txt")
    return str(path)


@dataclasses.dataclass
class WholeRun(Workload):
    steps: int = 2000
    text: str | None = None  # tinyshakespeare by default
    rounds: int = 3
    targets: dict[str, float] = dataclasses.field(default_factory=dict)
    losses: dict[str, float] = dataclasses.field(default_factory=dict)  # of the latest run of each contestant

    unit: ClassVar[str] = "run"
    in_process: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"preset shakespeare-char, {self.steps} steps, the whole process"

    def tiny(self) -> WholeRun:
        return dataclasses.replace(self, steps=2)

    def names(self) -> list[str]:
        return ["torch", "torch, fused", "minillm numpy", "minillm numba"]

    def weights(self) -> Arrays:
        return {}

    def command(self, name: str, out: str, steps: int) -> list[str]:
        """Return the command of a contestant, which writes its files to ``out``."""
        threads = os.environ.get("OMP_NUM_THREADS", "1")
        shared = ["--text", self.text or shakespeare(), "--out", out, "--steps", str(steps), "--threads", threads]
        if name.startswith("torch"):
            fused = ["--fused"] if name == "torch, fused" else []
            return [sys.executable, "-m", "benchmarks.torch_char", *shared, *fused]
        preset = ["--preset", "shakespeare-char", "--warmup", "100", "--quiet"]
        return [sys.executable, "-m", "minillm", "train", *preset, *shared]

    def build(self, name: str, weights: Arrays | None = None) -> Contestant:
        def run() -> float:
            self.losses[name] = self.loss_after(name, self.steps)
            self.compare(name, self.losses)
            return self.losses[name]

        return Contestant(run)

    def loss_after(self, name: str, steps: int) -> float:
        """Run a contestant, and return its loss on the validation text."""
        env = dict(os.environ)
        if not name.startswith("torch"):
            env["MINILLM_KERNELS"] = kernel_set(name)
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder, "run")
            done = subprocess.run(self.command(name, str(out), steps), env=env, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{self.title}: {name} failed:\n{done.stderr[-2000:]}")
            return final_loss(out / "log.jsonl")

    def compare(self, name: str, losses: dict[str, float]) -> None:
        """Refuse a loss that is far from PyTorch's, whose turn is the first."""
        if BASE in losses and not abs(losses[name] - losses[BASE]) <= LOSS_APART:
            raise Disagreement(
                f"{self.title}: {name} ends at a validation loss of {losses[name]:.4f}, {BASE} at {losses[BASE]:.4f}; "
                f"allowed are {LOSS_APART} between them"
            )

    def check(self, contestants: dict[str, Contestant]) -> dict[str, str]:
        """Try all with a few steps; the losses at the end are compared when each has been timed."""
        steps = min(TRIED, self.steps)
        losses = {name: self.loss_after(name, steps) for name in contestants}
        for name in losses:
            self.compare(name, losses)
        return {name: f"validation loss {loss:.4f} after {steps} steps" for name, loss in losses.items()}


def final_loss(log: Path) -> float:
    """Return the loss on the whole validation text, from the last line of a run's log."""
    record = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
    return float(record["val_loss"])
