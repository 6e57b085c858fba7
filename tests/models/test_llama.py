"""Llama by itself: cache, rotation, devices, errors. Its numbers are compared in the file beside."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm.autograd.errors import OperationError
from minillm.inference import generate
from minillm.models import LlamaConfig, LlamaForCausalLM, LlamaModel, load_language_model
from minillm.models.llama import LlamaLayer
from minillm.models.rope import Rotate, frequencies, rope_settings


def tiny(**changes: object) -> LlamaConfig:
    settings = {
        "vocab_size": 31, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 20,
        "initializer_range": 0.3, "bos_token_id": None, "eos_token_id": None,
    }  # fmt: skip
    return LlamaConfig(**{**settings, **changes})


def build(**changes: object) -> LlamaForCausalLM:
    minillm.manual_seed(0)
    return LlamaForCausalLM(tiny(**changes)).eval()


def tokens(rows: int = 2, length: int = 9, seed: int = 0) -> minillm.Tensor:
    return minillm.tensor(np.random.default_rng(seed).integers(1, 31, (rows, length)))


@pytest.mark.parametrize("pieces", [[9], [1] * 9, [4, 5], [5, 1, 3]])
@pytest.mark.parametrize("padded", [False, True])
def test_cached_and_uncached_logits_are_equal(pieces, padded):
    model, x = build(), tokens()
    padding = np.array([0, 3 if padded else 0])
    place = np.arange(9)[None] - padding[:, None]
    mask, positions = minillm.tensor(place >= 0), minillm.tensor(np.maximum(place, 0))
    alone = [model(x[i : i + 1, p:]).logits.numpy(force=True)[0] for i, p in enumerate(padding.tolist())]
    cache, parts, start = model.start_cache(9), [], 0
    with minillm.no_grad():
        for size in pieces:
            now = slice(start, start + size)
            given = {"attention_mask": mask[:, now], "position_ids": positions[:, now]} if padded else {}
            parts.append(model(x[:, now], past_key_values=cache, **given).logits.numpy())
            start += size
    together = np.concatenate(parts, axis=1)
    for i, p in enumerate(padding.tolist()):
        np.testing.assert_allclose(together[i, p:], alone[i], atol=1e-5)


@pytest.mark.parametrize(
    "changes", [{}, {"attention_bias": True, "mlp_bias": True}, {"num_key_value_heads": 4, "head_dim": 6}]
)
def test_one_token_on_arrays_is_the_twin_of_forward(monkeypatch, changes):
    model, x = build(**changes), tokens()

    def read() -> np.ndarray:
        cache = model.start_cache()
        with minillm.no_grad():
            model(x[:, :6], past_key_values=cache)
            return np.stack([model(x[:, t : t + 1], past_key_values=cache).logits.numpy() for t in range(6, 9)])

    fast = read()
    monkeypatch.setattr(LlamaLayer, "is_plain", lambda _: False)
    np.testing.assert_allclose(fast, read(), atol=1e-5)


def test_a_rotation_keeps_lengths_and_tells_distances_alone():
    w, factor = frequencies(rope_settings(None, None, None, 100), 8, 100, 100)
    assert factor == 1
    rng = np.random.default_rng(0)
    q, k = rng.normal(size=(2, 1, 1, 1, 8))

    def turned(x: np.ndarray, place: int) -> np.ndarray:
        angles = (place * w.astype(np.float64)).reshape(1, 1, 1, 4)
        return Rotate.apply(x, np.cos(angles), np.sin(angles))

    for place in (0, 3, 50):
        np.testing.assert_allclose(np.linalg.norm(turned(q, place)), np.linalg.norm(q))
    scores = [(turned(q, p + 4) * turned(k, p)).sum() for p in (0, 7, 60)]
    np.testing.assert_allclose(scores, scores[0], rtol=1e-6)


def test_a_rotation_is_differentiable_twice():
    x = minillm.randn(2, 3, 2, 4, dtype="float64", requires_grad=True)
    angles = np.random.default_rng(0).normal(size=(1, 3, 1, 2))

    def f(x):
        y = Rotate.apply(x, np.cos(angles), np.sin(angles))
        return (y * y * y).sum()

    assert minillm.autograd.gradcheck(f, (x,))
    assert minillm.autograd.gradgradcheck(f, (x,))


def test_the_model_learns_and_generates_on_each_device(device):
    model = LlamaForCausalLM(tiny())
    x = minillm.tensor([[1, 2, 3], [4, 5, 6]])
    model(x, labels=x, attention_mask=minillm.tensor([[1, 1, 1], [0, 1, 1]])).loss.backward()
    assert all(p.grad is not None for p in model.parameters())
    assert generate(model, [[1, 2], [3]], 4).shape == (2, 6)


def test_texts_longer_than_the_settings_provide_for():
    model = build()
    assert generate(model, [1, 2], 40).shape == (1, 42)  # the window moves
    longer = build(rope_parameters={"rope_type": "dynamic", "factor": 3.0})
    assert longer.max_length == 60
    assert model(tokens(1, 50)).logits.shape == (1, 50, 31)


def test_dropout_of_attention_works_in_training_alone():
    model, x = build(attention_dropout=0.5).train(), tokens()
    assert not (model(x).logits == model(x).logits).all()
    model.eval()
    assert (model(x).logits == model(x).logits).all()


def test_a_directory_says_what_kind_of_model_it_holds(tmp_path):
    model = build(tie_word_embeddings=True)
    model.save_pretrained(tmp_path)
    back = load_language_model(tmp_path)
    assert isinstance(back, LlamaForCausalLM)
    assert back.config == model.config
    assert (back(tokens()).logits == model(tokens()).logits).all()
    assert back.lm_head.weight is back.model.embed_tokens.weight


def test_targets_embeddings_and_a_cache_of_its_own():
    model, x = build(), tokens()
    by_labels = model(x, labels=x).loss.item()
    assert model(x[:, :-1], targets=x[:, 1:]).loss.item() == pytest.approx(by_labels, rel=1e-5)
    by_embeddings = model(inputs_embeds=model.model.embed_tokens(x)).logits
    assert (by_embeddings == model(x).logits).all()
    with minillm.no_grad():
        first = model(x[:, :4], use_cache=True, logits_to_keep=1)
        rest = model(x[:, 4:], past_key_values=first.past_key_values).logits.numpy()
    np.testing.assert_allclose(rest, model(x).logits.numpy(force=True)[:, 4:], atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LlamaModel(tiny())(), "it needs one of input_ids and inputs_embeds"),
        (lambda: LlamaModel(tiny())(minillm.tensor([1])), r"got tokens of shape \(1,\)"),
        (lambda: LlamaModel(tiny())(minillm.tensor([[31]])), "31"),
        (lambda: LlamaModel(tiny())(tokens(), minillm.ones(2, 8)), r"attention_mask: got shape \(2, 8\)"),
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
        ({"num_key_value_heads": 3}, "num_attention_heads is 4 and num_key_value_heads 3"),
        ({"head_dim": 5}, "head_dim is 5 and pair 2"),
        ({"head_dim": 0}, "head_dim is 0"),
        ({"hidden_act": "swiglu"}, "hidden_act is 'swiglu'"),
        ({"attention_dropout": 1.0}, "attention_dropout is 1.0"),
        ({"rope_scaling": {"type": "longrope"}}, "rope_type is 'longrope'; known are default, linear"),
        ({"rope_scaling": {"type": "linear"}}, "RoPE of type 'linear': factor is None"),
        ({"rope_parameters": {"rope_type": "llama3", "factor": 8.0}}, "low_freq_factor is None"),
        ({"rope_theta": -1.0}, "rope_theta is -1.0"),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "only whole heads are turned"),
    ],
)
def test_settings_that_do_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny(**changes)
