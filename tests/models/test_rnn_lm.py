"""The recurrent language model: against PyTorch's layers, its state, padding, errors."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm.autograd.errors import OperationError
from minillm.models import RNNLMConfig, RNNLMHeadModel

CELLS = ["rnn", "gru", "lstm"]


def tiny(**changes: object) -> RNNLMConfig:
    settings = {"vocab_size": 31, "embedding_dim": 8, "hidden_size": 12, "num_layers": 2}
    settings["initializer_range"] = 0.5
    return RNNLMConfig(**{**settings, **changes})


def build(**changes: object) -> RNNLMHeadModel:
    minillm.manual_seed(0)
    return RNNLMHeadModel(tiny(**changes)).eval()


def tokens(rows: int = 3, length: int = 7, seed: int = 0) -> minillm.Tensor:
    return minillm.tensor(np.random.default_rng(seed).integers(0, 31, (rows, length)))


@pytest.mark.parametrize("cell", CELLS)
def test_logits_loss_and_gradients_equal_pytorchs(cell):
    torch = pytest.importorskip("torch")
    model = build(cell=cell)
    state = {name: torch.tensor(p.numpy(force=True)) for name, p in model.named_parameters()}
    rnn = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell](8, 12, 2, batch_first=True)
    rnn.load_state_dict({n.removeprefix("rnn."): v for n, v in state.items() if n.startswith("rnn.")})
    embedding, head = torch.nn.Embedding(31, 8), torch.nn.Linear(12, 31)
    embedding.load_state_dict({"weight": state["embedding.weight"]})
    head.load_state_dict({"weight": state["head.weight"], "bias": state["head.bias"]})

    x = tokens()
    ids = torch.tensor(x.numpy())
    logits = head(rnn(embedding(ids))[0])
    expected = torch.nn.functional.cross_entropy(logits[:, :-1].reshape(-1, 31), ids[:, 1:].reshape(-1))
    expected.backward()
    output = model(x, labels=x)
    output.loss.backward()
    np.testing.assert_allclose(output.logits.numpy(force=True), logits.detach().numpy(), atol=1e-5)
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    np.testing.assert_allclose(
        model.rnn.weight_hh_l0.grad.numpy(), rnn.weight_hh_l0.grad.numpy(), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        model.embedding.weight.grad.numpy(), embedding.weight.grad.numpy(), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("pieces", [[1] * 7, [3, 4], [6, 1]])
def test_logits_read_in_pieces_are_equal(cell, pieces):
    model, x = build(cell=cell), tokens()
    whole = model(x).logits.numpy(force=True)
    state, parts, start = model.start_cache(), [], 0
    with minillm.no_grad():
        for size in pieces:
            parts.append(model(x[:, start : start + size], past_key_values=state).logits.numpy())
            start += size
            assert state.length == start
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_leaves_logits_and_state_as_they_are(cell, side):
    model, x = build(cell=cell), tokens()
    lengths = [7, 3, 5]
    place = np.arange(7)[None]
    count = np.array(lengths)[:, None]
    mask = place >= 7 - count if side == "left" else place < count
    state = model.start_cache()
    with minillm.no_grad():
        padded = model(x, state, attention_mask=minillm.tensor(mask)).logits.numpy()
        after = model(x[:, :1], state).logits.numpy()
        for i, n in enumerate(lengths):
            own = x[i : i + 1, 7 - n :] if side == "left" else x[i : i + 1, :n]
            alone = model.start_cache()
            expected = model(own, alone).logits.numpy()
            np.testing.assert_allclose(padded[i][mask[i]], expected[0], atol=1e-5)
            np.testing.assert_allclose(after[i], model(x[i : i + 1, :1], alone).logits.numpy()[0], atol=1e-5)


def test_a_mask_without_padding_changes_nothing():
    model, x = build(), tokens()
    assert (model(x, attention_mask=minillm.ones(3, 7)).logits == model(x).logits).all()


def test_targets_and_the_last_logits():
    model, x = build(), tokens()
    by_labels = model(x, labels=x).loss.item()
    assert model(x[:, :-1], targets=x[:, 1:]).loss.item() == pytest.approx(by_labels, rel=1e-5)
    last = model(x, logits_to_keep=1).logits.numpy(force=True)
    np.testing.assert_allclose(last, model(x).logits.numpy(force=True)[:, -1:], atol=1e-5)


def test_tied_embeddings_and_initial_weights():
    model = build(embedding_dim=12, tie_word_embeddings=True, initializer_range=0.1)
    assert model.head.weight is model.embedding.weight
    weight = model.head.weight.numpy(force=True)
    assert 0.09 < weight.max() <= 0.1
    assert -0.1 <= weight.min() < -0.09
    assert (model.head.bias == 0).all()


def test_dropout_works_in_training_alone():
    model, x = build(dropout=0.5).train(), tokens()
    assert not (model(x).logits == model(x).logits).all()
    model.eval()
    assert (model(x).logits == model(x).logits).all()


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_state_carries_gradients_until_it_is_detached(cell):
    model, x = build(cell=cell), tokens()
    state = model.start_cache()
    model(x, past_key_values=state)
    carried = model(x, past_key_values=state, labels=x).loss
    with_history = minillm.autograd.grad(carried, [model.rnn.weight_hh_l0])[0].numpy()
    state = model.start_cache()
    model(x, past_key_values=state)
    state.detach()
    cut = model(x, past_key_values=state, labels=x).loss
    without = minillm.autograd.grad(cut, [model.rnn.weight_hh_l0])[0].numpy()
    assert cut.item() == pytest.approx(carried.item())
    assert not np.allclose(with_history, without)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_reorder_keeps_the_rows_asked_for(cell):
    model, x = build(cell=cell), tokens()
    state, direct = model.start_cache(), model.start_cache()
    state.reorder([1])  # nothing yet
    rows = minillm.tensor([2, 0, 2])
    with minillm.no_grad():
        model(x, past_key_values=state)
        state.reorder(rows)
        model(x[rows], past_key_values=direct)
        a, b = model(x, past_key_values=state).logits, model(x, past_key_values=direct).logits
    np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)


def test_the_model_runs_on_each_device(device):
    model = RNNLMHeadModel(tiny())
    x = minillm.tensor([[1, 2, 3], [4, 5, 6]])
    model(x, labels=x, attention_mask=minillm.tensor([[1, 1, 1], [0, 1, 1]])).loss.backward()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m(minillm.tensor([1, 2])), r"got tokens of shape \(2,\); it needs \(B, T\)"),
        (lambda m: m(minillm.zeros(2, 0, dtype="int64")), r"got tokens of shape \(2, 0\)"),
        (lambda m: m(minillm.tensor([[31]])), "31"),
        (lambda m: m(tokens(), attention_mask=minillm.zeros(3, 6)), r"got shape \(3, 6\); it needs \(3, 7\)"),
        (
            lambda m: m(tokens(1, 3), attention_mask=minillm.tensor([[1, 0, 1]])),
            "the tokens of each row need to stand side by side",
        ),
        (
            lambda m: m(tokens(2, 2), attention_mask=minillm.tensor([[1, 1], [0, 0]])),
            "a row has no token",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(OperationError, match=message):
        call(build())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"cell": "transformer"}, "cell is 'transformer'; known are rnn, gru, lstm"),
        ({"dropout": -0.1}, "dropout is -0.1"),
        ({"tie_word_embeddings": True}, "tied embeddings need embedding_dim = hidden_size, not 8 and 12"),
    ],
)
def test_settings_that_do_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny(**changes)
