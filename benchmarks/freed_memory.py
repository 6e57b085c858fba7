"""What it saves to keep freed memory: large temporaries with the allocator's setting and without it.

    python -m benchmarks.freed_memory [--megabytes 6] [--rounds 50]

Fresh processes, in turn, compute a chain of temporaries; each prints the time and the page faults of a chain. On
Linux with glibc alone there is a difference.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

PROGRAM = """
import resource, statistics, sys, time
import numpy as np
import minillm.backend

x = np.ones(int(float(sys.argv[1]) * 250_000), np.float32)

def chain():
    return ((x * 2 + 1) * x - 3) * x + 1

for _ in range(5):
    chain()
times, before = [], resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(int(sys.argv[2])):
    start = time.perf_counter()
    chain()
    times.append(time.perf_counter() - start)
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(statistics.median(times), faults / len(times))
"""


def measure(kept: bool, options: argparse.Namespace) -> tuple[float, float]:
    """Return seconds and page faults of a chain in a fresh process."""
    env = {**os.environ, "MINILLM_MALLOPT": "1" if kept else "0"}
    command = [sys.executable, "-c", PROGRAM, str(options.megabytes), str(options.rounds)]
    seconds, faults = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), float(faults)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=6, help="size of a temporary")
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    runs = [(measure(True, options), measure(False, options)) for _ in range(5)]
    print(f"six operations on {options.megabytes:g} MB each")
    for i, name in enumerate(("freed memory kept", "given back")):
        seconds, faults = (statistics.median(run[i][k] for run in runs) for k in range(2))
        print(f"{name:18} {seconds * 1e3:7.2f} ms  {faults:8.0f} page faults")
    print(f"ratio {statistics.median(kept[0] / back[0] for kept, back in runs):.2f}")


if __name__ == "__main__":
    main()
