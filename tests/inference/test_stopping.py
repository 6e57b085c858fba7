"""What ends texts: functions of the tokens, and strings, as in transformers."""

from __future__ import annotations

import re

import pytest

import minillm
from minillm import transformers
from minillm.inference.stopping import StopStringCriteria, stopped_by
from minillm.tokenizers import BPETokenizer, WordPieceTokenizer
from minillm.transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel
from tests.inference.pipelines.conftest import TEXTS, fill


def save(folder, kind):
    """Write a tiny model that writes the tokens of a tokenizer, and that tokenizer."""
    if kind == "bytes":
        tokenizer = BPETokenizer.train_from_iterator(TEXTS * 4, 290, show_progress=False)
    else:
        tokenizer = WordPieceTokenizer.train_from_iterator([*TEXTS * 4, "abcdef"], 100, show_progress=False)
    tokenizer.save_pretrained(folder)
    # A few rows more than there are tokens, as many models have.
    config = GPT2Config(vocab_size=len(tokenizer) + 3, n_positions=64, n_embd=16, n_layer=1, n_head=2)
    model = fill(GPT2LMHeadModel(config), seed=3)
    # Rows of zeros have the logit 0, so that others are written: tokens that are whole letters.
    seldom = [not re.fullmatch("Ġ?(##)?[a-z]+", tokenizer.id_to_token(i) or "[PAD]") for i in range(len(tokenizer) + 3)]
    model.transformer.wte.weight.data[minillm.tensor(seldom)] = 0
    model.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder), GPT2LMHeadModel.from_pretrained(folder)


@pytest.mark.parametrize("kind", ["bytes", "pieces"])
def test_strings_end_texts_where_transformers_ends_them(tmp_path, kind):
    tokenizer, model = save(tmp_path, kind)
    torch, library = pytest.importorskip("torch"), pytest.importorskip("transformers")
    theirs = library.GPT2LMHeadModel.from_pretrained(tmp_path)
    their_tokenizer = library.AutoTokenizer.from_pretrained(tmp_path)
    prompts = [tokenizer.encode(text, add_special_tokens=False)[:5] for text in TEXTS]
    x = minillm.tensor(prompts)
    whole = model.generate(x, max_new_tokens=12, pad_token_id=0)
    texts = [tokenizer.decode(row) for row in whole.tolist()]
    given = [len(tokenizer.decode(row)) for row in prompts]
    ended = 0
    for place in range(1, 24, 3):
        for size in (1, 2, 5):
            stops = [text[start + place :][:size] for text, start in zip(texts, given, strict=True)]
            stops = [stop for stop in stops if stop]
            if not stops:
                continue
            # Without a token that ends texts, transformers lets rows that have ended go on until all have.
            options = {"max_new_tokens": 12, "pad_token_id": 0, "eos_token_id": 1, "stop_strings": stops}
            wanted = theirs.generate(torch.tensor(prompts), tokenizer=their_tokenizer, do_sample=False, **options)
            got = model.generate(x, tokenizer=tokenizer, **options).tolist()
            assert got == wanted.tolist()
            ended += got != whole.tolist()
    assert ended > 10
    beams = {"max_new_tokens": 12, "pad_token_id": 0, "eos_token_id": 1, "num_beams": 3}
    beams["stop_strings"] = texts[0][given[0] + 4 :][:2]
    wanted = theirs.generate(torch.tensor(prompts), tokenizer=their_tokenizer, do_sample=False, **beams)
    assert model.generate(x, tokenizer=tokenizer, **beams).tolist() == wanted.tolist()


def test_settings_of_the_model_and_pipelines(tmp_path):
    tokenizer, model = save(tmp_path, "bytes")
    options = {"max_new_tokens": 12, "do_sample": False}
    whole = transformers.pipeline("text-generation", model, tokenizer)(TEXTS[0], **options)[0]["generated_text"]
    stop = whole[len(TEXTS[0]) + 3 :][:2]
    cut = transformers.pipeline("text-generation", model, tokenizer)(TEXTS[0], stop_strings=[stop], **options)
    assert whole.startswith(cut[0]["generated_text"])
    assert len(cut[0]["generated_text"]) < len(whole)
    model.generation_config.stop_strings = [stop]
    with pytest.raises(ValueError, match=r"stop_strings need the model's tokenizer; give tokenizer"):
        model.generate(minillm.tensor([[5]]))
    assert model.generate(minillm.tensor([[5]]), tokenizer=tokenizer, max_new_tokens=3).shape[0] == 1


@pytest.mark.parametrize("strings", ["", [], ["a", ""], [3]])
def test_strings_need_letters(strings):
    with pytest.raises(ValueError, match="it needs strings that are not empty"):
        StopStringCriteria(AutoTokenizer, strings)


def test_one_answer_may_hold_for_all_rows():
    tokens = minillm.tensor([[1, 7], [7, 1]]).numpy()
    assert stopped_by([lambda tokens, _: True], tokens).tolist() == [True, True]
    assert stopped_by([lambda tokens, _: tokens[:, 0] == 7, lambda *_: False], tokens).tolist() == [False, True]
    assert stopped_by([], tokens).tolist() == [False, False]
