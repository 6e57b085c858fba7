"""Choosing tokens: the filters against Hugging Face's, the draws against their probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minillm
from minillm.backend import Generator
from minillm.inference.sampling import (
    Sampling,
    generators_for,
    keep_min_p,
    keep_top_k,
    keep_top_p,
)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def random_logits(rows: int = 3, tokens: int = 50, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, tokens)).astype(np.float32) * 3


@pytest.mark.parametrize(
    ("ours", "theirs", "values"),
    [
        (keep_top_k, "TopKLogitsWarper", [1, 5, 49, 50, 99]),
        (keep_top_p, "TopPLogitsWarper", [0.01, 0.3, 0.9, 0.999]),
        (keep_min_p, "MinPLogitsWarper", [0.01, 0.1, 0.5, 1.0]),
    ],
)
def test_filters_equal_those_of_transformers(ours, theirs, values):
    torch = pytest.importorskip("torch")
    process = pytest.importorskip("transformers.generation.logits_process")
    for value in values:
        for seed in range(5):
            logits = random_logits(seed=seed)
            expected = getattr(process, theirs)(value)(None, torch.tensor(logits))
            np.testing.assert_array_equal(ours(logits, value), expected.numpy(), err_msg=f"{value} {seed}")
            expected = getattr(process, theirs)(value, min_tokens_to_keep=3)(None, torch.tensor(logits))
            kept = ours(logits, max(value, 3)) if theirs.startswith("TopK") else ours(logits, value, 3)
            np.testing.assert_array_equal(kept, expected.numpy(), err_msg=f"{value} {seed}")


def test_the_filters_follow_one_another_as_in_transformers():
    torch = pytest.importorskip("torch")
    process = pytest.importorskip("transformers.generation.logits_process")
    logits = random_logits()
    expected = torch.tensor(logits)
    for warper in (
        process.TemperatureLogitsWarper(0.7), process.TopKLogitsWarper(20), process.TopPLogitsWarper(0.9)
    ):  # fmt: skip
        expected = warper(None, expected)
    ours = Sampling(temperature=0.7, top_k=20, top_p=0.9).filtered(logits)
    np.testing.assert_allclose(ours, expected.numpy(), rtol=1e-6)


@given(st.integers(0, 10_000), st.floats(0.01, 1.0))
def test_top_p_keeps_the_fewest_tokens_that_reach_p(seed, p):
    logits = random_logits(rows=1, tokens=12, seed=seed).astype(np.float64)
    kept = np.isfinite(keep_top_p(logits, p))[0]
    probabilities = softmax(logits)[0]
    assert kept.any()
    assert probabilities[kept].min() >= probabilities[~kept].max(initial=0)
    assert probabilities[kept].sum() >= p - 1e-9
    assert probabilities[kept].sum() - probabilities[kept].min() < p + 1e-9


def test_equal_logits_stay_together():
    logits = np.array([[1.0, 2.0, 2.0, 0.0]])
    assert np.isfinite(keep_top_k(logits, 1)).tolist() == [[False, True, True, False]]
    assert np.isfinite(keep_top_p(logits, 0.01)).tolist() == [[False, True, True, False]]


def test_filters_keep_infinite_logits_out():
    logits = np.array([[1.0, -np.inf, 3.0, -np.inf]])
    assert np.isfinite(keep_top_k(logits, 3)).tolist() == [[True, False, True, False]]
    assert np.isfinite(keep_top_p(logits, 0.999)).tolist() == [[True, False, True, False]]


def test_draws_follow_the_probabilities():
    logits = np.log(np.array([[0.1, 0.2, 0.7]], np.float32))
    generators = generators_for(1, seed=3)
    sampling = Sampling(temperature=0.5)
    counts = np.bincount([sampling.choose(logits, generators)[0] for _ in range(4000)], minlength=3)
    np.testing.assert_allclose(counts / 4000, softmax(np.log([0.1, 0.2, 0.7]) * 2), atol=0.03)


def test_a_left_out_token_is_never_drawn():
    sampling = Sampling(temperature=5.0, top_k=2)
    generators = generators_for(1, seed=0)
    logits = np.array([[0.0, 1.0, 2.0, -1.0]], np.float32)
    assert {sampling.choose(logits, generators)[0] for _ in range(200)} == {1, 2}


def test_greedy_takes_the_most_probable_token():
    assert Sampling().choose(np.array([[0.0, 2.0, 1.0], [3.0, 2.0, 1.0]]), []) == [1, 0]
    assert Sampling(do_sample=False, temperature=2.0).choose(np.array([[0.0, 2.0]]), []) == [1]


def test_logits_that_are_no_numbers_are_an_error():
    with pytest.raises(ValueError, match="the model's logits are not numbers"):
        Sampling().choose(np.array([[0.0, np.nan]]), [])


def test_the_sampling_runs_on_each_device(device):
    logits = minillm.tensor(random_logits()).array
    sampling = Sampling(temperature=0.8, top_k=20, top_p=0.9, min_p=0.01)
    expected = sampling.choose(random_logits(), generators_for(3, seed=5))
    assert sampling.choose(logits, generators_for(3, seed=5)) == expected
    assert Sampling().choose(logits, []) == random_logits().argmax(-1).tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0}, "temperature is 0; it needs to be positive; for the most probable"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"temperature": "hot"}, "temperature is 'hot'"),
        ({"top_k": -1}, "top_k is -1; it needs to be 0 or more"),
        ({"top_k": 2.5}, "top_k is 2.5"),
        ({"top_k": True}, "top_k is True"),
        ({"top_p": 0}, "top_p is 0; it needs to lie in"),
        ({"top_p": 1.01}, "top_p is 1.01"),
        ({"min_p": -0.1}, "min_p is -0.1"),
        ({"min_p": 1.1}, "min_p is 1.1"),
    ],
)
def test_values_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**options)


def test_each_row_draws_from_a_stream_of_its_own():
    first = [g.uniform((3,)).tolist() for g in generators_for(3, seed=7)]
    alone = [g.uniform((3,)).tolist() for g in generators_for(1, seed=7)]
    assert first[0] == alone[0]
    assert first[0] != first[1]
    by_seed = [g.uniform((3,)).tolist() for g in generators_for(2, seed=[9, 7])]
    assert by_seed[1] == alone[0]


def test_without_a_seed_each_call_draws_anew_and_manual_seed_repeats():
    def draw() -> list[float]:
        return generators_for(1)[0].uniform((3,)).tolist()

    minillm.manual_seed(0)
    a, b = draw(), draw()
    minillm.manual_seed(0)
    assert a != b
    assert [draw(), draw()] == [a, b]
    own = Generator(4)
    assert generators_for(1, generator=own)[0].initial_seed() == Generator(4).integers(0, 2**62)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": [1, 2]}, "got 2 seeds for 3 prompts"),
        ({"seed": 1, "generator": Generator(1)}, "got a seed and a generator"),
    ],
)
def test_seeds_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        generators_for(3, **arguments)
