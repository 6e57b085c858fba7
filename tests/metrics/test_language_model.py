from __future__ import annotations

import math

import numpy as np
import pytest

from minillm.metrics import Perplexity, bits_per_byte, bits_per_character, perplexity


def test_a_model_that_knows_nothing():
    # Among 65 characters, each as likely as any other.
    text = "né!" * 10
    metric = Perplexity()
    for start in range(0, 30, 7):
        part = text[start : start + 7]
        metric.update(loss=math.log(65), num_tokens=len(part), text=part)
    assert metric.compute() == pytest.approx(65)
    assert metric.bits_per_character() == pytest.approx(math.log2(65))
    assert metric.bits_per_byte() == pytest.approx(math.log2(65) * 30 / 40)


def test_batches_count_by_their_tokens():
    losses, counts = np.random.default_rng(0).random((2, 9))
    counts = (counts * 20 + 1).astype(int)
    metric = Perplexity()
    for loss, count in zip(losses, counts, strict=True):
        metric.update(loss, int(count))
    assert metric.compute() == pytest.approx(math.exp(np.average(losses, weights=counts)))
    metric.reset()
    with pytest.raises(ValueError, match="there are no tokens yet"):
        metric.compute()


def test_it_is_the_exponential_of_cross_entropy():
    import minillm
    from minillm.nn import functional

    minillm.manual_seed(0)
    logits, targets = minillm.randn(4, 5), minillm.tensor([0, 1, 2, 4])
    loss = functional.cross_entropy(logits, targets)
    metric = Perplexity()
    metric.update(loss, 4)
    p = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    expected = np.prod(p[np.arange(4), [0, 1, 2, 4]]) ** (-1 / 4)
    assert metric.compute() == pytest.approx(expected, rel=1e-5)


def test_too_surprised_for_a_number():
    assert perplexity(1e6, 1) == math.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Perplexity().update(1.0, 0), "num_tokens must be positive, got 0"),
        (lambda: Perplexity().update(math.nan, 1), "the loss is NaN"),
        (lambda: Perplexity().bits_per_character(), "there are no characters yet"),
        (lambda: bits_per_byte(1.0, 0), "there are no bytes yet"),
        (lambda: bits_per_character(1.0, 0), "there are no characters yet"),
    ],
)
def test_what_cannot_be_measured(call, message):
    with pytest.raises(ValueError, match=message):
        call()
