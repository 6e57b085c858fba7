"""How time and memory grow with the size of the work, minillm beside PyTorch, in log-log plots.

    python -m benchmarks growth [CURVES] [--threads 2] [--rounds 5] [--kernels numpy,numba] [--json FILE] [--png FILE]

A training step of a small GPT against the tokens in a window, the windows in a batch, the width and the vocabulary;
forward and backward of a chain of multiplications against its length. The exponent p of each curve, time ~ size^p,
is that of the line through its three largest sizes, by least squares in logarithms. Memory is the highest resident
memory while a size is built and run, less what was resident before the first; each contestant runs alone in a
process, as ``benchmarks/memory.py`` explains.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.memory import peak, reset_peak, resident
from benchmarks.timing import in_turn, seconds_text, use_threads

RUNS = 3  # of each size, for the memory
PAUSE = 0.1
FITTED = 3  # sizes that the exponent is fitted to

Run = Callable[[], Any]


@dataclasses.dataclass(frozen=True)
class Curve:
    """What grows.

    Attributes:
        label: of the size.
        sizes: from small to large.
        build: takes the name of a contestant and a size, and returns what does the work and what prepares it.
    """

    label: str
    sizes: tuple[int, ...]
    build: Callable[[str, int], tuple[Run, Run]]


def gpt(**growing: Callable[[int], int]) -> Callable[[str, int], tuple[Run, Run]]:
    """Return what builds a training step of a GPT with the size in the place of one setting."""

    def build(name: str, size: int) -> tuple[Run, Run]:
        from benchmarks.workloads import GPTStep

        base = GPTStep(layers=2, heads=4, width=128, block_size=128, batch_size=4, vocab_size=256)
        settings = {setting: of_size(size) for setting, of_size in growing.items()}
        training = dataclasses.replace(base, **settings).build(name)
        return training.run, training.prepare

    return build


def chain(name: str, size: int) -> tuple[Run, Run]:
    """Return a chain of so many multiplications of one number, forward and backward."""
    from benchmarks.workload import kernel_set, use_kernels

    if name == "torch":
        import torch as library
    else:
        import minillm as library
    x = library.ones(1, requires_grad=True)

    def run() -> None:
        x.grad = None
        y = x
        for _ in range(size):
            y = y * 1.00001
        y.backward()

    return run, (lambda: None) if name == "torch" else (lambda: use_kernels(kernel_set(name)))


CURVES: dict[str, Curve] = {
    "length": Curve("tokens in a window", (64, 128, 256, 512, 1024, 2048), gpt(block_size=int)),
    "batch": Curve("windows in a batch", (1, 2, 4, 8, 16, 32), gpt(batch_size=int)),
    "width": Curve("width", (32, 64, 128, 256, 512, 1024), gpt(width=int)),
    "vocabulary": Curve("vocabulary", (64, 256, 1024, 4096, 16384, 65536), gpt(vocab_size=int)),
    "operations": Curve("operations in a chain", (100, 300, 1000, 3000, 10000, 30000), chain),
}
TINY: dict[str, tuple[int, ...]] = {
    "length": (4, 8, 16), "batch": (1, 2, 4), "width": (8, 16, 32), "vocabulary": (8, 16, 32),
    "operations": (10, 20, 40),
}  # fmt: skip


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Return the slope of the line through the largest sizes in a log-log plot.

    Example:
        >>> round(exponent([1, 10, 100, 1000], [7, 5, 500, 50000]), 6)
        2.0
    """
    x = [math.log(size) for size in sizes[-FITTED:]]
    y = [math.log(max(value, 1e-12)) for value in values[-FITTED:]]
    return statistics.linear_regression(x, y).slope


def times_of(curve: Curve, sizes: Sequence[int], names: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Return the median seconds of each contestant at each size, in turn."""
    found: dict[str, list[float]] = {name: [] for name in names}
    for size in sizes:
        built = {name: curve.build(name, size) for name in names}
        functions = {name: run for name, (run, _) in built.items()}
        prepare = {name: ready for name, (_, ready) in built.items()}
        times = in_turn(functions, rounds, warmup=2, prepare=prepare, pause=PAUSE)
        for name in names:
            found[name].append(times.median(name))
    return found


def peaks_here(curve: Curve, sizes: Sequence[int], name: str) -> list[int]:
    """Return the peak memory of each size, in this process."""
    run, ready = curve.build(name, min(sizes) // 2 or 1)
    ready()
    for _ in range(RUNS):
        run()
    del run, ready
    gc.collect()
    before = resident("VmRSS") if reset_peak() else peak()
    peaks = []
    for size in sizes:
        reset_peak()
        run, ready = curve.build(name, size)
        ready()
        for _ in range(RUNS):
            run()
        peaks.append(peak() - before)
        del run, ready
        gc.collect()
    return peaks


def peaks_of(key: str, name: str, tiny: bool) -> list[int]:
    """Return the same from a fresh process."""
    command = [sys.executable, "-m", "benchmarks.growth", "--memory-of", key, name, *["--tiny"] * tiny]
    command += ["--threads", os.environ["OMP_NUM_THREADS"]]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the memory of {key}, {name}, could not be measured:\n{done.stderr[-2000:]}")
    peaks: list[int] = json.loads(done.stdout.splitlines()[-1])
    return peaks


def draw(results: dict[str, Any], path: str) -> None:
    """Draw time and memory of every curve, with the exponents."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import NullFormatter

    from benchmarks.report import color_of

    # Of less than a tenth of a megabyte the resident memory says nothing.
    rows = {"seconds": ("time of a step, s", 1.0), "peak_bytes": ("peak memory, MB", 1e6)}
    figure, grid = plt.subplots(2, len(results), figsize=(3.3 * len(results), 6), squeeze=False, sharex="col")
    for axes_of_curve, result in zip(grid.T, results.values(), strict=True):
        for axes, (what, (label, unit)) in zip(axes_of_curve, rows.items(), strict=True):
            for name, found in result["contestants"].items():
                values = [max(value / unit, 0.1 if what == "peak_bytes" else 0) for value in found[what]]
                power = f"{name}: {found[what + '_exponent']:.2f}"
                style = "--" if name == "torch" else "-"
                axes.plot(result["sizes"], values, style, marker=".", color=color_of(name), label=power)
            axes.set(xscale="log", yscale="log", ylabel=label)
            axes.legend(fontsize=7, title="exponent", title_fontsize=7, frameon=False)
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.grid(alpha=0.3)
        axes_of_curve[-1].set_xlabel(result["label"])
        axes_of_curve[-1].set_xscale("log", base=2 if result["label"] != CURVES["operations"].label else 10)
    figure.tight_layout()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def measure(key: str, names: Sequence[str], rounds: int, tiny: bool) -> dict[str, Any]:
    """Return the points and exponents of a curve, as JSON holds them."""
    from benchmarks.measuring import environment

    curve = CURVES[key]
    sizes = TINY[key] if tiny else curve.sizes
    seconds = times_of(curve, sizes, names, rounds)
    contestants = {}
    for name in names:
        peaks = peaks_of(key, name, tiny)
        contestants[name] = {
            "seconds": seconds[name], "seconds_exponent": exponent(sizes, seconds[name]),
            "peak_bytes": peaks, "peak_bytes_exponent": exponent(sizes, peaks),
        }  # fmt: skip
    return {"label": curve.label, "sizes": list(sizes), "measured": environment(), "contestants": contestants}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks growth", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("curves", nargs="*", metavar="CURVE", help=", ".join(CURVES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kernels", default="numpy,numba", help="kernel sets (default: %(default)s)")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes: to see whether it runs")
    parser.add_argument("--json", help="file of the figures")
    parser.add_argument("--png", help="file of the picture")
    parser.add_argument("--memory-of", nargs=2, metavar=("CURVE", "NAME"), help="print the peaks of one contestant")
    options = parser.parse_args(arguments)
    if options.memory_of:
        key, name = options.memory_of
        use_threads(options.threads, libraries=name == "torch")
        print(json.dumps(peaks_here(CURVES[key], TINY[key] if options.tiny else CURVES[key].sizes, name)))
        return
    use_threads(options.threads)
    unknown = [key for key in options.curves if key not in CURVES]
    if unknown:
        parser.error(f"no curve named {', '.join(unknown)}; there are {', '.join(CURVES)}")
    names = ["torch", *(f"minillm {kernels}" for kernels in options.kernels.split(","))]
    results = {}
    for key in options.curves or CURVES:
        result = results[key] = measure(key, names, options.rounds, options.tiny)
        print(f"{result['label']}: {', '.join(map(str, result['sizes']))}")
        for name, found in result["contestants"].items():
            times = " ".join(f"{seconds_text(value):>8}" for value in found["seconds"])
            peaks = " ".join(f"{value / 1e6:7.1f}" for value in found["peak_bytes"])
            print(f"  {name:14} time  {times}   exponent {found['seconds_exponent']:.2f}")
            print(f"  {'':14} MB    {peaks}   exponent {found['peak_bytes_exponent']:.2f}", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if options.png:
        draw(results, options.png)


if __name__ == "__main__":
    main()
