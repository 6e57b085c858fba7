"""Llama against transformers: weights move by file, both ways; numbers and texts are equal."""

from __future__ import annotations

import json

import numpy as np
import pytest

import minillm
from minillm.inference import generate
from minillm.models import LlamaConfig, LlamaForCausalLM, LlamaModel

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

THETA = {"rope_theta": 10000.0}
CONFIGS = {
    "default": {},
    "no sharing, biases": {"num_key_value_heads": 4, "attention_bias": True, "mlp_bias": True},
    "one shared head, tied": {"num_key_value_heads": 1, "tie_word_embeddings": True},
    "own width of heads": {"head_dim": 10, "rms_norm_eps": 1e-2, "pad_token_id": 0},
    "other base": {"rope_parameters": {"rope_type": "default", "rope_theta": 300.0}},
    "linear": {"rope_parameters": {"rope_type": "linear", "factor": 3.0, **THETA}},
    "dynamic": {
        "rope_parameters": {"rope_type": "dynamic", "factor": 4.0, **THETA},
        "max_position_embeddings": 8,
    },
    "llama3": {
        "rope_parameters": {
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16, "rope_theta": 100.0,
        },
    },
    "yarn": {
        "rope_parameters": {
            "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "rope_theta": 50.0
        },
    },
    "yarn, other settings": {
        "rope_parameters": {
            "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "rope_theta": 50.0,
            "beta_fast": 8, "beta_slow": 2, "mscale": 1.2, "mscale_all_dim": 0.7, "truncate": False,
        },
    },
}  # fmt: skip


def their_model(**changes: object) -> transformers.LlamaForCausalLM:
    settings = {
        "vocab_size": 61, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "initializer_range": 0.2, "bos_token_id": None, "eos_token_id": None,
    }  # fmt: skip
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**{**settings, **changes}))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or "norm" in name:  # which start as zeros and ones
                parameter += 0.2 * torch.randn_like(parameter)
    return model.eval()


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS.keys())
def pair(request, tmp_path):
    theirs = their_model(**request.param)
    theirs.save_pretrained(tmp_path)
    return theirs, LlamaForCausalLM.from_pretrained(tmp_path)


def ids(rows: int = 3, length: int = 30, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 61, (rows, length))


def test_logits_losses_and_gradients_are_equal(pair):
    theirs, ours = pair
    x = ids()
    labels = x.copy()
    labels[0, :4] = -100
    expected = theirs(torch.tensor(x), labels=torch.tensor(labels))
    output = ours(minillm.tensor(x), labels=minillm.tensor(labels))
    np.testing.assert_allclose(output.logits.numpy(force=True), expected.logits.detach().numpy(), atol=2e-5)
    assert output.loss.item() == pytest.approx(expected.loss.item(), rel=1e-5)
    expected.loss.backward()
    output.loss.backward()
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        np.testing.assert_allclose(
            parameter.grad.numpy(), gradients[name].grad.numpy(), atol=2e-5, rtol=1e-3, err_msg=name
        )


def test_greedy_texts_with_a_cache_are_equal(pair):
    theirs, ours = pair
    x = ids(length=5)
    expected = theirs.generate(
        torch.tensor(x), attention_mask=torch.ones(3, 5), max_new_tokens=20, do_sample=False, pad_token_id=0
    )
    assert generate(ours, x, 20).tolist() == expected.tolist()
    dynamic = ours.config.rope_parameters["rope_type"] == "dynamic"  # frequencies change as the text grows
    assert dynamic or generate(ours, x, 20, use_cache=False).tolist() == expected.tolist()


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_hidden_states_and_attentions_are_equal(tmp_path, side):
    theirs = their_model()
    theirs.set_attn_implementation("eager")
    theirs.save_pretrained(tmp_path)
    ours = LlamaForCausalLM.from_pretrained(tmp_path)
    x = ids(length=11)
    mask = np.ones_like(x)
    mask[1, :5] = mask[2, :1] = 0
    mask = mask if side == "left" else mask[:, ::-1].copy()
    asked = {"output_hidden_states": True, "output_attentions": True}
    expected = theirs(torch.tensor(x), attention_mask=torch.tensor(mask), **asked)
    output = ours(minillm.tensor(x), attention_mask=minillm.tensor(mask), **asked)
    plain = ours(minillm.tensor(x), attention_mask=minillm.tensor(mask))
    real = mask == 1
    for a in (output.logits, plain.logits):
        np.testing.assert_allclose(a.numpy(force=True)[real], expected.logits.detach().numpy()[real], atol=2e-5)
    for a, b in zip(output.hidden_states, expected.hidden_states, strict=True):
        np.testing.assert_allclose(a.numpy(force=True)[real], b.detach().numpy()[real], atol=2e-5)
    for a, b in zip(output.attentions, expected.attentions, strict=True):
        rows = a.numpy(force=True).transpose(0, 2, 1, 3)[real]
        np.testing.assert_allclose(rows, b.detach().numpy().transpose(0, 2, 1, 3)[real], atol=1e-5)


def test_texts_of_prompts_of_different_lengths_are_equal(tmp_path):
    theirs = their_model()
    theirs.save_pretrained(tmp_path)
    ours = LlamaForCausalLM.from_pretrained(tmp_path)
    x = np.array([[5, 6, 7, 8], [0, 0, 0, 9], [0, 1, 2, 3]])
    mask = np.array([[1, 1, 1, 1], [0, 0, 0, 1], [0, 1, 1, 1]])
    expected = theirs.generate(
        torch.tensor(x), attention_mask=torch.tensor(mask), max_new_tokens=15, do_sample=False, pad_token_id=0
    )
    assert generate(ours, [[5, 6, 7, 8], [9], [1, 2, 3]], 15).tolist() == expected.tolist()


@pytest.mark.parametrize("name", ["default", "own width of heads", "one shared head, tied", "llama3"])
def test_transformers_loads_what_we_save(tmp_path, name):
    minillm.manual_seed(0)
    config = LlamaConfig(
        **{
            "vocab_size": 61, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.2, **CONFIGS[name],
        }
    )  # fmt: skip
    ours = LlamaForCausalLM(config).eval()
    ours.save_pretrained(tmp_path)
    theirs, info = transformers.LlamaForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    x = ids()
    np.testing.assert_allclose(
        ours(minillm.tensor(x)).logits.numpy(force=True), theirs.eval()(torch.tensor(x)).logits.detach().numpy(),
        atol=2e-5,
    )  # fmt: skip


def test_old_settings_of_rope_and_files_of_the_model_proper(tmp_path):
    theirs = their_model(**CONFIGS["linear"])
    theirs.model.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    del settings["rope_parameters"]
    settings |= {"rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 3.0}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    ours = LlamaModel.from_pretrained(tmp_path)
    x = ids()
    np.testing.assert_allclose(
        ours(minillm.tensor(x)).last_hidden_state.numpy(force=True),
        theirs.model(torch.tensor(x)).last_hidden_state.detach().numpy(),
        atol=2e-5,
    )
