"""Where the time of a workload goes: products, each file of kernels, the engine, modules, the optimizer.

    python -m benchmarks profile [W1a W1b W2a W2b W3 W4 W5] [--kernels numba] [--threads 1] [--rounds 5]

Python's profiler attributes the time of each run to the function that spent it; compiled loops count for the kernel
that called them, and so do the products inside them, which are nearly all that linear does. The profiler itself
lengthens short calls of Python, so shares of engine and modules are upper bounds. Beside each share stands its time
over PyTorch's for the whole work, measured without the profiler: the ratio would fall by so much if that part cost
nothing.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.measuring import PAUSE
from benchmarks.timing import in_turn, use_threads

PRODUCTS = ("dot", "matmul", "vecdot")
FOLDERS = {
    "minillm/kernels/": "kernels", "minillm/backend/": "backend", "minillm/autograd/": "engine",
    "minillm/ops/": "operations", "minillm/nn/": "modules", "minillm/models/": "modules", "minillm/optim/": "optimizer",
    "minillm/inference/": "generation", "minillm/training/": "training",
}  # fmt: skip


def part_of(file: str, name: str) -> str:
    """Return the part that a function of a profile belongs to.

    Example:
        >>> part_of("~", "<method 'dot' of 'numpy.ndarray' objects>"), part_of("/x/minillm/kernels/cpu/gelu.py", "gelu")
        ('products', 'gelu (kernels)')
    """
    if any(f"'{product}'" in name or name == f"<built-in method numpy.{product}>" for product in PRODUCTS):
        return "products"
    file = file.replace("\\", "/")
    part = next((part for folder, part in FOLDERS.items() if folder in file), "NumPy and Python")
    return f"{Path(file).stem} (kernels)" if part == "kernels" else part


def shares(run: Any, rounds: int) -> dict[str, float]:
    """Return the share of each part in the time of some runs, the largest first."""
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(rounds):
        run()
    profile.disable()
    seconds: Counter[str] = Counter()
    stats: Any = pstats.Stats(profile)
    for (file, _, name), (_, _, own, _, callers) in stats.stats.items():
        part = part_of(file, name)
        if part == "NumPy and Python" and callers:  # what a kernel asks of NumPy is the kernel's
            total = sum(caller[2] for caller in callers.values()) or 1.0
            for (caller_file, _, caller_name), caller in callers.items():
                seconds[part_of(caller_file, caller_name)] += own * caller[2] / total
        else:
            seconds[part] += own
    total = sum(seconds.values())
    return {part: spent / total for part, spent in seconds.most_common()}


def main(arguments: list[str] | None = None) -> None:
    """Print the parts of each workload."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks profile", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD")
    parser.add_argument("--kernels", default="numba", choices=["numpy", "numba"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiny", action="store_true", help="tiny sizes: to see whether it runs")
    options = parser.parse_args(arguments)
    use_threads(options.threads)

    from benchmarks.workloads import WORKLOADS

    keys = options.workloads or [key for key, workload in WORKLOADS.items() if workload.in_process]
    if unknown := [key for key in keys if key not in WORKLOADS or not WORKLOADS[key].in_process]:
        parser.error(f"no workload named {', '.join(unknown)} that runs in this process")
    name = f"minillm {options.kernels}"
    for key in keys:
        workload = WORKLOADS[key].tiny() if options.tiny else WORKLOADS[key]
        weights = workload.weights()
        contestants = {who: workload.build(who, weights) for who in ("torch", name)}
        times = in_turn(
            {who: c.run for who, c in contestants.items()},
            options.rounds,
            warmup=1,
            prepare={who: c.prepare for who, c in contestants.items()},
            pause=PAUSE,
        )
        ratio = times.ratio(name, "torch")
        print(f"\n{key}: {name}, {options.threads} thread(s), {ratio:.2f} of PyTorch's time")
        for part, share in shares(contestants[name].run, options.rounds).items():
            if share >= 0.005:
                print(f"    {part:24} {share:6.1%} {share * ratio:6.2f}")


if __name__ == "__main__":
    main()
