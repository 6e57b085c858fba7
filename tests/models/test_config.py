"""Settings of models: to and from config.json, other names, what is kept of what is not known."""

from __future__ import annotations

import copy
import json

import pytest

from minillm.models import GPT2Config, RNNLMConfig


def test_settings_come_back_as_they_were(tmp_path):
    config = GPT2Config(vocab_size=100, n_inner=7, eos_token_id=[1, 2])
    config.save_pretrained(tmp_path, architectures=["GPT2LMHeadModel"])
    assert GPT2Config.from_pretrained(tmp_path) == config
    assert GPT2Config.from_pretrained(tmp_path / "config.json") == config
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["model_type"] == "gpt2"
    assert written["architectures"] == ["GPT2LMHeadModel"]
    assert written["n_inner"] == 7
    assert "other" not in written


def test_what_is_not_known_is_kept_and_written_back():
    values = {"model_type": "gpt2", "n_ctx": 1024, "task_specific_params": {"a": 1}}
    values["transformers_version"] = "4"
    config = GPT2Config.from_dict(values)
    assert config.n_ctx == 1024
    assert config.other == {"n_ctx": 1024, "task_specific_params": {"a": 1}}
    assert config.to_dict()["task_specific_params"] == {"a": 1}
    assert "transformers_version" not in config.to_dict()
    assert GPT2Config.from_dict(config.to_dict()) == config


def test_other_names_of_settings():
    config = GPT2Config.from_dict({"hidden_size": 24, "num_attention_heads": 3, "num_hidden_layers": 2})
    assert (config.n_embd, config.n_head, config.n_layer) == (24, 3, 2)
    assert (config.hidden_size, config.num_hidden_layers, config.max_position_embeddings) == (24, 2, 1024)
    assert RNNLMConfig(num_layers=3).num_hidden_layers == 3
    with pytest.raises(AttributeError, match="GPT2Config has no setting 'n_heads'"):
        config.n_heads  # noqa: B018
    assert copy.deepcopy(config) == config


def test_changes_replace_what_the_dictionary_says():
    assert GPT2Config.from_dict({"n_layer": 2}, n_layer=3).n_layer == 3
    assert GPT2Config.from_dict({"n_layer": 2}, num_hidden_layers=3).n_layer == 3


def test_the_settings_of_another_kind_of_model_are_refused():
    with pytest.raises(ValueError, match="got the settings of a 'gpt2' model; it needs 'rnn_lm'"):
        RNNLMConfig.from_dict({"model_type": "gpt2"})


def test_other_names_in_constructors():
    given = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "max_position_embeddings": 64}
    given["n_ctx"] = 7
    config = GPT2Config(vocab_size=10, **given)
    assert (config.n_embd, config.n_layer, config.n_head, config.n_positions) == (32, 3, 4, 64)
    assert config.n_ctx == 7
    assert config.other == {"n_ctx": 7}
    assert GPT2Config.from_dict(config.to_dict()) == config
    transformers = pytest.importorskip("transformers")
    theirs = transformers.GPT2Config(vocab_size=10, **given)
    assert all(getattr(theirs, name) == getattr(config, name) for name in [*given, "n_embd", "n_layer", "n_positions"])
    with pytest.raises(TypeError, match="hidden_sizes"):
        GPT2Config(hidden_sizes=32)
