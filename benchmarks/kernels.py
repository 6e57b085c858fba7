"""Each kernel of minillm beside PyTorch's operation, forward and backward, on the shapes of the workloads.

    python -m benchmarks kernels [NAMES] [--threads 2] [--rounds 10] [--kernels numpy,numba] [--json FILE]

Names are those of kernels (attention, gelu, adam, ...). Results are compared before they are timed. Forward runs
without a graph, as in generation; both together with one, as in training. Optimizers make a step. Ratios are times
over PyTorch's, the median of the rounds: lower is faster.
"fused" is PyTorch's fused optimizer.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.timing import Times, in_turn, seconds_text, use_threads

TURN = 0.02  # seconds that a turn takes at least
PAUSE = 0.1


def compare(case: Any, passes: dict[str, dict[str, Callable[[], list[Any]]]]) -> None:
    """Check that all contestants come to the same results.

    Raises:
        Disagreement: they do not.
    """
    import numpy as np

    from benchmarks.workload import Disagreement, use_kernels

    for kind in passes["torch"]:
        wanted = [array_of(x) for x in passes["torch"][kind]()]
        for name, mine in passes.items():
            if name == "torch":
                continue
            if name.startswith("minillm"):
                use_kernels(name.split()[1])
            found = [array_of(x) for x in mine[kind]()]
            for a, b in zip(found, wanted, strict=True):
                if a.shape != b.shape:
                    raise Disagreement(f"{case.kernel} {case.label}, {kind}: {name} has {a.shape}, torch {b.shape}")
                a, b = a.astype(np.float32), b.astype(np.float32)
                apart = float(np.abs(a - b).max()) / max(float(np.abs(b).max()), 1e-30)
                if not apart <= case.tolerance:
                    raise Disagreement(
                        f"{case.kernel} {case.label}, {kind}: {name} and torch differ by {apart:.1e} of the largest "
                        f"number; allowed are {case.tolerance:.0e}"
                    )


def array_of(x: Any) -> Any:
    """Return a tensor of either library, or an array, as an array."""
    return x.detach().numpy() if hasattr(x, "detach") else x


def measure(case: Any, kernels: Sequence[str], rounds: int) -> dict[str, Times]:
    """Return the times of a case by pass, of all contestants in turn."""
    import torch

    import minillm
    from benchmarks.workload import use_kernels

    libraries = {"torch": torch, **{f"minillm {name}": minillm for name in kernels}}
    passes = {name: case.make(library) for name, library in libraries.items()}
    if case.fused:
        passes["torch, fused"] = case.make(torch, fused=True)
    compare(case, passes)
    found = {}
    for kind in passes["torch"]:
        runs = calls_of(passes["torch"][kind])

        def several(run: Callable[[], Any], runs: int = runs) -> Callable[[], None]:
            def turn() -> None:
                for _ in range(runs):
                    run()

            return turn

        functions = {name: several(mine[kind]) for name, mine in passes.items()}
        prepare = {f"minillm {name}": (lambda name=name: use_kernels(name)) for name in kernels}
        times = in_turn(functions, rounds, warmup=1, prepare=prepare, pause=PAUSE)
        found[kind] = Times({name: [t / runs for t in seconds] for name, seconds in times.seconds.items()})
    return found


def calls_of(run: Callable[[], Any]) -> int:
    """Return how many calls make a turn long enough."""
    start = time.perf_counter()
    run()
    return max(1, math.ceil(TURN / max(time.perf_counter() - start, 1e-6)))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks kernels", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="KERNEL")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--kernels", default="numpy,numba", help="kernel sets (default: %(default)s)")
    parser.add_argument("--json", help="file of the figures")
    options = parser.parse_args(arguments)
    use_threads(options.threads)

    from benchmarks.kernel_cases import cases
    from benchmarks.workload import Disagreement

    table = cases()
    known = list(dict.fromkeys(case.kernel for case in table))
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"no kernel named {', '.join(unknown)}; there are {', '.join(known)}")
    kernels = options.kernels.split(",")
    print(f"times over PyTorch's, {os.environ['OMP_NUM_THREADS']} thread(s)")
    print(f"{'':68}{'torch':>10}" + "".join(f"{name:>8}" for name in (*kernels, "fused")))
    results = []
    for case in table:
        if options.names and case.kernel not in options.names:
            continue
        try:
            found = measure(case, kernels, options.rounds)
        except Disagreement as error:
            sys.exit(str(error))
        for kind, times in found.items():
            ratios = {name: times.ratio(name, "torch") for name in times.seconds if name != "torch"}
            line = f"{case.kernel + ' ' + case.label:50}{kind:>18}{seconds_text(times.median('torch')):>10}"
            print(line + "".join(f"{ratio:8.2f}" for ratio in ratios.values()), flush=True)
            results.append(
                {"kernel": case.kernel, "label": case.label, "pass": kind, "torch_seconds": times.median("torch"),
                 "ratios": ratios}
            )  # fmt: skip
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
