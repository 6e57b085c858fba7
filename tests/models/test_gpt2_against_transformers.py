"""GPT-2 against transformers: weights move by file, both ways; numbers and texts are equal."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm.inference import generate
from minillm.models import GPT2Config, GPT2LMHeadModel, GPT2Model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def their_model(seed: int = 0, **changes: object) -> transformers.GPT2LMHeadModel:
    settings = {
        "vocab_size": 61, "n_positions": 32, "n_embd": 24, "n_layer": 3, "n_head": 4,
        "initializer_range": 0.2, "bos_token_id": None, "eos_token_id": None,
    }  # fmt: skip
    torch.manual_seed(seed)
    config = transformers.GPT2Config(**{**settings, **changes})
    model = transformers.GPT2LMHeadModel(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or ".ln_" in name:  # which start as zeros and ones
                parameter += 0.2 * torch.randn_like(parameter)
    return model.eval()


CONFIGS = [
    {},
    {"tie_word_embeddings": False},
    {"n_inner": 40, "activation_function": "relu"},
    {"activation_function": "gelu"},
    {"scale_attn_weights": False},
    {"scale_attn_by_inverse_layer_idx": True, "layer_norm_epsilon": 1e-2},
]


@pytest.fixture(params=CONFIGS, ids=lambda changes: ",".join(changes) or "default")
def pair(request, tmp_path):
    theirs = their_model(**request.param)
    theirs.save_pretrained(tmp_path)
    return theirs, GPT2LMHeadModel.from_pretrained(tmp_path)


def ids(rows: int = 3, length: int = 11, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 61, (rows, length))


def test_logits_losses_and_gradients_are_equal(pair):
    theirs, ours = pair
    x = ids()
    labels = x.copy()
    labels[0, :4] = -100
    expected = theirs(torch.tensor(x), labels=torch.tensor(labels))
    output = ours(minillm.tensor(x), labels=minillm.tensor(labels))
    np.testing.assert_allclose(output.logits.numpy(force=True), expected.logits.detach().numpy(), atol=1e-5)
    assert output.loss.item() == pytest.approx(expected.loss.item(), rel=1e-6)
    expected.loss.backward()
    output.loss.backward()
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        wanted = gradients[name].grad.numpy()
        if name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            wanted = wanted.T
        np.testing.assert_allclose(parameter.grad.numpy(), wanted, atol=1e-5, rtol=1e-4, err_msg=name)


def test_hidden_states_and_attentions_are_equal(tmp_path):
    theirs = their_model()
    theirs.set_attn_implementation("eager")
    theirs.save_pretrained(tmp_path)
    ours = GPT2LMHeadModel.from_pretrained(tmp_path)
    x = ids()
    mask = np.ones_like(x)
    mask[1, 8:] = 0
    asked = {"output_hidden_states": True, "output_attentions": True}
    expected = theirs(torch.tensor(x), attention_mask=torch.tensor(mask), **asked)
    output = ours(minillm.tensor(x), attention_mask=minillm.tensor(mask), **asked)
    assert len(output.hidden_states) == len(expected.hidden_states)
    assert len(output.attentions) == len(expected.attentions)
    real = mask.astype(bool)
    for a, b in zip(output.hidden_states, expected.hidden_states, strict=True):
        np.testing.assert_allclose(a.numpy(force=True)[real], b.detach().numpy()[real], atol=1e-5)
    for a, b in zip(output.attentions, expected.attentions, strict=True):
        rows = a.numpy(force=True).transpose(0, 2, 1, 3)[real]
        np.testing.assert_allclose(rows, b.detach().numpy().transpose(0, 2, 1, 3)[real], atol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_logits_are_equal_with_padding(tmp_path, side):
    theirs = their_model()
    theirs.save_pretrained(tmp_path)
    ours = GPT2LMHeadModel.from_pretrained(tmp_path)
    x = ids()
    mask = np.ones_like(x)
    mask[1, :5] = mask[2, :1] = 0
    if side == "right":
        mask = mask[:, ::-1].copy()
    expected = theirs(torch.tensor(x), attention_mask=torch.tensor(mask)).logits.detach().numpy()
    output = ours(minillm.tensor(x), attention_mask=minillm.tensor(mask)).logits.numpy(force=True)
    np.testing.assert_allclose(output[mask == 1], expected[mask == 1], atol=1e-5)
    positions = np.maximum(mask.cumsum(1) - 1, 0)
    expected = theirs(
        torch.tensor(x), attention_mask=torch.tensor(mask), position_ids=torch.tensor(positions)
    ).logits
    output = ours(
        minillm.tensor(x), attention_mask=minillm.tensor(mask), position_ids=minillm.tensor(positions)
    ).logits
    np.testing.assert_allclose(
        output.numpy(force=True)[mask == 1], expected.detach().numpy()[mask == 1], atol=1e-5
    )


@pytest.mark.parametrize("changes", CONFIGS[:2], ids=["tied", "untied"])
def test_transformers_loads_what_we_save(tmp_path, changes):
    minillm.manual_seed(0)
    settings = {"vocab_size": 61, "n_positions": 32, "n_embd": 24, "n_layer": 2, "n_head": 4}
    ours = GPT2LMHeadModel(GPT2Config(**settings, **changes, initializer_range=0.2)).eval()
    ours.save_pretrained(tmp_path)
    theirs, info = transformers.GPT2LMHeadModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    x = ids()
    expected = theirs.eval()(torch.tensor(x)).logits.detach().numpy()
    np.testing.assert_allclose(ours(minillm.tensor(x)).logits.numpy(force=True), expected, atol=1e-5)
    assert isinstance(transformers.AutoModelForCausalLM.from_pretrained(tmp_path), type(theirs))


def test_shards_of_half_precision_move_both_ways(tmp_path):
    x = ids()
    theirs = their_model().to(torch.bfloat16)
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="20KB")
    assert len(list((tmp_path / "theirs").glob("model-*.safetensors"))) > 1
    ours = GPT2LMHeadModel.from_pretrained(tmp_path / "theirs")
    wide = theirs.float()
    logits = ours(minillm.tensor(x)).logits.numpy(force=True)
    np.testing.assert_allclose(logits, wide(torch.tensor(x)).logits.detach().numpy(), atol=1e-5)

    ours.save_pretrained(tmp_path / "ours", dtype="bfloat16", max_shard_bytes=10_000)
    assert len(list((tmp_path / "ours").glob("model-*.safetensors"))) > 1
    back = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "ours", dtype=torch.float32).eval()
    expected = wide(torch.tensor(x)).logits.detach()
    np.testing.assert_array_equal(back(torch.tensor(x)).logits.detach(), expected)


def test_files_of_the_model_proper_and_of_the_model_with_a_head(tmp_path):
    theirs = their_model()
    theirs.transformer.save_pretrained(tmp_path / "proper")
    theirs.save_pretrained(tmp_path / "head")
    x = ids()
    hidden = theirs.transformer(torch.tensor(x)).last_hidden_state.detach().numpy()
    for directory in ("proper", "head"):
        ours = GPT2Model.from_pretrained(tmp_path / directory)
        np.testing.assert_allclose(
            ours(minillm.tensor(x)).last_hidden_state.numpy(force=True), hidden, atol=1e-5
        )
        with_head = GPT2LMHeadModel.from_pretrained(tmp_path / directory)
        np.testing.assert_allclose(
            with_head(minillm.tensor(x)).logits.numpy(force=True),
            theirs(torch.tensor(x)).logits.detach().numpy(),
            atol=1e-5,
        )


# -- generation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"repetition_penalty": 1.4}])
def test_greedy_texts_are_equal(pair, options):
    theirs, ours = pair
    x = ids(length=4)
    expected = theirs.generate(
        torch.tensor(x), attention_mask=torch.ones(3, 4), max_new_tokens=15, do_sample=False,
        pad_token_id=0, **options,
    )  # fmt: skip
    assert generate(ours, x, 15, **options).tolist() == expected.tolist()


def test_greedy_texts_of_prompts_of_different_lengths_that_end_are_equal(tmp_path):
    theirs = their_model()
    theirs.save_pretrained(tmp_path)
    ours = GPT2LMHeadModel.from_pretrained(tmp_path)
    prompts = [[5, 6, 7, 8], [9], [1, 2, 3]]
    x = np.array([[5, 6, 7, 8], [0, 0, 0, 9], [0, 1, 2, 3]])
    mask = np.array([[1, 1, 1, 1], [0, 0, 0, 1], [0, 1, 1, 1]])
    free = generate(ours, prompts, 20)
    ends = [int(free[0, 9]), int(free[2, 12])]
    expected = theirs.generate(
        torch.tensor(x), attention_mask=torch.tensor(mask), max_new_tokens=20, do_sample=False,
        eos_token_id=ends, pad_token_id=0,
    )  # fmt: skip
    by_lists = generate(ours, prompts, 20, eos_token_id=ends, pad_token_id=0)
    by_mask = generate(ours, x, 20, attention_mask=mask, eos_token_id=ends, pad_token_id=0)
    assert by_lists.tolist() == by_mask.tolist() == expected.tolist()
    assert by_lists[0].tolist() != free[0].tolist()
