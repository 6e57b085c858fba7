"""GPT-2's labels of texts beside those of transformers, padding, losses, gradients and files included."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm.autograd.errors import OperationError
from minillm.models import GPT2Config, GPT2ForSequenceClassification, GPT2LMHeadModel

SIZES = {
    "vocab_size": 31, "n_positions": 12, "n_embd": 16, "n_layer": 2, "n_head": 2, "resid_pdrop": 0.0,
    "embd_pdrop": 0.0, "attn_pdrop": 0.0, "pad_token_id": 0, "initializer_range": 0.2,
}  # fmt: skip
TEXTS = np.array([[3, 4, 5, 6], [7, 8, 0, 0], [0, 0, 9, 10], [5, 0, 6, 0]])


@pytest.mark.parametrize(
    ("num_labels", "labels"),
    [(3, [0, 2, 1, 0]), (1, [0.5, -1.0, 2.0, 0.0]), (2, [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [0.0, 1.0]])],
)
def test_logits_loss_and_gradients_of_transformers(tmp_path, num_labels, labels):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(0)
    theirs = transformers.GPT2ForSequenceClassification(transformers.GPT2Config(**SIZES, num_labels=num_labels)).eval()
    theirs.save_pretrained(tmp_path)
    ours = GPT2ForSequenceClassification.from_pretrained(tmp_path)
    mask = (TEXTS != 0).astype(np.int64)
    wanted = theirs(torch.tensor(TEXTS), attention_mask=torch.tensor(mask), labels=torch.tensor(labels))
    got = ours(minillm.tensor(TEXTS), attention_mask=minillm.tensor(mask), labels=minillm.tensor(labels))
    assert ours.config.num_labels == num_labels
    np.testing.assert_allclose(got.logits.detach().numpy(), wanted.logits.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(got.loss.item(), wanted.loss.item(), rtol=1e-5)
    got.loss.backward()
    wanted.loss.backward()
    gradients = {name: p.grad for name, p in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        wanted_grad = gradients[name].numpy()
        wanted_grad = wanted_grad if wanted_grad.shape == parameter.shape and "c_" not in name else wanted_grad.T
        np.testing.assert_allclose(parameter.grad.numpy(), wanted_grad, atol=2e-5, err_msg=name)
    ours.save_pretrained(tmp_path / "ours")
    back = transformers.GPT2ForSequenceClassification.from_pretrained(tmp_path / "ours").eval()
    again = back(torch.tensor(TEXTS), attention_mask=torch.tensor(mask)).logits
    np.testing.assert_allclose(again.detach().numpy(), wanted.logits.detach().numpy(), atol=1e-6)


def test_a_language_model_gets_the_head(tmp_path):
    language_model = GPT2LMHeadModel(GPT2Config(**SIZES))
    language_model.save_pretrained(tmp_path)
    model = GPT2ForSequenceClassification.from_pretrained(tmp_path, num_labels=5)
    assert (model.transformer.wte.weight == language_model.transformer.wte.weight).all()
    assert model(minillm.tensor(TEXTS), return_dict=False)[0].shape == (4, 5)


def test_padding_changes_nothing():
    model = GPT2ForSequenceClassification(GPT2Config(**SIZES)).eval()
    alone = model(minillm.tensor(TEXTS[1:2, :2])).logits
    np.testing.assert_allclose(model(minillm.tensor(TEXTS)).logits[1].detach(), alone[0].detach(), atol=1e-6)


def test_without_a_padding_token_one_text_at_a_time():
    model = GPT2ForSequenceClassification(GPT2Config(**{**SIZES, "pad_token_id": None})).eval()
    assert model(minillm.tensor(TEXTS[:1])).logits.shape == (1, 2)
    with pytest.raises(OperationError, match=r"got 4 texts, and config\.pad_token_id is None"):
        model(minillm.tensor(TEXTS))


def test_labels_have_names():
    config = GPT2Config(id2label={0: "bad", 1: "good"})
    assert config.label2id == {"bad": 0, "good": 1}
    assert GPT2Config.from_dict(config.to_dict()) == config
