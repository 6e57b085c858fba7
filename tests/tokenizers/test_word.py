"""The tokenizer of words: what Keras' gives, written down from its documentation and its program."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.tokenizers import (
    WordTokenizer,
    from_pretrained,
    text_to_word_sequence,
    tokenizer_from_json,
)

TEXTS = ["The cat sat, the cat ran.", "A dog: the DOG!", ["The", "bird"]]


def fitted(**options):
    tokenizer = WordTokenizer(**options)
    tokenizer.fit_on_texts(TEXTS)
    return tokenizer


def test_words_are_numbered_from_the_most_frequent_on():
    tokenizer = fitted()
    assert tokenizer.word_counts == {"the": 4, "cat": 2, "sat": 1, "ran": 1, "a": 1, "dog": 2, "bird": 1}
    assert list(tokenizer.word_counts)[:3] == ["the", "cat", "sat"]
    # Equally frequent words stay in the order in which they were first seen.
    assert tokenizer.word_index == {"the": 1, "cat": 2, "dog": 3, "sat": 4, "ran": 5, "a": 6, "bird": 7}
    assert tokenizer.index_word[3] == "dog"
    assert tokenizer.word_docs == {"the": 3, "cat": 1, "sat": 1, "ran": 1, "a": 1, "dog": 1, "bird": 1}
    assert tokenizer.index_docs[1] == tokenizer.document_count == 3
    assert tokenizer.vocab_size == 8


def test_fitting_again_counts_on():
    tokenizer = fitted()
    tokenizer.fit_on_texts(["dog dog dog"])
    assert tokenizer.word_index["dog"] == 1
    assert tokenizer.word_counts["dog"] == 5
    assert tokenizer.document_count == 4


@pytest.mark.parametrize(
    ("options", "sequence", "text"),
    [
        ({}, [1, 3, 2], "the dog cat"),
        ({"num_words": 3}, [1, 2], "the cat"),
        ({"oov_token": "<oov>"}, [2, 1, 4, 3], "the <oov> dog cat"),
        ({"num_words": 4, "oov_token": "<oov>"}, [2, 1, 1, 3], "the <oov> <oov> cat"),
    ],
)
def test_unknown_and_rare_words(options, sequence, text):
    tokenizer = fitted(**options)
    assert tokenizer.texts_to_sequences(["the lion dog cat"]) == [sequence]
    assert tokenizer.texts_to_sequences([["the", "lion", "dog", "cat"]]) == [sequence]
    assert tokenizer.encode("the lion dog cat") == sequence
    assert tokenizer.sequences_to_texts([sequence]) == [tokenizer.decode(sequence)] == [text]


def test_ids_that_are_no_words():
    assert fitted().sequences_to_texts([[0, 1, 99, 2]]) == ["the cat"]
    assert fitted(oov_token="?").sequences_to_texts([[0, 2, 99]]) == ["? the ?"]
    assert fitted(num_words=2).sequences_to_texts([[1, 2]]) == ["the"]


@pytest.mark.parametrize(
    ("options", "text", "words"),
    [
        ({}, "Don't panic, (please)!\tNOW\n", ["don't", "panic", "please", "now"]),
        ({"lower": False}, "Don't NOW", ["Don't", "NOW"]),
        ({"filters": ""}, "a, b", ["a,", "b"]),
        ({"split": ","}, "a b,c", ["a b", "c"]),
        ({"split": "--"}, "a--b.c", ["a", "b", "c"]),
        ({}, "", []),
        ({}, " ,. ", []),
        ({}, "ΟΔΟΣ ΟΔΟΣ.Α", ["οδος", "οδοσ", "α"]),
        ({}, "a\xa0b c\u2028d", ["a\xa0b", "c\u2028d"]),
    ],
)
def test_texts_are_cut_as_keras_cuts_them(options, text, words):
    assert text_to_word_sequence(text, **options) == words
    tokenizer = WordTokenizer(**options)
    tokenizer.fit_on_texts([text])
    assert list(tokenizer.word_counts) == list(dict.fromkeys(words))


def test_characters_as_words():
    tokenizer = WordTokenizer(char_level=True)
    tokenizer.fit_on_texts(["Aba.", ["X", "Y"]])
    assert tokenizer.word_index == {"a": 1, "b": 2, ".": 3, "x": 4, "y": 5}
    assert tokenizer.texts_to_sequences(["AB!x"]) == [[1, 2, 4]]


def test_an_analyzer_of_ones_own(tmp_path):
    tokenizer = WordTokenizer(analyzer=lambda text: text.upper().split("-"))
    tokenizer.fit_on_texts(["a-B-a", ["q"]])
    assert tokenizer.word_index == {"A": 1, "B": 2, "q": 3}
    encoded = tokenizer("B-a-A", return_offsets_mapping=True)
    assert encoded.input_ids == [2, 1, 1]
    assert encoded.offset_mapping == [(0, 1), (4, 5), (5, 5)]
    with pytest.raises(ValueError, match="cannot be saved with an analyzer"):
        tokenizer.save_pretrained(tmp_path)


@settings(max_examples=100)
@given(data=st.data(), lower=st.booleans(), char_level=st.booleans(), split=st.sampled_from([" ", "b", "--"]))
def test_offsets_lead_back_to_the_words(data, lower, char_level, split, unicode_texts):
    text = data.draw(unicode_texts)
    tokenizer = WordTokenizer(lower=lower, char_level=char_level, split=split, oov_token="?")
    tokenizer.fit_on_texts([text, ["other"]])
    encoded = tokenizer.encode_with_offsets(text)
    assert encoded.ids == tokenizer.encode(text) == tokenizer.texts_to_sequences([text])[0]
    last = 0
    for token_id, (start, end) in zip(encoded.ids, encoded.offsets, strict=True):
        assert last <= start < end <= len(text) or char_level
        last = end
        stretch = text[start:end]
        # Small letters depend on what stands around them: the sigma, and İ, which becomes two.
        if not lower or (stretch.lower() == stretch.casefold() and len(stretch.lower()) == len(stretch)):
            word = tokenizer.index_word[token_id]
            assert (stretch.lower() if lower else stretch) == word


@pytest.mark.parametrize(
    ("mode", "row"),
    [
        ("binary", [0, 1, 1, 0, 0, 0, 0, 0]),
        ("count", [0, 2, 1, 0, 0, 0, 0, 0]),
        ("freq", [0, 2 / 3, 1 / 3, 0, 0, 0, 0, 0]),
        ("tfidf", [0, (1 + np.log(2)) * np.log(1 + 3 / 4), np.log(1 + 3 / 2), 0, 0, 0, 0, 0]),
    ],
)
def test_rows_of_numbers(mode, row):
    tokenizer = fitted()
    np.testing.assert_allclose(tokenizer.texts_to_matrix(["the the cat", ""], mode), [row, [0] * 8])
    assert fitted(num_words=3).texts_to_matrix(["the dog"], mode).shape == (1, 3)
    assert fitted(num_words=2).sequences_to_matrix([[1, 5]], mode).shape == (1, 2)


def test_counting_rows_of_ids():
    tokenizer = WordTokenizer(num_words=4)
    tokenizer.fit_on_sequences([[1, 2, 1], [2]])
    assert (tokenizer.index_docs, tokenizer.document_count) == ({1: 1, 2: 2}, 2)
    np.testing.assert_allclose(
        tokenizer.sequences_to_matrix([[2]], "tfidf"), [[0, 0, np.log(1 + 2 / 3), 0]]
    )


def test_the_face_of_all_tokenizers():
    tokenizer = fitted(oov_token="<oov>", special_names={"eos_token": "<end>"})
    assert (tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.eos_token_id) == (0, 1, 9)
    assert tokenizer.vocab_size == len(tokenizer) == 10
    batch = tokenizer(["the cat", "a lion sat<end>"], padding=True, return_tensors="np")
    assert batch.input_ids.tolist() == [[2, 3, 0, 0], [7, 1, 5, 9]]
    assert batch.attention_mask.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert tokenizer.decode([2, 3, 0, 0]) == "the cat <pad> <pad>"
    assert tokenizer.decode([7, 1, 9, 0], skip_special_tokens=True) == "a <oov>"
    assert tokenizer.convert_ids_to_tokens([0, 2]) == ["<pad>", "the"]
    assert tokenizer.tokenize("The cat!") == ["the", "cat"]
    tokenizer.fit_on_texts(["new words"])  # what was added stands behind all words
    assert tokenizer.eos_token_id == 11
    assert fitted(pad_token=None).pad_token is None


def test_rows_that_an_embedding_needs():
    assert fitted(num_words=3).vocab_size == 3
    assert fitted(num_words=100).vocab_size == 8
    assert fitted(num_words=1, oov_token="?").vocab_size == 2
    assert WordTokenizer().vocab_size == 1


def test_training_by_the_names_of_all_tokenizers(tmp_path):
    assert WordTokenizer.from_text("b a b", num_words=2).word_index == {"b": 1, "a": 2}
    (tmp_path / "a.txt").write_text("x y\ny", encoding="utf-8")
    assert WordTokenizer.train(tmp_path / "a.txt").word_index == {"y": 1, "x": 2}
    with pytest.raises(ValueError, match="training text is empty"):
        WordTokenizer.train_from_iterator(["", "..."])


def test_errors():
    tokenizer = fitted()
    with pytest.raises(ValueError, match="num_words must be positive or None, got 0"):
        WordTokenizer(0)
    with pytest.raises(ValueError, match="split must not be empty"):
        WordTokenizer(split="")
    with pytest.raises(TypeError, match="fit_on_texts: needs a list of texts, got one string"):
        tokenizer.fit_on_texts("the cat")
    with pytest.raises(TypeError, match="texts_to_sequences: needs a list of texts, got one string"):
        tokenizer.texts_to_sequences("the cat")
    with pytest.raises(TypeError, match="fit_on_texts: needs a str, got int"):
        tokenizer.fit_on_texts([["a", 5]])
    with pytest.raises(ValueError, match="lone surrogate"):
        tokenizer.texts_to_sequences(["a\ud800"])
    with pytest.raises(ValueError, match="hold the word '<pad>', which is the token for padding"):
        WordTokenizer(filters="").fit_on_texts(["a <pad>"])
    with pytest.raises(ValueError, match="mode='tf' is none of 'binary', 'count'"):
        tokenizer.texts_to_matrix(["a"], "tf")
    with pytest.raises(ValueError, match="give num_words, or call fit_on_texts first"):
        WordTokenizer().texts_to_matrix(["a"])
    with pytest.raises(ValueError, match="mode='tfidf' needs texts to count"):
        WordTokenizer(5).texts_to_matrix(["a"], "tfidf")


# Files

MADE = {
    "plain": {},
    "limited": {"num_words": 4, "oov_token": "<oov>", "padding_side": "left"},
    "signs": {"filters": "]^-\\", "lower": False, "oov_token": "?", "split": "."},
    "characters": {"char_level": True, "oov_token": "?"},
    "named": {"special_names": {"eos_token": "<end>"}, "pad_token": "[PAD]", "oov_token": "?"},
}


@pytest.mark.parametrize("name", MADE)
def test_what_we_save_we_load(name, tmp_path):
    ours = fitted(**MADE[name])
    ours.save_pretrained(tmp_path)
    loaded = from_pretrained(tmp_path)
    assert type(loaded) is WordTokenizer
    assert loaded.get_config() == ours.get_config()
    assert loaded.get_vocab() == ours.get_vocab()
    assert loaded.special_tokens_map == ours.special_tokens_map
    assert loaded.padding_side == ours.padding_side
    texts = ["the lion, a cat", "x-y]the.cat^"]
    assert dict(loaded(texts)) == dict(ours(texts))
    loaded.fit_on_texts(["more cat"])
    ours.fit_on_texts(["more cat"])
    assert loaded.word_index == ours.word_index


@pytest.mark.parametrize("name", [name for name in MADE if name != "plain"])
def test_what_we_save_loads_in_tokenizers(name, tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    ours = fitted(**MADE[name])
    ours.save_pretrained(tmp_path)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in ("the lion, a cat", "x-y]the.cat^ran", "", " . ", "THE\tdog"):
        encoded, expected = ours(text, return_offsets_mapping=True), theirs.encode(text)
        assert encoded.input_ids == expected.ids
        assert encoded.offset_mapping == expected.offsets
        assert ours.decode(expected.ids) == theirs.decode(expected.ids, skip_special_tokens=False)


def test_the_json_of_keras():
    ours = fitted(num_words=4, oov_token="?")
    data = json.loads(ours.to_json())
    assert data["class_name"] == "Tokenizer"
    assert json.loads(data["config"]["index_word"])["2"] == "the"
    again = tokenizer_from_json(ours.to_json(indent=1))
    assert again.get_config() == ours.get_config()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"word_counts": None}, "not the JSON of a Keras tokenizer"),
        ({"word_counts": "{"}, "not JSON at line 1, column 2"),
        ({"word_counts": "[1]"}, "not the JSON of a Keras tokenizer"),
        ({"word_index": '{"a": 0}'}, "the id of 'a' is -1"),
        ({"word_index": '{"a": "x"}'}, "the id of 'a' is 'x'"),
        ({"word_index": '{"a": 1, "b": 1}'}, "the id 1 is that of two tokens, 'a' and 'b'"),
        ({"num_words": -1}, "num_words must be positive"),
        ({"num_words": "many"}, "not the JSON of a Keras tokenizer"),
        ({"document_count": None}, "not the JSON of a Keras tokenizer"),
    ],
)
def test_json_that_is_none_of_keras(change, message):
    data = json.loads(fitted().to_json())
    data["config"].update(change)
    with pytest.raises(ValueError, match=message):
        tokenizer_from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"config": 5}', '{"config": {}}'])
def test_text_that_is_none_of_keras(text, tmp_path):
    with pytest.raises(ValueError, match="from_json: not"):
        tokenizer_from_json(text)
    fitted().save_pretrained(tmp_path)
    (tmp_path / "word_tokenizer.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"word_tokenizer\.json: not"):
        from_pretrained(tmp_path)
