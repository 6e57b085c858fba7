"""How long ``import minillm`` takes beyond NumPy's own import, in fresh processes.

    python -m benchmarks.import_time
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

PROGRAM = """
import time
start = time.perf_counter()
import numpy
middle = time.perf_counter()
import minillm
print(middle - start, time.perf_counter() - middle)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    pairs = []
    for _ in range(options.rounds + 1):  # the first compiles, and reads from the disk
        run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
        pairs.append([float(word) for word in run.stdout.split()])
    numpy_seconds, minillm_seconds = zip(*pairs[1:], strict=True)
    for name, seconds in (("import numpy", numpy_seconds), ("import minillm, beyond it", minillm_seconds)):
        print(f"{name:26} {statistics.median(seconds):.3f} s (least {min(seconds):.3f} s)")


if __name__ == "__main__":
    main()
