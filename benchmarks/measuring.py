"""Measuring a workload: build the contestants, check that they agree, time them in turn, ask for their memory."""

from __future__ import annotations

import datetime
import importlib.metadata
import importlib.util
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.memory import peak_in_process
from benchmarks.timing import Times, in_turn, seconds_text
from benchmarks.workload import BASE, Contestant, Workload, target_of

FLOOR = "floor"
PAUSE = 0.1  # seconds; OpenBLAS's threads spin for a third of that


def contestants_of(workload: Workload, kernels: Sequence[str], compiled: bool = False) -> list[str]:
    """Return the names of the contestants that can run here, and are asked for."""

    def wanted(name: str) -> bool:
        if name.startswith("torch"):
            return compiled or name != "torch, compiled"
        return any(f" {kernel}" in name for kernel in kernels)

    known = [name for name in workload.names() if wanted(name)]
    if importlib.util.find_spec("numba") is None:
        known = [name for name in known if "numba" not in name]
    return known


def measure(
    key: str,
    workload: Workload,
    names: Sequence[str],
    rounds: int | None = None,
    memory: bool = True,
    say: Callable[[str], object] = print,
) -> dict[str, Any]:
    """Measure a workload and return what the report needs, as JSON holds it.

    Args:
        key: name of the workload, such as W1a.
        workload: what is done.
        names: of the contestants; the base is one of them.
        rounds: turns of each; those of the workload by default.
        memory: whether to run each once more, alone in a process, to see its peak memory.
        say: is told how it goes.

    Raises:
        Disagreement: the contestants do not compute the same; nothing is timed.
    """
    weights = workload.weights()
    contestants = {name: workload.build(name, weights) for name in names}
    del weights
    agreement = workload.check(contestants)
    times = time_contestants(workload, contestants, rounds or workload.rounds)
    say(f"\n{key}: {workload.title}; a {workload.unit}, {os.environ.get('OMP_NUM_THREADS')} thread(s)")
    for name, text in agreement.items():
        if name != BASE:
            say(f"    {name}: {text}")
    say(times.table(BASE, per=workload.runs * workload.per))
    peaks = {name: peak_in_process(key, name, tiny=False) for name in names} if memory and workload.in_process else {}
    if peaks:
        say("peak memory: " + ", ".join(f"{name} {peak / 1e6:.0f} MB" for name, peak in peaks.items()))
    return {
        "title": workload.title,
        "unit": workload.unit,
        "measured": environment(),
        "targets": workload.targets,
        "contestants": {
            name: figures(times, name, workload.runs * workload.per)
            | ({"agreement": agreement[name]} if name in agreement else {})
            | ({"peak_bytes": peaks[name]} if name in peaks else {})
            for name in times.seconds
        },
    }


def time_contestants(workload: Workload, contestants: dict[str, Contestant], rounds: int) -> Times:
    """Return the times of all in turn, and of the workload's floor."""

    def turn(run: Callable[[], Any]) -> Callable[[], None]:
        def several() -> None:
            for _ in range(workload.runs):
                run()

        return several

    functions = {name: turn(contestant.run) for name, contestant in contestants.items()}
    floor = workload.floor()
    if floor is not None:
        functions[FLOOR] = turn(floor)
    prepare = {name: contestant.prepare for name, contestant in contestants.items()}
    return in_turn(functions, rounds, warmup=1 if workload.in_process else 0, prepare=prepare, pause=PAUSE)


def figures(times: Times, name: str, per: int) -> dict[str, Any]:
    """Return the figures of one contestant."""
    ratios = times.ratios(name, BASE)
    return {
        "median_ratio": statistics.median(ratios),
        "least_ratio": min(ratios),
        "ratio_of_best": min(times.seconds[name]) / min(times.seconds[BASE]),
        "median_seconds": times.median(name) / per,
        "least_seconds": min(times.seconds[name]) / per,
        "rounds": len(ratios),
    }


def environment() -> dict[str, Any]:
    """Return where and with what this was measured."""
    versions = {}
    for library in ("numpy", "numba", "torch"):
        if importlib.util.find_spec(library) is not None:
            versions[library] = importlib.metadata.version(library)
    return {
        "date": datetime.date.today().isoformat(),
        "threads": int(os.environ.get("OMP_NUM_THREADS", "1")),
        "cores": os.cpu_count(),
        "processor": processor(),
        "python": platform.python_version(),
        **versions,
    }


def processor() -> str:
    """Return the name of the processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def summary(key: str, result: dict[str, Any]) -> str:
    """Return a line for the end: each ratio beside its target."""
    parts = []
    for name, found in result["contestants"].items():
        if name == BASE:
            continue
        target = target_of(result["targets"], name)
        wanted = f" (wanted {target:.2f})" if target is not None else ""
        parts.append(f"{name} {found['median_ratio']:.2f}{wanted}")
    base = seconds_text(result["contestants"][BASE]["median_seconds"])
    return f"{key:4} {BASE} {base}; " + "; ".join(parts)
