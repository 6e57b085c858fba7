"""BERT and its heads against transformers: weights move by file, both ways; all numbers are equal."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

import minillm
from minillm import models
from minillm.interop import read_arrays, write_arrays

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

HEADS = [
    "BertModel",
    "BertForMaskedLM",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertForQuestionAnswering",
    "BertForMultipleChoice",
    "BertForNextSentencePrediction",
    "BertForPreTraining",
]


def their_model(head: str, **changes: object) -> transformers.PreTrainedModel:
    settings = {
        "vocab_size": 61, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4,
        "intermediate_size": 40, "max_position_embeddings": 20, "initializer_range": 0.2,
    }  # fmt: skip
    torch.manual_seed(0)
    config = transformers.BertConfig(**{**settings, **changes})
    model = getattr(transformers, head)(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or "LayerNorm" in name:  # which start as zeros and ones
                parameter += 0.2 * torch.randn_like(parameter)
    return model.eval()


def batch(padded: bool = True, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.integers(1, 61, (3, 11))
    mask = np.ones_like(x)
    segments = (np.arange(11) > 5).astype(np.int64)[None].repeat(3, 0)
    if padded:
        x[1, 7:] = mask[1, 7:] = segments[1, 7:] = 0
        x[2, 3:] = mask[2, 3:] = segments[2, 3:] = 0
    return {"input_ids": x, "attention_mask": mask, "token_type_ids": segments}


def given_to(head: str) -> dict[str, np.ndarray]:
    """What a model reads: a batch of texts, or one that has several texts to choose among."""
    if head != "BertForMultipleChoice":
        return batch()
    texts = [batch(), batch(seed=1), batch(padded=False, seed=2)]
    return {name: np.stack([text[name] for text in texts], axis=1) for name in texts[0]}


def labels_for(head: str, changes: dict[str, object]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    if head == "BertForQuestionAnswering":
        return {"start_positions": np.array([2, 5, 40]), "end_positions": np.array([3, 11, 1])}
    if head == "BertForSequenceClassification":
        count = changes.get("num_labels", 2)
        if changes.get("problem_type") == "multi_label_classification":
            return {"labels": rng.integers(0, 2, (3, count)).astype(np.float32)}
        if count == 1:
            return {"labels": rng.normal(size=3).astype(np.float32)}
        return {"labels": rng.integers(0, count, 3)}
    if head == "BertModel":
        return {}
    if head == "BertForMultipleChoice":
        return {"labels": np.array([2, 0, 1])}
    if head == "BertForNextSentencePrediction":
        return {"labels": np.array([1, 0, 0])}
    vocabulary = head in ("BertForMaskedLM", "BertForPreTraining")
    labels = rng.integers(0, 61 if vocabulary else changes.get("num_labels", 2), (3, 11))
    labels[:, ::3] = -100
    if head == "BertForPreTraining":
        return {"labels": labels, "next_sentence_label": np.array([0, 1, 1])}
    return {"labels": labels}


def as_torch(values: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}


def as_ours(values: dict[str, np.ndarray]) -> dict[str, minillm.Tensor]:
    return {name: minillm.tensor(value) for name, value in values.items()}


CASES = [(head, {}) for head in HEADS] + [
    ("BertModel", {"hidden_act": "gelu_new", "layer_norm_eps": 1e-3, "type_vocab_size": 3}),
    ("BertModel", {"hidden_act": "relu", "pad_token_id": None}),
    ("BertForMaskedLM", {"tie_word_embeddings": False}),
    ("BertForPreTraining", {"tie_word_embeddings": False}),
    ("BertForTokenClassification", {"num_labels": 5}),
    ("BertForSequenceClassification", {"num_labels": 4}),
    ("BertForSequenceClassification", {"num_labels": 1}),
    ("BertForSequenceClassification", {"num_labels": 3, "problem_type": "multi_label_classification"}),
]


@pytest.mark.parametrize(("head", "changes"), CASES, ids=lambda case: str(case)[:50])
def test_every_output_the_loss_and_the_gradients_are_equal(tmp_path, head, changes):
    theirs = their_model(head, **changes)
    theirs.save_pretrained(tmp_path)
    ours, info = getattr(models, head).from_pretrained(tmp_path, output_loading_info=True)
    assert info == {"missing_keys": [], "unexpected_keys": [], "mismatched_keys": []}
    given = {**given_to(head), **labels_for(head, changes)}
    expected = theirs(**as_torch(given), output_hidden_states=True)
    output = ours(**as_ours(given), output_hidden_states=True)
    assert list(output) == list(expected)
    mask = given["attention_mask"].astype(bool)
    real = mask.reshape(-1, mask.shape[-1])
    for name in expected:
        if name == "hidden_states":
            for a, b in zip(output[name], expected[name], strict=True):
                np.testing.assert_allclose(a.numpy(force=True)[real], b.detach().numpy()[real], atol=1e-5)
            continue
        a, b = output[name].numpy(force=True), expected[name].detach().numpy()
        by_token = a.shape[:2] == real.shape
        np.testing.assert_allclose(*((a[real], b[real]) if by_token else (a, b)), atol=1e-5, err_msg=name)
    if head == "BertModel":
        (expected.pooler_output.sum() + (expected.last_hidden_state[:, 0] ** 2).sum()).backward()
        (output.pooler_output.sum() + (output.last_hidden_state[:, 0] ** 2).sum()).backward()
    else:
        expected.loss.backward()
        output.loss.backward()
    gradients = {name: p.grad for name, p in theirs.named_parameters() if p.grad is not None}
    ours_by_name = {name: p.grad for name, p in ours.named_parameters() if p.grad is not None}
    assert gradients.keys() == ours_by_name.keys()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(
            ours_by_name[name].numpy(), gradient.numpy(), atol=1e-5, rtol=1e-4, err_msg=name
        )


@pytest.mark.parametrize("padded", [False, True])
def test_attentions_are_equal(tmp_path, padded):
    theirs = their_model("BertModel")
    theirs.set_attn_implementation("eager")
    theirs.save_pretrained(tmp_path)
    ours = models.BertModel.from_pretrained(tmp_path)
    given = batch(padded)
    expected = theirs(**as_torch(given), output_attentions=True)
    output = ours(**as_ours(given), output_attentions=True)
    for a, b in zip(output.attentions, expected.attentions, strict=True):
        rows = given["attention_mask"].astype(bool)
        np.testing.assert_allclose(
            a.numpy(force=True).transpose(0, 2, 1, 3)[rows], b.detach().numpy().transpose(0, 2, 1, 3)[rows],
            atol=1e-5,
        )  # fmt: skip


def test_embeddings_and_positions_may_be_given(tmp_path):
    theirs = their_model("BertModel")
    theirs.save_pretrained(tmp_path)
    ours = models.BertModel.from_pretrained(tmp_path)
    x = np.random.default_rng(0).normal(size=(2, 5, 24)).astype(np.float32)
    places = np.array([[4, 3, 2, 1, 0]])
    expected = theirs(inputs_embeds=torch.tensor(x), position_ids=torch.tensor(places))
    output = ours(inputs_embeds=minillm.tensor(x), position_ids=minillm.tensor(places))
    np.testing.assert_allclose(
        output.last_hidden_state.numpy(force=True), expected.last_hidden_state.detach().numpy(), atol=1e-5
    )


@pytest.mark.parametrize("head", HEADS)
def test_transformers_loads_what_we_save(tmp_path, head):
    minillm.manual_seed(0)
    config = models.BertConfig(
        vocab_size=61, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40,
        initializer_range=0.2, max_position_embeddings=20,
        num_labels=2 if head == "BertForQuestionAnswering" else 3,
    )  # fmt: skip
    ours = getattr(models, head)(config).eval()
    ours.save_pretrained(tmp_path)
    theirs, info = getattr(transformers, head).from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert theirs.config.num_labels == config.num_labels
    given = given_to(head)
    expected = theirs.eval()(**as_torch(given))[0].detach().numpy()
    output = ours(**as_ours(given))[0].numpy(force=True)
    if expected.shape[:2] == (3, 11):
        rows = given["attention_mask"].astype(bool)
        expected, output = expected[rows], output[rows]
    np.testing.assert_allclose(output, expected, atol=1e-5)


def test_a_new_head_on_a_pretrained_encoder_is_announced(tmp_path, caplog):
    their_model("BertForMaskedLM").save_pretrained(tmp_path)
    minillm.manual_seed(3)
    with caplog.at_level(logging.WARNING, logger="minillm"):
        ours, info = models.BertForSequenceClassification.from_pretrained(
            tmp_path, num_labels=7, output_loading_info=True
        )
    assert info["missing_keys"] == [
        "bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"
    ]  # fmt: skip
    assert all(name.startswith("cls.predictions") for name in info["unexpected_keys"])
    assert "has no weights for bert.pooler.dense.weight" in caplog.text
    assert ours.classifier.weight.shape == (7, 24)
    assert 0.1 < float(ours.classifier.weight.std()) < 0.3
    assert (ours.classifier.bias == 0).all()
    assert ours.config.id2label == {i: f"LABEL_{i}" for i in range(7)}


def test_old_names_of_layer_norm(tmp_path):
    theirs = their_model("BertModel")
    theirs.save_pretrained(tmp_path)
    arrays = read_arrays(tmp_path / "model.safetensors")[0]
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): a
        for name, a in arrays.items()
    }
    write_arrays(tmp_path / "model.safetensors", {"bert." + name: a for name, a in old.items()})
    ours = models.BertModel.from_pretrained(tmp_path)
    given = batch()
    np.testing.assert_allclose(
        ours(**as_ours(given)).pooler_output.numpy(force=True),
        theirs(**as_torch(given)).pooler_output.detach().numpy(),
        atol=1e-5,
    )


def test_names_of_labels_move_with_the_model(tmp_path):
    names = {0: "no", 1: "yes", 2: "perhaps"}
    config = models.BertConfig(id2label=names, hidden_size=8, num_attention_heads=2, num_hidden_layers=1)
    models.BertForSequenceClassification(config).save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["id2label"] == {"0": "no", "1": "yes", "2": "perhaps"}
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert theirs.config.id2label == names
    theirs.save_pretrained(tmp_path)
    assert models.BertConfig.from_pretrained(tmp_path).id2label == names
    assert models.BertConfig.from_pretrained(tmp_path).label2id == {"no": 0, "yes": 1, "perhaps": 2}
