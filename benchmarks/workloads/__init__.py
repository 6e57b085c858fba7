"""The workloads, by name: everyday work with small language models, through the public API."""

from __future__ import annotations

from benchmarks.workload import Workload
from benchmarks.workloads.decode import Decode
from benchmarks.workloads.mlp import MLPStep
from benchmarks.workloads.recurrent import RecurrentStep
from benchmarks.workloads.transformer import BertStep, GPTStep
from benchmarks.workloads.whole_run import WholeRun

WORKLOADS: dict[str, Workload] = {
    "W1a": GPTStep(
        layers=4, heads=4, width=128, block_size=64, batch_size=12, vocab_size=65, runs=8, rounds=20,
        targets={"minillm numpy": 1.00, "minillm numba": 0.70},
    ),
    "W1b": GPTStep(
        layers=6, heads=6, width=384, block_size=256, batch_size=16, vocab_size=65,
        targets={"minillm numpy": 0.95, "minillm numba": 0.85},
    ),
    "W2a": RecurrentStep("lstm", targets={"minillm numpy": 0.80, "minillm numba": 0.72}),
    "W2b": RecurrentStep("rnn", targets={"minillm numpy": 0.72, "minillm numba": 0.68}),
    "W3": BertStep(targets={"minillm numpy": 0.92, "minillm numba": 0.75}),
    "W4": Decode(targets={"minillm numpy": 0.65, "minillm numba": 0.65, "minillm numba, int8": 0.50}),
    "W5": MLPStep(targets={"minillm numpy": 0.12, "minillm numba": 0.12}),
    "W6": WholeRun(targets={"minillm numpy": 1.00, "minillm numba": 0.75}),
}  # fmt: skip

__all__ = ["WORKLOADS", "BertStep", "Decode", "GPTStep", "MLPStep", "RecurrentStep", "WholeRun", "Workload"]
