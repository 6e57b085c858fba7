"""Peak memory of a contestant, alone in a process of its own.

    python -m benchmarks.memory W1a "minillm numpy" [--threads 2] [--tiny]

The process first does the same work on a tiny size, so that the code of libraries and compiled kernels is loaded.
From there on, the highest resident memory while the model is built and three runs are made, less what was resident
before, is what is printed: weights, gradients, moments, activations, temporaries, and what the allocator keeps. On
Linux the mark of the highest is set back before (``/proc/self/clear_refs``); elsewhere ``ru_maxrss`` is read, which
counts from the start of the process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.timing import use_threads

RUNS = 3


def resident(mark: str) -> int:
    """Return the resident memory in bytes: ``VmRSS`` now, ``VmHWM`` at its highest."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{mark}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {mark}")


def reset_peak() -> bool:
    """Set the mark of the highest resident memory back to what is resident; return whether that is possible."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def peak() -> int:
    """Return the highest resident memory in bytes since the mark was set back, or since the process started."""
    if Path("/proc/self/status").exists():
        return resident("VmHWM")
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def peak_in_process(key: str, name: str, tiny: bool) -> int:
    """Return the peak memory in bytes that a contestant takes, measured in a fresh process."""
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    command = [sys.executable, "-m", "benchmarks.memory", key, name, "--threads", threads, *["--tiny"] * tiny]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the memory of {key}, {name}, could not be measured:\n{done.stderr[-2000:]}")
    return int(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload")
    parser.add_argument("contestant")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tiny", action="store_true", help="measure the tiny size itself")
    options = parser.parse_args()
    # PyTorch is imported, if at all, by the contestant: minillm's process does not carry it.
    use_threads(options.threads, libraries=options.contestant.startswith("torch"))

    from benchmarks.workloads import WORKLOADS

    workload = WORKLOADS[options.workload]
    small = workload.tiny()
    warm = small.build(options.contestant)
    for _ in range(RUNS):
        warm.run()
    before = peak()
    if reset_peak():
        before = resident("VmRSS")
    contestant = (small if options.tiny else workload).build(options.contestant)
    for _ in range(RUNS):
        contestant.run()
    print(peak() - before)


if __name__ == "__main__":
    main()
