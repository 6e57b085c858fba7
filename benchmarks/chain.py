"""A chain of 100,000 operations, forward and backward: minillm beside PyTorch.

    python -m benchmarks.chain
"""

from __future__ import annotations

import argparse

from benchmarks.timing import in_turn, seconds_text, use_threads

use_threads(1)

import minillm  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    outputs = {}

    def steps(name: str, library) -> dict:
        x = library.ones(1, requires_grad=True)

        def forward() -> None:
            y = x
            for _ in range(options.length):
                y = y * 1.00001
            outputs[name] = y

        def backward() -> None:
            x.grad = None
            outputs.pop(name).backward()

        return {f"{name}, forward": forward, f"{name}, backward": backward}

    functions = steps("minillm", minillm)
    try:
        import torch
    except ImportError:
        base = "minillm, forward"
        print('PyTorch is not installed (pip install "minillm[test]"): minillm alone')
    else:
        base = "torch, forward"
        functions.update(steps("torch", torch))
    times = in_turn(functions, options.rounds, warmup=1)
    print(f"{options.length:,} multiplications, one thread")
    print(times.table(base))
    total = times.median("minillm, forward") + times.median("minillm, backward")
    print(f"minillm, forward and backward: {seconds_text(total)}")


if __name__ == "__main__":
    main()
