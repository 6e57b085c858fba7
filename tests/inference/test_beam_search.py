"""Beam search on its own: better texts than greedy ones, the cache, draws, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import minillm
from minillm.inference import generate
from minillm.inference.beam_search import BeamSearch, log_softmax
from minillm.inference.preparation import prepare


def log_probability(model, text: list[int], prompt: int) -> float:
    with minillm.no_grad():
        logits = model(minillm.tensor([text])).logits.numpy(force=True)[0]
    scores = log_softmax(logits)
    return float(sum(scores[place - 1, text[place]] for place in range(prompt, len(text))))


def test_with_as_many_beams_as_texts_the_best_of_all_is_found(build):
    model = build("lstm", vocab_size=4)
    every = [[1, 2, *rest] for rest in itertools.product(range(4), repeat=3)]
    best = max(every, key=lambda text: log_probability(model, text, 2))
    assert generate(model, [[1, 2]], 3, num_beams=32).tolist() == [best]


def test_the_scores_are_those_of_the_texts(model):
    task = prepare(model, [[3, 4]], 6, copies=5)
    found = BeamSearch(task, 5, 0.0, False).run()
    assert found.sequences.shape == (5, 8)
    expected = [log_probability(model, text, 2) for text in found.sequences.tolist()]
    np.testing.assert_allclose(found.scores, expected, rtol=1e-4)
    assert (np.diff(found.scores) <= 0).all()
    assert len({tuple(text) for text in found.sequences.tolist()}) == 5


def test_one_beam_is_greedy(model):
    task = prepare(model, [[3, 4], [5, 6]], 6, copies=1)
    assert BeamSearch(task, 1, 1.0, False).run().sequences.tolist() == generate(model, [[3, 4], [5, 6]], 6).tolist()


def test_a_cache_changes_nothing(model):
    options = {"num_beams": 4, "eos_token_id": [3, 8], "length_penalty": 0.5}
    with_cache = generate(model, [[3, 4, 1], [5, 6, 2]], 8, **options)
    assert with_cache.tolist() == generate(model, [[3, 4, 1], [5, 6, 2]], 8, use_cache=False, **options).tolist()


def test_prompts_do_not_meet(model):
    both = generate(model, [[3, 4], [7]], 6, num_beams=3)
    assert both[0].tolist() == generate(model, [[3, 4]], 6, num_beams=3)[0].tolist()
    assert both[1, 1:].tolist() == generate(model, [[7]], 6, num_beams=3)[0].tolist()


def test_texts_longer_than_the_model_reads(gpt2):
    assert generate(gpt2, [[3, 4]], 40, num_beams=2).shape == (1, 42)


def test_draws_repeat_with_their_seed_and_follow_the_probabilities(build):
    model = build("gru", vocab_size=4)
    options = {"num_beams": 2, "do_sample": True, "num_return_sequences": 2}
    first, again = (generate(model, [[1]], 5, seed=3, **options).tolist() for _ in range(2))
    assert first == again
    first = [generate(model, [[1]], 1, num_beams=2, do_sample=True, seed=seed)[0, 1].item() for seed in range(300)]
    with minillm.no_grad():
        chances = np.exp(log_softmax(model(minillm.tensor([[1]])).logits.numpy(force=True)[0, -1:]))[0]
    # The likelier of two draws without replacement comes out: token i, unless a likelier one is drawn as well.
    order = np.argsort(-chances)
    wins = {}
    for i in order:
        less_likely = [j for j in order if chances[j] < chances[i]]
        wins[i] = sum(
            chances[i] * chances[j] * (1 / (1 - chances[i]) + 1 / (1 - chances[j])) for j in less_likely
        )
    counts = np.bincount(first, minlength=4) / len(first)
    np.testing.assert_allclose(counts, [wins[i] for i in range(4)], atol=0.08)


def test_it_runs_on_each_device(device, build):
    model = build("gpt2")
    expected = generate(model, [[3, 4], [5, 6]], 5, num_beams=3).tolist()
    model.to(device)
    assert generate(model, [[3, 4], [5, 6]], 5, num_beams=3).tolist() == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_beams": 0}, "0 texts of each prompt are asked for"),
        ({"num_beams": 2.5}, "2.5 texts of each prompt"),
        ({"num_beams": 2, "num_return_sequences": 3}, "is 3; it needs to be from 1 to the 2 beams"),
        ({"num_beams": 2, "early_stopping": "soon"}, "early_stopping is 'soon'"),
        ({"num_beams": 2, "on_token": print}, "beam search has no token until its end"),
        ({"num_beams": 30, "num_tokens": 1}, "30 beams need more than the 1 tokens"),
        ({"num_return_sequences": 2}, "num_return_sequences is 2, and the most probable text is one"),
    ],
)
def test_what_is_refused(gpt2, options, message):
    with pytest.raises(ValueError, match=message):
        generate(gpt2, [[3, 4]], 5, **options)


def test_several_draws_of_a_prompt_read_it_once(gpt2):
    read = []
    gpt2.transformer.register_forward_hook(lambda module, inputs, output: read.append(inputs[0].shape))
    found = generate(gpt2, [[3, 4], [5, 6]], 4, do_sample=True, num_return_sequences=3, seed=0)
    assert found.shape == (6, 6)
    assert found[:, :2].tolist() == [[3, 4]] * 3 + [[5, 6]] * 3
    assert read == [(2, 2), (6, 1), (6, 1), (6, 1)]
    assert len({tuple(text) for text in found.tolist()}) > 2
