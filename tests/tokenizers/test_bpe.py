"""Byte-level BPE beside Hugging Face's `tokenizers` and tiktoken."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.tokenizers import AddedToken, BPETokenizer
from minillm.tokenizers.byte_alphabet import token_to_bytes
from minillm.tokenizers.split_patterns import PATTERNS

SENTENCES = [
    "low low lower lowest newer wider",
    "the lower the newer, don't they? 123 1234",
    "né 世界 👍🏽",
] * 3


@pytest.fixture(scope="module")
def tokenizers():
    return pytest.importorskip("tokenizers")


@pytest.fixture(scope="module")
def tiktoken():
    return pytest.importorskip("tiktoken")


def theirs_untrained(tokenizers, pattern="gpt2", model=None, **options):
    """A BPE of `tokenizers` that cuts text as ours does."""
    theirs = tokenizers.Tokenizer(model or tokenizers.models.BPE())
    level = tokenizers.pre_tokenizers.ByteLevel
    if pattern == "gpt2":
        theirs.pre_tokenizer = level(**{"add_prefix_space": False, **options})
    else:
        split = tokenizers.pre_tokenizers.Split(tokenizers.Regex(PATTERNS[pattern]), "isolated")
        theirs.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
            [split, level(add_prefix_space=False, use_regex=False)]
        )
    theirs.decoder = tokenizers.decoders.ByteLevel()
    return theirs


def theirs_trained(tokenizers, texts, *, pattern="gpt2", **options):
    theirs = theirs_untrained(tokenizers, pattern)
    trainer = tokenizers.trainers.BpeTrainer(
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False, **options
    )
    theirs.train_from_iterator(texts, trainer)
    return theirs


def merges_of(theirs):
    import json

    return [tuple(pair) for pair in json.loads(theirs.to_str())["model"]["merges"]]


def ranks_of(ours):
    special = ours.all_special_tokens
    return {token_to_bytes(token): i for token, i in ours.get_vocab().items() if token not in special}


# The vocabulary of GPT-2


@pytest.fixture(scope="module")
def gpt2(vocabularies):
    return BPETokenizer.from_pretrained(vocabularies / "gpt2")


@pytest.fixture(scope="module")
def gpt2_of_tokenizers(vocabularies, tokenizers):
    files = [str(vocabularies / "gpt2" / name) for name in ("vocab.json", "merges.txt")]
    return theirs_untrained(tokenizers, model=tokenizers.models.BPE.from_file(*files))


@pytest.fixture(scope="module")
def gpt2_of_tiktoken(gpt2, tiktoken):
    ranks = {token_to_bytes(t): i for t, i in gpt2.get_vocab().items() if t != "<|endoftext|>"}
    return tiktoken.Encoding(
        "gpt2",
        pat_str=PATTERNS["gpt2"],
        mergeable_ranks=ranks,
        special_tokens={"<|endoftext|>": 50256},
    )


def test_ids_of_gpt2_that_everybody_knows(gpt2):
    assert gpt2.vocab_size == 50257
    assert gpt2.encode("Hello world") == [15496, 995]
    assert gpt2.encode("<|endoftext|>", disallowed_special=()) == [27, 91, 437, 1659, 5239, 91, 29]


@settings(max_examples=200)
@given(data=st.data())
def test_gpt2_gives_the_ids_of_both_libraries(
    data, gpt2, gpt2_of_tokenizers, gpt2_of_tiktoken, unicode_texts
):
    text = data.draw(unicode_texts)
    ids = gpt2.encode(text)
    theirs = gpt2_of_tokenizers.encode(text)
    assert ids == theirs.ids
    assert ids == gpt2_of_tiktoken.encode(text)
    encoded = gpt2.encode_with_offsets(text)
    assert encoded.ids == ids
    assert encoded.offsets == theirs.offsets
    assert encoded.word_ids == theirs.word_ids
    assert gpt2.decode(ids) == text
    assert gpt2.tokenize(text) == theirs.tokens


@settings(max_examples=200)
@given(data=st.data())
def test_every_row_of_ids_has_the_text_of_both_libraries(data, gpt2, gpt2_of_tokenizers, gpt2_of_tiktoken):
    # The first 256 ids are single bytes: most rows of them are no UTF-8.
    ids = data.draw(st.lists(st.one_of(st.integers(0, 255), st.integers(0, 50256)), max_size=12))
    text = gpt2.decode(ids)
    assert text == gpt2_of_tokenizers.decode(ids, skip_special_tokens=False)
    assert text == gpt2_of_tiktoken.decode(ids)
    assert gpt2.decode_bytes(ids) == gpt2_of_tiktoken.decode_bytes(ids)


def test_real_text_has_the_ids_of_both_libraries(data_dir, gpt2, gpt2_of_tokenizers, gpt2_of_tiktoken):
    for name in ("tinyshakespeare/input.txt", "wikitext2/test.txt", "tang300/tang300.json"):
        text = (data_dir / name).read_text(encoding="utf-8")[:200_000]
        ids = gpt2.encode(text)
        assert ids == gpt2_of_tokenizers.encode(text).ids
        assert ids == gpt2_of_tiktoken.encode(text)
        assert gpt2.decode(ids) == text


@pytest.mark.parametrize("piece", ["a", "ab", " ", "\n", "'", "é", "世", "👍🏽", "0"])
def test_a_long_word_has_the_ids_of_both_libraries(piece, gpt2, gpt2_of_tokenizers, gpt2_of_tiktoken):
    text = piece * 3000
    ids = gpt2.encode(text)
    assert ids == gpt2_of_tokenizers.encode(text).ids
    assert ids == gpt2_of_tiktoken.encode(text)


# Training


@settings(max_examples=100)
@given(data=st.data())
def test_training_gives_the_merges_of_tokenizers(data, tokenizers, training_texts):
    texts = data.draw(training_texts)
    options = {
        "vocab_size": data.draw(st.integers(258, 330)),
        "min_frequency": data.draw(st.integers(0, 3)),
        "special_tokens": data.draw(st.sampled_from([[], ["<end>"], ["é<", "<pad>"]])),
    }
    pattern = data.draw(st.sampled_from(sorted(PATTERNS)))
    ours = BPETokenizer.train_from_iterator(texts, pattern=pattern, show_progress=False, **options)
    theirs = theirs_trained(tokenizers, texts, pattern=pattern, **options)
    assert ours.get_vocab() == theirs.get_vocab()
    assert ours.merges == merges_of(theirs)
    text = data.draw(st.sampled_from(texts))
    assert ours.encode(text) == theirs.encode(text).ids


def test_training_on_shakespeare_gives_the_merges_of_tokenizers(data_dir, tokenizers):
    text = (data_dir / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8")
    ours = BPETokenizer.from_text(text, vocab_size=1024, show_progress=False)
    theirs = theirs_trained(tokenizers, [text], vocab_size=1024)
    assert ours.get_vocab() == theirs.get_vocab()
    assert ours.merges == merges_of(theirs)
    assert ours.encode(text) == theirs.encode(text).ids


def test_training_from_files_is_training_from_their_lines(tmp_path):
    (tmp_path / "a.txt").write_bytes("low\nlower\r\nné 世界\n\nlow".encode())
    (tmp_path / "b.txt").write_bytes(b"lowest")
    ours = BPETokenizer.train([tmp_path / "a.txt", tmp_path / "b.txt"], vocab_size=300)
    lines = ["low\n", "lower\r\n", "né 世界\n", "\n", "low", "lowest"]
    assert ours.merges == BPETokenizer.train_from_iterator(iter(lines), vocab_size=300).merges
    assert BPETokenizer.train(str(tmp_path / "b.txt"), vocab_size=258).vocab_size == 258


def test_training_stops_where_nothing_is_left_to_merge():
    ours = BPETokenizer.from_text("aaab", vocab_size=1000)
    assert ours.vocab_size == 256 + len(ours.merges) < 262
    assert BPETokenizer.from_text("ab ab", vocab_size=1000, min_frequency=3).merges == []


def test_special_tokens_teach_nothing_and_come_first():
    ours = BPETokenizer.train_from_iterator(
        ["<end>ab<end>ab<end>"] * 9,
        vocab_size=300,
        special_tokens=["<pad>"],
        special_names={"eos_token": "<end>"},
    )
    assert ours.convert_ids_to_tokens([0, 1]) == ["<pad>", "<end>"]
    assert ours.merges == [("a", "b")]
    assert (ours.eos_token_id, ours.all_special_tokens) == (1, ["<pad>", "<end>"])
    assert ours.encode("ab<end>", allowed_special={"<end>"}) == [258, 1]


def test_training_errors():
    with pytest.raises(ValueError, match="vocab_size=256 has no room for 256 bytes and 1 special"):
        BPETokenizer.from_text("abc", vocab_size=256, special_tokens=["<end>"])
    with pytest.raises(ValueError, match="training text is empty"):
        BPETokenizer.train_from_iterator([])
    with pytest.raises(ValueError, match="training text is empty"):
        BPETokenizer.from_text("")
    with pytest.raises(ValueError, match=r"lone surrogate, U\+D800 at character 1"):
        BPETokenizer.train_from_iterator(["ok", "a\ud800"])
    with pytest.raises(TypeError, match="BPE training: needs a str, got bytes; decode"):
        BPETokenizer.train_from_iterator([b"abc"])


# Options


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
@settings(max_examples=100)
@given(data=st.data())
def test_trained_vocabularies_give_the_ids_of_both_libraries(data, pattern, trained, unicode_texts):
    ours, theirs, ranked = trained[pattern]
    text = data.draw(unicode_texts)
    ids = ours.encode(text)
    encoded = ours.encode_with_offsets(text)
    expected = theirs.encode(text)
    assert encoded.ids == ids == expected.ids == ranked.encode(text)
    assert encoded.offsets == expected.offsets
    assert ours.decode(ids) == text


@pytest.fixture(scope="module")
def trained(tokenizers, tiktoken):
    """For each pattern the same vocabulary in three libraries."""
    made = {}
    for pattern in PATTERNS:
        ours = BPETokenizer.train_from_iterator(SENTENCES, vocab_size=300, pattern=pattern)
        theirs = theirs_trained(tokenizers, SENTENCES, vocab_size=300, pattern=pattern)
        ranked = tiktoken.Encoding(
            "x", pat_str=PATTERNS[pattern], mergeable_ranks=ranks_of(ours), special_tokens={}
        )
        made[pattern] = ours, theirs, ranked
    return made


@settings(max_examples=100)
@given(data=st.data(), prefix=st.booleans(), trims=st.booleans())
def test_prefix_space_and_trimmed_offsets(data, prefix, trims, tokenizers, trained, unicode_texts):
    base = trained["gpt2"][0]
    ours = BPETokenizer(
        base.get_vocab(),
        base.merges,
        add_prefix_space=prefix,
        trim_offsets=trims,
        added_tokens=[AddedToken("<end>")],
    )
    model = tokenizers.models.BPE(base.get_vocab(), base.merges)
    theirs = theirs_untrained(tokenizers, model=model, add_prefix_space=prefix)
    theirs.post_processor = tokenizers.processors.ByteLevel(trim_offsets=trims, add_prefix_space=prefix)
    theirs.add_special_tokens(["<end>"])
    text = data.draw(st.lists(st.one_of(unicode_texts, st.just("<end>")), max_size=4).map("".join))
    encoded = ours.encode_with_offsets(text)
    expected = theirs.encode(text)
    assert encoded.ids == expected.ids
    assert encoded.offsets == expected.offsets


@settings(max_examples=50)
@given(data=st.data())
def test_ignore_merges_takes_whole_pieces(data, tokenizers, unicode_texts):
    vocab = BPETokenizer.from_text("x", vocab_size=256).get_vocab()
    vocab |= {"Ġlow": 256, "the": 257, "low": 258, "lo": 259}
    merges = [("l", "o")]
    ours = BPETokenizer(vocab, merges, ignore_merges=True)
    model = tokenizers.models.BPE(vocab, merges, ignore_merges=True)
    theirs = theirs_untrained(tokenizers, model=model)
    text = data.draw(unicode_texts) + data.draw(st.sampled_from(["low low", "the", " lower"]))
    assert ours.encode(text) == theirs.encode(text).ids


def test_a_cache_of_any_size_gives_the_same():
    base = BPETokenizer.train_from_iterator(SENTENCES, vocab_size=300)
    text = " ".join(SENTENCES) + "w" * 200
    expected = base.encode(text)
    for size in (0, 1, 3):
        small = BPETokenizer(base.get_vocab(), base.merges, cache_size=size)
        assert small.encode(text) == expected
        assert small.encode(text) == expected
        assert len(small._cache) <= size
    assert all(len(piece) <= base._cache.LONGEST for piece in base._cache)


def test_copies_and_pickles_are_the_same():
    ours = BPETokenizer.train_from_iterator(SENTENCES, vocab_size=300, pattern="gpt4")
    ours.encode("low")
    for other in (copy.copy(ours), copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert other.encode("lower né") == ours.encode("lower né")
        assert other.decode([1, 2]) == ours.decode([1, 2])


# tiktoken's vocabularies


@settings(max_examples=100)
@given(data=st.data())
def test_ranks_of_tiktoken(data, tiktoken, unicode_texts):
    spellings = data.draw(st.sets(st.text(st.sampled_from("ab é"), min_size=2, max_size=5), max_size=12))
    tokens = [bytes([byte]) for byte in range(256)]
    tokens += [token for spelling in sorted(spellings) if (token := spelling.encode()) not in tokens]
    order = data.draw(st.permutations(range(256, len(tokens))))
    ranks = {token: i for i, token in enumerate(tokens[:256])}
    ranks |= {tokens[place]: 256 + i for i, place in enumerate(order)}
    special = {"<end>": 400, "<|fim|>": 402}
    theirs = tiktoken.Encoding(
        "x", pat_str=PATTERNS["gpt4"], mergeable_ranks=ranks, special_tokens=special
    )
    ours = BPETokenizer.from_tiktoken(ranks, special_tokens=special)
    text = data.draw(unicode_texts) + data.draw(st.text(st.sampled_from("ab é"), max_size=20))
    assert ours.encode(text) == theirs.encode(text)
    text += "<end>ab<|fim|><end"
    assert ours.encode(text, allowed_special="all") == theirs.encode(text, allowed_special="all")
    assert ours.encode(text, allowed_special={"<end>"}, disallowed_special=()) == theirs.encode(
        text, allowed_special={"<end>"}, disallowed_special=()
    )
    assert ours.vocab_size == theirs.n_vocab == 403


def test_a_special_token_of_tiktoken_is_no_word_of_the_text():
    ranks = {bytes([byte]): byte for byte in range(256)}
    ours = BPETokenizer.from_tiktoken(ranks, special_tokens={"stop": 256})
    assert ours.encode("stop", disallowed_special=()) == list(b"stop")
    assert ours.encode("stop", allowed_special="all") == [256]
    with pytest.raises(ValueError, match="special token 'stop': its id 7 is that of "):
        BPETokenizer.from_tiktoken(ranks, special_tokens={"stop": 7})


def test_a_vocabulary_of_tiktoken_survives_saving(tmp_path, tokenizers):
    trained = BPETokenizer.train_from_iterator(SENTENCES, vocab_size=300, pattern="gpt4")
    ours = BPETokenizer.from_tiktoken(ranks_of(trained), special_tokens={"<end>": 310, "<pad>": 305})
    ours.save_pretrained(tmp_path)
    text = "lower<end>né<pad> the"
    ids = ours.encode(text, allowed_special="all")
    assert {305, 310} < set(ids)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert theirs.encode(text).ids == ids
    for _ in range(2):  # the second time from vocab.json and merges.txt
        loaded = BPETokenizer.from_pretrained(tmp_path)
        assert loaded.get_vocab() == ours.get_vocab()
        assert loaded.vocab_size == 311
        assert loaded.encode(text, allowed_special="all") == ids
        (tmp_path / "tokenizer.json").unlink(missing_ok=True)


# Errors


def test_what_is_no_text():
    ours = BPETokenizer.from_text("abc", vocab_size=256)
    for text in ("a\ud83d", "\udc00b", "ab\ud800\ud800"):
        with pytest.raises(ValueError, match=r"lone surrogate, U\+D[8C]"):
            ours.encode(text)
        with pytest.raises(ValueError, match="lone surrogate"):
            ours([text])
    with pytest.raises(TypeError, match="encode: needs a str, got bytes; decode the bytes first"):
        ours.encode(b"abc")
    with pytest.raises(TypeError, match="encode: needs a str, got NoneType"):
        ours.encode(None)


def test_vocabularies_that_contradict_themselves():
    vocab = BPETokenizer.from_text("x", vocab_size=256).get_vocab()
    with pytest.raises(ValueError, match=r"BPE merge 2 \('a' 'b'\): the vocabulary does not hold 'ab'"):
        BPETokenizer({**vocab, "bc": 256}, [("b", "c"), ("a", "b")])
    with pytest.raises(ValueError, match="the id 65 is that of two tokens"):
        BPETokenizer({**vocab, "ab": 65}, [])
    with pytest.raises(ValueError, match="token '世' holds the character '世', which stands for no byte"):
        BPETokenizer({**vocab, "世": 256}, [])
    with pytest.raises(ValueError, match="the id of 'ab' is -1, not a number from 0"):
        BPETokenizer({**vocab, "ab": -1}, [])
    with pytest.raises(ValueError, match="split pattern"):
        BPETokenizer(vocab, [], pattern="(").encode("a")


def test_a_byte_that_the_vocabulary_lacks():
    ours = BPETokenizer({"a": 0, "b": 1}, [])
    assert ours.encode("ab") == [0, 1]
    with pytest.raises(ValueError, match="lacks the byte 0x63, which 'ac' needs"):
        ours.encode("ac")


def test_an_added_token_that_is_also_a_byte_stays_a_byte():
    ours = BPETokenizer.from_text("x", vocab_size=256)
    ours.add_special_tokens(["é", "<é>"])
    assert ours.token_to_id("é") < 256
    assert ours.decode(ours.encode("退é", disallowed_special=())) == "退é"
    assert ours.decode(ours.encode("<é>", allowed_special="all")) == "<é>"
