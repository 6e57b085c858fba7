"""Time of a training step of a small network, where the overhead of a framework is all there is.

    python benchmarks/small_mlp.py [--rounds 300] [--activation tanh|relu]

An MLP 2-16-16-1 learns from 32 points with the mean squared error: forward, loss, backward, step of the
optimizer. minillm and PyTorch start from the same weights, and their losses are compared before they are timed.
The goal is a fifth of PyTorch's time.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from timing import in_turn, use_threads

use_threads(1)

import numpy as np  # noqa: E402
import torch  # noqa: E402

import minillm  # noqa: E402

STEPS = 10  # training steps that are measured at a time


def network(library: Any, activation: str) -> Any:
    nn = library.nn
    act = {"tanh": nn.Tanh, "relu": nn.ReLU}[activation]
    return nn.Sequential(nn.Linear(2, 16), act(), nn.Linear(16, 16), act(), nn.Linear(16, 1))


def training(library: Any, model: Any, optimizer: Any, x: Any, y: Any) -> Callable[[], Any]:
    """Return a function that makes a training step and returns the loss."""
    mse_loss = library.nn.functional.mse_loss

    def step() -> Any:
        loss = mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def contestants(optimizer: str, options: dict[str, Any], activation: str) -> dict[str, Callable[[], Any]]:
    """Return the training steps by the name of the library, from the same weights."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 2)).astype("float32")
    y = np.sin(x.sum(axis=1, keepdims=True))
    ours, theirs = network(minillm, activation), network(torch, activation)
    ours.load_state_dict({name: minillm.tensor(p.numpy()) for name, p in theirs.state_dict().items()})
    fused = network(torch, activation)
    fused.load_state_dict(theirs.state_dict())
    here, there = getattr(minillm.optim, optimizer), getattr(torch.optim, optimizer)
    data = torch.tensor(x), torch.tensor(y)
    return {
        "minillm": training(
            minillm, ours, here(ours.parameters(), **options), minillm.tensor(x), minillm.tensor(y)
        ),
        "torch": training(torch, theirs, there(theirs.parameters(), **options), *data),
        "torch, fused optimizer": training(
            torch, fused, there(fused.parameters(), fused=True, **options), *data
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300, help=f"times that each makes {STEPS} steps")
    parser.add_argument("--activation", choices=("tanh", "relu"), default="tanh")
    options = parser.parse_args()
    for optimizer, settings in (("Adam", {"lr": 0.01}), ("SGD", {"lr": 0.05, "momentum": 0.9})):
        steps = contestants(optimizer, settings, options.activation)
        for _ in range(100):
            losses = [float(step().detach()) for step in steps.values()]
            np.testing.assert_allclose(losses, losses[0], rtol=1e-3)
        many = {name: lambda step=step: [step() for _ in range(STEPS)] for name, step in steps.items()}
        print(f"MLP 2-16-16-1, {options.activation}, batch 32, {optimizer}: a training step, 1 thread")
        print(in_turn(many, options.rounds).table(base="torch", per=STEPS))
        print()


if __name__ == "__main__":
    main()
