"""A tiny language model with every trait that training must cope with, and a text for it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import minillm
from minillm import nn
from minillm.models import ModelOutput
from minillm.training.config import TrainingConfig

VOCAB = 11


@dataclasses.dataclass
class TinyConfig:
    vocab_size: int = VOCAB


def mean_loss(logits, targets):
    """Cross-entropy from first principles; the target -100 does not count."""
    log_p = minillm.log_softmax(logits.reshape(-1, VOCAB), -1)
    targets = targets.reshape(-1)
    counts = (targets != -100).float()
    chosen = log_p[minillm.arange(len(targets), device=targets.device), targets.clamp(min=0)]
    return -(chosen * counts).sum() / counts.sum()


class TinyModel(nn.Module):
    """Embedding, dropout, a linear layer with bias, and a head tied to the embedding."""

    def __init__(self, dropout: float = 0.1, width: int = 8) -> None:
        super().__init__()
        self.config = TinyConfig()
        self.embedding = nn.Embedding(VOCAB, width)
        self.drop = nn.Dropout(dropout)
        self.fc = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, VOCAB, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, input_ids, targets=None):
        x = self.norm(self.fc(self.drop(self.embedding(input_ids))).tanh())
        logits = self.head(x)
        return ModelOutput(loss=None if targets is None else mean_loss(logits, targets), logits=logits)


def make_model(seed: int = 0, dropout: float = 0.1) -> TinyModel:
    with minillm.backend.fork_rng() as generator:
        generator.manual_seed(seed)
        return TinyModel(dropout)


def make_tokens(count: int = 600) -> np.ndarray:
    """A text with something to learn: each token is mostly the one before it, plus one or three."""
    draws = np.random.default_rng(0)
    return (np.cumsum(draws.choice([1, 3], size=count, p=[0.8, 0.2])) % VOCAB).astype(np.uint16)


def make_config(**changes) -> TrainingConfig:
    settings = {
        "steps": 12, "batch_size": 4, "block_size": 8, "lr": 0.02, "min_lr": 0.002, "warmup": 2,
        "eval_interval": 4, "eval_windows": 5, "checkpoint_interval": 3, "log_interval": 2, "seed": 3,
    }  # fmt: skip
    return TrainingConfig(**{**settings, **changes})


def weights_of(model) -> dict[str, np.ndarray]:
    return {name: np.array(minillm.backend.to_numpy(t.array)) for name, t in model.state_dict().items()}


def assert_same_weights(one, other) -> None:
    one, other = (m if isinstance(m, dict) else weights_of(m) for m in (one, other))
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.fixture
def tokens():
    return make_tokens()
