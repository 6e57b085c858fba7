from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minillm
from minillm.training.evaluation import Evaluation, evaluate, evaluation_windows
from tests.training.conftest import VOCAB, make_model, make_tokens, mean_loss


def test_the_loss_is_the_mean_over_all_tokens_but_the_first(device):
    model, tokens = make_model(), make_tokens(100)
    result = evaluate(model, tokens, block_size=8, batch_size=3)
    assert result.tokens == 99
    model.eval()
    total = 0.0
    for start in range(0, 99, 8):  # one window at a time, by hand
        window = minillm.tensor(tokens[start : start + 9].astype(np.int64))[None]
        targets = window[:, 1:]
        total += mean_loss(model(window[:, :-1]).logits, targets).item() * targets.numel()
    assert result.loss == pytest.approx(total / 99, rel=1e-5)


def test_the_size_of_batches_does_not_matter():
    model, tokens = make_model(), make_tokens(100)
    losses = [evaluate(model, tokens, 8, batch_size).loss for batch_size in (1, 5, 100)]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_measured_without_dropout_and_left_as_it_was(training):
    model = make_model(dropout=0.9).train(training)
    results = {evaluate(model, make_tokens(100), 8) for _ in range(3)}
    assert len(results) == 1
    assert model.training is training
    assert model.fc.weight.grad is None


def test_an_evaluation_can_be_given_up():
    def give_up(windows):
        raise InterruptedError

    model = make_model()
    with pytest.raises(InterruptedError):
        evaluate(model, make_tokens(100), 8, 2, progress=give_up)
    assert model.training


def test_progress_tells_each_window():
    windows = []
    evaluate(make_model(), make_tokens(100), 8, 5, progress=windows.append)
    assert sum(windows) == 13


@given(st.integers(2, 200), st.integers(1, 20), st.integers(1, 7), st.integers(1, 12))
def test_chosen_windows_stand_apart_and_reach_both_ends(length, block, batch, most):
    tokens = np.arange(length)
    windows = []
    for batch_x, batch_y in evaluation_windows(tokens, block, batch, most):
        assert len(batch_x) <= batch
        windows += zip(batch_x, batch_y, strict=True)
    for x, y in windows:
        np.testing.assert_array_equal(x + 1, y)
    read = np.concatenate([y for _, y in windows])
    assert len(set(read)) == len(read)
    whole = (length - 1) // block
    if whole <= most:
        assert sorted(read) == list(range(1, length))
    else:
        assert len(windows) == most
        assert all(len(x) == block for x, _ in windows)
        assert windows[0][0][0] == 0
        if most > 1:
            assert windows[-1][1][-1] == whole * block


def test_too_short_a_text_is_an_error():
    with pytest.raises(ValueError, match="at least 2 tokens"):
        evaluate(make_model(), make_tokens(1), 8)


def test_figures():
    guess = Evaluation(math.log(VOCAB), 100)
    assert guess.perplexity == pytest.approx(VOCAB)
    assert guess.bits_per_character(100) == pytest.approx(math.log2(VOCAB))
    assert guess.bits_per_character(400) == pytest.approx(math.log2(VOCAB) / 4)
    assert Evaluation(1000.0, 1).perplexity == math.inf
