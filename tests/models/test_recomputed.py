"""Models that run their layers again in backward: the same numbers, fewer activations."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm.models import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    RNNLMConfig,
    RNNLMHeadModel,
)
from minillm.nn import Module

BERT = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
MAKERS = {
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=20, n_embd=16, n_layer=3, n_head=2)),
    "bert": lambda: BertForMaskedLM(BertConfig(vocab_size=20, **BERT)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(vocab_size=20, **BERT)),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_the_same_loss_and_gradients_with_dropout(kind, monkeypatch):
    ids = minillm.tensor(np.random.default_rng(0).integers(0, 20, (2, 5)))
    results, calls = [], []
    for enabled in (False, True):
        minillm.manual_seed(0)
        model = MAKERS[kind]().train()
        if enabled:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            layers = next(m for m in model.modules() if type(m).__name__ == "ModuleList")
            forward = type(layers[0]).forward
            monkeypatch.setattr(
                type(layers[0]), "forward", lambda self, *a, **k: calls.append(self) or forward(self, *a, **k)  # noqa: B023
            )
        minillm.manual_seed(1)
        loss = model(ids, labels=ids).loss
        loss.backward()
        results.append((loss.item(), {name: p.grad.numpy().copy() for name, p in model.named_parameters()}))
    assert len(calls) == 6  # each of three layers twice
    assert results[1][0] == pytest.approx(results[0][0], rel=1e-6)
    for name, grad in results[0][1].items():
        np.testing.assert_allclose(results[1][1][name], grad, atol=1e-6, err_msg=name)
    calls.clear()
    model.gradient_checkpointing_disable()
    model(ids, labels=ids).loss.backward()
    model.gradient_checkpointing_enable()
    model.eval()(ids, labels=ids).loss.backward()  # no training, no need
    assert len(calls) == 6


def test_without_layers_it_is_an_error():
    model: Module = RNNLMHeadModel(RNNLMConfig(vocab_size=10, embedding_dim=4, hidden_size=4))
    with pytest.raises(ValueError, match="RNNLMHeadModel: it has no layers that can be run again"):
        model.gradient_checkpointing_enable()
