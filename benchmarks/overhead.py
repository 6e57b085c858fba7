"""What an operation costs beside its arithmetic, on three numbers: minillm and PyTorch in turn.

    python -m benchmarks overhead [--rounds 30] [--save FILE] [--check FILE]

Of each operation three times are taken: forward where nothing is recorded, forward with recording, and backward
alone, over graphs that were built before. The last lines are whole training steps of an MLP 2-16-16-1 on 32 points,
where this overhead is nearly all there is.

Nanoseconds depend on the machine, and on what else it does. So NumPy's own ``a + b`` is measured in each round, too,
and ``--save`` writes the times over that. ``--check`` measures again, compares with such a file, and ends with an
error where an operation has become slower by more than ``--tolerance``, three times in a row.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.timing import in_turn, use_threads

REPEATS = 200  # calls in a round
REFERENCE = "numpy a + b"

Action = Callable[[], Any]


def operations(library: Any) -> tuple[dict[str, Action], list[Any]]:
    """Return functions that do one operation each, and the tensors that get gradients by them."""
    functional = library.nn.functional
    x, plain, row = library.ones(3, requires_grad=True), library.ones(3), library.ones(1, 3)
    matrix = library.ones(3, 3, requires_grad=True)
    layer = library.nn.Linear(3, 3)
    table: dict[str, Action] = {
        "a + b": lambda: x + plain,
        "a * b": lambda: x * plain,
        "a * 2": lambda: x * 2.0,
        "tanh": lambda: x.tanh(),
        "relu": lambda: functional.relu(x),
        "matmul": lambda: row @ matrix,
        "linear": lambda: functional.linear(row, matrix, x),
        "module Linear": lambda: layer(row),
        "layer_norm": lambda: functional.layer_norm(row, (3,), x),
        "mse_loss": lambda: functional.mse_loss(x, plain),
        "sum": lambda: x.sum(),
        "x[1]": lambda: x[1],
        "reshape": lambda: x.reshape(3, 1),
    }
    return table, [x, matrix, *layer.parameters()]


def training_step(library: Any, optimizer: str) -> Action:
    """Return a training step of a small network."""
    nn = library.nn
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
    x, y = library.randn(32, 2), library.randn(32, 1)
    settings = {"Adam": {"lr": 0.01}, "SGD": {"lr": 0.01, "momentum": 0.9}}[optimizer]
    steps = getattr(library.optim, optimizer)(model.parameters(), **settings)

    def step() -> None:
        loss = nn.functional.mse_loss(model(x), y)
        steps.zero_grad()
        loss.backward()
        steps.step()

    return step


def repeated(run: Action) -> Action:
    def many() -> None:
        for _ in range(REPEATS):
            run()

    return many


def without_recording(library: Any, run: Action) -> Action:
    def many() -> None:
        with library.no_grad():
            for _ in range(REPEATS):
                run()

    return many


def backward_alone(library: Any, run: Action, leaves: list[Any]) -> tuple[Action, Action]:
    """Return what builds the graphs, and what walks over them; gradients are new each time, as in training."""
    graphs: list[Any] = []
    dy = library.ones(tuple(run().shape))
    for leaf in leaves:
        leaf.grad = None
    run().backward(dy)
    filled = [leaf for leaf in leaves if leaf.grad is not None]

    def build() -> None:
        graphs[:] = [run() for _ in range(REPEATS)]

    def walk() -> None:
        for y in graphs:
            for leaf in filled:
                leaf.grad = None
            y.backward(dy)

    return build, walk


def measure(libraries: dict[str, Any], rounds: int, only: set[str] | None = None) -> dict[str, dict[str, float]]:
    """Return, for each line of the table, nanoseconds a call, and minillm's ratios: the median of all rounds."""
    import numpy as np

    array = np.ones(3, "float32")
    table: dict[str, dict[str, float]] = {}

    def add(label: str, runs: dict[str, Action], prepare: dict[str, Action] | None = None) -> None:
        if only is not None and label not in only:
            return
        runs = {REFERENCE: repeated(lambda: array + array), **runs}
        times = in_turn(runs, rounds, prepare=prepare)
        table[label] = {name: min(seconds) / REPEATS * 1e9 for name, seconds in times.seconds.items()}
        for base in (REFERENCE, "torch"):
            if base in runs:
                table[label][f"over {base}"] = times.ratio("minillm", base)

    runs = {name: operations(library) for name, library in libraries.items()}
    for operation in runs["minillm"][0]:
        here = {name: run[operation] for name, (run, _) in runs.items()}
        add(f"{operation}: no_grad", {name: without_recording(libraries[name], run) for name, run in here.items()})
        add(f"{operation}: recorded", {name: repeated(run) for name, run in here.items()})
        pairs = {name: backward_alone(libraries[name], run, runs[name][1]) for name, run in here.items()}
        prepare = {name: build for name, (build, _) in pairs.items()}
        add(f"{operation}: backward", {name: walk for name, (_, walk) in pairs.items()}, prepare)
    for optimizer in ("Adam", "SGD"):
        steps = {name: training_step(library, optimizer) for name, library in libraries.items()}
        add(f"step of an MLP with {optimizer}", {name: repeated(step) for name, step in steps.items()})
    return table


def ratios(table: dict[str, dict[str, float]], base: str) -> dict[str, float]:
    """Return minillm's times over those of another in the same rounds."""
    return {label: round(line[f"over {base}"], 2) for label, line in table.items() if f"over {base}" in line}


def slower(found: dict[str, float], saved: dict[str, float], tolerance: float) -> dict[str, str]:
    """Return an account of each operation that is slower than saved by more than a factor of ``tolerance``."""
    return {
        label: f"{label}: {ratio:.1f} times NumPy's a + b; {saved[label]:.1f} in the file"
        for label, ratio in found.items()
        if label in saved and ratio > tolerance * saved[label]
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks overhead", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--save", type=Path, help="write date, versions and ratios to this JSON file")
    parser.add_argument("--check", type=Path, help="compare with such a file")
    parser.add_argument("--tolerance", type=float, default=1.5, help="how much slower than in the file is an error")
    options = parser.parse_args(arguments)
    use_threads(1)

    import numpy as np

    import minillm

    libraries = {"minillm": minillm}
    versions = {"python": platform.python_version(), "numpy": np.__version__, "minillm": minillm.__version__}
    try:
        import torch
    except ImportError:
        print('PyTorch is not installed (pip install "minillm[test]"): minillm alone')
    else:
        libraries["torch"] = torch
        versions["torch"] = torch.__version__
    table = measure(libraries, options.rounds)
    print("Nanoseconds, the best of all rounds; how often NumPy's a + b, and PyTorch's time: medians of all rounds\n")
    print(f"{'':32}{'minillm':>9}{'/ numpy':>9}" + (f"{'torch':>9}{'/ torch':>9}" if "torch" in libraries else ""))
    found, to_torch = ratios(table, REFERENCE), ratios(table, "torch")
    for label, times in table.items():
        theirs = f"{times['torch']:9.0f}{to_torch[label]:9.2f}" if "torch" in times else ""
        print(f"{label:32}{times['minillm']:9.0f}{found[label]:9.1f}{theirs}")
    if options.save:
        content = {"date": time.strftime("%Y-%m-%d"), "versions": versions, "over_numpy": found, "over_torch": to_torch}
        options.save.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if options.check:
        saved = json.loads(options.check.read_text(encoding="utf-8"))["over_numpy"]
        slow = slower(found, saved, options.tolerance)
        for _ in range(2):  # another program may have been in the way: only what is slow each time counts
            if slow:
                again = measure(libraries, options.rounds, set(slow))
                slow = slower(ratios(again, REFERENCE), saved, options.tolerance)
        if slow:
            sys.exit(f"\nSlower than in {options.check}:\n" + "\n".join(slow.values()))
        print(f"\nNothing is slower than in {options.check} by more than a factor of {options.tolerance}.")


if __name__ == "__main__":
    main()
