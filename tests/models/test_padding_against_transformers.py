"""Decoders on padded batches beside transformers: the loss with padding among the labels, and its gradients.

Many programs give ``labels=inputs["input_ids"]``, so that padding is predicted, too; what padding may look at then
counts.
"""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm import models

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

KINDS = {
    "GPT2LMHeadModel": {
        "vocab_size": 31, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2, "resid_pdrop": 0.0,
        "embd_pdrop": 0.0, "attn_pdrop": 0.0,
    },
    "LlamaForCausalLM": {
        "vocab_size": 31, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 16,
    },
}  # fmt: skip


@pytest.fixture(scope="module", params=KINDS)
def pair(request, tmp_path_factory):
    torch.manual_seed(0)
    kind = getattr(transformers, request.param)
    settings = {"initializer_range": 0.3, "bos_token_id": None, "eos_token_id": None, **KINDS[request.param]}
    theirs = kind(kind.config_class(**settings))
    folder = tmp_path_factory.mktemp("model")
    theirs.save_pretrained(folder)
    return theirs, getattr(models, request.param).from_pretrained(folder)


@pytest.mark.parametrize("side", ["left", "right"])
def test_every_logit_the_loss_and_the_gradients_are_equal(pair, side):
    theirs, ours = pair
    x = np.random.default_rng(0).integers(0, 31, (3, 7))
    mask = np.ones_like(x)
    mask[1, 3:] = mask[2, 6:] = 0
    if side == "left":
        mask = mask[:, ::-1].copy()
    for model in pair:
        model.zero_grad()
    expected = theirs(torch.tensor(x), attention_mask=torch.tensor(mask), labels=torch.tensor(x))
    found = ours(minillm.tensor(x), attention_mask=minillm.tensor(mask), labels=minillm.tensor(x))
    np.testing.assert_allclose(found.logits.numpy(force=True), expected.logits.detach().numpy(), atol=1e-5)
    assert found.loss.item() == pytest.approx(expected.loss.item(), rel=1e-5)
    expected.loss.backward()
    found.loss.backward()
    gradients = {name: parameter.grad.numpy() for name, parameter in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        wanted = gradients[name]
        if name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            wanted = wanted.T
        np.testing.assert_allclose(parameter.grad.numpy(), wanted, atol=2e-5, rtol=1e-4, err_msg=name)


def test_attentions_and_the_fused_form_agree_on_padding(pair):
    _, ours = pair
    x = np.random.default_rng(0).integers(0, 31, (2, 6))
    for mask in (np.array([[1] * 6, [0, 0, 1, 1, 1, 1]]), np.array([[1] * 6, [1, 1, 1, 0, 0, 0]])):
        given = {"attention_mask": minillm.tensor(mask)}
        fused = ours(minillm.tensor(x), **given).logits.numpy(force=True)
        output = ours(minillm.tensor(x), output_attentions=True, **given)
        np.testing.assert_allclose(output.logits.numpy(force=True), fused, atol=1e-5)
        weights = output.attentions[0].numpy(force=True)
        assert (weights[1][:, :, mask[1] == 0] == 0).all()
        sums = weights.sum(-1)
        assert (np.isclose(sums, 1, atol=1e-5) | (sums == 0)).all()


def test_a_token_after_padding_alone_gives_numbers(pair):
    _, ours = pair
    with minillm.no_grad():
        cache = ours.start_cache(8)
        mask = minillm.tensor([[0, 0], [1, 1]])
        ours(minillm.tensor([[1, 2], [3, 4]]), attention_mask=mask, past_key_values=cache)
        later = minillm.tensor([[0], [1]])
        logits = ours(minillm.tensor([[5], [6]]), attention_mask=later, past_key_values=cache).logits
        assert np.isfinite(logits.numpy()).all()
