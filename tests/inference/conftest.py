"""Small language models to generate with."""

from __future__ import annotations

import pytest

import minillm
from minillm.models import GPT2Config, GPT2LMHeadModel, RNNLMConfig, RNNLMHeadModel


def small_model(kind: str, vocab_size: int = 31, **changes: object):
    """A small model whose logits differ enough for texts that do not just repeat."""
    minillm.manual_seed(0)
    if kind == "gpt2":
        settings = {"n_positions": 24, "n_embd": 24, "n_layer": 2, "n_head": 4, "initializer_range": 0.4}
        return GPT2LMHeadModel(GPT2Config(vocab_size=vocab_size, **{**settings, **changes})).eval()
    settings = {"embedding_dim": 8, "hidden_size": 12, "initializer_range": 2.0, "cell": kind}
    return RNNLMHeadModel(RNNLMConfig(vocab_size=vocab_size, **{**settings, **changes})).eval()


@pytest.fixture(params=["gpt2", "lstm", "gru", "rnn"])
def model(request):
    return small_model(request.param)


@pytest.fixture
def gpt2():
    return small_model("gpt2")


@pytest.fixture
def build():
    return small_model
