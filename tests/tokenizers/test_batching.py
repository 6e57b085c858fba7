"""The call of a tokenizer beside the call of one of `transformers` that was loaded from its files."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.tokenizers import BatchEncoding, BPETokenizer
from minillm.tokenizers.template import Template

WORDS = ["low", "lower", " the", "newer", "é", "世界", "x", "1234", " ", "", "[SEP]"]


@pytest.fixture(scope="module")
def ours():
    names = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
    tokenizer = BPETokenizer.train_from_iterator(
        ["low low lower lowest newer wider", "the lower the newer 123 1234", "né 世界"] * 3,
        vocab_size=290,
        special_names=names,
        model_max_length=12,
        model_input_names=("input_ids", "token_type_ids", "attention_mask"),
    )
    tokenizer.template = Template.bert(tokenizer.cls_token_id, tokenizer.sep_token_id)
    return tokenizer


@pytest.fixture(scope="module")
def theirs(ours, tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    transformers.logging.set_verbosity_error()
    folder = tmp_path_factory.mktemp("tokenizer")
    ours.save_pretrained(folder)
    return transformers.PreTrainedTokenizerFast.from_pretrained(folder)


@st.composite
def calls(draw):
    """The arguments of a call: texts, pairs and lists of them, with any options."""
    words = draw(st.booleans())
    one = st.lists(st.sampled_from(WORDS), max_size=7)
    one = one if words else one.map("".join)
    pair = draw(st.booleans())
    if draw(st.booleans()):
        count = draw(st.integers(1, 3))
        several = st.lists(one, min_size=count, max_size=count)
        texts = [draw(several), draw(several) if pair else None]
        if pair and not words and draw(st.booleans()):
            texts = [list(zip(*texts, strict=True)), None]
    else:
        texts = [draw(one), draw(one) if pair else None]
    flag = st.booleans()
    options = {
        "is_split_into_words": st.just(words),
        "add_special_tokens": flag,
        "padding": st.sampled_from([False, True, "longest", "max_length", "do_not_pad"]),
        "truncation": st.sampled_from(
            [False, True, "longest_first", "only_first", "only_second", "do_not_truncate"]
        ),
        "max_length": st.sampled_from([None, 3, 4, 5, 6, 8, 20]),
        "stride": st.sampled_from([0, 0, 1, 2]),
        "pad_to_multiple_of": st.sampled_from([None, None, 4]),
        "padding_side": st.sampled_from([None, "left", "right"]),
        "return_overflowing_tokens": flag,
        "return_special_tokens_mask": flag,
        "return_offsets_mapping": flag,
        "return_length": flag,
        "return_token_type_ids": st.sampled_from([None, True, False]),
        "return_attention_mask": st.sampled_from([None, True, False]),
    }
    return texts, draw(st.fixed_dictionaries(options))


@pytest.mark.filterwarnings("ignore:.max_length. is ignored:UserWarning")
@settings(max_examples=300)
@given(call=calls(), side=st.sampled_from(["left", "right"]))
def test_a_call_gives_what_transformers_gives(call, side, ours, theirs):
    texts, options = call
    ours.truncation_side = theirs.truncation_side = side
    try:
        encoded = ours(*texts, **options)
    except ValueError as error:
        if "stride" in str(error):
            return  # they panic
        with pytest.raises(Exception, match=r"."):
            theirs(*texts, **options)
        return
    finally:
        ours.truncation_side = "right"
    if options["stride"] and options["truncation"] and not options["add_special_tokens"]:
        return  # they reckon with special tokens that are not added
    expected = theirs(*texts, **options)
    assert dict(encoded) == dict(expected)
    for row in range(len(encoded._rows)):
        assert encoded.word_ids(row) == expected.word_ids(row)
        assert encoded.sequence_ids(row) == expected.sequence_ids(row)
        assert encoded.tokens(row) == expected.tokens(row)


def test_what_comes_back(ours):
    encoded = ours("low", "the", return_offsets_mapping=True)
    assert list(encoded) == ["input_ids", "token_type_ids", "attention_mask", "offset_mapping"]
    assert encoded.input_ids is encoded["input_ids"]
    assert ours.convert_ids_to_tokens(encoded.input_ids) == ["[CLS]", "low", "[SEP]", "the", "[SEP]"]
    assert encoded.token_type_ids == [0, 0, 0, 1, 1]
    assert encoded.offset_mapping == [(0, 0), (0, 3), (0, 0), (0, 3), (0, 0)]
    with pytest.raises(AttributeError, match="BatchEncoding: has no 'labels'; it holds"):
        _ = encoded.labels


def test_arrays(ours):
    encoded = ours(["low lower", "low"], padding=True, return_tensors="np")
    assert isinstance(encoded, BatchEncoding)
    assert all(isinstance(array, np.ndarray) and array.dtype == np.int64 for array in encoded.values())
    assert encoded.input_ids.shape == encoded.attention_mask.shape == (2, 4)
    assert encoded.attention_mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert ours("low", return_tensors="np").input_ids.shape == (1, 3)
    assert ours(["low"], return_tensors="np", return_offsets_mapping=True).offset_mapping.shape == (1, 3, 2)
    with pytest.raises(ValueError, match="rows of input_ids have 3 to 4 tokens, an array needs them equal"):
        ours(["low lower", "low"], return_tensors="np")


def test_tensors(ours):
    import minillm

    encoded = ours(["low lower", "low"], padding=True, return_tensors="pt")
    assert isinstance(encoded.input_ids, minillm.Tensor)
    assert encoded.input_ids.dtype == np.int64
    assert encoded.to("cpu") is encoded
    with minillm.device("strict"):
        moved = ours("low", return_tensors="pt")
    assert moved.input_ids.shape == (1, 3)
    assert ours("low").to("cpu")["input_ids"] == ours("low").input_ids  # lists stay where they are


def test_no_texts(ours):
    assert dict(ours([])) == {"input_ids": [], "token_type_ids": [], "attention_mask": []}


def test_padding_needs_a_pad_token():
    tokenizer = BPETokenizer.from_text("x", vocab_size=256)
    with pytest.raises(ValueError, match=r"padding needs a pad token; set tokenizer\.pad_token ="):
        tokenizer(["a", "ab"], padding=True)
    assert tokenizer(["ab", "ab"], padding=True).attention_mask == [[1, 1], [1, 1]]  # nothing to fill


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "longes"}, "padding='longes' is none of"),
        ({"truncation": "first"}, "truncation='first' is none of"),
        ({"return_tensors": "tf"}, "return_tensors='tf' is none of"),
        ({"padding_side": "up", "padding": True}, "padding_side='up' is none of"),
        ({"truncation": True, "max_length": 1}, "max_length leaves -1 tokens for text"),
        ({"truncation": True, "max_length": 5, "stride": 4}, "stride=4 is more than the 3 tokens"),
        ({"truncation": True, "max_length": 5, "stride": 3}, "stride=3 must be less than the 3 tokens"),
        ({"truncation": True, "max_length": 5, "stride": -1}, "stride=-1 must be"),
        ({"truncation": "only_second", "max_length": 4}, "'only_second' needs a text_pair"),
    ],
)
def test_options_that_cannot_be(ours, options, message):
    with pytest.raises(ValueError, match=message):
        ours("low lower lowest newer", **options)


def test_a_length_is_needed():
    tokenizer = BPETokenizer.from_text("x", vocab_size=256)
    with pytest.raises(ValueError, match="truncation and padding='max_length' need max_length"):
        tokenizer("abc", truncation=True)


@pytest.mark.parametrize(
    ("texts", "options", "error", "message"),
    [
        ((5,), {}, TypeError, "needs a str, or a list of them or of pairs; got int"),
        ((b"low",), {}, TypeError, "got bytes"),
        (([1],), {}, TypeError, "text 0 needs a str, or a pair of them; got int"),
        ((["a", ("b", None, "c")],), {}, TypeError, "text 1 needs a str"),
        (("a", ["b"]), {}, TypeError, "the text is a str, so text_pair must be one too; got list"),
        ((["a", "b"], ["c"]), {}, ValueError, "2 texts need as many in text_pair, got 1"),
        ((["a", "b"], "c"), {}, ValueError, "2 texts need as many in text_pair, got 'c'"),
        (("a b",), {"is_split_into_words": True}, TypeError, "needs a list of words"),
        (([["a"], [1]],), {"is_split_into_words": True}, TypeError, "text 1 needs a list of words"),
    ],
)
def test_what_are_no_texts(ours, texts, options, error, message):
    with pytest.raises(error, match=message):
        ours(*texts, **options)
