"""Batches of texts as transformers collates them; what is masked at random, by its shares."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm.tokenizers import BPETokenizer, WordPieceTokenizer
from minillm.transformers import (
    BertTokenizer,
    DataCollatorForLanguageModeling,
    DataCollatorWithPadding,
    GPT2Tokenizer,
)

TEXTS = ["the quick brown fox", "jumped", "over the lazy dogs again and again"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    WordPieceTokenizer.train_from_iterator(TEXTS * 4, 80, show_progress=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpt2")
    end = "<|endoftext|>"
    BPETokenizer.train_from_iterator(
        TEXTS * 4, 290, special_tokens=[end], show_progress=False, special_names={"bos_token": end, "eos_token": end}
    ).save_pretrained(folder)
    return folder


def both(folder, name):
    theirs = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    pair = [getattr(library, name).from_pretrained(folder) for library in (minillm.transformers, theirs)]
    for tokenizer in pair:
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    return *pair, theirs


def same(ours, theirs):
    assert set(ours) == set(theirs)
    for name in theirs:
        assert ours[name].tolist() == theirs[name].tolist(), name


@pytest.mark.parametrize(
    "options", [{}, {"pad_to_multiple_of": 8}, {"padding": "max_length", "max_length": 20}], ids=str
)
@pytest.mark.parametrize("label", ["label", "labels", "label_ids"])
def test_padding_of_transformers(bert, options, label):
    ours, theirs, library = both(bert, "BertTokenizer")

    def batch(collator, tokenizer):
        return collator(tokenizer, **options)([{**tokenizer(text), label: i} for i, text in enumerate(TEXTS)])

    got = batch(DataCollatorWithPadding, ours)
    same(got, batch(library.DataCollatorWithPadding, theirs))
    assert isinstance(got["labels"], minillm.Tensor)


@pytest.mark.parametrize("as_lists", [True, False])
def test_labels_of_the_next_tokens_are_those_of_transformers(gpt2, as_lists):
    ours, theirs, library = both(gpt2, "GPT2Tokenizer")

    def batch(collator, tokenizer):
        rows = [tokenizer(text) for text in TEXTS]
        return collator(tokenizer, mlm=False)([row["input_ids"] for row in rows] if as_lists else rows)

    got, wanted = batch(DataCollatorForLanguageModeling, ours), batch(library.DataCollatorForLanguageModeling, theirs)
    if as_lists:
        got.pop("attention_mask")  # theirs leaves it out, though padding is there
    same(got, wanted)


@pytest.mark.parametrize("known", [True, False])
def test_a_share_of_the_tokens_is_masked(bert, known):
    tokenizer = BertTokenizer.from_pretrained(bert)
    rows = [tokenizer(text, return_special_tokens_mask=known) for text in TEXTS] * 400
    ids = tokenizer.pad([{"input_ids": row["input_ids"]} for row in rows], return_tensors="np")["input_ids"]
    batch = DataCollatorForLanguageModeling(tokenizer, seed=3, return_tensors="np")(rows)
    shown, labels = batch["input_ids"], batch["labels"]
    free, chosen = ~np.isin(ids, tokenizer.all_special_ids), labels != -100
    assert not (chosen & ~free).any()
    assert (labels[chosen] == ids[chosen]).all()
    assert (shown[~chosen] == ids[~chosen]).all()
    assert abs(chosen.sum() / free.sum() - 0.15) < 0.02
    masked, kept = shown[chosen] == tokenizer.mask_token_id, shown[chosen] == ids[chosen]
    assert abs(masked.mean() - 0.8) < 0.04
    assert abs(kept.mean() - 0.1) < 0.04
    again = DataCollatorForLanguageModeling(tokenizer, seed=3)(rows)
    assert isinstance(again["labels"], minillm.Tensor)
    assert again["input_ids"].tolist() == shown.tolist()
    assert "special_tokens_mask" not in again


def test_everything_masked_is_that_of_transformers(bert):
    ours, theirs, library = both(bert, "BertTokenizer")

    def batch(collator, tokenizer):
        collate = collator(tokenizer, mlm_probability=1.0, mask_replace_prob=1.0, random_replace_prob=0.0)
        return collate([tokenizer(text) for text in TEXTS])

    same(batch(DataCollatorForLanguageModeling, ours), batch(library.DataCollatorForLanguageModeling, theirs))


def test_a_tokenizer_without_a_mask_token(gpt2):
    with pytest.raises(ValueError, match="the tokenizer has no mask token, which mlm=True needs; give mlm=False"):
        DataCollatorForLanguageModeling(GPT2Tokenizer.from_pretrained(gpt2))
