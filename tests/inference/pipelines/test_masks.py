"""Guesses of masked tokens are those of transformers."""

from __future__ import annotations

import logging

import pytest

from minillm.tokenizers import CharTokenizer
from minillm.transformers import BertConfig, BertForMaskedLM, pipeline
from tests.inference.pipelines.conftest import rounded, save_bert, theirs_for

TEXTS = ["the quick [MASK] fox", "[MASK] over the lazy [MASK]."]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    save_bert(folder, "BertForMaskedLM")
    return pipeline("fill-mask", folder), theirs_for(folder, "fill-mask", "BertForMaskedLM")


@pytest.mark.parametrize(
    "options",
    [{}, {"top_k": 3}, {"targets": ["fox", "dogs", "."]}, {"targets": "fox"}, {"targets": ["a"], "top_k": 1}],
    ids=str,
)
def test_guesses_of_transformers(both, options):
    ours, theirs = both
    for inputs in (TEXTS[0], TEXTS[1], TEXTS, TEXTS[:1]):
        assert ours(inputs, **options) == rounded(theirs(inputs, **options))


def test_a_target_that_is_no_token(both, caplog):
    ours, theirs = both
    with caplog.at_level(logging.WARNING, logger="minillm"):
        got = ours(TEXTS[0], targets=["foxdog", "dogs"])
    assert got == rounded(theirs(TEXTS[0], targets=["foxdog", "dogs"]))
    assert "the target 'foxdog' is no token of the vocabulary; 'fox' stands for it" in caplog.text
    with pytest.raises(ValueError, match="none of the targets '' has a token"):
        ours(TEXTS[0], targets=[""])


def test_a_text_without_a_mask(both):
    with pytest.raises(ValueError, match=r"there is no \[MASK\] in 'the fox'"):
        both[0]("the fox")
    model = BertForMaskedLM(BertConfig(vocab_size=9, hidden_size=8, num_attention_heads=2))
    with pytest.raises(ValueError, match="the tokenizer has no mask_token"):
        pipeline("fill-mask", model, CharTokenizer.from_text("abc"))
