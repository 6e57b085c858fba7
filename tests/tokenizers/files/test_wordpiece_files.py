"""The files of BERT's tokenizer, to and from Hugging Face's libraries, and damaged ones."""

from __future__ import annotations

import json
import shutil

import pytest

from minillm.tokenizers import AddedToken, WordPieceTokenizer, from_pretrained
from minillm.tokenizers.files.wordpiece_files import load_vocab

SENTENCES = ["low low lower lowest newer", "Don't they? 123 1234\n", "né 世界"] * 3
TEXTS = [*SENTENCES, "", " ", "The[SEP] LOWER [MASK] Newer", "İ\u0301 \x00\u2028\r\n", "ΟΔΟΣ 世 豈"]


@pytest.fixture(scope="module")
def transformers():
    module = pytest.importorskip("transformers")
    module.logging.set_verbosity_error()
    return module


def make(**options):
    return WordPieceTokenizer.train_from_iterator(SENTENCES, vocab_size=90, show_progress=False, **options)


def with_added_tokens():
    made = make()
    made.add_special_tokens({"eos_token": "<end>", "additional_special_tokens": ["[E1]"]})
    made.add_tokens([AddedToken("Newer", special=False, normalized=True)])
    return made


MADE = {
    "uncased": make,
    "cased": lambda: make(lowercase=False),
    "accents": lambda: make(strip_accents=False),
    "no Chinese": lambda: make(tokenize_chinese_chars=False),
    "left": lambda: make(padding_side="left", truncation_side="left", model_max_length=17),
    "added tokens": with_added_tokens,
}


def everything(tokenizer):
    one = tokenizer(TEXTS, return_offsets_mapping=True)
    two = tokenizer(TEXTS, TEXTS[::-1], padding=True, truncation=True, max_length=12)
    return dict(one), dict(two)


@pytest.mark.parametrize("name", MADE)
def test_what_we_save_we_load(name, tmp_path):
    ours = MADE[name]()
    ours.save_pretrained(tmp_path)
    for file in ("tokenizer.json", "vocab.txt"):
        loaded = from_pretrained(tmp_path)
        assert type(loaded) is WordPieceTokenizer
        assert everything(loaded) == everything(ours), file
        assert loaded.get_vocab() == ours.get_vocab()
        assert loaded.rules == ours.rules
        for setting in (
            *("template", "special_tokens_map", "all_special_tokens", "model_max_length"),
            *("padding_side", "truncation_side", "model_input_names"),
        ):
            assert getattr(loaded, setting) == getattr(ours, setting)
        (tmp_path / "tokenizer.json").unlink(missing_ok=True)


def test_settings_that_only_tokenizer_json_holds(tmp_path):
    ours = make(prefix="_", max_input_chars_per_word=3, cleanup=False, clean_text=False)
    ours.save_pretrained(tmp_path)
    loaded = WordPieceTokenizer.from_pretrained(tmp_path)
    assert (loaded.prefix, loaded.max_input_chars_per_word, loaded.cleanup) == ("_", 3, False)
    assert loaded.rules == ours.rules
    assert everything(loaded) == everything(ours)


@pytest.mark.parametrize("name", MADE)
def test_what_we_save_loads_in_their_libraries(name, tmp_path, transformers):
    tokenizers = pytest.importorskip("tokenizers")
    ours = MADE[name]()
    ours.save_pretrained(tmp_path)
    for theirs in (
        transformers.AutoTokenizer.from_pretrained(tmp_path),
        transformers.BertTokenizer.from_pretrained(tmp_path),
    ):
        assert everything(theirs) == everything(ours)
        assert (theirs.unk_token, theirs.pad_token_id) == (ours.unk_token, ours.pad_token_id)
        assert (theirs.padding_side, len(theirs)) == (ours.padding_side, len(ours))
    bare = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in TEXTS:
        ids = ours(text).input_ids
        assert bare.encode(text).ids == ids
        assert bare.decode(ids, skip_special_tokens=False) == ours.decode(ids)


@pytest.mark.parametrize("name", MADE)
def test_what_transformers_saves_loads_here(name, tmp_path, transformers):
    MADE[name]().save_pretrained(tmp_path / "ours")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    loaded = from_pretrained(tmp_path / "theirs")
    assert everything(loaded) == everything(theirs)
    assert (loaded.mask_token, loaded.pad_token) == (theirs.mask_token, theirs.pad_token)


def test_the_real_files_come_back_as_they_were(vocabularies, tmp_path):
    for name in ("bert-base-uncased", "bert-base-chinese"):
        ours = from_pretrained(vocabularies / name)
        ours.save_pretrained(tmp_path / name)
        assert (tmp_path / name / "vocab.txt").read_bytes() == (vocabularies / name / "vocab.txt").read_bytes()
        assert from_pretrained(tmp_path / name).get_vocab() == ours.get_vocab()


def test_a_vocabulary_that_is_no_list_has_no_vocab_txt(tmp_path):
    WordPieceTokenizer({"[UNK]": 0, "a": 5}).save_pretrained(tmp_path / "gap")
    WordPieceTokenizer({"[UNK]": 0, "a\nb": 1}).save_pretrained(tmp_path / "line")
    for name in ("gap", "line"):
        assert not (tmp_path / name / "vocab.txt").exists()
        assert from_pretrained(tmp_path / name).vocab_size == (6 if name == "gap" else 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; it should hold a token a line"),
        (b"[UNK]\na\n\nb\n", "line 3 is empty; it should hold a token"),
        (b"[UNK]\na\nb\na\n", "line 4 holds 'a' again, which stands on line 2"),
        (b"[UNK]\n\xff\n", "not UTF-8 at byte 6"),
        (b"a\nb\n", r"vocabulary lacks '\[UNK\]'"),
    ],
)
def test_a_damaged_vocabulary(tmp_path, content, message):
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        from_pretrained(tmp_path)


def test_lines_end_as_on_any_system(tmp_path):
    (tmp_path / "vocab.txt").write_bytes("[UNK]\r\na\u2028\r\nb\x85".encode())
    assert load_vocab(tmp_path / "vocab.txt") == {"[UNK]": 0, "a\u2028": 1, "b\x85": 2}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    make().save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("model", "vocab"), ["a"], "vocabulary must be an object of tokens and ids"),
        (("model", "vocab", "##e"), 0, r"the id 0 is that of two tokens"),
        (("model", "vocab", "##e"), "x", "the id of '##e' is 'x'"),
        (("model", "unk_token"), "<none>", "vocabulary lacks '<none>'"),
        (("model", "max_input_chars_per_word"), None, "not the tokenizer.json of a WordPiece"),
        (("normalizer",), None, "the normalizer None is not supported; WordPieceTokenizer needs BertNormalizer"),
        (("normalizer", "type"), "NFC", "the normalizer 'NFC' is not supported"),
        (("pre_tokenizer", "type"), "Whitespace", "the pre_tokenizer 'Whitespace' is not supported"),
        (("decoder",), "x", "the decoder 'x' is not supported"),
        (("post_processor",), {"type": "Odd"}, "the post_processor 'Odd' is not supported"),
        (("added_tokens", 0, "content"), None, "an added token must be an object with a 'content'"),
    ],
)
def test_a_tokenizer_json_that_says_what_cannot_be(saved, tmp_path, path, value, message):
    folder = shutil.copytree(saved, tmp_path / "copy")
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        (folder / name).unlink()
    file = folder / "tokenizer.json"
    data = part = json.loads(file.read_text(encoding="utf-8"))
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    file.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        WordPieceTokenizer.from_pretrained(folder)


def test_a_model_whose_type_is_not_named(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "copy")
    data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    del data["model"]["type"]
    (folder / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    assert type(from_pretrained(folder)) is WordPieceTokenizer


def test_words_cannot_be_left_whole(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "copy")
    (folder / "tokenizer.json").unlink()
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    config["do_basic_tokenize"] = False
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ValueError, match="do_basic_tokenize=false is not supported"):
        from_pretrained(folder)
