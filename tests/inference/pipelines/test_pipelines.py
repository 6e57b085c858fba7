"""``pipeline`` chooses by the task; models and tokenizers are given in memory, or by their directory."""

from __future__ import annotations

import pytest

from minillm import inference, transformers
from minillm.inference.pipelines import TASKS
from minillm.transformers import AutoTokenizer, BertForSequenceClassification, pipeline
from tests.inference.pipelines.conftest import TEXTS, save_bert


def test_a_directory_is_as_good_as_what_was_read_from_it(tmp_path):
    save_bert(tmp_path, "BertForSequenceClassification")
    model, tokenizer = BertForSequenceClassification.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    wanted = pipeline("text-classification", model, tokenizer)(TEXTS)
    assert pipeline("text-classification", model=str(tmp_path))(TEXTS) == wanted
    assert pipeline("text-classification", model, str(tmp_path), device=-1)(TEXTS) == wanted
    assert inference.pipelines.pipeline("text-classification", model, tokenizer)(TEXTS) == wanted


def test_every_task_has_models():
    assert transformers._MODELS_OF_TASKS.keys() == TASKS.keys()


def test_refusals():
    with pytest.raises(ValueError, match="got the task 'summarization'; known are text-classification"):
        pipeline("summarization")
    with pytest.raises(FileNotFoundError, match="nothing is downloaded by itself"):
        pipeline("text-generation", model="gpt2-that-is-not-here")
    with pytest.raises(TypeError, match="got None as tokenizer; it needs one in memory"):
        pipeline("text-generation", model=object())
    with pytest.raises(TypeError, match="got 'gpt2' as model; it needs one in memory"):
        inference.pipelines.pipeline("text-generation", model="gpt2")
