"""The face that all tokenizers share."""

from __future__ import annotations

import numpy as np
import pytest

from minillm.tokenizers import BPETokenizer, CharTokenizer, Tokenizer
from minillm.tokenizers.template import Template


@pytest.fixture
def tokenizer():
    made = CharTokenizer.from_text(
        "abc", special_names={"cls_token": "<cls>", "sep_token": "<sep>", "unk_token": "<unk>"}
    )
    made.template = Template.bert(made.cls_token_id, made.sep_token_id)
    return made


def test_the_vocabulary(tokenizer):
    assert tokenizer.vocab_size == len(tokenizer) == 6
    assert tokenizer.get_vocab() == {"<cls>": 0, "<sep>": 1, "<unk>": 2, "a": 3, "b": 4, "c": 5}
    tokenizer.get_vocab().clear()  # a copy
    assert (tokenizer.token_to_id("a"), tokenizer.token_to_id("z")) == (3, None)
    assert (tokenizer.id_to_token(3), tokenizer.id_to_token(9)) == ("a", None)
    assert tokenizer.convert_tokens_to_ids("b") == 4
    assert tokenizer.convert_tokens_to_ids(["b", "z"]) == [4, 2]
    assert tokenizer.convert_ids_to_tokens(4) == "b"
    assert tokenizer.convert_ids_to_tokens(np.array([4, 0])) == ["b", "<cls>"]


def test_encoding_one_text_and_two(tokenizer):
    assert tokenizer.encode("ab") == [0, 3, 4, 1]
    assert tokenizer.encode("ab", "c") == [0, 3, 4, 1, 5, 1]
    assert tokenizer.encode("ab", "c", add_special_tokens=False) == [3, 4, 5]
    assert tokenizer.encode("ab", add_special_tokens=False) == [3, 4]
    assert tokenizer.encode("a", "") == [0, 3, 1, 1]
    assert tokenizer.encode_batch(["a", "b"], add_special_tokens=False) == [[3], [4]]
    assert tokenizer.tokenize("a<sep>z") == ["a", "<sep>", "<unk>"]
    assert (tokenizer.num_special_tokens_to_add(), tokenizer.num_special_tokens_to_add(pair=True)) == (2, 3)
    assert tokenizer.build_inputs_with_special_tokens([3], [4]) == [0, 3, 1, 4, 1]
    assert tokenizer.create_token_type_ids_from_sequences([3], [4]) == [0, 0, 0, 1, 1]
    assert tokenizer.create_token_type_ids_from_sequences([3]) == [0, 0, 0]


@pytest.mark.parametrize("ids", [[3, 4, 1], (3, 4, 1), np.array([3, 4, 1]), iter([3, 4, 1])])
def test_decoding_what_holds_ids(tokenizer, ids):
    assert tokenizer.decode(ids) == "ab<sep>"


def test_decoding(tokenizer):
    import minillm

    assert tokenizer.decode(minillm.tensor([3, 4])) == "ab"
    assert tokenizer.decode(3) == tokenizer.decode(np.int64(3)) == tokenizer.decode(np.array(3)) == "a"
    assert tokenizer.decode([0, 3, 1], skip_special_tokens=True) == "a"
    assert tokenizer.batch_decode([[3, 0], [4]], skip_special_tokens=True) == ["a", "b"]
    assert tokenizer.batch_decode(np.array([[3, 4], [4, 5]])) == ["ab", "bc"]
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([3, 6], r"decode: 6 at place 1 is not an id of this vocabulary \(ids are 0 to 5\)"),
        ([-1], "decode: -1 at place 0"),
        ([1.5], "decode: 1.5 at place 0"),
        ([[3], [4]], r"decode: \[3\] at place 0"),
        ([None], "decode: None at place 0"),
        (np.array([[3, 4]]), r"decode: \[3, 4\] at place 0"),
    ],
)
def test_what_are_no_ids(tokenizer, ids, message):
    with pytest.raises(ValueError, match=message):
        tokenizer.decode(ids)
    with pytest.raises(ValueError, match=message):
        tokenizer.convert_ids_to_tokens(ids)


def test_a_string_is_no_row_of_ids(tokenizer):
    with pytest.raises(TypeError, match="decode: needs ids, got the string '34'"):
        tokenizer.decode("34")


def test_training_on_nothing_but_strings():
    with pytest.raises(TypeError, match="from_text: needs a str, got list"):
        CharTokenizer.from_text(["a"])


def test_training_from_files(tmp_path):
    (tmp_path / "a.txt").write_text("ab\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("c", encoding="utf-8")
    assert CharTokenizer.train([tmp_path / "a.txt", tmp_path / "b.txt"]).vocab_size == 4
    with pytest.raises(FileNotFoundError, match=r"none\.txt: no such file"):
        BPETokenizer.train([tmp_path / "a.txt", tmp_path / "none.txt"])
    (tmp_path / "bad.txt").write_bytes(b"ok\nab\xffcd\n")
    with pytest.raises(ValueError, match=r"bad\.txt: not UTF-8 at byte 5 \(0xff"):
        BPETokenizer.train(tmp_path / "bad.txt")


def test_a_class_of_ones_own_must_say_how():
    bare = Tokenizer({"a": 0})
    calls = [
        lambda: bare.encode("a"),
        lambda: bare("a"),
        lambda: bare.decode([0]),
        lambda: Tokenizer.from_text("a"),
        lambda: bare._save(None),
        lambda: Tokenizer._load(None),
    ]
    for call in calls:
        with pytest.raises(NotImplementedError):
            call()
