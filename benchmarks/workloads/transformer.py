"""W1a and W1b: a training step of a GPT; W3: one of a BERT that labels texts. Without dropout, with AdamW."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.products import Products
from benchmarks.workload import Arrays, TrainingWorkload


@dataclasses.dataclass
class GPTStep(TrainingWorkload):
    layers: int
    heads: int
    width: int
    block_size: int
    batch_size: int
    vocab_size: int
    runs: int = 1
    rounds: int = 10
    targets: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def title(self) -> str:
        return (
            f"GPT, {self.layers} layers, {self.heads} heads, {self.width} wide, "
            f"batch {self.batch_size} x {self.block_size}, vocabulary {self.vocab_size}"
        )

    def tiny(self) -> GPTStep:
        return dataclasses.replace(self, layers=1, heads=2, width=16, block_size=8, batch_size=4, vocab_size=11)

    def minillm_model(self) -> Any:
        from minillm.models import GPT2Config, GPT2LMHeadModel

        config = GPT2Config(
            vocab_size=self.vocab_size, n_positions=self.block_size, n_embd=self.width, n_layer=self.layers,
            n_head=self.heads, bias=False, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        )  # fmt: skip
        return GPT2LMHeadModel(config)

    def torch_model(self) -> Any:
        from benchmarks.torch_models import GPT

        return GPT(self.layers, self.heads, self.width, self.block_size, self.vocab_size, bias=False)

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        tokens = np.random.default_rng(0).integers(0, self.vocab_size, (self.batch_size, self.block_size + 1))
        return tokens[:, :-1].copy(), tokens[:, 1:].copy()

    def minillm_loss(self, model: Any, x: Any, y: Any) -> Any:
        return model(x, targets=y).loss

    def floor(self) -> Callable[[], Any]:
        products = Products()
        products.transformer(self.layers, self.batch_size, self.block_size, self.width, self.heads)
        products.linear(self.batch_size * self.block_size, self.width, self.vocab_size)
        return products.run


@dataclasses.dataclass
class BertStep(TrainingWorkload):
    layers: int = 6
    heads: int = 12
    width: int = 384
    length: int = 64
    batch_size: int = 32
    vocab_size: int = 30522
    num_labels: int = 2
    targets: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def title(self) -> str:
        return (
            f"BERT, {self.layers} layers, {self.heads} heads, {self.width} wide, "
            f"batch {self.batch_size} x {self.length}, vocabulary {self.vocab_size}"
        )

    def tiny(self) -> BertStep:
        return dataclasses.replace(self, layers=1, heads=2, width=16, length=8, batch_size=4, vocab_size=50)

    def minillm_model(self) -> Any:
        from minillm.models import BertConfig, BertForSequenceClassification

        config = BertConfig(
            vocab_size=self.vocab_size, hidden_size=self.width, num_hidden_layers=self.layers,
            num_attention_heads=self.heads, intermediate_size=4 * self.width, num_labels=self.num_labels,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        )  # fmt: skip
        return BertForSequenceClassification(config)

    def torch_model(self) -> Any:
        from benchmarks.torch_models import Bert

        return Bert(self.layers, self.heads, self.width, 512, self.vocab_size, self.num_labels)

    def torch_names(self, arrays: Arrays) -> Arrays:
        from benchmarks.torch_models import bert_names

        return bert_names(arrays)

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        tokens = rng.integers(1, self.vocab_size, (self.batch_size, self.length))
        return tokens, rng.integers(0, self.num_labels, self.batch_size)

    def minillm_loss(self, model: Any, x: Any, y: Any) -> Any:
        return model(x, labels=y).loss

    def floor(self) -> Callable[[], Any]:
        products = Products()
        products.transformer(self.layers, self.batch_size, self.length, self.width, self.heads)
        return products.run
