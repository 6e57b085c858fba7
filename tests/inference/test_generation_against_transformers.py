"""``model.generate`` beside transformers': the same tokens where nothing is drawn, the same chances where it is."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm.transformers import AutoModelForCausalLM, GenerationConfig

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

GPT2 = {
    "vocab_size": 41, "n_positions": 40, "n_embd": 16, "n_layer": 2, "n_head": 2, "initializer_range": 0.5,
    "bos_token_id": 1, "eos_token_id": None,
}  # fmt: skip
LLAMA = {
    "vocab_size": 41, "max_position_embeddings": 40, "hidden_size": 16, "intermediate_size": 24,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.5,
    "bos_token_id": 1, "eos_token_id": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Tiny random models of each kind, theirs and ours."""
    found = {}
    for name, kind, settings in (
        ("gpt2", transformers.GPT2LMHeadModel, GPT2), ("llama", transformers.LlamaForCausalLM, LLAMA)
    ):  # fmt: skip
        torch.manual_seed(1)
        theirs = kind(kind.config_class(**settings)).eval()
        directory = tmp_path_factory.mktemp(name)
        theirs.save_pretrained(directory)
        found[name] = theirs, AutoModelForCausalLM.from_pretrained(directory)
    return found


PROMPTS = np.array([[5, 6, 7, 8], [0, 0, 9, 3], [0, 2, 4, 6]])
MASK = np.array([[1, 1, 1, 1], [0, 0, 1, 1], [0, 1, 1, 1]])

GREEDY = {
    "plain": {"max_new_tokens": 12},
    "max length": {"max_length": 15},
    "default length": {},
    "no cache": {"max_new_tokens": 12, "use_cache": False},
    "ends": {"max_new_tokens": 20, "eos_token_id": [3, 7, 11, 30], "pad_token_id": 0},
    "min length": {"max_new_tokens": 20, "min_length": 12, "eos_token_id": [3, 7, 11, 30], "pad_token_id": 40},
    "min new tokens": {"max_new_tokens": 20, "min_new_tokens": 6, "eos_token_id": [3, 7, 11, 30], "pad_token_id": 0},
    "repetition": {"max_new_tokens": 16, "repetition_penalty": 1.6},
    "bigrams": {"max_new_tokens": 16, "no_repeat_ngram_size": 2},
    "bad words": {"max_new_tokens": 12, "bad_words_ids": [[3], [7], [12, 5], [20]]},
}
BEAMS = {
    "beams": {"num_beams": 4, "max_new_tokens": 10},
    "ends": {"num_beams": 3, "max_new_tokens": 15, "eos_token_id": [3, 7, 11, 30], "pad_token_id": 0},
    "early": {
        "num_beams": 3, "max_new_tokens": 15, "eos_token_id": [3, 7, 11, 30], "pad_token_id": 2, "early_stopping": True
    },
    "never": {
        "num_beams": 3, "max_new_tokens": 15, "eos_token_id": 7, "pad_token_id": 2, "early_stopping": "never",
        "length_penalty": 2.0,
    },
    "short": {"num_beams": 4, "max_new_tokens": 12, "eos_token_id": [3, 7, 11], "length_penalty": -1.0},
    "several": {"num_beams": 4, "max_new_tokens": 12, "eos_token_id": [3, 7, 11], "num_return_sequences": 3},
    "rules": {
        "num_beams": 3, "max_new_tokens": 12, "no_repeat_ngram_size": 2, "repetition_penalty": 1.3,
        "bad_words_ids": [[3], [20, 4]], "eos_token_id": 7, "min_new_tokens": 5,
    },
    "no cache": {"num_beams": 3, "max_new_tokens": 8, "use_cache": False},
}  # fmt: skip


def texts(model, tensor, **options):
    return model.generate(tensor(PROMPTS), attention_mask=tensor(MASK), **options).tolist()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", GREEDY)
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_greedy_texts_are_equal(pairs, kind, case):
    theirs, ours = pairs[kind]
    options = {"pad_token_id": 0, **GREEDY[case]}
    assert texts(ours, minillm.tensor, **options) == texts(theirs, torch.tensor, **options)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", BEAMS)
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_beams_are_equal(pairs, kind, case):
    theirs, ours = pairs[kind]
    options = {"pad_token_id": 0, "return_dict_in_generate": True, "output_scores": True, **BEAMS[case]}
    expected = theirs.generate(torch.tensor(PROMPTS), attention_mask=torch.tensor(MASK), **options)
    found = ours.generate(minillm.tensor(PROMPTS), attention_mask=minillm.tensor(MASK), **options)
    assert found.sequences.tolist() == expected.sequences.tolist()
    np.testing.assert_allclose(found.sequences_scores.numpy(), expected.sequences_scores.numpy(), rtol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_what_is_padding_is_told_by_the_padding_token(pairs):
    theirs, ours = pairs["gpt2"]
    for options in (
        {"pad_token_id": 0}, {"pad_token_id": 0, "eos_token_id": 0}, {"pad_token_id": 0, "eos_token_id": [3, 7]}
    ):  # fmt: skip
        expected = theirs.generate(torch.tensor(PROMPTS), max_new_tokens=9, **options).tolist()
        assert ours.generate(minillm.tensor(PROMPTS), max_new_tokens=9, **options).tolist() == expected


@pytest.mark.filterwarnings("ignore")
def test_padding_behind_the_tokens_is_read_as_there(pairs, caplog):
    theirs, ours = pairs["gpt2"]
    flipped = {"attention_mask": MASK[:, ::-1].copy(), "input_ids": PROMPTS[:, ::-1].copy()}
    expected = theirs.generate(**{n: torch.tensor(v) for n, v in flipped.items()}, max_new_tokens=9, pad_token_id=0)
    found = ours.generate(**{n: minillm.tensor(v) for n, v in flipped.items()}, max_new_tokens=9, pad_token_id=0)
    assert found.tolist() == expected.tolist()
    assert "padding_side='left' gives better texts" in caplog.text


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0.7, "top_k": 0},
        {"top_k": 5},
        {"top_k": 0, "top_p": 0.6},
        {"temperature": 1.3, "top_k": 20, "top_p": 0.9, "repetition_penalty": 1.4, "no_repeat_ngram_size": 2},
        {"top_k": 0, "min_p": 0.05},
    ],
    ids=str,
)
def test_texts_are_drawn_with_the_same_chances(pairs, options):
    theirs, ours = pairs["gpt2"]
    options = {
        "do_sample": True, "max_new_tokens": 1, "pad_token_id": 0, "return_dict_in_generate": True,
        "output_scores": True, **options,
    }  # fmt: skip
    expected = theirs.generate(torch.tensor(PROMPTS), attention_mask=torch.tensor(MASK), **options).scores
    found = ours.generate(minillm.tensor(PROMPTS), attention_mask=minillm.tensor(MASK), **options).scores
    chances = minillm.softmax(found[0], dim=-1).numpy()
    np.testing.assert_allclose(chances, torch.softmax(expected[0], dim=-1).numpy(), atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_without_a_prompt_the_text_begins_with_its_first_token(pairs):
    theirs, ours = pairs["gpt2"]
    expected = theirs.generate(max_new_tokens=6, pad_token_id=0).tolist()
    assert ours.generate(max_new_tokens=6, pad_token_id=0).tolist() == expected


@pytest.mark.filterwarnings("ignore")
def test_functions_of_the_user_are_called_with_tokens_and_scores(pairs):
    theirs, ours = pairs["gpt2"]

    def only_even(tokens, scores):
        scores = scores.clone()
        scores[:, 1::2] = -float("inf")
        return scores

    def stop_at_eight(tokens, scores, **kwargs):
        return tokens[:, -1] == 8

    for more in ({}, {"num_beams": 3}):
        options = {"max_new_tokens": 9, "pad_token_id": 0, "eos_token_id": 40, **more}
        expected = theirs.generate(
            torch.tensor(PROMPTS), attention_mask=torch.tensor(MASK),
            logits_processor=transformers.LogitsProcessorList([only_even]),
            stopping_criteria=transformers.StoppingCriteriaList([stop_at_eight]), **options,
        ).tolist()  # fmt: skip
        found = ours.generate(
            minillm.tensor(PROMPTS), attention_mask=minillm.tensor(MASK), logits_processor=[only_even],
            stopping_criteria=[stop_at_eight], **options,
        ).tolist()  # fmt: skip
        assert found == expected


@pytest.mark.filterwarnings("ignore")
def test_settings_move_with_the_files(pairs, tmp_path):
    _, ours = pairs["gpt2"]
    ours.generation_config = GenerationConfig(max_new_tokens=7, no_repeat_ngram_size=2, pad_token_id=0)
    ours.save_pretrained(tmp_path)
    ours.generation_config = GenerationConfig(pad_token_id=0)
    back = transformers.GPT2LMHeadModel.from_pretrained(tmp_path)
    assert back.generation_config.max_new_tokens == 7
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert again.generation_config.no_repeat_ngram_size == 2
    mask = {"attention_mask": torch.tensor(MASK)}
    expected = back.generate(torch.tensor(PROMPTS), **mask).tolist()
    assert again.generate(minillm.tensor(PROMPTS), attention_mask=minillm.tensor(MASK)).tolist() == expected
