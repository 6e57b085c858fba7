from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.tokenizers import AddedToken, BPETokenizer, CharTokenizer
from minillm.tokenizers.special_tokens import AddedTokens

CONTENTS = ["<a>", "<a><b>", "a", "<", " b ", "é世", "<b>x", "x"]


@st.composite
def added_tokens(draw):
    contents = draw(st.lists(st.sampled_from(CONTENTS), unique=True, min_size=1, max_size=5))
    flags = ("single_word", "lstrip", "rstrip", "normalized")
    return [
        AddedToken(content, special=draw(st.booleans()), **{flag: draw(st.booleans()) for flag in flags})
        for content in contents
    ]


@settings(max_examples=200)
@given(
    tokens=added_tokens(),
    text=st.lists(
        st.sampled_from([*CONTENTS, *" \n\u3000\x1c_b>²\u0301\u200d世"]),
        max_size=10,
    ).map("".join),
)
def test_texts_are_cut_as_tokenizers_cuts_them(tokens, text):
    tokenizers = pytest.importorskip("tokenizers")
    vocab = BPETokenizer.from_text("x", vocab_size=256).get_vocab()
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE(vocab, []))
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    for token in tokens:
        flags = {f: getattr(token, f) for f in ("single_word", "lstrip", "rstrip", "normalized")}
        add = theirs.add_special_tokens if token.special else theirs.add_tokens
        add([tokenizers.AddedToken(token.content, **flags)])
    ours = BPETokenizer(vocab, [], added_tokens=tokens)
    encoded, expected = ours.encode_with_offsets(text), theirs.encode(text)
    assert encoded.ids == expected.ids
    assert encoded.offsets == expected.offsets
    special = {token.content for token in tokens if token.special}
    assert set(ours.all_special_tokens) == special
    assert ours.all_special_ids == sorted(map(ours.token_to_id, special))


def added(*contents, **flags):
    tokens = AddedTokens()
    for number, content in enumerate(contents):
        tokens.add(AddedToken(content, **flags), number)
    return tokens


@pytest.mark.parametrize("character", ["a", "7", "_", "é", "世", "\u0301", "٣", "\u200d", "Ⓐ", "‿", "ͅ"])
def test_what_is_part_of_a_word(character):
    assert list(added("x", single_word=True).split("x" + character, allowed="all")) == [(None, 0, 2)]


@pytest.mark.parametrize("character", [" ", "-", "²", "½", "😀", "\xad", "\u0378", "\ua7ce"])
def test_what_is_no_part_of_a_word(character):
    cut = list(added("x", single_word=True).split("x" + character, allowed="all"))
    assert cut == [(0, 0, 1), (None, 1, 2)]


# The rule of tiktoken


def tokenizer():
    return CharTokenizer.from_text("ab<>endpad", special_tokens=["<end>", "<pad>"])


def test_a_special_token_in_a_text_must_be_allowed():
    ours = tokenizer()
    with pytest.raises(ValueError, match=r"special token '<end>' at character 1.*_special=\{'<end>'\}"):
        ours.encode("a<end>b")
    assert ours.encode("<end>", allowed_special={"<end>"}) == [0]
    assert ours.encode("<end><pad>", allowed_special="all") == [0, 1]
    assert len(ours.encode("<end>", disallowed_special=())) == 5
    with pytest.raises(ValueError, match="special token '<pad>' at character 5"):
        ours.encode("<end><pad>", allowed_special={"<end>"})
    assert len(ours.encode("<end><pad>", allowed_special={"<end>"}, disallowed_special=())) == 6
    with pytest.raises(ValueError, match="'<end>' at character 0"):
        ours.encode("<end><pad>", disallowed_special=["<end>"])
    assert len(ours.encode("<pad>", disallowed_special=["<end>"])) == 5


def test_a_string_is_no_set_of_tokens():
    with pytest.raises(TypeError, match="allowed_special needs 'all' or a set of tokens, got the string"):
        tokenizer().encode("a", allowed_special="<end>")
    with pytest.raises(TypeError, match="disallowed_special needs 'all' or a set"):
        tokenizer().encode("a", disallowed_special="<end>")


@settings(max_examples=100)
@given(
    text=st.lists(st.sampled_from(["<end>", "<pad>", "<", "a"]), max_size=6).map("".join),
    allowed=st.one_of(st.just("all"), st.sets(st.sampled_from(["<end>", "<pad>", "<other>"]))),
    disallowed=st.one_of(st.just("all"), st.sets(st.sampled_from(["<end>", "<pad>"]))),
)
def test_what_is_allowed_and_refused_is_what_tiktoken_allows_and_refuses(text, allowed, disallowed):
    tiktoken = pytest.importorskip("tiktoken")
    ranks = {bytes([byte]): byte for byte in range(256)}
    special = {"<end>": 256, "<pad>": 257}
    theirs = tiktoken.Encoding("x", pat_str=r"[\s\S]", mergeable_ranks=ranks, special_tokens=special)
    ours = BPETokenizer.from_tiktoken(ranks, special_tokens=special)
    try:
        expected = theirs.encode(text, allowed_special=allowed, disallowed_special=disallowed)
    except ValueError:
        with pytest.raises(ValueError, match="the text holds the special token"):
            ours.encode(text, allowed_special=allowed, disallowed_special=disallowed)
    else:
        assert ours.encode(text, allowed_special=allowed, disallowed_special=disallowed) == expected


# Names


def test_names_of_special_tokens():
    ours = tokenizer()
    assert (ours.eos_token, ours.eos_token_id, ours.special_tokens_map) == (None, None, {})
    ours.eos_token = "<end>"
    assert (ours.eos_token_id, ours.special_tokens_map) == (0, {"eos_token": "<end>"})
    ours.pad_token = ours.eos_token
    assert ours.pad_token_id == 0
    ours.eos_token = None
    assert ours.eos_token_id is None
    with pytest.raises(ValueError, match=r"eos_token: the vocabulary does not hold '<no>'; add it"):
        ours.eos_token = "<no>"
    with pytest.raises(ValueError, match="'end_token' is none of"):
        CharTokenizer({"a": 0}, special_names={"end_token": "<end>"})
    assert "token that ends" in type(ours).eos_token.__doc__
    assert "id of `eos_token`" in type(ours).eos_token_id.__doc__


def test_adding_tokens():
    ours = tokenizer()
    size = ours.vocab_size
    assert ours.add_special_tokens({"pad_token": "<pad>", "eos_token": "<eos>"}) == 1
    assert (ours.pad_token_id, ours.eos_token_id) == (1, size)
    assert ours.add_special_tokens({"additional_special_tokens": ["<x>", "<y>"]}) == 2
    assert ours.add_special_tokens(["<y>", AddedToken("<z>", lstrip=True)]) == 1
    assert ours.add_tokens(["word"]) == 1
    assert ours.vocab_size == len(ours) == size + 5
    assert ours.encode("word", disallowed_special=()) == [size + 4]
    assert ours.encode("a <z>", allowed_special="all")[-1] == size + 3
    assert "word" not in ours.all_special_tokens
    assert ours.all_special_ids == [0, 1, size, size + 1, size + 2, size + 3]
    assert ours.decode([size + 4, 0], skip_special_tokens=True) == "word"


@pytest.mark.parametrize(
    "tokens", [{"pad": "<p>"}, {"pad_token": ["<p>"]}, {"additional_special_tokens": "<p>"}]
)
def test_names_that_are_not_understood(tokens):
    with pytest.raises(ValueError, match="is not understood; the names are"):
        tokenizer().add_special_tokens(tokens)


def test_tokens_that_cannot_be_added():
    with pytest.raises(TypeError, match="needs a list of tokens, got the string"):
        tokenizer().add_tokens("<p>")
    with pytest.raises(ValueError, match="the empty string cannot be one"):
        tokenizer().add_tokens([""])
    with pytest.raises(ValueError, match="lone surrogate"):
        tokenizer().add_tokens(["\ud800"])
    with pytest.raises(ValueError, match="'a': is to have the id 9, in the vocabulary it has 0"):
        CharTokenizer({"a": 0}, added_tokens={9: AddedToken("a")})
    with pytest.raises(ValueError, match="special token '<p>': its id 0 is that of 'a'"):
        CharTokenizer({"a": 0}, added_tokens={0: AddedToken("<p>")})
    assert CharTokenizer({"a": 0}, added_tokens={9: AddedToken("<p>")}).vocab_size == 10
