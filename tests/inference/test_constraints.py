"""Rules over the tokens so far: equal to Hugging Face's, each on its own and one after another."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm.inference.constraints import Constraints, penalize_repetition, tokens_before

TOKENS = np.array([[0, 1, 2, 3, 1, 2], [5, 5, 5, 5, 5, 5], [0, 0, 4, 9, 4, 9]])
SEEN = np.array([[0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]], bool)
RULES = {
    "repetition": ({"repetition_penalty": 1.7}, lambda p: [p.RepetitionPenaltyLogitsProcessor(1.7, pads())]),
    "bigrams": ({"no_repeat_ngram_size": 2}, lambda p: [p.NoRepeatNGramLogitsProcessor(2)]),
    "unigrams": ({"no_repeat_ngram_size": 1}, lambda p: [p.NoRepeatNGramLogitsProcessor(1)]),
    "ngrams that are too long": ({"no_repeat_ngram_size": 9}, lambda p: [p.NoRepeatNGramLogitsProcessor(9)]),
    "bad words": (
        {"bad_words_ids": [[3], [7], [2, 6], [4, 9, 8], [1] * 9], "ends": [7]},
        lambda p: [p.NoBadWordsLogitsProcessor([[3], [7], [2, 6], [4, 9, 8], [1] * 9], 7)],
    ),
    "min length": ({"min_length": 7, "ends": [2, 4]}, lambda p: [p.MinLengthLogitsProcessor(7, [2, 4])]),
    "min length reached": ({"min_length": 6, "ends": [2, 4]}, lambda p: [p.MinLengthLogitsProcessor(6, [2, 4])]),
    "all": (
        {
            "repetition_penalty": 0.6, "no_repeat_ngram_size": 2, "bad_words_ids": [[8]], "min_length": 8, "ends": [1]
        },
        lambda p: [
            p.RepetitionPenaltyLogitsProcessor(0.6, pads()), p.NoRepeatNGramLogitsProcessor(2),
            p.NoBadWordsLogitsProcessor([[8]], 1), p.MinLengthLogitsProcessor(8, 1),
        ],
    ),
}  # fmt: skip


def pads():
    return pytest.importorskip("torch").tensor([1, 0, 2])


def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 10)).astype(np.float32)


@pytest.mark.parametrize("rule", RULES)
def test_rules_equal_those_of_transformers(rule):
    torch = pytest.importorskip("torch")
    process = pytest.importorskip("transformers.generation.logits_process")
    options, theirs = RULES[rule]
    expected = torch.tensor(logits())
    for processor in theirs(process):
        expected = processor(torch.tensor(TOKENS), expected)
    np.testing.assert_allclose(Constraints(**options).apply(logits(), TOKENS, SEEN), expected.numpy(), rtol=1e-6)


def test_without_rules_the_logits_stay():
    given = logits()
    assert Constraints().apply(given, TOKENS, SEEN) is given


def test_functions_of_the_user_come_last():
    def double(tokens, scores):
        assert tokens.shape == (3, 6)
        return scores * 2

    rules = Constraints(bad_words_ids=[[0]], processors=[double, double])
    expected = 4 * logits()
    expected[:, 0] = -np.inf
    np.testing.assert_allclose(rules.apply(logits(), TOKENS, SEEN), expected)


def test_the_rules_run_on_each_device(device):
    given = minillm.tensor(logits()).array
    rules = Constraints(1.7, 2, [[3], [2, 6]], 9, [4])
    expected = Constraints(1.7, 2, [[3], [2, 6]], 9, [4]).apply(logits(), TOKENS, SEEN)
    np.testing.assert_allclose(minillm.Tensor(rules.apply(given, TOKENS, SEEN)).numpy(force=True), expected, rtol=1e-6)


def test_a_penalty_of_one_changes_nothing():
    seen = tokens_before(TOKENS, SEEN, logits())
    assert seen.sum(axis=1).tolist() == [3, 1, 2]
    np.testing.assert_array_equal(penalize_repetition(logits(), seen, 1.0), logits())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repetition_penalty": 0}, "repetition_penalty is 0"),
        ({"repetition_penalty": float("nan")}, "repetition_penalty is nan"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size is -1; it needs to be 0 or more"),
        ({"no_repeat_ngram_size": 1.5}, "no_repeat_ngram_size is 1.5"),
        ({"min_length": -2}, "min_length is -2"),
        ({"bad_words_ids": [3]}, "bad_words_ids holds 3; it needs sequences of tokens"),
        ({"bad_words_ids": [[]]}, "bad_words_ids holds \\[\\]"),
        ({"bad_words_ids": [[-1]]}, "bad_words_ids holds \\[-1\\]"),
    ],
)
def test_values_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        Constraints(**options)


def test_words_that_the_model_cannot_write():
    with pytest.raises(ValueError, match=r"bad_words_ids holds \[4, 10\], and the model has 10 tokens"):
        Constraints(bad_words_ids=[[4, 10]]).apply(logits(), TOKENS, SEEN)
