"""W5: a training step of a small network, where the overhead of a library is all there is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from benchmarks.products import Products
from benchmarks.workload import TrainingWorkload


@dataclasses.dataclass
class MLPStep(TrainingWorkload):
    width: int = 16
    batch_size: int = 32
    runs: int = 300
    rounds: int = 50
    targets: dict[str, float] = dataclasses.field(default_factory=dict)

    optimizer = ("Adam", {"lr": 0.01})
    splits: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"MLP 2-{self.width}-{self.width}-1, tanh, batch {self.batch_size}, mean squared error, Adam"

    def tiny(self) -> MLPStep:
        return dataclasses.replace(self, width=4, batch_size=8, runs=2)

    def network(self, library: Any) -> Any:
        nn, width = library.nn, self.width
        return nn.Sequential(
            nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1)
        )

    def minillm_model(self) -> Any:
        import minillm

        return self.network(minillm)

    def torch_model(self) -> Any:
        import torch

        return self.network(torch)

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        x = np.random.default_rng(0).normal(size=(self.batch_size, 2)).astype("float32")
        return x, np.sin(x.sum(axis=1, keepdims=True))

    def minillm_loss(self, model: Any, x: Any, y: Any) -> Any:
        import minillm

        return minillm.nn.functional.mse_loss(model(x), y)

    def torch_loss(self, model: Any, x: Any, y: Any) -> Any:
        import torch

        return torch.nn.functional.mse_loss(model(x), y)

    def floor(self) -> Callable[[], Any]:
        products = Products()
        for inputs, outputs in ((2, self.width), (self.width, self.width), (self.width, 1)):
            products.linear(self.batch_size, inputs, outputs)
        return products.run
