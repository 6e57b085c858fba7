"""Fine-tuning: examples of a task, epochs, the best weights, freezing, rates, penalties, stopping and going on."""

from __future__ import annotations

import signal

import numpy as np
import pytest

import minillm
from minillm.models import (
    BertConfig,
    BertForSequenceClassification,
    LSTMClassifierConfig,
    LSTMForSequenceClassification,
)
from minillm.tokenizers import WordTokenizer
from minillm.training.checkpoint import CheckpointError
from minillm.training.fine_tuning import FineTuner, FineTuningConfig
from minillm.training.layer_groups import add_penalties, layer_wise_groups, train_last
from minillm.training.stopping import TrainingInterrupted
from minillm.training.tasks.classify import Classify

GOOD, BAD, REST = ["good", "fine", "great"], ["bad", "poor", "dull"], ["a", "film", "the", "story", "plot"]


def make_examples(count, seed=0):
    rng = np.random.default_rng(seed)
    examples = []
    for i in range(count):
        words = [*rng.choice(REST, rng.integers(2, 6)), rng.choice(GOOD if i % 2 else BAD)]
        rng.shuffle(words)
        examples.append({"text": " ".join(words), "label": "pos" if i % 2 else "neg"})
    return examples


def make_task(**options):
    tokenizer = WordTokenizer()
    tokenizer.fit_on_texts([" ".join(GOOD + BAD + REST)])
    return Classify(tokenizer, ["neg", "pos"], **options)


def make_lstm(seed=0):
    minillm.manual_seed(seed)
    config = LSTMClassifierConfig(vocab_size=20, embedding_dim=16, hidden_size=8, dropout=0.1, initializer_range=0.5)
    return LSTMForSequenceClassification(config)


def make_bert():
    minillm.manual_seed(0)
    return BertForSequenceClassification(
        BertConfig(vocab_size=20, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16)
    )


def make_tuner(directory=None, *, model=None, count=40, task=None, validation=None, **changes):
    config = FineTuningConfig(**{"epochs": 3, "batch_size": 8, "lr": 0.02, "seed": 1, **changes})
    validation = make_examples(20, seed=9) if validation is None else validation
    return FineTuner(model or make_lstm(), task or make_task(), make_examples(count), validation, config,
                     directory=directory)  # fmt: skip


def weights(model):
    return {name: t.numpy().copy() for name, t in model.state_dict().items()}


def assert_same(one, other):
    for name, array in one.items():
        np.testing.assert_array_equal(other[name], array, err_msg=name)


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_it_learns_and_reports(optimizer):
    tuner = make_tuner(optimizer=optimizer, lr={"sgd": 1.0}.get(optimizer, 0.03), epochs=10)
    records = []
    tuner.report = records.append
    state = tuner.train()
    assert records == state.history
    assert [record["epoch"] for record in records] == list(range(1, 11))
    assert tuner.evaluate(make_examples(30, seed=7))["accuracy"] > 0.9
    assert set(records[0]) >= {"epoch", "step", "loss", "accuracy", "precision", "recall", "f1", "best"}
    assert not tuner.model.training


def test_the_best_weights_are_kept(monkeypatch, tmp_path):
    for directory in (None, tmp_path):
        tuner = make_tuner(directory, epochs=4)
        seen, scores = [], iter([0.5, 0.9, 0.6, 0.7])

        def score(model, examples):
            seen.append(weights(model))  # noqa: B023
            return {"accuracy": next(scores)}  # noqa: B023

        monkeypatch.setattr(tuner.task, "scores", score)
        state = tuner.train()
        assert (state.best_epoch, state.best_score) == (2, 0.9)
        assert_same(seen[1], weights(tuner.model))


def test_patience_ends_it():
    tuner = make_tuner(epochs=9, patience=2)
    scores = iter([0.5, 0.9, 0.6, 0.9, 1.0])
    tuner.task.scores = lambda model, examples: {"accuracy": next(scores)}
    state = tuner.train()
    assert len(state.history) == 4
    assert state.best_epoch == 4  # as good as the second, and trained longer


def test_runs_repeat_and_threads_agree():
    one, two = make_tuner(), make_tuner()
    one.train(), two.train()
    assert_same(weights(one.model), weights(two.model))
    threads = [make_tuner(batch_threads=2), make_tuner(batch_threads=2)]
    for tuner in threads:
        tuner.train()
    assert_same(weights(threads[0].model), weights(threads[1].model))


def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path):
    whole = make_tuner(tmp_path / "whole")
    whole.train()
    stopped = make_tuner(tmp_path / "stopped")
    stopped.progress = lambda step, steps, loss: signal.raise_signal(signal.SIGINT) if step == 7 else None
    with pytest.raises(TrainingInterrupted, match="stopped after step 7; everything is saved in"):
        stopped.train()
    with pytest.raises(CheckpointError, match="holds the checkpoint step-000007 of an earlier run"):
        make_tuner(tmp_path / "stopped").train()
    resumed = make_tuner(tmp_path / "stopped", model=make_lstm(seed=5))
    state = resumed.train(resume=True)
    assert_same(weights(whole.model), weights(resumed.model))
    timeless = [[{k: v for k, v in r.items() if k != "seconds"} for r in s.history] for s in (whole.state, state)]
    assert timeless[0] == timeless[1]
    with pytest.raises(CheckpointError, match="holds no checkpoint to resume from"):
        make_tuner(tmp_path / "empty").train(resume=True)
    with pytest.raises(CheckpointError, match="no directory to resume from"):
        make_tuner().train(resume=True)


def test_the_last_layers_alone():
    model = make_bert()
    before = weights(model)
    make_tuner(model=model, epochs=1, train_last=1, validation=[]).train()
    changed = {name for name, array in weights(model).items() if (array != before[name]).any()}
    assert all(name.startswith(("bert.encoder.layer.2.", "bert.pooler.", "classifier.")) for name in changed)
    assert "bert.encoder.layer.2.attention.self.query.weight" in changed
    with pytest.raises(ValueError, match="train_last: got 4; the model has 3 layers"):
        train_last(make_bert(), 4)


def test_rates_by_layer():
    model = make_bert()
    rates = {}
    for group in layer_wise_groups(model, 1.0, 0.1, layer_decay=0.5):
        for parameter in group["params"]:
            rates[id(parameter)] = group["lr"], group["weight_decay"]
    for name, parameter in model.named_parameters():
        depth = 0 if "embeddings" in name else int(name.split(".")[3]) + 1 if ".layer." in name else 4
        assert rates[id(parameter)] == (0.5 ** (4 - depth), 0.1 if parameter.ndim == 2 else 0.0), name
    with pytest.raises(ValueError, match="layer_decay is 2"):
        layer_wise_groups(model, 1.0, 0.1, layer_decay=2)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter is trainable"):
        layer_wise_groups(model, 1.0, 0.1)


def test_penalties_are_those_of_the_formula():
    w, b = (minillm.nn.Parameter(minillm.tensor(v)) for v in ([[1.0, -2.0]], [3.0]))
    loss = (w * minillm.tensor([[5.0, 7.0]])).sum() + b.sum()
    (loss + 0.1 * w.abs().sum() + 0.01 * (w * w).sum()).backward()
    wanted = w.grad.numpy().copy()
    w.grad = b.grad = None
    loss = (w * minillm.tensor([[5.0, 7.0]])).sum() + b.sum()
    loss.backward()
    add_penalties([w, b], l1=0.1, l2=0.01)
    np.testing.assert_allclose(w.grad.numpy(), wanted, rtol=1e-6)
    assert b.grad.item() == 1
    with pytest.raises(ValueError, match="l1 = -1"):
        add_penalties([w], -1, 0)
    large = make_tuner(l2=10.0, epochs=2, validation=[])
    large.train()
    plain = make_tuner(epochs=2, validation=[])
    plain.train()
    norms = [
        sum(float((t * t).sum()) for t in tuner.model.state_dict().values() if t.ndim == 2) for tuner in (large, plain)
    ]
    assert norms[0] < 0.9 * norms[1]


def test_class_weights():
    task = make_task(class_weights="balanced")
    examples = [*make_examples(8)[::2], make_examples(8)[1]]  # four of one, one of the other
    features = task.features(examples)
    assert task.class_weights == pytest.approx([5 / 8, 5 / 2])
    assert task.count(features) == pytest.approx(4 * 5 / 8 + 5 / 2)
    model = make_lstm().eval()
    batch = task.batch(features)
    logits = model(batch["input_ids"], batch["attention_mask"]).logits
    log_p = minillm.log_softmax(logits, -1).detach().numpy()[range(5), [f["labels"] for f in features]]
    w = np.array(task.class_weights)[[f["labels"] for f in features]]
    assert task.loss(model, batch).item() == pytest.approx(-(w * log_p).sum() / w.sum(), rel=1e-5)


def test_the_rate_over_the_steps():
    linear, cosine, constant = (FineTuningConfig(schedule=s, warmup=0.1) for s in ("linear", "cosine", "constant"))
    assert [linear.rate(i, 100) for i in (0, 9, 10, 55)] == pytest.approx([0.1, 1.0, 1.0, 0.5])
    assert cosine.rate(55, 100) == pytest.approx(0.5)
    assert cosine.rate(99, 100) < 0.001
    assert constant.rate(99, 100) == 1.0


def test_what_makes_no_sense_is_an_error():
    with pytest.raises(ValueError, match="there is no example to train on"):
        make_tuner(count=0)
    with pytest.raises(ValueError, match="example 2: the label 'so-so' is none of neg, pos"):
        make_task().features([{"text": "a film", "label": "neg"}, {"text": "a film", "label": "so-so"}])
    for changes, message in (
        ({"epochs": 0}, "epochs is 0"), ({"lr": 0.0}, "lr is 0"), ({"warmup": 1.0}, "warmup is 1.0"),
        ({"schedule": "steps"}, "schedule"), ({"optimizer": "lion"}, "optimizer"), ({"l1": -1.0}, "l1 is -1.0"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            FineTuningConfig(**changes)


def test_unknown_words_and_pairs():
    task = make_task()
    assert task.features([{"text": "zzz"}])[0]["input_ids"] == [0]
    assert task.probabilities(make_lstm().eval(), [{"text": "a good film"}]).shape == (1, 2)


def test_divergence_is_an_error():
    tuner = make_tuner(lr=1e30, optimizer="sgd", grad_clip=0.0)
    with pytest.raises(ValueError, match=r"training has diverged; try a lower learning rate than 1e\+30"):
        tuner.train()
