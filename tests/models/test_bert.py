"""BERT by itself: devices, padding, dropout, labels, errors. Its numbers are compared in the file beside."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm.autograd.errors import OperationError
from minillm.models import (
    BertConfig,
    BertForMaskedLM,
    BertForMultipleChoice,
    BertForNextSentencePrediction,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
)


def tiny(**changes: object) -> BertConfig:
    settings = {
        "vocab_size": 31, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 24, "max_position_embeddings": 12,
    }  # fmt: skip
    return BertConfig(**{**settings, **changes})


def tokens(rows: int = 2, length: int = 7, seed: int = 0) -> minillm.Tensor:
    return minillm.tensor(np.random.default_rng(seed).integers(1, 31, (rows, length)))


@pytest.mark.parametrize(
    ("head", "labels"),
    [
        (BertForMaskedLM, {"labels": [[1, 2, -100], [3, 4, 5]]}),
        (BertForSequenceClassification, {"labels": [0, 1]}),
        (BertForTokenClassification, {"labels": [[0, 1, -100], [1, 1, 0]]}),
        (BertForQuestionAnswering, {"start_positions": [0, 1], "end_positions": [[1], [2]]}),
        (BertForNextSentencePrediction, {"labels": [[0], [1]]}),
        (BertForPreTraining, {"labels": [[1, 2, -100], [3, 4, 5]], "next_sentence_label": [0, 1]}),
    ],
)
def test_every_head_learns_on_each_device(device, head, labels):
    model = head(tiny())
    given = {name: minillm.tensor(value) for name, value in labels.items()}
    mask = minillm.tensor([[1, 1, 1], [1, 1, 0]])
    output = model(minillm.tensor([[1, 2, 3], [4, 5, 0]]), attention_mask=mask, **given)
    output.loss.backward()
    assert all(p.grad is not None for p in model.parameters())


def test_a_choice_is_learned_on_each_device(device):
    model = BertForMultipleChoice(tiny())
    x = minillm.tensor([[[1, 2, 3], [4, 5, 0], [6, 7, 8]], [[1, 2, 3], [4, 0, 0], [9, 0, 0]]])
    output = model(x, attention_mask=(x != 0).long(), labels=minillm.tensor([0, 2]))
    assert output.logits.shape == (2, 3)
    output.loss.backward()
    assert all(p.grad is not None for p in model.parameters())


def test_choices_do_not_depend_on_each_other():
    model, x = BertForMultipleChoice(tiny()).eval(), tokens(6).reshape(2, 3, 7)
    logits = model(x).logits.numpy(force=True)
    alone = model(x[1:, 2:]).logits.numpy(force=True)
    np.testing.assert_allclose(alone[0, 0], logits[1, 2], atol=1e-6)


def test_pretraining_has_a_loss_where_both_labels_are_given():
    model, x = BertForPreTraining(tiny()).eval(), tokens()
    assert "loss" not in model(x, labels=x)
    assert "loss" not in model(x, next_sentence_label=minillm.tensor([0, 1]))
    model.resize_token_embeddings(40)
    assert model(x).prediction_logits.shape == (2, 7, 40)
    assert model.cls.predictions.decoder.bias is model.cls.predictions.bias


def test_padding_changes_nothing():
    model, x = BertModel(tiny()).eval(), tokens()
    mask = minillm.tensor(np.arange(7)[None] < np.array([[7], [4]]))
    padded = model(x, attention_mask=mask)
    alone = model(x[1:, :4])
    np.testing.assert_allclose(
        padded.last_hidden_state[1, :4].numpy(force=True), alone.last_hidden_state[0].numpy(force=True), atol=1e-5
    )
    whole = model(x, attention_mask=minillm.ones(2, 7)).pooler_output
    assert (whole == model(x).pooler_output).all()


def test_a_mask_may_say_for_each_token_where_it_may_look():
    model, x = BertModel(tiny()).eval(), tokens()
    causal = minillm.ones(2, 7, 7).tril()
    before = model(x, attention_mask=causal).last_hidden_state.numpy(force=True)
    y = x.clone()
    y[:, 6] = 30 - x[:, 6]
    after = model(y, attention_mask=causal).last_hidden_state.numpy(force=True)
    np.testing.assert_allclose(before[:, :6], after[:, :6], atol=1e-5)


def test_dropout_works_in_training_alone():
    model, x = BertForSequenceClassification(tiny(classifier_dropout=0.5)), tokens()
    assert model.dropout.p == 0.5
    assert not (model(x).logits == model(x).logits).all()
    model.eval()
    assert (model(x).logits == model(x).logits).all()


def test_the_padding_token_starts_as_zeros_and_is_not_trained():
    model = BertForTokenClassification(tiny())
    table = model.bert.embeddings.word_embeddings.weight
    assert (table[0] == 0).all()
    model(minillm.tensor([[1, 0, 2]]), labels=minillm.tensor([[0, 1, 1]])).loss.backward()
    assert (table.grad[0] == 0).all()
    assert not (table.grad[1] == 0).all()


def test_the_masked_head_shares_the_embedding_and_one_bias():
    model = BertForMaskedLM(tiny())
    head = model.cls.predictions
    assert head.decoder.weight is model.bert.embeddings.word_embeddings.weight
    assert head.decoder.bias is head.bias
    untied = BertForMaskedLM(tiny(tie_word_embeddings=False))
    assert untied.cls.predictions.decoder.weight is not untied.bert.embeddings.word_embeddings.weight


def test_answers_have_a_begin_and_an_end():
    with pytest.raises(ValueError, match="num_labels is 3; it needs 2, begin and end"):
        BertForQuestionAnswering(tiny(num_labels=3))


def test_numbers_of_labels():
    assert tiny().num_labels == 2
    assert tiny(num_labels=3).label2id == {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}
    assert tiny(id2label={"0": "a", "1": "b", "2": "c"}).num_labels == 3
    written = tiny(num_labels=3).to_dict()
    assert "num_labels" not in written
    assert BertConfig.from_dict(written).num_labels == 3
    assert BertConfig.from_dict(written, num_labels=5).id2label[4] == "LABEL_4"
    named = BertConfig.from_dict({"id2label": {"0": "a", "1": "b"}}, num_labels=2)
    assert named.id2label == {0: "a", 1: "b"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BertModel(tiny())(), "it needs one of input_ids and inputs_embeds"),
        (lambda: BertModel(tiny())(minillm.tensor([1])), r"got tokens of shape \(1,\)"),
        (lambda: BertModel(tiny())(tokens(1, 13)), "13 tokens are more than the 12 positions"),
        (lambda: BertModel(tiny())(minillm.tensor([[31]])), "31"),
        (lambda: BertModel(tiny())(tokens(), minillm.ones(2, 6)), r"attention_mask: got shape \(2, 6\)"),
        (
            lambda: BertForSequenceClassification(tiny())(tokens(), labels=minillm.tensor([0, 1, 1])),
            r"labels: got shape \(3,\); it needs \(2,\)",
        ),
        (
            lambda: BertForSequenceClassification(tiny())(tokens(), labels=minillm.tensor([0.0, 1.0])),
            r"labels: got shape \(2,\); it needs \(2, 2\)",
        ),
        (
            lambda: BertForTokenClassification(tiny())(tokens(), labels=minillm.tensor([0, 1])),
            r"labels: got shape \(2,\); it needs \(2, 7\)",
        ),
        (
            lambda: BertForQuestionAnswering(tiny())(
                tokens(), start_positions=minillm.tensor([1]), end_positions=minillm.tensor([1])
            ),
            r"positions: got shape \(1,\); it needs \(2,\)",
        ),
        (
            lambda: BertForMultipleChoice(tiny())(tokens()),
            r"BertForMultipleChoice: got tokens of shape \(2, 7\); it needs \(B, N, T\)",
        ),
        (
            lambda: BertForPreTraining(tiny())(tokens(), labels=tokens(), next_sentence_label=minillm.tensor([1])),
            r"next_sentence_label: got shape \(1,\); it needs \(2,\)",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(OperationError, match=message):
        call()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
        ({"num_attention_heads": 3}, "hidden_size is 16 and num_attention_heads 3"),
        ({"hidden_dropout_prob": 1}, "hidden_dropout_prob is 1"),
        ({"classifier_dropout": 2}, "classifier_dropout is 2"),
        ({"hidden_act": "mish"}, "hidden_act is 'mish'"),
        ({"num_labels": -1}, "num_labels is -1"),
        ({"num_labels": 3, "id2label": {0: "a"}}, "num_labels is 3, and id2label has 1"),
        ({"problem_type": "guess"}, "problem_type is 'guess'"),
        ({"other": {"is_decoder": True}}, "is_decoder is set"),
        ({"other": {"position_embedding_type": "relative_key"}}, "only 'absolute' is offered"),
    ],
)
def test_settings_that_do_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny(**changes)
