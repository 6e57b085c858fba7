"""The files of a BPE, to and from Hugging Face's libraries, and what is wrong with damaged ones."""

from __future__ import annotations

import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minillm.tokenizers import AddedToken, BPETokenizer, from_pretrained
from minillm.tokenizers.split_patterns import PATTERNS
from minillm.tokenizers.template import Template

SENTENCES = ["low low lower lowest newer", "don't they? 123 1234\n", "né 世界 👍🏽"] * 3
TEXTS = [*SENTENCES, "", " ", "the<end> lower <mask>  er", "İ\u0301 \x00\u2028\r\n", "<end>"]


@pytest.fixture(scope="module")
def tokenizers():
    return pytest.importorskip("tokenizers")


@pytest.fixture(scope="module")
def transformers():
    module = pytest.importorskip("transformers")
    module.logging.set_verbosity_error()
    return module


def make(**options):
    made = BPETokenizer.train_from_iterator(
        SENTENCES,
        vocab_size=300,
        special_names={"eos_token": "<end>", "pad_token": "<pad>"},
        **options,
    )
    made.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    made.add_tokens(["newer"])
    return made


MADE = {
    "plain": lambda: make(),
    "gpt4": lambda: make(pattern="gpt4"),
    "gpt4o": lambda: make(pattern="gpt4o"),
    "own pattern": lambda: make(pattern=r"\w+"),
    "prefix space": lambda: make(add_prefix_space=True),
    "trimmed": lambda: make(trim_offsets=True, add_prefix_space=True),
    "whole pieces": lambda: make(ignore_merges=True),
    "bert": lambda: make(
        template=Template.bert(0, 1),
        model_input_names=("input_ids", "token_type_ids", "attention_mask"),
        padding_side="left",
        truncation_side="left",
        model_max_length=17,
    ),
    "roberta": lambda: make(template=Template.roberta(0, 1)),
}


def everything(tokenizer, texts=TEXTS):
    """What a tokenizer makes of texts, alone and in pairs."""
    options = {"return_offsets_mapping": True, "return_token_type_ids": True}
    one = tokenizer(texts, **options)
    two = tokenizer(texts, texts[::-1], **options)
    return dict(one), dict(two)


@pytest.mark.parametrize("name", MADE)
def test_what_we_save_we_load(name, tmp_path):
    ours = MADE[name]()
    ours.save_pretrained(tmp_path)
    loaded = from_pretrained(tmp_path)
    assert type(loaded) is BPETokenizer
    assert everything(loaded) == everything(ours)
    assert loaded.get_vocab() == ours.get_vocab()
    assert loaded.merges == ours.merges
    for setting in (
        *("pattern", "add_prefix_space", "trim_offsets", "ignore_merges", "template"),
        *("special_tokens_map", "all_special_tokens", "model_max_length"),
        *("padding_side", "truncation_side", "model_input_names"),
    ):
        assert getattr(loaded, setting) == getattr(ours, setting)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "merges.txt",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.json",
    ]


@pytest.mark.parametrize("name", MADE)
def test_what_we_save_loads_in_their_libraries(name, tmp_path, tokenizers, transformers):
    ours = MADE[name]()
    ours.save_pretrained(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert everything(theirs) == everything(ours)
    assert (theirs.eos_token, theirs.pad_token_id) == (ours.eos_token, ours.pad_token_id)
    assert (theirs.padding_side, theirs.truncation_side) == (ours.padding_side, ours.truncation_side)
    if ours.model_max_length:
        assert theirs.model_max_length == ours.model_max_length
    assert len(theirs) == len(ours)
    bare = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in TEXTS:
        ids = ours.encode(text, allowed_special="all")
        assert bare.encode(text).ids == ids
        assert bare.decode(ids, skip_special_tokens=False) == ours.decode(ids)
        assert bare.decode(ids) == ours.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("name", MADE)
def test_what_transformers_saves_loads_here(name, tmp_path, transformers):
    MADE[name]().save_pretrained(tmp_path / "ours")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    loaded = from_pretrained(tmp_path / "theirs")
    assert everything(loaded) == everything(theirs)
    assert (loaded.eos_token, loaded.pad_token) == (theirs.eos_token, theirs.pad_token)
    assert loaded.padding_side == theirs.padding_side


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_tokenizers_trains_and_saves_loads_here(
    data, tokenizers, tmp_path_factory, training_texts, unicode_texts
):
    texts = data.draw(training_texts)
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    level = tokenizers.pre_tokenizers.ByteLevel
    theirs.pre_tokenizer = level(add_prefix_space=data.draw(st.booleans()))
    theirs.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=data.draw(st.integers(256, 300)),
        initial_alphabet=level.alphabet(),
        special_tokens=["<end>"],
        show_progress=False,
    )
    theirs.train_from_iterator(texts, trainer)
    folder = tmp_path_factory.mktemp("theirs")
    theirs.save(str(folder / "tokenizer.json"), pretty=data.draw(st.booleans()))
    ours = BPETokenizer.from_pretrained(folder)
    for text in [*texts, data.draw(unicode_texts) + "<end> a"]:
        ids = theirs.encode(text).ids
        assert ours.encode(text, allowed_special="all") == ids
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=False)
    theirs.model.save(str(folder))
    (folder / "tokenizer.json").unlink()
    bare = from_pretrained(folder)  # vocab.json and merges.txt alone
    assert bare.merges == ours.merges
    assert bare.get_vocab() == ours.get_vocab()


def test_the_files_of_gpt2(vocabularies, tmp_path, transformers):
    ours = from_pretrained(vocabularies / "gpt2")
    ours.save_pretrained(tmp_path)
    assert from_pretrained(tmp_path).get_vocab() == ours.get_vocab()
    theirs = transformers.GPT2TokenizerFast.from_pretrained(tmp_path)
    texts = ["Hello world", " né 世界 👍🏽", "don't\n\n"]
    assert theirs(texts)["input_ids"] == ours(texts)["input_ids"]
    assert theirs.decode(ours.encode(texts[1])) == texts[1]


def test_added_tokens_of_older_files(tmp_path):
    made = BPETokenizer.train_from_iterator(SENTENCES, vocab_size=270)
    made.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer_config.json").unlink()
    (tmp_path / "added_tokens.json").write_text('{"<b>": 271, "<a>": 270}', encoding="utf-8")
    (tmp_path / "special_tokens_map.json").write_text(
        '{"eos_token": {"content": "<a>", "lstrip": false}, "pad_token": "<b>"}', encoding="utf-8"
    )
    loaded = from_pretrained(tmp_path)
    assert (loaded.eos_token_id, loaded.pad_token_id) == (270, 271)
    assert loaded.encode("<b><a>", allowed_special="all", disallowed_special=()) == [271, 270]


def test_merges_as_strings_and_a_line_end_of_windows(tmp_path):
    ours = make()
    ours.save_pretrained(tmp_path)
    path = tmp_path / "tokenizer.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["model"]["merges"] = [" ".join(pair) for pair in data["model"]["merges"]]
    del data["model"]["type"]  # as in old files
    path.write_text(json.dumps(data), encoding="utf-8")
    assert from_pretrained(tmp_path).merges == ours.merges
    path.unlink()
    merges = tmp_path / "merges.txt"
    merges.write_bytes(merges.read_bytes().replace(b"\n", b"\r\n"))
    assert from_pretrained(tmp_path).merges == ours.merges


# What is wrong with a file


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    make().save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def changed(folder, change, name="tokenizer.json"):
    path = folder / name
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")
    return folder


def set_in(*path_and_value):
    *path, last, value = path_and_value

    def change(data):
        for name in path:
            data = data[name]
        data[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_in("model", None), r"tokenizer.json: has no 'model'"),
        (set_in("model", {"type": "Unigram"}), "the model type 'Unigram' is not supported"),
        (set_in("model", "type", "WordLevel"), "the model type 'WordLevel' is not supported"),
        (set_in("model", "dropout", 0.1), "BPE model with dropout=0.1 is not supported"),
        (set_in("model", "unk_token", "<u>"), "BPE model with unk_token='<u>' is not supported"),
        (set_in("model", "end_of_word_suffix", "</w>"), "end_of_word_suffix='</w>' is not supported"),
        (set_in("model", "vocab", []), "vocabulary must be an object of tokens and ids"),
        (set_in("model", "vocab", "a", "x"), "the id of 'a' is 'x', not a number from 0"),
        (set_in("model", "vocab", "a", 1.5), "the id of 'a' is 1.5"),
        (set_in("model", "vocab", "a", True), "the id of 'a' is True"),
        (set_in("model", "vocab", "a", 1 << 40), "the id of 'a' is 1099511627776, not a number from"),
        (set_in("model", "vocab", "a", 5), "the id 5 is that of two tokens"),
        (set_in("model", "vocab", "世", 999), "'世', which stands for no byte"),
        (set_in("model", "merges", 0, ["l"]), r"merge 1 must be two tokens, is \['l'\]"),
        (set_in("model", "merges", 0, 7), "not the tokenizer.json of a byte-level BPE"),
        (set_in("model", "merges", 0, ["l", "世"]), "BPE merge 1.*does not hold '世'"),
        (set_in("model", "merges", None), "not the tokenizer.json of a byte-level BPE"),
        (set_in("normalizer", {"type": "NFC"}), r"normalizer \(NFC\) is not supported"),
        (set_in("pre_tokenizer", None), "the pre_tokenizer null is not supported"),
        (set_in("pre_tokenizer", {"type": "Whitespace"}), "pre_tokenizer.*Whitespace.*is not supported"),
        (set_in("pre_tokenizer", "use_regex", False), "is not supported; byte-level BPE needs ByteLevel"),
        (set_in("post_processor", {"type": "Odd"}), "the post_processor 'Odd' is not supported"),
        (set_in("post_processor", 3), "not the tokenizer.json"),
        (set_in("added_tokens", 0, "id", 1), "added tokens '<end>' and '<pad>' both have the id 1"),
        (set_in("added_tokens", 0, "id", 44), "'<end>': is to have the id 44, in the vocabulary it has 0"),
        (set_in("added_tokens", 0, "id", None), "the id of '<end>' is None"),
        (set_in("added_tokens", 0, "content", 5), "an added token must be an object with a 'content'"),
        (set_in("added_tokens", 0, "x"), "an added token must be an object with a 'content'"),
    ],
)
def test_a_tokenizer_json_that_says_what_cannot_be(folder, change, message):
    with pytest.raises(ValueError, match=message) as caught:
        from_pretrained(changed(folder, change))
    assert "tokenizer.json" in str(caught.value) or "special token" in str(caught.value) or "BPE" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_in("added_tokens_decoder", []), "added_tokens_decoder must be an object"),
        (set_in("added_tokens_decoder", {"x": {"content": "a"}}), "the id of 'a' is 'x'"),
        (set_in("added_tokens_decoder", {"-1": {"content": "a"}}), "the id of 'a' is '-1'"),
        (set_in("added_tokens_decoder", {"1": "a"}), "an added token must be an object"),
    ],
)
def test_a_configuration_that_says_what_cannot_be(folder, change, message):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match=rf"tokenizer_config\.json: {message}"):
        from_pretrained(changed(folder, change, "tokenizer_config.json"))


def test_a_configuration_that_says_nothing_we_use(folder):
    def change(data):
        data.update(model_max_length="long", padding_side="up", model_input_names=3, eos_token=5)

    (folder / "special_tokens_map.json").unlink()
    loaded = from_pretrained(changed(folder, change, "tokenizer_config.json"))
    assert (loaded.model_max_length, loaded.padding_side, loaded.eos_token) == (None, "right", None)
    assert loaded.model_input_names == ("input_ids", "attention_mask")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON at line 1, column 1"),
        (b'{"a": 0,\n "b": }', "not JSON at line 2, column 7"),
        (b'{"a": 0, "a": 1}', "the entry 'a' stands there twice"),
        (b"[1, 2]", r"needs a JSON object \{...\}, holds a list"),
        (b'{"a": "\xff"}', r"not UTF-8 at byte 7 \(0xff: invalid start byte\)"),
        (b'{"a": ' + b"[" * 100_000, "nested too deeply|not JSON"),
        (b'{"a": ' + b"1" * 5000 + b"}", "vocab.json: .*integer"),
        (b'{"\\ud800": 0}', r"'\\ud800'"),
    ],
)
def test_a_damaged_vocabulary(folder, content, message):
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        from_pretrained(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"#version: 0.2\nl o\nlo", r"merges.txt: line 3 must be two tokens with a space between, is 'lo'"),
        (b"l o w", "line 1 must be two tokens"),
        (b"l  o", "line 1 must be two tokens"),
        (b"l o\nx zz", r"BPE merge 2 \('x' 'zz'\): the vocabulary does not hold 'zz'"),
        (b"l \xff", "not UTF-8 at byte 2"),
    ],
)
def test_damaged_merges(folder, content, message):
    (folder / "tokenizer.json").unlink()
    (folder / "merges.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        from_pretrained(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.json", "tokenizer_config.json"])
def test_a_truncated_file(folder, name):
    if name == "vocab.json":
        (folder / "tokenizer.json").unlink()
    data = (folder / name).read_bytes()
    for length in (0, 1, len(data) // 2, len(data) - 3):
        (folder / name).write_bytes(data[:length])
        with pytest.raises(ValueError, match=rf"{name}: not (JSON|UTF-8) at"):
            from_pretrained(folder)


def test_what_is_missing(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="none: no such directory"):
        from_pretrained(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty: holds no tokenizer"):
        from_pretrained(tmp_path / "empty")
    (folder / "tokenizer.json").unlink()
    (folder / "merges.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"merges\.txt: no such file"):
        from_pretrained(folder)


def test_saving_leaves_no_half_files(folder, monkeypatch):
    import os

    def fails(source, target):
        raise OSError(28, "No space left on device")

    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="No space left"):
        BPETokenizer.from_text("other", vocab_size=256).save_pretrained(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_names_of_patterns_are_not_what_is_saved(tmp_path):
    make(pattern="gpt4").save_pretrained(tmp_path)
    assert from_pretrained(tmp_path).pattern == PATTERNS["gpt4"]
