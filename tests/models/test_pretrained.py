"""Models from files and to files: every name found or named, every shape checked, nothing half written."""

from __future__ import annotations

import errno
import json
import logging

import numpy as np
import pytest

import minillm
from minillm import nn
from minillm.autograd.errors import OperationError
from minillm.interop import read_arrays, write_arrays
from minillm.interop.safetensors import SafetensorsError
from minillm.models import (
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Model,
    RNNLMConfig,
    RNNLMHeadModel,
    load_language_model,
)
from minillm.models.weights import load_weights, save_weights


def gpt2(**changes: object) -> GPT2LMHeadModel:
    settings = {"vocab_size": 13, "n_positions": 8, "n_embd": 8, "n_layer": 2, "n_head": 2}
    return GPT2LMHeadModel(GPT2Config(**{**settings, **changes})).eval()


def rnn(**changes: object) -> RNNLMHeadModel:
    return RNNLMHeadModel(RNNLMConfig(vocab_size=13, embedding_dim=6, hidden_size=6, **changes)).eval()


X = minillm.tensor([[1, 2, 3]])


def same(a: nn.Module, b: nn.Module) -> bool:
    theirs = b.state_dict()
    return all((value == theirs[name]).all() for name, value in a.state_dict().items())


@pytest.mark.parametrize(
    "model",
    [
        gpt2(),
        gpt2(tie_word_embeddings=False, bias=False),
        rnn(),
        rnn(cell="rnn", num_layers=2, tie_word_embeddings=True),
    ],
    ids=["gpt2", "gpt2 untied", "lstm", "rnn tied"],
)
def test_a_model_comes_back_as_it_was(tmp_path, model):
    model.save_pretrained(tmp_path / "new" / "folder")
    back = type(model).from_pretrained(tmp_path / "new" / "folder")
    assert back.config == model.config
    assert same(model, back)
    assert not back.training
    assert (back(X).logits == model(X).logits).all()
    assert same(model, load_language_model(tmp_path / "new" / "folder"))
    assert same(model, type(model).from_pretrained(tmp_path / "new" / "folder" / "model.safetensors"))


def test_square_weights_are_turned_in_the_file(tmp_path):
    model = gpt2()
    model.save_pretrained(tmp_path)
    arrays, metadata = read_arrays(tmp_path / "model.safetensors")
    name = "transformer.h.0.attn.c_proj.weight"
    np.testing.assert_array_equal(arrays[name], model.get_parameter(name).numpy(force=True).T)
    assert metadata == {"format": "pt"}
    assert "lm_head.weight" not in arrays  # shared with the embedding, and written once


def test_the_checkpoint_of_a_trainer_is_the_same_file(tmp_path):
    model = gpt2()
    model.save_pretrained(tmp_path / "a")
    save_weights(model, tmp_path / "b.safetensors")
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    other = gpt2()
    assert not same(model, other)
    load_weights(other, tmp_path / "b.safetensors")
    assert same(model, other)
    assert other.lm_head.weight is other.transformer.wte.weight


def test_a_model_inside_another_module_keeps_the_layout(tmp_path):
    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = GPT2Model(gpt2().config), nn.Linear(8, 2)

    a, b = Classifier(), Classifier()
    save_weights(a, tmp_path / "a")
    load_weights(b, tmp_path / "a")
    assert same(a, b)
    stored = read_arrays(tmp_path / "a")[0]
    assert stored["body.h.0.attn.c_attn.weight"].shape == (8, 24)
    assert stored["head.weight"].shape == (2, 8)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(tmp_path, dtype):
    model = gpt2()
    model.save_pretrained(tmp_path, dtype=dtype)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == dtype
    back = GPT2LMHeadModel.from_pretrained(tmp_path)
    assert back.lm_head.weight.dtype == np.float32
    np.testing.assert_allclose(back(X).logits.numpy(force=True), model(X).logits.numpy(force=True), atol=1e-3)
    half = GPT2LMHeadModel.from_pretrained(tmp_path, dtype="float16")
    assert half.lm_head.weight.dtype == np.float16


def test_shards(tmp_path):
    model = gpt2()
    model.save_pretrained(tmp_path)
    model.save_pretrained(tmp_path, max_shard_bytes=1000)
    files = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert len(files) > 3
    assert files[0].startswith("model-00001-of-")  # and model.safetensors is gone
    assert same(model, GPT2LMHeadModel.from_pretrained(tmp_path))
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == set(files)
    model.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    with pytest.raises(ValueError, match="max_shard_bytes is 0"):
        model.save_pretrained(tmp_path, max_shard_bytes=0)


def test_settings_may_be_changed(tmp_path):
    gpt2().save_pretrained(tmp_path)
    model = GPT2LMHeadModel.from_pretrained(tmp_path, resid_pdrop=0.5, tie_word_embeddings=True)
    assert model.config.resid_pdrop == 0.5
    config = GPT2Config.from_pretrained(tmp_path, attn_pdrop=0.0)
    assert GPT2LMHeadModel.from_pretrained(tmp_path, config=config).config is config
    with pytest.raises(TypeError, match="got a config and also attn_pdrop"):
        GPT2LMHeadModel.from_pretrained(tmp_path, config=config, attn_pdrop=0.1)


def test_reading_draws_no_initial_weights_unless_some_are_missing(tmp_path):
    gpt2().save_pretrained(tmp_path)
    state = minillm.get_rng_state()
    GPT2LMHeadModel.from_pretrained(tmp_path)
    assert minillm.get_rng_state() == state
    GPT2LMHeadModel(gpt2().config)
    assert minillm.get_rng_state() != state


def test_missing_weights_are_named_and_stray_ones_left_out(tmp_path, caplog):
    model = gpt2(tie_word_embeddings=False)
    model.save_pretrained(tmp_path)
    arrays = read_arrays(tmp_path / "model.safetensors")[0]
    del arrays["lm_head.weight"]
    arrays["transformer.h.0.attn.bias"] = np.ones((1, 1, 8, 8), np.uint8)  # the mask, as old files have it
    write_arrays(tmp_path / "model.safetensors", arrays)
    with caplog.at_level(logging.WARNING, logger="minillm"):
        back, info = GPT2LMHeadModel.from_pretrained(tmp_path, output_loading_info=True)
    assert info["missing_keys"] == ["lm_head.weight"]
    assert info["unexpected_keys"] == ["transformer.h.0.attn.bias"]
    assert info["mismatched_keys"] == []
    assert "has no weights for lm_head.weight; they keep their initial values" in caplog.text
    assert same(model.transformer, back.transformer)
    assert 0.01 < float(back.lm_head.weight.std()) < 0.03


def test_files_of_old_without_the_prefix(tmp_path):
    model = gpt2()
    model.save_pretrained(tmp_path)
    arrays = read_arrays(tmp_path / "model.safetensors")[0]
    write_arrays(
        tmp_path / "model.safetensors", {name.removeprefix("transformer."): a for name, a in arrays.items()}
    )
    assert same(model, GPT2LMHeadModel.from_pretrained(tmp_path))
    assert same(model.transformer, GPT2Model.from_pretrained(tmp_path))


def test_a_tied_head_in_the_file_gives_way_to_the_embedding(tmp_path):
    model = gpt2()
    model.save_pretrained(tmp_path)
    arrays = read_arrays(tmp_path / "model.safetensors")[0]
    write_arrays(tmp_path / "model.safetensors", {"lm_head.weight": np.zeros((13, 8), np.float32), **arrays})
    assert same(model, GPT2LMHeadModel.from_pretrained(tmp_path))


# -- what is refused ------------------------------------------------------------------------------------


def test_a_name_that_is_no_directory_says_how_to_get_the_files():
    with pytest.raises(FileNotFoundError, match=r"nothing is downloaded by itself.*hf download NAME"):
        GPT2LMHeadModel.from_pretrained("gpt2-that-is-not-here")


def test_pickles_are_refused_with_the_way_to_convert_them(tmp_path):
    gpt2().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    for path in (tmp_path, tmp_path / "pytorch_model.bin"):
        with pytest.raises(SafetensorsError, match=r"this is a pickle.*save_pretrained"):
            GPT2LMHeadModel.from_pretrained(path)


def test_missing_parts_of_a_directory(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"it holds neither model.safetensors nor"):
        GPT2LMHeadModel.from_pretrained(tmp_path)
    gpt2().save_pretrained(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"config.json: there is no such file"):
        GPT2LMHeadModel.from_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"config.json"):
        load_language_model(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "config.json"),
        ("", "config.json is empty"),
        ("[1]", "it holds list; it needs an object"),
        ('{"model_type": "bert"}', "got the settings of a 'bert' model; it needs 'gpt2'"),
        ('{"model_type": "gpt2", "n_layer": "two"}', "n_layer is 'two'"),
        ('{"model_type": "gpt2", "activation_function": ["gelu"]}', "unhashable|activation_function"),
        ('{"model_type": "gpt2", "n_layer": 1000000000}', "1,000,000,000 layers, and the files hold 28"),
        ('{"model_type": "gpt2", "vocab_size": 1000000000000}', "than memory holds.* the files hold 1,928 numbers"),
        ('{"model_type": "gpt2", "n_embd": 12000000}', "more than memory holds.*is config.json that of these weights"),
        ('{"model_type": "gpt2", "n_layer": 1, "n_embd": 8, "n_head": 2}', "the file has shape"),
    ],
)
def test_settings_that_are_damaged(tmp_path, text, message):
    model = gpt2()
    model.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        GPT2LMHeadModel.from_pretrained(tmp_path)


def test_a_kind_of_model_that_is_not_known(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "t9"}')
    with pytest.raises(ValueError, match="model_type is 't9'; known are gpt2, llama, rnn_lm"):
        load_language_model(tmp_path)


def test_shapes_that_differ_are_named_and_change_nothing(tmp_path):
    small, large = gpt2(), gpt2(n_embd=12)
    save_weights(large, tmp_path / "a")
    before = {name: value.numpy().copy() for name, value in small.state_dict().items()}
    with pytest.raises(OperationError, match=r"wte.weight: the file has shape \(13, 12\), the model"):
        load_weights(small, tmp_path / "a")
    for name, value in small.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


def test_names_that_differ_are_named(tmp_path):
    write_arrays(tmp_path / "a", {"weight": np.zeros((3, 2), np.float32), "extra": np.zeros(1)})
    with pytest.raises(OperationError, match=r"(?s)a does not fit Linear:.*missing: bias.*unexpected: extra"):
        load_weights(nn.Linear(2, 3), tmp_path / "a")


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        ("[]", SafetensorsError, "it needs a weight_map"),
        ('{"weight_map": {"a": 5}}', SafetensorsError, "it needs a weight_map"),
        ('{"weight_map": {"a": "../a.safetensors"}}', SafetensorsError, "a file of the same directory"),
        ('{"weight_map": {"a": "none.safetensors"}}', FileNotFoundError, "there is no such file"),
        ('{"weight_map": {"a": "part.safetensors"}}', SafetensorsError, "a is not in it, though"),
    ],
)
def test_an_index_that_does_not_fit(tmp_path, index, error, message):
    gpt2().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "part.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(error, match=message):
        GPT2LMHeadModel.from_pretrained(tmp_path)


def test_every_truncation_of_the_weights_is_found(tmp_path):
    rnn().save_pretrained(tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    for size in range(0, len(whole), 97):
        (tmp_path / "model.safetensors").write_bytes(whole[:size])
        with pytest.raises(SafetensorsError, match="safetensors file"):
            RNNLMHeadModel.from_pretrained(tmp_path)


def test_a_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="this is a file; save_pretrained needs a directory"):
        gpt2().save_pretrained(tmp_path / "file")


def test_a_full_disk_leaves_the_old_weights(tmp_path, monkeypatch):
    old = rnn()
    old.save_pretrained(tmp_path)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("minillm.interop.safetensors._bytes_of", full)
    with pytest.raises(OSError, match="no space left on the disk"):
        rnn().save_pretrained(tmp_path)
    assert same(old, RNNLMHeadModel.from_pretrained(tmp_path))
