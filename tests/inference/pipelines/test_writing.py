"""Texts and translations are those of transformers; translations of its version 4, as for answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import minillm
from minillm import transformers
from minillm.tokenizers import BPETokenizer, WordPieceTokenizer
from minillm.transformers import pipeline
from tests.inference.pipelines.conftest import TEXTS, fill

END = "<|endoftext|>"
TRANSLATIONS = json.loads(Path(__file__).with_name("translations.json").read_text())
CASES = [
    {"max_length": 9},
    {"max_new_tokens": 6, "num_beams": 1},
    {"max_new_tokens": 7, "num_return_sequences": 2, "num_beams": 3},
    {},
]


def test_texts_of_transformers(tmp_path):
    BPETokenizer.train_from_iterator(
        TEXTS * 4, 290, special_tokens=[END], show_progress=False, special_names={"bos_token": END, "eos_token": END}
    ).save_pretrained(tmp_path)
    sizes = {"vocab_size": 290, "n_positions": 64, "n_embd": 16, "n_layer": 1, "n_head": 2}
    fill(transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes))).save_pretrained(tmp_path)
    library = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    theirs = library.GPT2LMHeadModel.from_pretrained(tmp_path)
    wanted = library.pipeline("text-generation", theirs, tokenizer=library.GPT2Tokenizer.from_pretrained(tmp_path))
    got = pipeline("text-generation", tmp_path)
    options = {"max_new_tokens": 8, "do_sample": False}
    for inputs in (TEXTS[0], TEXTS[:2]):
        assert got(inputs, **options) == wanted(inputs, pad_token_id=0, **options)
    beams = {**options, "num_beams": 3, "num_return_sequences": 2, "return_full_text": False}
    assert got(TEXTS[0], **beams) == wanted(TEXTS[0], pad_token_id=0, **beams)
    minillm.manual_seed(1)
    drawn = got(TEXTS[0], max_length=60)
    minillm.manual_seed(1)
    assert got(TEXTS[0], max_length=60, temperature=0.7) == drawn
    assert pipeline("text-generation", tmp_path, **beams)(TEXTS[0]) == got(TEXTS[0], **beams)


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translator")
    WordPieceTokenizer.train_from_iterator(TEXTS * 4, 90, show_progress=False).save_pretrained(folder)
    config = transformers.MarianConfig(
        vocab_size=90, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=64, pad_token_id=0,
        decoder_start_token_id=0, eos_token_id=3, forced_eos_token_id=3,
    )  # fmt: skip
    model = fill(transformers.MarianMTModel(config))
    model.generation_config.max_length = 12
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("options", CASES, ids=str)
def test_translations_of_transformers_4(translator, options):
    got = pipeline("translation", translator)
    assert got(TEXTS, **options) == TRANSLATIONS[str(options)]
    assert pipeline("translation_en_to_fr", translator, **options)(TEXTS[0]) == got(TEXTS[0], **options)


@pytest.mark.parametrize("options", CASES, ids=str)
def test_translations_of_the_installed_transformers(translator, options):
    library = pytest.importorskip("transformers")
    if not hasattr(library, "TranslationPipeline"):
        pytest.skip("needs a transformers with this pipeline, before 5")
    theirs = library.MarianMTModel.from_pretrained(translator)
    wanted = library.pipeline("translation", theirs, tokenizer=library.AutoTokenizer.from_pretrained(translator))
    answers = [answer for text in TEXTS for answer in _flat(wanted(text, **options))]
    assert pipeline("translation", translator)(TEXTS, **options) == answers


def _flat(answers):
    return [one for answer in answers for one in (answer if isinstance(answer, list) else [answer])]


def test_lengths_by_default(tmp_path, translator):
    model = transformers.MarianMTModel.from_pretrained(translator)
    model.generation_config.max_length = None
    ours = pipeline("translation", model, str(translator))
    written = ours.tokenizer(ours(TEXTS[1])[0]["translation_text"])["input_ids"]
    assert len(written) > 30  # as many as the model has places for
    assert ours(TEXTS[1], max_length=9) == TRANSLATIONS["{'max_length': 9}"][1:2]


def test_too_long_a_text_may_be_cut(tmp_path, translator):
    ours = pipeline("translation", translator, max_length=8)
    ours.tokenizer.model_max_length = 10
    assert ours(" ".join(TEXTS), truncation=True) == ours("the quick brown fox jumped over the lazy", truncation=True)
