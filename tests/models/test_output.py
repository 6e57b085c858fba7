"""A model's output: by attribute, by name, by position, unpacked."""

from __future__ import annotations

import copy

import pytest

from minillm.models import ModelOutput


@pytest.fixture
def output() -> ModelOutput:
    return ModelOutput(loss=None, logits="L", hidden_states=None, attentions="A")


def test_every_way_to_a_value(output):
    assert output.logits == output["logits"] == output[0] == output.get("logits") == "L"
    assert output[1] == output[-1] == "A"
    assert output[:2] == ("L", "A") == output.to_tuple()
    assert output.loss is None
    assert output.get("loss", 5) == 5


def test_it_unpacks_as_a_mapping(output):
    assert dict(output) == {**output} == {"logits": "L", "attentions": "A"}
    assert list(output) == list(output.keys()) == ["logits", "attentions"]
    assert output.values() == ["L", "A"]
    assert output.items() == [("logits", "L"), ("attentions", "A")]
    assert len(output) == 2
    assert "logits" in output
    assert "loss" not in output


def test_what_is_not_there_is_an_error_that_says_what_is(output):
    with pytest.raises(AttributeError, match="no 'pooler_output'; it has loss, logits"):
        output.pooler_output  # noqa: B018
    with pytest.raises(KeyError, match="'loss'; this output has logits, attentions"):
        output["loss"]
    with pytest.raises(IndexError):
        output[2]


def test_it_prints_and_copies(output):
    assert repr(output) == "ModelOutput(logits='L', attentions='A')"
    assert copy.copy(output).logits == "L"
