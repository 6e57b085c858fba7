"""LSTM classifiers: against PyTorch's LSTM, padding, poolings, files, and that they learn."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm.autograd.errors import OperationError
from minillm.models import LSTMClassifierConfig, LSTMForSequenceClassification, LSTMForTokenClassification

SIZES = {"vocab_size": 20, "embedding_dim": 6, "hidden_size": 5, "num_layers": 2, "num_labels": 3}


def make(kind=LSTMForSequenceClassification, **changes):
    minillm.manual_seed(0)
    return kind(LSTMClassifierConfig(**{**SIZES, **changes})).eval()


def make_batch():
    ids = np.random.default_rng(0).integers(1, 20, (3, 7))
    ids[1, 4:] = 0
    return ids


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("pooling", ["max", "mean", "last"])
def test_logits_and_gradients_of_pytorch(bidirectional, pooling):
    torch = pytest.importorskip("torch")
    model = make(bidirectional=bidirectional, pooling=pooling)
    embedding = torch.nn.Embedding(20, 6, padding_idx=0)
    lstm = torch.nn.LSTM(6, 5, 2, batch_first=True, bidirectional=bidirectional)
    head = torch.nn.Linear(5 * (1 + bidirectional), 3)
    for theirs, ours in ((embedding, model.embedding), (lstm, model.lstm), (head, model.classifier)):
        theirs.load_state_dict({name: torch.tensor(t.numpy()) for name, t in ours.state_dict().items()})
    ids, lengths = make_batch(), [7, 4, 7]
    pooled = []
    for row, length in zip(torch.tensor(ids), lengths, strict=True):
        states, (last, _) = lstm(embedding(row[:length])[None])
        directions = 1 + bidirectional
        found = {"max": states.amax(1), "mean": states.mean(1), "last": torch.cat(list(last[-directions:]), dim=1)}
        pooled.append(found[pooling])
    logits = head(torch.cat(pooled))
    labels = [0, 2, 1]
    output = model(minillm.tensor(ids), labels=minillm.tensor(labels))
    np.testing.assert_allclose(output.logits.detach().numpy(), logits.detach().numpy(), atol=1e-6)
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(labels))
    assert output.loss.item() == pytest.approx(loss.item(), rel=1e-6)
    output.loss.backward()
    loss.backward()
    np.testing.assert_allclose(model.embedding.weight.grad.numpy(), embedding.weight.grad.numpy(), atol=1e-6)
    np.testing.assert_allclose(model.lstm.weight_hh_l0.grad.numpy(), lstm.weight_hh_l0.grad.numpy(), atol=1e-6)


@pytest.mark.parametrize("kind", [LSTMForSequenceClassification, LSTMForTokenClassification])
def test_padding_changes_nothing_and_files_come_back(kind, tmp_path):
    model = make(kind)
    ids = make_batch()
    together = model(minillm.tensor(ids)).logits.detach().numpy()
    alone = model(minillm.tensor(ids[1:2, :4])).logits.detach().numpy()
    np.testing.assert_allclose(together[1:2] if alone.ndim == 2 else together[1:2, :4], alone, atol=1e-6)
    model.save_pretrained(tmp_path)
    back = kind.from_pretrained(tmp_path)
    np.testing.assert_array_equal(back(minillm.tensor(ids)).logits.detach().numpy(), together)


def test_initial_weights_are_even_and_small_and_the_range_is_in_the_file(tmp_path):
    model = make(vocab_size=500, embedding_dim=40, hidden_size=50, initializer_range=0.2, pooling="mean")
    for weight in (model.embedding.weight.detach().numpy(), model.classifier.weight.detach().numpy()):
        assert np.abs(weight).max() == pytest.approx(0.2, rel=0.05)
        assert weight.std() == pytest.approx(0.2 / 3**0.5, rel=0.1)
    assert not model.embedding.weight.detach().numpy()[0].any()  # of padding
    assert not model.classifier.bias.detach().numpy().any()
    bound = 1 / 50**0.5  # of nn.LSTM
    assert np.abs(model.lstm.weight_hh_l0.detach().numpy()).max() == pytest.approx(bound, rel=0.05)
    model.save_pretrained(tmp_path)
    back = LSTMForSequenceClassification.from_pretrained(tmp_path)
    assert (back.config.initializer_range, back.config.pooling) == (0.2, "mean")


@pytest.mark.parametrize("kind", [LSTMForSequenceClassification, LSTMForTokenClassification])
def test_they_learn(kind):
    minillm.manual_seed(0)
    model = kind(LSTMClassifierConfig(vocab_size=20, embedding_dim=8, hidden_size=8, num_labels=2, dropout=0.1))
    optimizer = minillm.optim.Adam(model.parameters(), lr=0.02)
    rng = np.random.default_rng(0)

    def draw(count):
        ids = rng.integers(1, 20, (count, 6))
        large = ids >= 17
        return ids, large.astype(int) if kind is LSTMForTokenClassification else large.any(axis=1).astype(int)

    for _ in range(120):
        ids, labels = draw(32)
        loss = model(minillm.tensor(ids), labels=minillm.tensor(labels)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    ids, labels = draw(200)
    guessed = model.eval()(minillm.tensor(ids)).logits.argmax(-1).numpy()
    assert (guessed == labels).mean() > 0.95


def test_what_does_not_fit_is_an_error():
    model, ids = make(), minillm.tensor(make_batch())
    for arguments, message in (
        ((ids[0],), r"got tokens of shape \(7,\); it needs \(B, T\)"),
        ((ids, ids[:, :3]), r"attention_mask: got shape \(3, 3\); it needs \(3, 7\)"),
        ((ids.flip(1),), "padding stands before tokens; put it behind them"),
        ((ids * 0,), "a text is padding alone"),
    ):
        with pytest.raises(OperationError, match=message):
            model(*arguments)
    for changes, message in (({"pooling": "sum"}, "pooling"), ({"pad_token_id": 20}, "pad_token_id is 20")):
        with pytest.raises(ValueError, match=message):
            LSTMClassifierConfig(**{**SIZES, **changes})
