"""``model.generate``: where its settings come from, what streamers get, and what is refused."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import minillm
from minillm.inference import GenerationConfig, TextIteratorStreamer, TextStreamer, generate
from minillm.tokenizers import BPETokenizer
from minillm.transformers import GPT2Config, GPT2LMHeadModel

X = minillm.tensor([[5, 6, 7]])


@pytest.fixture
def model():
    minillm.manual_seed(0)
    config = GPT2Config(vocab_size=300, n_positions=24, n_embd=24, n_layer=2, n_head=4, initializer_range=0.4)
    return GPT2LMHeadModel(config).eval()


def test_it_writes_what_the_function_writes(model):
    assert model.generate(X, max_length=12).tolist() == generate(model, X, 9).tolist()
    assert model.generate(X, max_length=12, num_beams=3).tolist() == generate(model, X, 9, num_beams=3).tolist()
    assert model.generate(X).shape == (1, 23)  # 20 more by default
    assert model.generate(minillm.tensor([[5, 6, 7, 8, 9]])).shape == (1, 24)  # and no more than it reads
    assert model.generate([[5, 6, 7]], max_new_tokens=2).tolist() == model.generate(X, max_length=5).tolist()


def test_a_seed_repeats_draws(model):
    def draw():
        return model.generate(X, do_sample=True, max_new_tokens=8, num_return_sequences=2).tolist()

    minillm.manual_seed(3)
    first, second = draw(), draw()
    minillm.manual_seed(3)
    assert first != second
    assert [draw(), draw()] == [first, second]


def test_training_mode_comes_back(model):
    model.train()
    model.generate(X, max_new_tokens=2)
    assert model.training


def test_settings_come_from_the_call_then_the_given_then_the_model(model):
    model.generation_config = GenerationConfig(max_new_tokens=4, num_beams=2)
    assert model.generate(X).shape == (1, 7)
    assert model.generate(X, generation_config=GenerationConfig(max_new_tokens=3)).shape == (1, 6)
    given = GenerationConfig(max_new_tokens=3)
    assert model.generate(X, generation_config=given, max_new_tokens=2).shape == (1, 5)
    assert given.max_new_tokens == 3
    model.generation_config.max_new_tokens = 5
    assert model.generate(X).shape == (1, 8)


def test_old_files_say_in_their_config_how_to_generate(tmp_path):
    values = {"vocab_size": 30, "n_positions": 24, "n_embd": 8, "n_layer": 1, "n_head": 2, "eos_token_id": 29}
    config = GPT2Config.from_dict({**values, "max_length": 9, "no_repeat_ngram_size": 2})
    model = GPT2LMHeadModel(config)
    assert model.generation_config == GenerationConfig(max_length=9, no_repeat_ngram_size=2, eos_token_id=29)
    model.generation_config.update(max_length=11)
    model.save_pretrained(tmp_path)
    assert GPT2LMHeadModel.from_pretrained(tmp_path).generation_config.max_length == 11
    assert GPT2LMHeadModel.from_pretrained(tmp_path, output_loading_info=True)[0].generation_config.max_length == 11


def test_files_of_settings(tmp_path):
    config = GenerationConfig.from_dict({"max_length": 9, "transformers_version": "5"})
    config.save_pretrained(tmp_path)
    assert GenerationConfig.from_pretrained(tmp_path).to_dict() == {"transformers_version": "5", "max_length": 9}
    (tmp_path / "generation_config.json").write_text("[]")
    with pytest.raises(ValueError, match="it holds list; it needs an object"):
        GenerationConfig.from_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        GenerationConfig.from_pretrained(tmp_path / "none")


ADDED = [[token] for token in range(260, 300)]  # which the tokenizer does not have


def tokenizer() -> BPETokenizer:
    return BPETokenizer.train_from_iterator(["low lower lowest"], 260, special_tokens=["<end>"], show_progress=False)


def test_a_streamer_prints_the_text(model, capsys):
    letters = tokenizer()
    found = model.generate(X, max_new_tokens=9, streamer=TextStreamer(letters), bad_words_ids=ADDED)
    assert capsys.readouterr().out == letters.decode(found[0]) + "\n"
    options = {"skip_prompt": True, "skip_special_tokens": True}
    found = model.generate(X, max_new_tokens=9, streamer=TextStreamer(letters, **options), bad_words_ids=ADDED)
    assert capsys.readouterr().out == letters.decode(found[0, 3:], skip_special_tokens=True) + "\n"


def test_a_streamer_is_read_from_another_thread(model):
    letters = tokenizer()
    streamer = TextIteratorStreamer(letters, timeout=60)
    options = {"max_new_tokens": 9, "streamer": streamer, "bad_words_ids": ADDED}
    found = []
    thread = threading.Thread(target=lambda: found.append(model.generate(X, **options)))
    thread.start()
    text = "".join(streamer)
    thread.join()
    assert text == letters.decode(found[0][0])


def test_scores_of_each_step(model):
    options = {"max_new_tokens": 3, "return_dict_in_generate": True, "output_scores": True}
    output = model.generate(X, repetition_penalty=1.5, **options)
    assert len(output.scores) == 3
    assert [int(scores.argmax()) for scores in output.scores] == output.sequences[0, 3:].tolist()
    assert model.generate(X, max_new_tokens=3, return_dict_in_generate=True).keys() == ["sequences"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_newtokens": 3}, TypeError, "generate: max_newtokens is not offered; known are .*max_new_tokens"),
        ({"penalty_alpha": 0.6}, TypeError, "penalty_alpha is not offered"),
        ({"max_length": 3}, ValueError, "max_length is 3, and the prompt has 3 tokens already"),
        ({"max_length": 0}, ValueError, "max_length is 0"),
        ({"do_sample": True, "temperature": 0.0}, ValueError, "temperature is 0.0; it needs to be positive"),
        ({"do_sample": True, "top_p": 2.0}, ValueError, "top_p is 2.0"),
        ({"repetition_penalty": -1.0}, ValueError, "repetition_penalty is -1.0"),
        ({"num_return_sequences": 2}, ValueError, "num_return_sequences is 2, and the most probable text is one"),
        ({"num_beams": 2, "num_return_sequences": 3}, ValueError, "it needs to be from 1 to the 2 beams"),
        ({"num_beams": 2, "streamer": object()}, ValueError, "a streamer needs num_beams=1"),
        ({"attention_mask": minillm.tensor([[1, 1]])}, ValueError, "got an attention_mask of shape"),
        ({"attention_mask": minillm.tensor([[0, 0, 0]])}, ValueError, "prompt 0 is empty"),
        ({"bad_words_ids": [[300]]}, ValueError, "and the model has 300 tokens"),
    ],
)  # fmt: skip
def test_what_is_refused(model, options, error, message):
    with pytest.raises(error, match=message):
        model.generate(X, **options)


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (None, ValueError, "there is no prompt, and no bos_token_id"),
        ([[]], ValueError, "the prompt is empty"),
        ([[5, 300]], ValueError, "token 300 at place 1 of prompt 0 is out of range"),
        ([[0.5]], TypeError, "it needs whole numbers"),
        (np.zeros((1, 25), int), ValueError, "the prompt has 25 tokens, and the model reads at most 24"),
    ],
)
def test_prompts_that_are_refused(model, inputs, error, message):
    with pytest.raises(error, match=message):
        model.generate(inputs, max_new_tokens=2)


def test_a_streamer_takes_one_text(model):
    with pytest.raises(ValueError, match="got 2 texts at once; it takes one"):
        model.generate(minillm.tensor([[1, 2], [3, 4]]), streamer=TextStreamer(tokenizer()), max_new_tokens=2)
