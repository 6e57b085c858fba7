"""Marian: the numbers and the files of Hugging Face's library, and the same target with a cache as without."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm.autograd.errors import OperationError
from minillm.inference.translation import Writer, translate
from minillm.models import MarianConfig, MarianMTModel
from minillm.models.marian import sinusoids

SIZES = {
    "vocab_size": 40, "d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 24,
    "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 20, "max_position_embeddings": 32,
    "pad_token_id": 39, "decoder_start_token_id": 39, "eos_token_id": 0, "dropout": 0.0,
}  # fmt: skip


def make_model(**changes):
    minillm.manual_seed(0)
    return MarianMTModel(MarianConfig(**{**SIZES, "init_std": 0.3, **changes})).eval()


def make_batch():
    rng = np.random.default_rng(1)
    source, target = rng.integers(1, 39, (3, 7)), rng.integers(1, 39, (3, 5))
    mask = np.ones((3, 7), np.int64)
    mask[1, 4:] = 0
    source[1, 4:] = 39
    target[2, 3:] = -100
    return source, mask, target


@pytest.fixture
def pair(tmp_path, request):
    """The same random model in both libraries, by way of the other's file."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.MarianConfig(**{**SIZES, "init_std": 0.3, "forced_eos_token_id": None, **request.param})
    theirs = transformers.MarianMTModel(config).eval()
    theirs.final_logits_bias.normal_()
    theirs.save_pretrained(tmp_path / "theirs")
    return MarianMTModel.from_pretrained(tmp_path / "theirs"), theirs, tmp_path


CONFIGS = [
    {"scale_embedding": True, "activation_function": "swish"},
    {"share_encoder_decoder_embeddings": False, "decoder_vocab_size": 45, "tie_word_embeddings": False},
]


@pytest.mark.parametrize("pair", CONFIGS, indirect=True)
def test_logits_loss_gradients_and_attention_of_transformers(pair):
    import torch

    ours, theirs, _ = pair
    source, mask, target = make_batch()
    theirs.set_attn_implementation("eager")
    wanted = theirs(
        torch.tensor(source), attention_mask=torch.tensor(mask), labels=torch.tensor(target), output_attentions=True
    )
    got = ours(
        minillm.tensor(source), attention_mask=minillm.tensor(mask), labels=minillm.tensor(target),
        output_attentions=True,
    )  # fmt: skip
    np.testing.assert_allclose(got.logits.detach().numpy(), wanted.logits.detach().numpy(), atol=2e-5)
    np.testing.assert_allclose(got.loss.item(), wanted.loss.item(), rtol=1e-5)
    np.testing.assert_allclose(
        got.encoder_last_hidden_state.detach().numpy()[mask == 1],
        wanted.encoder_last_hidden_state.detach().numpy()[mask == 1],
        atol=2e-5,
    )
    np.testing.assert_allclose(
        got.cross_attentions.detach().numpy(), wanted.cross_attentions[-1].detach().numpy(), atol=1e-5
    )
    got.loss.backward()
    wanted.loss.backward()
    theirs_by_name = dict(theirs.named_parameters())
    compared = 0
    for name, parameter in ours.named_parameters():
        if name in theirs_by_name and theirs_by_name[name].grad is not None:
            np.testing.assert_allclose(
                parameter.grad.numpy(), theirs_by_name[name].grad.numpy(), atol=2e-5, err_msg=name
            )
            compared += 1
    assert compared > 60


@pytest.mark.parametrize("pair", CONFIGS, indirect=True)
def test_files_go_both_ways(pair):
    import torch
    import transformers

    ours, theirs, path = pair
    ours.save_pretrained(path / "ours")
    back = transformers.MarianMTModel.from_pretrained(path / "ours").eval()
    source, _, target = make_batch()
    arguments = torch.tensor(source), None, torch.tensor(np.abs(target) % 39)
    np.testing.assert_allclose(
        back(*arguments).logits.detach().numpy(), theirs(*arguments).logits.detach().numpy(), atol=1e-6
    )
    again = MarianMTModel.from_pretrained(path / "ours")
    assert again.config == ours.config


@pytest.mark.parametrize("pair", CONFIGS[:1], indirect=True)
@pytest.mark.parametrize("num_beams", [1, 3])
def test_targets_of_transformers(pair, num_beams):
    import torch

    ours, theirs, _ = pair
    source, mask, _ = make_batch()
    wanted = theirs.generate(
        torch.tensor(source), attention_mask=torch.tensor(mask), num_beams=num_beams, max_new_tokens=12,
        do_sample=False, bad_words_ids=None,
    )  # fmt: skip
    got = translate(ours, minillm.tensor(source), minillm.tensor(mask), 12, num_beams=num_beams)
    assert got.tolist() == wanted[:, 1:].tolist()


def test_a_cache_changes_nothing():
    model = make_model()
    source, mask, target = make_batch()
    target = np.abs(target) % 39
    source, mask, target = map(minillm.tensor, (source, mask, target))
    with minillm.no_grad():
        memory = model.encode(source, mask)
        whole, _ = model.decode(target, memory, mask)
        cache = model.start_cache(memory, mask, 8)
        parts = [model.decode(target[:, i:j], memory, mask, cache)[0] for i, j in ((0, 1), (1, 3), (3, 5))]
    np.testing.assert_allclose(minillm.cat(parts, dim=1).numpy(), whole.numpy(), atol=5e-6)
    writer = Writer(model, source, mask)
    start = minillm.full((3, 1), 39, dtype="int64")
    plain = minillm.inference.generate(writer, start, 9, use_cache=False, eos_token_id=())
    assert plain[:, 1:].tolist() == translate(model, source, mask, 9, eos_token_id=()).tolist()


def test_sources_of_several_lengths_are_padded():
    model = make_model()
    both = translate(model, [[3, 4, 5, 6], [7, 8]], max_new_tokens=6, eos_token_id=())
    for row, source in zip(both.tolist(), ([3, 4, 5, 6], [7, 8]), strict=True):
        assert row == translate(model, [source], max_new_tokens=6, eos_token_id=())[0].tolist()


def test_the_loss_falls():
    minillm.manual_seed(0)
    model = MarianMTModel(MarianConfig(**SIZES))
    optimizer = minillm.optim.Adam(model.parameters(), lr=5e-3)
    source, _, _ = make_batch()
    source = minillm.tensor(source % 38 + 1)
    losses = []
    for _ in range(150):
        loss = model(source, labels=source).loss  # to repeat what was read
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


def test_sinusoids_are_those_of_the_paper():
    code = sinusoids(50, 8)
    for place in (0, 3, 49):
        for i in range(4):
            angle = place / 10000 ** (2 * i / 8)
            assert code[place, i] == pytest.approx(np.sin(angle), abs=1e-6)
            assert code[place, 4 + i] == pytest.approx(np.cos(angle), abs=1e-6)


def test_what_does_not_fit_is_an_error():
    model = make_model()
    source, mask, target = map(minillm.tensor, make_batch())
    with pytest.raises(OperationError, match="it needs one of input_ids and encoder_outputs"):
        model(labels=target)
    with pytest.raises(OperationError, match="it needs labels or decoder_input_ids"):
        model(source)
    with pytest.raises(OperationError, match=r"a source of shape \(7,\); it needs \(B, S\)"):
        model(source[0], labels=target)
    with pytest.raises(OperationError, match=r"attention_mask: got shape \(3, 6\); it needs \(3, 7\)"):
        model(source, mask[:, :6], labels=target)
    with pytest.raises(OperationError, match="a row is padding alone"):
        model(source, mask * 0, labels=target)
    with pytest.raises(OperationError, match=r"labels: got shape \(3, 5\); it needs \(3, 2\)"):
        model(source, decoder_input_ids=source[:, :2], labels=target)
    with pytest.raises(OperationError, match=r"labels: got shape \(3, 0\); it needs \(B, T\), at least one"):
        model(source, labels=target[:, :0])
    with pytest.raises(OperationError, match="33 tokens are more than the 32 positions"):
        model(minillm.zeros(1, 33, dtype="int64"), labels=target[:1])
    with pytest.raises(ValueError, match="a source is empty"):
        translate(model, [[3], []])
    for changes, message in (
        ({"d_model": 18, "encoder_attention_heads": 4}, "encoder_attention_heads"),
        ({"d_model": 9, "encoder_attention_heads": 3, "decoder_attention_heads": 3}, "sinusoids need an even one"),
        ({"decoder_vocab_size": 41}, "shared embeddings need equal vocabularies, not 40 and 41"),
        ({"pad_token_id": 40}, "pad_token_id is 40; it needs to be one of 40 tokens"),
        ({"activation_function": "step"}, "activation_function"),
    ):
        with pytest.raises(ValueError, match=message):
            MarianConfig(**{**SIZES, **changes})
