"""Pipelines answer what those of transformers answer."""

from __future__ import annotations

import pytest

import minillm
from minillm import transformers
from minillm.tokenizers import BPETokenizer, WordPieceTokenizer
from minillm.transformers import pipeline

TEXTS = ["the quick brown fox", "jumped", "over the lazy dogs again and again"]


def both(folder, model, tokenizer):
    theirs = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    return theirs, [
        [getattr(library, name).from_pretrained(folder) for name in (model, tokenizer)]
        for library in (transformers, theirs)
    ]


def rounded(answers):
    if isinstance(answers, list):
        return [rounded(answer) for answer in answers]
    return {**answers, "score": pytest.approx(answers["score"], abs=1e-5)}


@pytest.mark.parametrize(
    "settings", [{"num_labels": 3}, {"num_labels": 3, "problem_type": "multi_label_classification"}, {"num_labels": 1}],
    ids=str,
)  # fmt: skip
def test_labels_of_transformers(tmp_path, settings):
    tokenizer = WordPieceTokenizer.train_from_iterator(TEXTS * 4, 80, show_progress=False)
    tokenizer.save_pretrained(tmp_path)
    config = transformers.BertConfig(
        vocab_size=80, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        initializer_range=0.5, **settings,
    )  # fmt: skip
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    library, (ours, theirs) = both(tmp_path, "BertForSequenceClassification", "BertTokenizer")
    got = pipeline("text-classification", *ours)
    wanted = library.pipeline("text-classification", theirs[0], tokenizer=theirs[1])
    for inputs in (TEXTS[0], TEXTS):
        assert got(inputs) == rounded(wanted(inputs))
        for top_k in (None, 2):
            assert got(inputs, top_k=top_k) == rounded(wanted(inputs, top_k=top_k))
    with pytest.raises(TypeError, match="topk is not offered; top_k is"):
        got(TEXTS, topk=2)


def test_texts_of_transformers(tmp_path):
    end = "<|endoftext|>"
    BPETokenizer.train_from_iterator(
        TEXTS * 4, 290, special_tokens=[end], show_progress=False, special_names={"bos_token": end, "eos_token": end}
    ).save_pretrained(tmp_path)
    sizes = {"vocab_size": 290, "n_positions": 64, "n_embd": 16, "n_layer": 1, "n_head": 2}
    config = transformers.GPT2Config(**sizes, initializer_range=0.5)
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path)
    library, (ours, theirs) = both(tmp_path, "GPT2LMHeadModel", "GPT2Tokenizer")
    got = pipeline("text-generation", *ours)
    wanted = library.pipeline("text-generation", theirs[0], tokenizer=theirs[1])
    options = {"max_new_tokens": 8, "do_sample": False}
    for inputs in (TEXTS[0], TEXTS[:2]):
        assert got(inputs, **options) == wanted(inputs, pad_token_id=0, **options)
    beams = {**options, "num_beams": 3, "num_return_sequences": 2, "return_full_text": False}
    assert got(TEXTS[0], **beams) == wanted(TEXTS[0], pad_token_id=0, **beams)
    minillm.manual_seed(1)
    drawn = got(TEXTS[0], max_length=12)
    minillm.manual_seed(1)
    assert got(TEXTS[0], max_length=12, temperature=0.7) == drawn


def test_refusals():
    with pytest.raises(ValueError, match="got the task 'translation'; known are text-classification"):
        pipeline("translation")
    with pytest.raises(TypeError, match="got 'gpt2' as model; it needs one in memory"):
        pipeline("text-generation", model="gpt2")
