"""The LSTM encoder-decoder: the equations step by step, padding, the cache, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm import nn
from minillm.inference.translation import translate
from minillm.models import LSTMTranslator, LSTMTranslatorConfig

SIZES = {"vocab_size": 20, "decoder_vocab_size": 17, "embedding_dim": 6, "hidden_size": 8, "num_layers": 2}


def make_model(**changes):
    minillm.manual_seed(0)
    return LSTMTranslator(LSTMTranslatorConfig(**{**SIZES, "initializer_range": 0.5, **changes})).eval()


def make_batch():
    rng = np.random.default_rng(1)
    source, target = rng.integers(3, 20, (3, 6)), rng.integers(3, 17, (3, 4))
    mask = np.ones((3, 6), np.int64)
    mask[1, 3:] = 0
    source[1, 3:] = 0
    target[2, 3:] = -100
    return tuple(map(minillm.tensor, (source, mask, target)))


def test_the_equations_one_row_and_one_step_at_a_time():
    model = make_model(num_layers=1)
    source, mask, target = make_batch()
    logits = model(source, mask, labels=target).logits.detach().numpy()
    sizes = {"hidden_size": 8, "input_size": 6}
    cells = {"reader": nn.LSTMCell(**sizes), "backwards": nn.LSTMCell(**sizes), "writer": nn.LSTMCell(**sizes)}
    for name, (layer, ending) in {
        "reader": (model.encoder, ""), "backwards": (model.encoder, "_reverse"), "writer": (model.decoder, "")
    }.items():  # fmt: skip
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(cells[name], part).array[...] = getattr(layer, f"{part}_l0{ending}").array
    with minillm.no_grad():
        for row in range(3):
            x = model.embedding(source[row, : int(mask[row].sum())])
            states = {}
            for name, order in (("reader", range(len(x))), ("backwards", reversed(range(len(x))))):
                h = c = minillm.zeros(8)
                for i in order:
                    h, c = cells[name](x[i], (h, c))
                    states[name, i] = h
            memory = minillm.stack([minillm.cat([states["reader", i], states["backwards", i]]) for i in range(len(x))])
            both = minillm.cat([states["reader", len(x) - 1], states["backwards", 0]])
            h, c = model.bridge_h(both).tanh(), model.bridge_c(both).tanh()
            read = [1, *target[row, :-1].tolist()]
            for t, token in enumerate(read):
                h, c = cells["writer"](model.target_embedding(minillm.tensor(max(token, 0))), (h, c))
                weights = minillm.softmax((model.attention.weight @ memory.T).T @ h, dim=0)
                y = model.combine(minillm.cat([weights @ memory, h])).tanh()
                np.testing.assert_allclose(logits[row, t], model.head(y).numpy(), atol=1e-5)


def test_attention_is_shown_and_leaves_padding_out():
    model = make_model()
    source, mask, target = make_batch()
    output = model(source, mask, labels=target, output_attentions=True)
    weights = output.cross_attentions.detach().numpy()
    assert weights.shape == (3, 1, 4, 6)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    assert (weights[1, :, :, 3:] == 0).all()
    plain = model(source, mask, labels=target).logits.detach().numpy()
    np.testing.assert_allclose(output.logits.detach().numpy(), plain, atol=1e-6)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_writing_with_the_cache_is_choosing_from_whole_targets(num_beams):
    model = make_model()
    rows = [[3, 4, 5, 6, 7], [8, 9], [10, 11, 12]]
    together = translate(model, rows, max_new_tokens=6, num_beams=num_beams, eos_token_id=())
    for row, written in zip(rows, together.tolist(), strict=True):
        assert written == translate(model, [row], max_new_tokens=6, num_beams=num_beams, eos_token_id=())[0].tolist()
    source = minillm.tensor([rows[0]])
    written = [1]
    for _ in range(6):
        logits = model(source, decoder_input_ids=minillm.tensor([written])).logits
        written.append(int(logits[0, -1].argmax()))
    if num_beams == 1:
        assert together[0].tolist() == written[1:]


def test_files_and_shared_embeddings(tmp_path):
    model = make_model(decoder_vocab_size=20, share_embeddings=True)
    assert model.target_embedding is model.embedding
    model.save_pretrained(tmp_path)
    back = LSTMTranslator.from_pretrained(tmp_path)
    source, mask, target = make_batch()
    assert (back(source, mask, labels=target).logits == model(source, mask, labels=target).logits).all()
    assert back.config == model.config
    assert back.target_embedding.weight is back.embedding.weight


def test_it_learns_to_turn_a_row_around():
    minillm.manual_seed(0)
    model = LSTMTranslator(LSTMTranslatorConfig(vocab_size=12, embedding_dim=16, hidden_size=32))
    optimizer = minillm.optim.Adam(model.parameters(), lr=0.01)
    rng = np.random.default_rng(0)
    for _ in range(300):
        source = rng.integers(3, 12, (32, 4))
        target = np.concatenate([source[:, ::-1], np.full((32, 1), 2)], axis=1)
        loss = model(minillm.tensor(source), labels=minillm.tensor(target)).loss
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    fresh = rng.integers(3, 12, (50, 4))
    written = translate(model, minillm.tensor(fresh), max_new_tokens=5).numpy()
    assert (written[:, :4] == fresh[:, ::-1]).all(axis=1).mean() > 0.9


def test_what_does_not_fit_is_an_error():
    model = make_model()
    source, mask, target = make_batch()
    with pytest.raises(ValueError, match="padding stands before or between tokens; put it behind them"):
        model(source, mask.flip(1), labels=target)
    for changes, message in (
        ({"share_embeddings": True}, "shared embeddings need equal vocabularies, not 20 and 17"),
        ({"decoder_start_token_id": 17}, "decoder_start_token_id is 17; it needs to be one of 17 tokens"),
        ({"hidden_size": 0}, "hidden_size"),
        ({"dropout": 2.0}, "dropout"),
    ):
        with pytest.raises(ValueError, match=message):
            LSTMTranslatorConfig(**{**SIZES, **changes})
