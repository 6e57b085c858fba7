"""Tokens that are added to a model: old ones stay, new ones begin as their mean, ties hold."""

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

X = minillm.tensor([[1, 2, 3]])


def build(kind: str, tied: bool):
    minillm.manual_seed(0)
    if kind == "gpt2":
        config = GPT2Config(vocab_size=11, n_positions=8, n_embd=8, n_layer=1, n_head=2, tie_word_embeddings=tied)
        return GPT2LMHeadModel(config).eval()
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    if kind == "bert":
        return BertForMaskedLM(BertConfig(vocab_size=11, tie_word_embeddings=tied, **sizes)).eval()
    if kind == "llama":
        return LlamaForCausalLM(LlamaConfig(vocab_size=11, tie_word_embeddings=tied, **sizes)).eval()
    return RNNLMHeadModel(
        RNNLMConfig(vocab_size=11, embedding_dim=8, hidden_size=8, tie_word_embeddings=tied)
    ).eval()


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", ["gpt2", "bert", "llama", "rnn"])
def test_more_tokens_and_fewer(tmp_path, kind, tied):
    model = build(kind, tied)
    before = model(X).logits.numpy(force=True)
    old = model.get_input_embeddings().weight.numpy(force=True).copy()
    assert model.resize_token_embeddings(14) is model.get_input_embeddings()
    rows = model.get_input_embeddings().weight.numpy(force=True)
    np.testing.assert_array_equal(rows[:11], old)
    np.testing.assert_allclose(rows[11:], np.broadcast_to(old.mean(axis=0), (3, 8)), rtol=1e-6)
    assert model.config.vocab_size == 14
    after = model(X).logits.numpy(force=True)
    np.testing.assert_allclose(after[..., :11], before, rtol=1e-5, atol=1e-6)
    assert (after[..., 11:] <= before.max(axis=-1, keepdims=True) + 1e-6).all()
    assert (model.get_output_embeddings().weight is model.get_input_embeddings().weight) == tied

    model(minillm.tensor([[12, 13, 2]]), labels=minillm.tensor([[12, 13, 2]])).loss.backward()
    assert model.get_input_embeddings().weight.grad.shape == (14, 8)
    model.save_pretrained(tmp_path)
    back = type(model).from_pretrained(tmp_path)
    np.testing.assert_array_equal(back(X).logits.numpy(force=True), after)

    model.resize_token_embeddings(5)
    np.testing.assert_allclose(model(X).logits.numpy(force=True), before[..., :5], rtol=1e-5, atol=1e-6)
    assert model.resize_token_embeddings(9, pad_to_multiple_of=8).num_embeddings == 16


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["gpt2", "bert"])
def test_it_agrees_with_transformers(tmp_path, kind):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model = build(kind, True)
    model.save_pretrained(tmp_path)
    theirs = getattr(transformers, type(model).__name__).from_pretrained(tmp_path).eval()
    theirs.resize_token_embeddings(14)
    model.resize_token_embeddings(14)
    expected = theirs(torch.tensor([[1, 2, 12]])).logits.detach().numpy()
    np.testing.assert_allclose(model(minillm.tensor([[1, 2, 12]])).logits.numpy(force=True), expected, atol=1e-4)


def test_a_frozen_embedding_stays_frozen():
    model = build("gpt2", True)
    model.get_input_embeddings().weight.requires_grad_(False)
    model.resize_token_embeddings(14)
    assert not model.get_input_embeddings().weight.requires_grad


def test_without_a_number_nothing_changes():
    model = build("gpt2", True)
    weight = model.get_input_embeddings().weight
    assert model.resize_token_embeddings().weight is weight
    with pytest.raises(ValueError, match="got 0 tokens; it needs at least one"):
        model.resize_token_embeddings(0)


def test_parameters_are_counted_once():
    model = build("gpt2", True)
    everything = sum(p.numel() for p in model.parameters())
    assert model.num_parameters() == everything
    assert model.num_parameters(exclude_embeddings=True) == everything - 11 * 8 - 8 * 8
    model.transformer.wpe.requires_grad_(False)
    assert model.num_parameters(only_trainable=True) == everything - 8 * 8
    assert model.device.type == "cpu"
    assert model.dtype == minillm.float32
    assert model.base_model is model.transformer
    assert model.transformer.base_model is model.transformer
