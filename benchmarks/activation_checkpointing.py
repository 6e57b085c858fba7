"""Memory and time of a training step with activation checkpointing, beside PyTorch's.

    python -m benchmarks.activation_checkpointing [--threads 2] [--layers 12] [--rounds 10]

A GPT-like stack (384 wide, 6 heads, block 256, batch 8) does a forward and a backward, with every block plain or every
block checkpointed. Times are taken in turn in one process, peak memory alone in processes of their own (see
``benchmarks.memory``): the highest resident memory of three steps, less what was resident before the model was built.
Gradients of both are compared first.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.memory import peak, reset_peak
from benchmarks.timing import in_turn, use_threads

WIDTH, HEADS, BLOCK, BATCH = 384, 6, 256, 8
WAYS = ("minillm", "minillm, checkpointed", "torch", "torch, checkpointed")


def stack(library: Any, layers: int) -> Any:
    """Return a stack of encoder layers of a library, which both build from the same names."""
    nn = library.nn
    library.manual_seed(0)
    return nn.ModuleList([
        nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="gelu", batch_first=True,
                                   norm_first=True)
        for _ in range(layers)
    ])  # fmt: skip


def build(way: str, layers: int) -> tuple[Any, Callable[[], None]]:
    """Return the blocks of a way to train, and its step."""
    if way.startswith("torch"):
        import torch as library
        from torch.utils.checkpoint import checkpoint
    else:
        import minillm as library
        from minillm.nn.utils.checkpoint import checkpoint

    import numpy as np

    blocks = stack(library, layers)
    x = library.tensor(np.random.default_rng(0).standard_normal((BATCH, BLOCK, WIDTH)).astype(np.float32))

    def step() -> None:
        y = x
        for block in blocks:
            y = checkpoint(block, y, use_reentrant=False) if way.endswith("checkpointed") else block(y)
        (y * y).mean().backward()

    return blocks, step


def peak_alone(way: str, layers: int, threads: int) -> int:
    """Return the bytes that three steps take at their highest, in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.activation_checkpointing", "--threads", str(threads)]
    command += ["--layers", str(layers), "--peak-of", way]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def print_peak(way: str, layers: int) -> None:
    build(way, 1)[1]()  # libraries and compiled kernels are loaded now
    before = peak()
    if reset_peak():
        before = peak()
    blocks, step = build(way, layers)
    for _ in range(3):
        for parameter in blocks.parameters():
            parameter.grad = None
        step()
    print(peak() - before)


def compare_gradients(one: Any, other: Any) -> None:
    """Raise an error unless the gradients of both ways agree."""
    for (name, a), (_, b) in zip(one.named_parameters(), other.named_parameters(), strict=True):
        difference = float(abs(a.grad - b.grad).max())
        if not difference <= 1e-5:
            raise SystemExit(f"the gradients of {name} differ by {difference:.2g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--peak-of", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    use_threads(options.threads, libraries=(options.peak_of or "torch").startswith("torch"))
    if options.peak_of:
        print_peak(options.peak_of, options.layers)
        return
    built = {way: build(way, options.layers) for way in WAYS}
    for _, step in built.values():
        step()
    compare_gradients(built["minillm"][0], built["minillm, checkpointed"][0])
    times = in_turn({way: step for way, (_, step) in built.items()}, rounds=options.rounds, warmup=0)
    print(f"{options.layers} blocks, {WIDTH} wide, {BATCH} x {BLOCK} tokens, {options.threads} threads; time of a step")
    print(times.table(base="torch"))
    peaks = {way: peak_alone(way, options.layers, options.threads) for way in WAYS}
    print("peak memory")
    for way, number in peaks.items():
        print(f"{way:24} {number / 2**20:8.0f} MB   {number / peaks['torch']:.2f}")


if __name__ == "__main__":
    main()
