"""The face for programs written for Transformers: its names, and the classes that choose a class."""

from __future__ import annotations

import json

import pytest

import minillm
from minillm import models, transformers
from minillm.transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForNextSentencePrediction,
    AutoModelForPreTraining,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    BertConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
)

TINY = {
    "bert": BertConfig(
        vocab_size=13, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=8,
    ),
    "gpt2": GPT2Config(vocab_size=13, n_positions=16, n_embd=8, n_layer=1, n_head=2),
    "llama": LlamaConfig(
        vocab_size=13, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=16,
    ),
}  # fmt: skip


def test_every_name_is_one_of_theirs():
    theirs = pytest.importorskip("transformers")
    own = {"RNNLMConfig", "RNNLMHeadModel"}
    assert [name for name in transformers.__all__ if name not in own and not hasattr(theirs, name)] == []
    assert [name for name in transformers.__all__ if not hasattr(transformers, name)] == []


@pytest.mark.parametrize(
    ("auto", "kind", "name"),
    [
        (AutoModel, "bert", "BertModel"),
        (AutoModel, "gpt2", "GPT2Model"),
        (AutoModel, "llama", "LlamaModel"),
        (AutoModelForCausalLM, "gpt2", "GPT2LMHeadModel"),
        (AutoModelForCausalLM, "llama", "LlamaForCausalLM"),
        (AutoModelForMaskedLM, "bert", "BertForMaskedLM"),
        (AutoModelForSequenceClassification, "bert", "BertForSequenceClassification"),
        (AutoModelForSequenceClassification, "gpt2", "GPT2ForSequenceClassification"),
        (AutoModelForTokenClassification, "bert", "BertForTokenClassification"),
        (AutoModelForQuestionAnswering, "bert", "BertForQuestionAnswering"),
        (AutoModelForNextSentencePrediction, "bert", "BertForNextSentencePrediction"),
        (AutoModelForPreTraining, "bert", "BertForPreTraining"),
        (AutoModelForPreTraining, "gpt2", "GPT2LMHeadModel"),
    ],
)
def test_the_kind_is_told_by_the_files(tmp_path, auto, kind, name):
    model = auto.from_config(TINY[kind])
    assert type(model).__name__ == name
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == [name]
    back = auto.from_pretrained(tmp_path)
    assert type(back) is type(model)
    x = minillm.tensor([[1, 2, 3]])
    assert (back(x)[0] == model.eval()(x)[0]).all()
    assert AutoConfig.from_pretrained(tmp_path) == TINY[kind]


def test_choices_are_read_as_they_were_saved(tmp_path):
    model = AutoModelForMultipleChoice.from_config(TINY["bert"]).eval()
    model.save_pretrained(tmp_path)
    x = minillm.tensor([[[1, 2, 3], [4, 5, 6]]])
    assert (AutoModelForMultipleChoice.from_pretrained(tmp_path)(x).logits == model(x).logits).all()


def test_models_with_generate_are_the_same_models(tmp_path):
    model = GPT2LMHeadModel(TINY["gpt2"])
    assert isinstance(model, models.GPT2LMHeadModel)
    model.save_pretrained(tmp_path)
    assert (tmp_path / "generation_config.json").is_file()
    plain = models.GPT2LMHeadModel.from_pretrained(tmp_path)
    x = minillm.tensor([[1, 2, 3]])
    assert (plain(x).logits == model.eval()(x).logits).all()


@pytest.mark.parametrize("auto", [AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer])
def test_they_only_choose(auto):
    with pytest.raises(TypeError, match="it only chooses a class"):
        auto()


@pytest.mark.parametrize("auto", [AutoConfig, AutoModel, AutoTokenizer])
def test_a_name_that_is_no_directory_says_how_to_get_the_files(auto):
    with pytest.raises(FileNotFoundError, match=r"nothing is downloaded by itself; .*hf download NAME"):
        auto.from_pretrained("bert-base-that-is-not-here")


def test_kinds_that_are_not_known(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(ValueError, match="model_type is 'gpt2'; AutoModelForQuestionAnswering knows bert"):
        AutoModelForQuestionAnswering.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": ["gpt2"]}')
    with pytest.raises(ValueError, match=r"model_type is \['gpt2'\]"):
        AutoModel.from_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no tokenizer"):
        AutoTokenizer.from_pretrained(tmp_path)


def test_settings_of_a_call_and_of_the_config():
    model = transformers.BertForSequenceClassification(TINY["bert"]).eval()
    x = minillm.tensor([[1, 2, 3]])
    loss, logits = model(x, labels=minillm.tensor([1]), return_dict=False)
    assert logits.shape == (1, 2)
    assert loss.shape == ()
    output = model(x, output_hidden_states=True, output_attentions=True)
    assert list(output) == ["logits", "hidden_states", "attentions"]
    assert len(output.hidden_states) == 2
    changed = transformers.BertForSequenceClassification.from_config(
        BertConfig.from_dict(TINY["bert"].to_dict(), output_hidden_states=True, return_dict=False)
    )
    logits, hidden_states = changed(x)
    assert len(hidden_states) == 2
    assert changed.config.to_dict()["return_dict"] is False
    assert "return_dict" not in model.config.to_dict()


def test_rules_of_a_program():
    class Only(transformers.LogitsProcessor):
        def __call__(self, input_ids, scores):
            return scores.masked_fill(minillm.arange(scores.shape[1]) != 5, -float("inf"))

    class AfterFour(transformers.StoppingCriteria):
        def __call__(self, input_ids, scores, **kwargs):
            return input_ids.shape[1] >= 4

    model = GPT2LMHeadModel(TINY["gpt2"])
    rules = {
        "logits_processor": transformers.LogitsProcessorList([Only()]),
        "stopping_criteria": transformers.StoppingCriteriaList([AfterFour()]),
    }
    assert model.generate(minillm.tensor([[1, 2]]), max_length=9, **rules).tolist() == [[1, 2, 5, 5]]
    with pytest.raises(NotImplementedError, match="StoppingCriteria must define __call__"):
        model.generate(minillm.tensor([[1, 2]]), stopping_criteria=[transformers.StoppingCriteria()])
