"""What programs for Transformers give to from_pretrained and save_pretrained."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm.interop.model_files import bytes_of
from minillm.models import BertConfig, BertForSequenceClassification, GPT2Config, GPT2LMHeadModel
from minillm.models.loading import device_for
from minillm.nn.module import StateDictError


@pytest.fixture
def folder(tmp_path):
    config = GPT2Config(vocab_size=13, n_positions=8, n_embd=8, n_layer=1, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    return tmp_path


def test_dtypes(folder):
    assert GPT2LMHeadModel.from_pretrained(folder).dtype == minillm.float32
    for given in (minillm.float16, "float16", np.float16):
        assert GPT2LMHeadModel.from_pretrained(folder, torch_dtype=given).dtype == minillm.float16
    assert GPT2LMHeadModel.from_pretrained(folder, dtype="auto").dtype == minillm.float32
    GPT2LMHeadModel.from_pretrained(folder).save_pretrained(folder, dtype="float16")
    assert GPT2LMHeadModel.from_pretrained(folder, dtype="auto").dtype == minillm.float16
    GPT2LMHeadModel.from_pretrained(folder).save_pretrained(folder, dtype="bfloat16")
    assert GPT2LMHeadModel.from_pretrained(folder, dtype="auto").dtype == minillm.float32


def test_options_without_effect(folder):
    model = GPT2LMHeadModel.from_pretrained(
        folder, local_files_only=True, attn_implementation="sdpa", low_cpu_mem_usage=True, device_map="cpu",
        trust_remote_code=False, use_safetensors=True, load_in_8bit=False,
    )  # fmt: skip
    assert "attn_implementation" not in model.config.to_dict()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_haed": 4}, "got n_haed, which is no setting of this kind of model"),
        ({"load_in_8bit": True}, "got load_in_8bit; quantized weights are not offered"),
        ({"gguf_file": "a.gguf"}, "got gguf_file; only safetensors files are read"),
    ],
)
def test_options_that_are_refused(folder, options, message):
    with pytest.raises(TypeError, match=message):
        GPT2LMHeadModel.from_pretrained(folder, **options)


def test_settings_by_any_of_their_names(folder):
    assert GPT2LMHeadModel.from_pretrained(folder, resid_pdrop=0.5).config.resid_pdrop == 0.5
    with pytest.raises(StateDictError, match=r"the file has shape .*, the model"):
        GPT2LMHeadModel.from_pretrained(folder, hidden_size=16)


def test_heads_of_another_size(tmp_path, caplog):
    sizes = {"vocab_size": 13, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    saved = BertForSequenceClassification(BertConfig(**sizes, num_labels=3))
    saved.save_pretrained(tmp_path)
    with pytest.raises(StateDictError, match=r"classifier.weight: the file has shape \(3, 8\), the model \(5, 8\)"):
        BertForSequenceClassification.from_pretrained(tmp_path, num_labels=5)
    model, info = BertForSequenceClassification.from_pretrained(
        tmp_path, num_labels=5, ignore_mismatched_sizes=True, output_loading_info=True
    )
    assert sorted(info["mismatched_keys"]) == ["classifier.bias", "classifier.weight"]
    assert info["missing_keys"] == []
    assert "has no weights for classifier.weight, classifier.bias" in caplog.text
    assert model.classifier.weight.shape == (5, 8)
    assert 0.005 < float(model.classifier.weight.std()) < 0.05
    name = "bert.encoder.layer.0.output.dense.weight"
    np.testing.assert_array_equal(
        model.get_parameter(name).numpy(force=True), saved.get_parameter(name).numpy(force=True)
    )


def test_devices():
    assert device_for("cpu") == "cpu"
    assert device_for({"": "cpu"}) == "cpu"
    assert device_for(1) == "cuda:1"
    assert device_for("auto") in ("cpu", "cuda")
    with pytest.raises(ValueError, match="a model lies on one device here"):
        device_for({"h.0": 0, "h.1": 1})


def test_sizes_of_shards(folder):
    model = GPT2LMHeadModel.from_pretrained(folder)
    model.save_pretrained(folder, max_shard_size="2KB", safe_serialization=True)
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    assert bytes_of("1GB") == 10**9
    for wrong in ("many", "-1MB", "5XB", ""):
        with pytest.raises(ValueError, match="max_shard_size is"):
            model.save_pretrained(folder, max_shard_size=wrong)
    with pytest.raises(ValueError, match="asks for a pickle"):
        model.save_pretrained(folder, safe_serialization=False)
