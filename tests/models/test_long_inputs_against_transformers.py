"""Inputs of hundreds of tokens, some of them padding, which attention reads in pieces: the numbers are equal."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm import models

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

LENGTH, VOCAB = 530, 41
SETTINGS = {
    "BertForTokenClassification": {
        "vocab_size": VOCAB, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 24, "max_position_embeddings": LENGTH, "num_labels": 5, "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    },
    "GPT2LMHeadModel": {
        "vocab_size": VOCAB, "n_positions": LENGTH, "n_embd": 16, "n_layer": 2, "n_head": 2, "resid_pdrop": 0.0,
        "embd_pdrop": 0.0, "attn_pdrop": 0.0,
    },
    "LlamaForCausalLM": {
        "vocab_size": VOCAB, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": LENGTH,
    },
}  # fmt: skip


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("head", SETTINGS)
def test_logits_loss_hidden_states_and_gradients_are_equal(tmp_path, head, padded):
    torch.manual_seed(0)
    kind = getattr(transformers, head)
    theirs = kind(kind.config_class(**SETTINGS[head], initializer_range=0.2))
    theirs.save_pretrained(tmp_path)
    ours = getattr(models, head).from_pretrained(tmp_path).train()
    rng = np.random.default_rng(0)
    x = rng.integers(1, VOCAB, (2, LENGTH))
    labels = x % 5 if head.startswith("Bert") else x.copy()
    mask = np.ones_like(x)
    if padded:
        mask[1, LENGTH - 213 :] = 0
        labels[mask == 0] = -100
    given = {"input_ids": x, "attention_mask": mask, "labels": labels}
    wanted = theirs(**{name: torch.tensor(value) for name, value in given.items()}, output_hidden_states=True)
    got = ours(**{name: minillm.tensor(value) for name, value in given.items()}, output_hidden_states=True)
    seen = mask == 1
    np.testing.assert_allclose(got.logits.numpy(force=True)[seen], wanted.logits.detach().numpy()[seen], atol=1e-5)
    for a, b in zip(got.hidden_states, wanted.hidden_states, strict=True):
        np.testing.assert_allclose(a.numpy(force=True)[seen], b.detach().numpy()[seen], atol=1e-5)
    assert got.loss.item() == pytest.approx(wanted.loss.item(), abs=1e-5)
    wanted.loss.backward()
    got.loss.backward()
    gradients = {name: parameter.grad.numpy() for name, parameter in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        gradient = gradients[name]
        if name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            gradient = gradient.T
        np.testing.assert_allclose(parameter.grad.numpy(), gradient, atol=1e-5, err_msg=name)
