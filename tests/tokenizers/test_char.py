from __future__ import annotations

import pytest

from minillm.tokenizers import CharTokenizer, from_pretrained


def test_ids_are_in_the_order_of_the_characters():
    tokenizer = CharTokenizer.from_text("hello\n世界")
    assert tokenizer.get_vocab() == {"\n": 0, "e": 1, "h": 2, "l": 3, "o": 4, "世": 5, "界": 6}
    assert tokenizer.encode("hello") == [2, 1, 3, 3, 4]
    assert tokenizer.decode([5, 6]) == "世界"


def test_special_tokens_come_first_and_are_cut_out():
    tokenizer = CharTokenizer.from_text(
        "ab<end>ba", special_tokens=["<pad>"], special_names={"eos_token": "<end>"}
    )
    assert tokenizer.get_vocab() == {"<pad>": 0, "<end>": 1, "a": 2, "b": 3}
    assert tokenizer.eos_token_id == 1
    assert tokenizer.encode("a<end>b", allowed_special={"<end>"}) == [2, 1, 3]
    assert tokenizer("a<end>b")["input_ids"] == [2, 1, 3]
    assert tokenizer.decode([2, 1, 3]) == "a<end>b"
    assert tokenizer.decode([2, 1, 3], skip_special_tokens=True) == "ab"
    with pytest.raises(ValueError, match="special token '<end>' at character 1"):
        tokenizer.encode("a<end>b")


def test_an_unknown_character_is_named_with_its_place():
    tokenizer = CharTokenizer.from_text("abc", special_tokens=["<end>"])
    with pytest.raises(ValueError, match=r"lacks 'é' \(U\+00E9\), character 2"):
        tokenizer.encode("abé")
    with pytest.raises(ValueError, match="character 7"):
        tokenizer.encode("a<end>bé", allowed_special="all")
    with pytest.raises(ValueError, match="character 2"):
        tokenizer("abé")


def test_unk_token_stands_for_unknown_characters():
    tokenizer = CharTokenizer.from_text("abc", unk_token="<unk>")
    assert tokenizer.unk_token_id == 0
    assert tokenizer.encode("aéb") == [1, 0, 2]
    assert tokenizer("aéb", return_offsets_mapping=True).offset_mapping == [(0, 1), (1, 2), (2, 3)]


def test_saves_and_loads(tmp_path):
    tokenizer = CharTokenizer.from_text(
        'a"\\\n\u2028é😀', special_names={"unk_token": "<unk>", "pad_token": "<pad>"}
    )
    tokenizer.padding_side = "left"
    tokenizer.save_pretrained(tmp_path / "new" / "folder")
    loaded = from_pretrained(tmp_path / "new" / "folder")
    assert type(loaded) is CharTokenizer
    assert loaded.get_vocab() == tokenizer.get_vocab()
    assert loaded.special_tokens_map == tokenizer.special_tokens_map
    assert loaded.padding_side == "left"
    assert loaded.encode("é\u2028?") == tokenizer.encode("é\u2028?")


def test_empty_texts():
    assert CharTokenizer.from_text("a").encode("") == []
    assert CharTokenizer.from_text("a").decode([]) == ""
    with pytest.raises(ValueError, match="training text is empty"):
        CharTokenizer.from_text("")
    with pytest.raises(ValueError, match="training text is empty"):
        CharTokenizer.train_from_iterator([])


def test_what_is_not_a_character_must_be_special():
    with pytest.raises(ValueError, match="'ab' is not one character"):
        CharTokenizer({"a": 0, "ab": 1})
