"""Time of a step of the optimizers, on three sets of parameters.

    python -m benchmarks.optimizers [--rounds 200] [--threads 1]

The parameters of an MLP 2-16-16-1, those of a GPT with 4 layers of 128 (0.8 million numbers in 52 tensors), and
10 million numbers in 10 tensors. Both libraries start from the same numbers and get the same gradients; where
they end after a few steps is compared before they are timed. PyTorch runs as it comes, and with its fused kernels.
"""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.timing import in_turn, use_threads

LAYER: list[tuple[int, ...]] = [
    (128,), (128,), (384, 128), (384,), (128, 128), (128,),
    (128,), (128,), (512, 128), (512,), (128, 512), (128,),
]  # fmt: skip
MODELS: dict[str, list[tuple[int, ...]]] = {
    "MLP 2-16-16-1": [(16, 2), (16,), (16, 16), (16,), (1, 16), (1,)],
    "GPT, 0.8 million": [(65, 128), (64, 128), (128,), (128,), *LAYER * 4],
    "10 million": [(1024, 1024)] * 8 + [(512, 2048)] * 2,
}
OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("AdamW", {}),
    ("Adam", {}),
    ("SGD", {"lr": 0.01}),
    ("SGD", {"lr": 0.01, "momentum": 0.9}),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200, help="steps of each on the MLP; fewer on the others")
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    threads = use_threads(options.threads)

    import numpy as np
    import torch

    import minillm

    rng = np.random.default_rng(0)
    for model, shapes in MODELS.items():
        start = [rng.normal(size=shape).astype("float32") for shape in shapes]
        gradients = [rng.normal(size=shape).astype("float32") for shape in shapes]
        size = sum(array.size for array in start)
        for name, settings in OPTIMIZERS:
            optimizers, params = {}, {}
            for who, library, extra in (
                ("minillm", minillm, {}),
                ("torch", torch, {}),
                ("torch, fused", torch, {"fused": True}),
            ):
                params[who] = [library.tensor(array, requires_grad=True) for array in start]
                for p, gradient in zip(params[who], gradients, strict=True):
                    p.grad = library.tensor(gradient)
                optimizers[who] = getattr(library.optim, name)(params[who], **settings, **extra)
            for _ in range(5):
                for optimizer in optimizers.values():
                    optimizer.step()
            for p, q in zip(params["minillm"], params["torch"], strict=True):
                np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-4, atol=1e-5)
            rounds = max(5, options.rounds // max(1, size // 10_000))
            times = in_turn({who: o.step for who, o in optimizers.items()}, rounds)
            momentum = ", momentum" if "momentum" in settings else ""
            print(f"{model}: a step of {name}{momentum}, {size:,} numbers, {threads} thread(s)")
            print(times.table(base="torch"))
            print()


if __name__ == "__main__":
    main()
