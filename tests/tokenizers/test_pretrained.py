"""Tokenizers as programs for Transformers use them: the same results from the same files."""

from __future__ import annotations

import logging

import pytest

import minillm
from minillm.tokenizers import BPETokenizer, CharTokenizer, WordPieceTokenizer, WordTokenizer
from minillm.tokenizers.pretrained import AutoTokenizer, BertTokenizer, GPT2Tokenizer

TEXTS = ["The quick brown fox, twice!", "Jumped.", "over the lazy dogs' den, again and again and again"]
TRAINING = [text.lower() for text in TEXTS] * 4 + TEXTS


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    WordPieceTokenizer.train_from_iterator(TRAINING, 90, show_progress=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpt2")
    end = "<|endoftext|>"
    BPETokenizer.train_from_iterator(
        TRAINING, 290, special_tokens=[end], show_progress=False, special_names={"bos_token": end, "eos_token": end}
    ).save_pretrained(folder)
    return folder


def both(folder, ours, **options):
    theirs = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    return ours.from_pretrained(folder, **options), getattr(theirs, ours.__name__).from_pretrained(folder, **options)


def same(ours, theirs) -> None:
    assert set(ours) == set(theirs)
    for name in theirs:
        assert plain(ours[name]) == plain(theirs[name]), name


def plain(values):
    return values.tolist() if hasattr(values, "tolist") else values


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": True},
        {"padding": "max_length", "max_length": 12, "truncation": True},
        {"padding": True, "truncation": True, "max_length": 6, "return_tensors": "np"},
        {"padding": True, "add_special_tokens": False, "return_tensors": "pt"},
        {"padding": True, "return_token_type_ids": True, "pad_to_multiple_of": 8},
    ],
    ids=str,
)
def test_calls(bert, gpt2, options):
    ours, theirs = both(bert, BertTokenizer)
    same(ours(TEXTS, **options), theirs(TEXTS, **options))
    same(ours(TEXTS, TEXTS[::-1], **options), theirs(TEXTS, TEXTS[::-1], **options))
    ours, theirs = both(gpt2, GPT2Tokenizer)
    ours.pad_token, theirs.pad_token = ours.eos_token, theirs.eos_token
    same(ours(TEXTS, **options), theirs(TEXTS, **options))
    ours.padding_side = theirs.padding_side = "left"
    same(ours(TEXTS, **options), theirs(TEXTS, **options))


def test_encode_and_decode(bert, gpt2):
    for folder, kind in ((bert, BertTokenizer), (gpt2, GPT2Tokenizer)):
        ours, theirs = both(folder, kind)
        special = ours.all_special_tokens[0]
        text = f"the fox {special} again"
        assert ours.encode(text) == theirs.encode(text)
        assert ours.encode(text, add_special_tokens=False) == theirs.encode(text, add_special_tokens=False)
        found = ours.encode(text, return_tensors="pt")
        assert found.tolist() == theirs.encode(text, return_tensors="pt").tolist()
        assert isinstance(found, minillm.Tensor)
        assert ours.encode(text, max_length=4, truncation=True) == theirs.encode(text, max_length=4, truncation=True)
        ids = found[0]
        for given in (ids, ids.tolist(), ids.numpy()):
            assert ours.decode(given, skip_special_tokens=True) == theirs.decode(ids.tolist(), skip_special_tokens=True)
        assert ours.decode([ids.tolist()] * 2) == theirs.decode([ids.tolist()] * 2)
        assert ours.batch_decode(found, skip_special_tokens=True) == theirs.batch_decode(
            found.tolist(), skip_special_tokens=True
        )
        tokens = theirs.convert_ids_to_tokens(ids.tolist())
        assert ours.convert_ids_to_tokens(ids) == tokens
        assert ours.convert_ids_to_tokens(ids, skip_special_tokens=True) == theirs.convert_ids_to_tokens(
            ids.tolist(), skip_special_tokens=True
        )
        assert ours.convert_tokens_to_string(tokens) == theirs.convert_tokens_to_string(tokens)
        assert ours.vocab == theirs.vocab
        assert len(ours) == len(theirs)


@pytest.mark.parametrize(
    "options",
    [{}, {"padding": "max_length", "max_length": 20}, {"pad_to_multiple_of": 8, "return_tensors": "np"}],
    ids=str,
)
def test_rows_are_padded_later(bert, options):
    ours, theirs = both(bert, BertTokenizer)
    rows = [{**ours(text), "label": number} for number, text in enumerate(TEXTS)]
    same(ours.pad(rows, **options), theirs.pad(rows, **options))
    columns = {"input_ids": [[5, 6], [7]], "attention_mask": [[1, 1], [1]]}
    same(ours.pad(columns, **options), theirs.pad(columns, **options))


def test_settings_at_loading(bert, gpt2):
    ours, theirs = both(gpt2, GPT2Tokenizer, padding_side="left", model_max_length=7, pad_token="<pad>")
    assert (ours.pad_token, ours.pad_token_id) == (theirs.pad_token, theirs.pad_token_id)
    assert len(ours) == len(theirs)
    same(ours(TEXTS, padding=True, truncation=True), theirs(TEXTS, padding=True, truncation=True))
    ours, theirs = both(bert, BertTokenizer, do_lower_case=False)
    same(ours(TEXTS), theirs(TEXTS))
    ours = BertTokenizer.from_pretrained(bert, use_fast=True, local_files_only=True)
    assert ours.encode("THE FOX") == ours.encode("the fox")
    with pytest.raises(TypeError, match=r"BertTokenizer\.from_pretrained: lowercase is not known here"):
        BertTokenizer.from_pretrained(bert, lowercase=True)


def test_tokens_by_id(gpt2):
    tokenizer = GPT2Tokenizer.from_pretrained(gpt2)
    tokenizer.pad_token_id = tokenizer.eos_token_id
    assert tokenizer.pad_token == "<|endoftext|>"
    tokenizer.pad_token_id = None
    assert tokenizer.pad_token is None
    with pytest.raises(ValueError, match="pad_token_id: the vocabulary has no id 999"):
        tokenizer.pad_token_id = 999
    tokenizer.add_special_tokens({"additional_special_tokens": ["<x>"]})
    assert tokenizer.additional_special_tokens == ["<x>"]


def test_padding_without_a_token_says_what_to_do(gpt2):
    tokenizer = GPT2Tokenizer.from_pretrained(gpt2)
    with pytest.raises(ValueError, match=r"tokenizer\.pad_token = tokenizer\.eos_token"):
        tokenizer.pad([{"input_ids": [1, 2]}, {"input_ids": [1]}])
    for rows in ([], [{"ids": [1]}]):
        with pytest.raises(ValueError, match="needs rows with 'input_ids'"):
            tokenizer.pad(rows)


def test_truncation_without_a_length_is_left_out(gpt2, caplog):
    tokenizer = GPT2Tokenizer.from_pretrained(gpt2)
    with caplog.at_level(logging.WARNING, logger="minillm"):
        assert tokenizer(TEXTS, truncation=True).input_ids == tokenizer(TEXTS).input_ids
    assert "nothing is cut off" in caplog.text
    assert len(tokenizer(TEXTS[2], truncation=True, max_length=3).input_ids) == 3


def test_the_kind_is_told_by_the_files(bert, gpt2, tmp_path):
    assert type(AutoTokenizer.from_pretrained(bert)) is BertTokenizer
    assert type(AutoTokenizer.from_pretrained(gpt2, padding_side="left")) is GPT2Tokenizer
    for kind, text in ((CharTokenizer, "abc"), (WordTokenizer, "a b c")):
        folder = tmp_path / kind.__name__
        made = kind.from_text(text)
        made.save_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        assert isinstance(tokenizer, kind)
        assert tokenizer.encode(text) == made.encode(text)
    with pytest.raises(ValueError, match="holds a BPETokenizer, not a BertTokenizer"):
        BertTokenizer.from_pretrained(gpt2)


def test_the_result_of_a_call_goes_into_a_model(bert):
    from minillm.models import BertConfig, BertModel

    tokenizer = BertTokenizer.from_pretrained(bert)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = BertModel(BertConfig(vocab_size=len(tokenizer), **sizes))
    inputs = tokenizer(TEXTS, padding=True, return_tensors="pt").to("cpu")
    assert model(**inputs).last_hidden_state.shape[:2] == inputs["input_ids"].shape == inputs.input_ids.shape
