"""minillm beside PyTorch, in time and memory.

    python -m benchmarks [W1a W1b W2a W2b W3 W4 W5 W6] [--threads 2] [--rounds N] [--kernels numpy,numba]
                         [--compiled] [--no-memory] [--json FILE] [--png FILE]
    python -m benchmarks kernels [NAMES] [--rounds N]    each kernel beside PyTorch's operation
    python -m benchmarks overhead                        what an operation costs beside its arithmetic
    python -m benchmarks profile [WORKLOADS]             where the time goes: products, kernels, the engine, ...
    python -m benchmarks.real_data [NAMES]               what models reach on real data
    python -m benchmarks growth [--json FILE] [--png FILE]  time and memory against length, batch, width, ...

A workload is everyday work through the public API. All contestants run in turn in one process, on the same threads,
from the same weights; losses and gradients are compared first, and where they disagree nothing is timed. Ratios are
times over those of PyTorch as it comes (AdamW not fused): lower is faster. The floor is the time of the matrix
products alone, or of reading the weights.
"""

from __future__ import annotations

import argparse
import importlib
import sys

from benchmarks.timing import use_threads

PARTS = ("kernels", "overhead", "growth", "profile")


def main(arguments: list[str] | None = None) -> None:
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in PARTS:
        importlib.import_module(f"benchmarks.{arguments[0]}").main(arguments[1:])
        return
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="all but W6 by default")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, help="turns of each contestant (default: those of the workload)")
    parser.add_argument("--kernels", default="numpy,numba", help="kernel sets of minillm (default: %(default)s)")
    parser.add_argument("--compiled", action="store_true", help="torch.compile too, which compiles for a minute")
    parser.add_argument("--no-memory", dest="memory", action="store_false", help="do not measure peak memory")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes: to see whether it runs, not how fast")
    parser.add_argument("--json", help="file of the figures; those of other workloads in it are kept")
    parser.add_argument("--png", help="picture of the figures in --json, or of these")
    options = parser.parse_args(arguments)
    use_threads(options.threads)

    from benchmarks import report
    from benchmarks.measuring import contestants_of, measure, summary
    from benchmarks.workload import Disagreement
    from benchmarks.workloads import WORKLOADS

    keys = options.workloads or [key for key, workload in WORKLOADS.items() if workload.in_process]
    unknown = [key for key in keys if key not in WORKLOADS]
    if unknown:
        parser.error(f"no workload named {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    results = {}
    for key in keys:
        workload = WORKLOADS[key].tiny() if options.tiny else WORKLOADS[key]
        names = contestants_of(workload, options.kernels.split(","), options.compiled)
        try:
            results[key] = measure(key, workload, names, options.rounds, options.memory and not options.tiny)
        except (Disagreement, FileNotFoundError) as error:
            sys.exit(f"{key}: {error}")
        if options.json:
            report.write_json(options.json, {key: results[key]})
    print("\nmedian ratios to PyTorch:")
    for key, result in results.items():
        print(summary(key, result))
    if options.png:
        report.draw(report.read_json(options.json) if options.json else results, options.png)


if __name__ == "__main__":
    main()
