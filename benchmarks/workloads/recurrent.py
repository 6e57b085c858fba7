"""W2a: a training step of an LSTM language model with AdamW; W2b: of one with a tanh RNN and SGD."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.products import Products
from benchmarks.workload import TrainingWorkload


@dataclasses.dataclass
class RecurrentStep(TrainingWorkload):
    cell: str
    width: int = 512
    steps: int = 64
    batch_size: int = 32
    vocab_size: int = 10000
    targets: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def title(self) -> str:
        kind = {"lstm": "LSTM", "rnn": "tanh RNN"}[self.cell]
        return (
            f"{kind} language model, {self.width} wide, batch {self.batch_size} x {self.steps}, "
            f"vocabulary {self.vocab_size}"
        )

    @property
    def optimizer(self) -> tuple[str, dict[str, Any]]:
        return ("AdamW", {"lr": 1e-3}) if self.cell == "lstm" else ("SGD", {"lr": 0.1})

    def tiny(self) -> RecurrentStep:
        return dataclasses.replace(self, width=16, steps=5, batch_size=4, vocab_size=30)

    def minillm_model(self) -> Any:
        from minillm.models import RNNLMConfig, RNNLMHeadModel

        return RNNLMHeadModel(RNNLMConfig(self.vocab_size, self.width, self.width, cell=self.cell))

    def torch_model(self) -> Any:
        from benchmarks.torch_models import RecurrentLM

        return RecurrentLM(self.cell, self.width, self.vocab_size)

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        tokens = np.random.default_rng(0).integers(0, self.vocab_size, (self.batch_size, self.steps + 1))
        return tokens[:, :-1].copy(), tokens[:, 1:].copy()

    def minillm_loss(self, model: Any, x: Any, y: Any) -> Any:
        return model(x, targets=y).loss

    def floor(self) -> Callable[[], Any]:
        products = Products()
        products.recurrent(self.steps, self.batch_size, self.width, {"lstm": 4, "rnn": 1}[self.cell])
        products.linear(self.steps * self.batch_size, self.width, self.vocab_size)
        return products.run
