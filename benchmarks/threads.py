"""What the threads of compiled loops cost, what matrix products take, and how long kernels compile.

    python -m benchmarks.threads

Handing half of a loop to another thread: in machine code, and in Python. Products of the workloads' shapes on one
thread, forward and backward: minillm's by the processor's matrix unit (where there is one) and by vectors, and NumPy's,
over PyTorch's; and how far each is off, beside the sum of the sizes of what is added. A training step of a small GPT in
a process that keeps no machine code yet, and in one that finds it.
"""

from __future__ import annotations

import functools
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

import minillm
from benchmarks.timing import in_turn, use_threads

SHAPES = ((768, 128, 512), (4096, 384, 1536), (2048, 512, 10000), (2048, 384, 1536))
STEP = """
import time
start = time.process_time()
import minillm
from minillm.models import GPT2Config, GPT2LMHeadModel
minillm.set_kernels("numba")
model = GPT2LMHeadModel(GPT2Config(vocab_size=65, n_positions=64, n_embd=128, n_layer=4, n_head=4))
optimizer = minillm.optim.AdamW(model.parameters())
ids = minillm.randint(0, 65, (12, 64))
model(ids, labels=ids).loss.backward()
optimizer.step()
print(time.process_time() - start)
"""


def handing_over() -> tuple[float, float]:
    """Return the microseconds that two threads take beyond the half of a loop: in machine code, and in Python.

    A half takes some 20 microseconds in machine code and a millisecond in Python, where a thread has to be woken.
    """
    from numba import njit

    from minillm.backend import in_parts
    from minillm.kernels.fast.pool import in_ranges

    @njit(nogil=True)
    def roots(part: int, begin: int, end: int, x: Any, y: Any) -> None:
        for i in range(begin, end):
            y[i] = np.sqrt(x[i])

    @njit(nogil=True)
    def loop(x: Any, y: Any, count: int, least: int) -> None:
        in_ranges(roots, (x, y), count, least)

    x, y = np.ones(1 << 20), np.ones(1 << 20)
    size = 1 << 14

    def beyond_half(whole: Callable[[], Any], half: Callable[[], Any]) -> float:
        times = in_turn({"whole": whole, "half": half}, 300)
        return (statistics.median(times.seconds["whole"]) - statistics.median(times.seconds["half"])) * 1e6

    def work(part: slice) -> None:
        np.sqrt(x[part], out=y[part])

    return (
        beyond_half(lambda: loop(x, y, 2 * size, size), lambda: loop(x, y, size, size)),
        beyond_half(lambda: in_parts(work, len(x), 2), lambda: work(slice(0, len(x) // 2))),
    )


def products() -> dict[tuple[int, int, int], dict[str, float]]:
    """Return the times of x W^T, dy W and dy^T x over PyTorch's on one thread, of each way to multiply."""
    import torch

    from minillm.kernels.fast import amx
    from minillm.kernels.fast.products import multiply

    minillm.set_num_threads(1)
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    ratios = {}
    for rows, size, width in SHAPES:
        # A unit that multiplies numbers of one value, such as zeros, needs less power and runs faster.
        x, w, dy = (random.standard_normal(s, np.float32) for s in ((rows, size), (width, size), (rows, width)))
        y, dx, dw = np.empty_like(dy), np.empty_like(x), np.empty_like(w)
        all_three = ((x, w.T, y), (dy, w, dx), (dy.T, x, dw))
        tensors = [tuple(map(torch.from_numpy, arrays)) for arrays in all_three]

        def ours(by_unit: bool, arrays: Any = all_three) -> None:
            amx.allow(by_unit)
            for a, b, c in arrays:
                multiply(a, b, c, False)

        def numpy(arrays: Any = all_three) -> None:
            for a, b, c in arrays:
                np.dot(a, b, out=c)

        def theirs(tensors: Any = tensors) -> None:
            for a, b, c in tensors:
                torch.mm(a, b, out=c)

        ways: dict[str, Callable[[], Any]] = {
            "matrix unit": functools.partial(ours, True),
            "vectors": functools.partial(ours, False),
            "NumPy": numpy,
        }
        if not amx.is_available():
            del ways["matrix unit"]
        times = in_turn({**ways, "torch": theirs}, 15)
        amx.allow(True)
        ratios[rows, size, width] = {way: times.ratio(way, "torch") for way in ways}
    return ratios


def errors(depth: int) -> dict[str, float]:
    """Return how far sums of so many products are off: the mean, beside the sum of the sizes of the products."""
    import torch

    from minillm.kernels.fast import amx
    from minillm.kernels.fast.products import multiply

    random = np.random.default_rng(0)
    a, b = random.standard_normal((256, depth), np.float32), random.standard_normal((depth, 256), np.float32)
    exact, size = a.astype(np.float64) @ b, np.abs(a).astype(np.float64) @ np.abs(b)
    results = {"NumPy": a @ b, "torch": (torch.from_numpy(a) @ torch.from_numpy(b)).numpy()}
    for way in ("vectors", "matrix unit") if amx.is_available() else ("vectors",):
        amx.allow(way == "matrix unit")
        multiply(a, b, result := np.empty_like(exact, np.float32), False)
        results[way] = result
    amx.allow(True)
    return {way: float((np.abs(result - exact) / size).mean()) for way, result in results.items()}


def first_steps() -> tuple[float, float]:
    """Return the seconds of CPU until the first step is done: with nothing compiled, and with all kept."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        run = [sys.executable, "-c", STEP]
        first, second = (
            float(subprocess.run(run, env=environment, check=True, capture_output=True, text=True).stdout)
            for _ in range(2)
        )
    return first, second


def main() -> None:
    use_threads(2)
    minillm.set_num_threads(2)
    compiled, python = handing_over()
    print(f"handing a part to another thread: {compiled:.2f} us in machine code, {python:.0f} us in Python")
    for shape, ratios in products().items():
        said = ", ".join(f"{way} {ratio:.2f}" for way, ratio in ratios.items())
        print(f"products of x W^T {shape} over PyTorch's time on one thread: {said}")
    for depth in (128, 512, 2048, 8192):
        print(f"errors of sums of {depth}:", ", ".join(f"{way} {error:.1e}" for way, error in errors(depth).items()))
    first, second = first_steps()
    print(f"the first step of a GPT: {first:.1f} s of CPU with the kernels to compile, {second:.1f} s with them kept")


if __name__ == "__main__":
    main()
