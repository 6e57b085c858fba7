"""Generation: greedy and drawn texts, cached or not, in batches, beyond the longest text; bad input."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm import nn
from minillm.backend import Generator
from minillm.inference import generate, stream_tokens
from minillm.inference.context import evaluating

PROMPTS = [[5, 6, 7, 8], [9], [1, 2, 3]]


def greedy_by_hand(model, prompt: list[int], steps: int) -> list[int]:
    """The textbook loop: read all, take the most probable token, at most the longest text at a time."""
    text = list(prompt)
    for _ in range(steps):
        window = text if model.max_length is None else text[-model.max_length :]
        with minillm.no_grad():
            text.append(int(model(minillm.tensor([window])).logits[0, -1].argmax()))
    return text


def test_greedy_is_the_textbook_loop(model):
    for prompt in PROMPTS:
        expected = greedy_by_hand(model, prompt, 12)
        assert generate(model, [prompt], 12).tolist() == [expected]
        assert generate(model, prompt, 12, use_cache=False).tolist() == [expected]
        assert generate(model, minillm.tensor(prompt), max_length=len(prompt) + 12).tolist() == [expected]


def test_a_batch_of_different_lengths_is_as_each_alone(model):
    for options in ({}, {"use_cache": False}, {"repetition_penalty": 1.5}):
        together = generate(model, PROMPTS, 12, **options)
        for row, prompt in zip(together.tolist(), PROMPTS, strict=True):
            assert row[4 - len(prompt) :] == generate(model, [prompt], 12, **options).tolist()[0]


def test_a_mask_says_the_same_as_prompts_of_different_lengths(model):
    x = np.array([[5, 6, 7, 8], [0, 0, 0, 9], [0, 1, 2, 3]])
    mask = minillm.tensor([[1, 1, 1, 1], [0, 0, 0, 1], [0, 1, 1, 1]])
    expected = generate(model, PROMPTS, 8).tolist()
    assert generate(model, minillm.tensor(x), 8, attention_mask=mask).tolist() == expected
    assert generate(model, x.tolist(), 8, attention_mask=mask).tolist() == expected


def test_the_same_seed_gives_the_same_text_and_others_do_not(model):
    options = {"temperature": 1.5, "top_k": 20, "top_p": 0.95}
    first = generate(model, PROMPTS, 12, seed=1, **options).tolist()
    assert generate(model, PROMPTS, 12, seed=1, **options).tolist() == first
    assert generate(model, PROMPTS, 12, seed=2, **options).tolist() != first
    minillm.manual_seed(5)
    a, b = (generate(model, PROMPTS, 12, **options).tolist() for _ in range(2))
    minillm.manual_seed(5)
    assert generate(model, PROMPTS, 12, **options).tolist() == a != b
    a, b = (generate(model, PROMPTS, 12, generator=Generator(3), **options).tolist() for _ in range(2))
    assert a == b


def test_drawn_texts_do_not_depend_on_the_rest_of_the_batch(model):
    together = generate(model, PROMPTS, 12, temperature=1.0, seed=[7, 8, 9]).tolist()
    for row, prompt, seed in zip(together, PROMPTS, [7, 8, 9], strict=True):
        alone = generate(model, [prompt], 12, temperature=1.0, seed=seed).tolist()[0]
        assert row[4 - len(prompt) :] == alone
    same = generate(model, [[1, 2]] * 3, 12, temperature=1.0, seed=4).tolist()
    assert same[0] != same[1] != same[2]


def test_cached_and_uncached_texts_are_equal_when_drawn(model):
    options = {"do_sample": True, "seed": 11}
    cached = generate(model, PROMPTS, 12, **options).tolist()
    assert generate(model, PROMPTS, 12, use_cache=False, **options).tolist() == cached


# -- beyond the longest text ----------------------------------------------------------------------------


def test_a_text_goes_on_beyond_the_longest_that_the_model_reads(gpt2):
    expected = greedy_by_hand(gpt2, [1, 2, 3], 60)  # the model reads 24
    assert generate(gpt2, [1, 2, 3], 60, stride=1).tolist() == [expected]
    assert generate(gpt2, [1, 2, 3], 60, stride=1, use_cache=False).tolist() == [expected]
    for stride in (None, 5, 24):
        cached = generate(gpt2, PROMPTS, 60, stride=stride).tolist()
        assert generate(gpt2, PROMPTS, 60, stride=stride, use_cache=False).tolist() == cached
        assert cached[0][:24] == greedy_by_hand(gpt2, PROMPTS[0], 20)


def test_the_window_moves_as_seldom_as_the_stride_says(gpt2):
    lengths = []
    gpt2.register_forward_pre_hook(lambda module, args: lengths.append(args[0].shape[1]))
    generate(gpt2, [1], 48, stride=6)
    expected = [1] * 24  # the prompt and 23 tokens
    for _ in range(4):
        expected += [19] + [1] * 5  # 24 - 6 + 1 read anew, and five tokens more
    assert lengths == expected


def test_a_long_prompt_is_an_error_or_is_cut(gpt2):
    prompt = list(range(30))
    with pytest.raises(ValueError, match="the prompt has 30 tokens, and the model reads at most 24"):
        generate(gpt2, prompt, 5)
    assert generate(gpt2, prompt, 5, truncate_prompt=True).tolist() == generate(gpt2, prompt[6:], 5).tolist()
    both = generate(gpt2, [prompt, prompt[3:6]], 2, truncate_prompt=True).tolist()
    assert both[1][-5:] == generate(gpt2, prompt[3:6], 2).tolist()[0]
    assert generate(gpt2, prompt[:24], 1).shape == (1, 25)


# -- ends -----------------------------------------------------------------------------------------------


def test_rows_end_at_their_end_tokens_and_are_filled_up(model):
    free = generate(model, PROMPTS, 12)
    end = int(free[0, 7])
    ended = generate(model, PROMPTS, 12, eos_token_id=end, pad_token_id=30).tolist()
    for row, without in zip(ended, free.tolist(), strict=True):
        new = without[4:]
        stop = new.index(end) + 1 if end in new else len(new)
        assert row[4 : 4 + stop] == new[:stop]
        assert set(row[4 + stop :]) <= {30}
    assert generate(model, PROMPTS[0], 12, eos_token_id=[end]).shape[1] < 16


def test_end_tokens_come_from_the_config_unless_told_otherwise(build):
    first = generate(build("gpt2"), [1], 5)
    end = int(first[0, 2])
    model = build("gpt2", eos_token_id=end)
    ended = generate(model, [1], 5).tolist()[0]
    assert ended == first.tolist()[0][: first.tolist()[0].index(end, 1) + 1]
    assert generate(model, [1], 5, eos_token_id=()).tolist() == first.tolist()


def test_no_new_tokens(model):
    assert generate(model, [[1, 2]], 0).tolist() == [[1, 2]]


def test_twenty_new_tokens_where_nothing_is_said(model):
    assert generate(model, [1]).shape == (1, 21)


def test_only_the_first_tokens_are_chosen_where_asked(model):
    assert int(generate(model, [1], 12, num_tokens=5)[0, 1:].max()) < 5
    assert int(generate(model, [1], 12, num_tokens=3, repetition_penalty=2.0)[0, 1:].max()) < 3


def test_a_repetition_penalty_makes_texts_less_repetitive(gpt2):
    plain, penalized = (generate(gpt2, [1], 22, repetition_penalty=p).tolist()[0] for p in (1.0, 50.0))
    assert len(set(penalized)) > len(set(plain))


# -- streams --------------------------------------------------------------------------------------------


def test_tokens_come_one_by_one(model):
    expected = generate(model, PROMPTS, 6).tolist()
    stream = stream_tokens(model, PROMPTS, 6)
    steps = list(stream)
    assert [list(column) for column in zip(*steps, strict=True)] == [row[4:] for row in expected]
    assert stream.sequences().tolist() == expected
    assert next(stream, None) is None
    called = []
    generate(model, PROMPTS, 6, on_token=called.append)
    assert called == steps


def test_a_stream_can_be_left_and_taken_up_again(model):
    expected = generate(model, [1], 6).tolist()
    stream = stream_tokens(model, [1], 6)
    next(stream)
    next(stream)
    model(minillm.tensor([[3]]))  # something else in between
    assert minillm.is_grad_enabled()
    list(stream)
    assert stream.sequences().tolist() == expected


def test_a_model_in_training_generates_without_dropout_and_stays_in_training(build):
    model = build("gpt2", resid_pdrop=0.9, embd_pdrop=0.9)
    expected = generate(model, [1], 5).tolist()
    model.train()
    model.transformer.h[0].eval()
    assert generate(model, [1], 5).tolist() == expected
    stream = stream_tokens(model, [1], 5)
    for _ in stream:
        assert model.training
    assert stream.sequences().tolist() == expected
    assert model.training
    assert model.transformer.h[1].training
    assert not model.transformer.h[0].training
    inside = []
    with pytest.raises(ZeroDivisionError), evaluating(model):
        inside.append(model.transformer.h[1].training / 0)
    assert not inside
    assert model.transformer.h[1].training


# -- models of one's own --------------------------------------------------------------------------------


class Bigram(nn.Module):
    """A user's own model, which knows neither caches nor masks."""

    def __init__(self, as_tuple: bool = False) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 10)
        self.as_tuple = as_tuple

    def forward(self, x: minillm.Tensor):
        logits = self.table(x)
        return (logits, None) if self.as_tuple else logits


@pytest.mark.parametrize("as_tuple", [False, True])
def test_any_module_that_returns_logits_can_generate(as_tuple):
    model = Bigram(as_tuple)
    best = model.table.weight.numpy(force=True).argmax(1)
    first, second = int(best[3]), int(best[best[3]])
    assert generate(model, [[3]], 2).tolist() == [[3, first, second]]
    with pytest.raises(ValueError, match="Bigram cannot tell padding from tokens"):
        generate(model, [[1], [1, 2]], 2)


def test_generation_on_each_device(device, build):
    model = build("gpt2")
    out = generate(model, PROMPTS, 5, temperature=1.0, top_k=5, top_p=0.9, repetition_penalty=1.2, seed=0)
    assert out.shape == (3, 9)
    assert str(out.device) == str(minillm.get_default_device())
    assert generate(build("lstm"), PROMPTS, 3).shape == (3, 7)


# -- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([],), {}, "the prompt is empty; it needs at least one token"),
        (([[]],), {}, "the prompt is empty"),
        (([[1], []],), {}, "prompt 1 is empty"),
        ((np.zeros((0, 3), int),), {}, "the prompt is empty"),
        ((np.zeros((2, 0), int),), {}, "the prompt is empty"),
        ((np.zeros((1, 2, 3), int),), {}, r"got tokens of shape \(1, 2, 3\)"),
        (([[1, 31]],), {}, "token 31 at place 1 of prompt 0 is out of range; the model has 31 tokens"),
        (([[1, 2], [-1]],), {}, "token -1 at place 0 of prompt 1 is out of range"),
        (([1], -1), {}, "max_new_tokens is -1"),
        (([1], 2.5), {}, "max_new_tokens is 2.5"),
        (([1], True), {}, "max_new_tokens is True"),
        (([1],), {"max_length": 0}, "max_length is 0"),
        (([1, 2],), {"max_length": 2}, "max_length is 2, and the prompt has 2 tokens already"),
        (([1], 3), {"max_length": 5}, "got max_new_tokens and max_length"),
        (([1], 3), {"temperature": 0.0}, "temperature is 0.0; it needs to be positive"),
        (([1], 3), {"top_k": -1}, "top_k is -1"),
        (([1], 3), {"top_p": 0.0}, "top_p is 0.0"),
        (([1], 3), {"num_tokens": 0}, "num_tokens is 0"),
        (([1], 3), {"stride": 0}, "stride is 0; it needs a whole number from 1 to 24"),
        (([1], 3), {"stride": 25}, "stride is 25"),
        (([1], 3), {"seed": [1, 2], "do_sample": True}, "got 2 seeds for 1 prompts"),
        (([[1, 2]], 3), {"attention_mask": [[1, 0]]}, "the attention_mask has padding behind a token"),
        (([[1, 2]], 3), {"attention_mask": [[1]]}, r"attention_mask of shape \(1, 1\); it needs \(1, 2\)"),
        (([[1, 2]], 3), {"attention_mask": [[0, 0]]}, "prompt 0 is empty"),
        (([[1, 2], [1]], 3), {"attention_mask": [[1, 1], [0, 1]]}, "different lengths and an attention_mask"),
    ],
)
def test_bad_input(gpt2, arguments, options, message):
    with pytest.raises(ValueError, match=message):
        generate(gpt2, *arguments, **options)


def test_tokens_that_are_no_whole_numbers(gpt2):
    with pytest.raises(TypeError, match="got tokens of float64; it needs whole numbers"):
        generate(gpt2, [1.5])


def test_a_damaged_model_is_an_error(gpt2):
    with minillm.no_grad():
        gpt2.lm_head.weight.fill_(float("nan"))
    with pytest.raises(ValueError, match="the model's logits are not numbers"):
        generate(gpt2, [1])
