from __future__ import annotations

import json

import pytest

from minillm.tokenizers import CharTokenizer, from_pretrained
from minillm.tokenizers.template import Template

TEXT = "a\"\\\n\u2028\x00é😀世\u0301"


@pytest.fixture
def tokenizer():
    return CharTokenizer.from_text(TEXT, special_names={"unk_token": "<unk>", "pad_token": "<pad>"})


def test_what_we_save_loads_in_their_libraries(tokenizer, tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer.template = Template.bert(0, 1)
    tokenizer.save_pretrained(tmp_path)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in (TEXT, "", "xyz", "a<pad>é", "\r\n\t \x85"):
        encoded = tokenizer(text, return_offsets_mapping=True)
        assert theirs.encode(text).ids == encoded.input_ids
        assert theirs.encode(text).offsets == encoded.offset_mapping
        ids = encoded.input_ids
        assert theirs.decode(ids, skip_special_tokens=False) == tokenizer.decode(ids)
    assert from_pretrained(tmp_path).template == tokenizer.template


def test_without_an_unknown_token(tmp_path):
    CharTokenizer.from_text("abc").save_pretrained(tmp_path)
    loaded = from_pretrained(tmp_path)
    assert loaded.unk_token is None
    with pytest.raises(ValueError, match="lacks 'z'"):
        loaded.encode("z")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("model", "vocab"), {"<pad>": 1, "<unk>": 0, "bc": 2}, "'bc' is not one character"),
        (("model", "vocab"), ["a"], "vocabulary must be an object"),
        (("model", "vocab", "a"), -3, "the id of 'a' is -3"),
        (("post_processor",), 5, "not the file of a character tokenizer"),
        (("pre_tokenizer",), None, "the model type 'WordLevel' is not supported"),
        (("added_tokens",), [{"id": 1}], "an added token must be an object with a 'content'"),
    ],
)
def test_a_file_that_says_what_cannot_be(tokenizer, tmp_path, path, value, message):
    tokenizer.save_pretrained(tmp_path)
    file = tmp_path / "tokenizer.json"
    data = part = json.loads(file.read_text(encoding="utf-8"))
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    file.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        CharTokenizer.from_pretrained(tmp_path)
