"""WordPiece beside Hugging Face's `tokenizers` and `transformers`."""

from __future__ import annotations

import copy
import json
import pickle
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.tokenizers import AddedToken, WordPieceTokenizer
from minillm.tokenizers.bpe_training import learn_merges
from minillm.tokenizers.wordpiece import clean_up

SENTENCES = ["low low lower lowest newer wider", "The lower the newer, don't they?", "né 世界 naïve"] * 3
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture(scope="module")
def tokenizers():
    return pytest.importorskip("tokenizers")


def theirs_untrained(tokenizers, model, **rules):
    theirs = tokenizers.Tokenizer(model)
    theirs.normalizer = tokenizers.normalizers.BertNormalizer(**rules)
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    theirs.decoder = tokenizers.decoders.WordPiece()
    return theirs


# The vocabularies of BERT


@pytest.fixture(scope="module", params=["bert-base-uncased", "bert-base-chinese"])
def both(request, vocabularies, tokenizers):
    """Our tokenizer and theirs, loaded from the same files."""
    folder = vocabularies / request.param
    ours = WordPieceTokenizer.from_pretrained(folder)
    if (folder / "tokenizer.json").exists():
        theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        theirs.no_padding()
        theirs.no_truncation()
    else:
        theirs = tokenizers.implementations.BertWordPieceTokenizer(str(folder / "vocab.txt"))._tokenizer
    return ours, theirs


@settings(max_examples=200)
@given(data=st.data())
def test_bert_gives_ids_offsets_and_text_of_tokenizers(data, both, unicode_texts):
    ours, theirs = both
    text, pair = data.draw(unicode_texts), data.draw(st.none() | unicode_texts)
    text += data.draw(st.sampled_from(["", "[MASK]", " unaffable [SEP]!", " 漢字[UNK]かな"]))
    encoded = ours(text, pair, return_offsets_mapping=True)
    expected = theirs.encode(text, pair)
    if pair == "":  # for a call an empty pair is none, as in transformers
        expected = theirs.encode(text)
    assert encoded.input_ids == expected.ids
    assert encoded.token_type_ids == expected.type_ids
    assert encoded.attention_mask == expected.attention_mask
    assert encoded.offset_mapping == expected.offsets
    assert encoded.word_ids() == expected.word_ids
    assert encoded.tokens() == expected.tokens
    assert ours.encode(text, pair or None, allowed_special="all") == expected.ids
    for skips in (True, False):
        assert ours.decode(expected.ids, skip_special_tokens=skips) == theirs.decode(
            expected.ids, skip_special_tokens=skips
        )


@settings(max_examples=150)
@given(data=st.data(), skips=st.booleans())
def test_every_row_of_ids_has_the_text_of_tokenizers(data, skips, both):
    ours, theirs = both
    ids = data.draw(st.lists(st.one_of(st.integers(99, 130), st.integers(0, ours.vocab_size - 1)), max_size=9))
    # Signs and contractions, which decoding joins to words.
    ids += [ours.token_to_id(token) for token in data.draw(st.lists(st.sampled_from([".", "'", "s", "a", "-"])))]
    text = ours.decode(ids, skip_special_tokens=skips)
    assert text == theirs.decode(ids, skip_special_tokens=skips)
    decoder = ours.stream_decoder(skip_special_tokens=skips)
    assert "".join(map(decoder.push, ids)) + decoder.finish() == text


def test_real_text_has_the_ids_of_tokenizers(both, data_dir):
    ours, theirs = both
    for name in ("wikitext2/test.txt", "tang300/tang300.json", "chnsenticorp/ChnSentiCorp_htl_2000.csv"):
        text = (data_dir / name).read_text(encoding="utf-8")[:50_000]
        expected = theirs.encode(text)
        assert ours.encode(text, disallowed_special=()) == expected.ids
        assert ours(text, return_offsets_mapping=True).offset_mapping == expected.offsets


def test_ids_of_bert_that_everybody_knows(vocabularies):
    ours = WordPieceTokenizer.from_pretrained(vocabularies / "bert-base-uncased")
    assert ours.encode("Hello, my dog is cute") == [101, 7592, 1010, 2026, 3899, 2003, 10140, 102]
    assert (ours.vocab_size, ours.mask_token_id, ours.pad_token_id) == (30522, 103, 0)


def test_bert_of_transformers(vocabularies, both):
    transformers = pytest.importorskip("transformers")
    ours, _ = both
    folder = vocabularies / ("bert-base-uncased" if ours.vocab_size == 30522 else "bert-base-chinese")
    theirs = transformers.BertTokenizer.from_pretrained(folder)
    texts = ["The quick brown fox doesn't jump!", "你好，世界", "naïve", ""]
    options = {"padding": True, "truncation": True, "max_length": 12, "return_offsets_mapping": True}
    assert dict(ours(texts, texts[::-1], **options)) == dict(theirs(texts, texts[::-1], **options))
    assert ours.tokenize(texts[0]) == theirs.tokenize(texts[0])


# Cutting words


@settings(max_examples=150)
@given(
    tokens=st.sets(st.text(st.sampled_from("ab"), min_size=1, max_size=4), max_size=8),
    going_on=st.sets(st.text(st.sampled_from("ab#"), min_size=1, max_size=4), max_size=8),
    text=st.text(st.sampled_from("aab# "), max_size=30),
    longest=st.integers(1, 12),
    prefix=st.sampled_from(["##", "_", ""]),
)
def test_words_are_cut_as_tokenizers_cuts_them(tokens, going_on, text, longest, prefix):
    tokenizers = pytest.importorskip("tokenizers")
    entries = dict.fromkeys(["[UNK]", *sorted(tokens), *(prefix + token for token in sorted(going_on))])
    vocab = {token: i for i, token in enumerate(entries)}
    ours = WordPieceTokenizer(vocab, prefix=prefix, max_input_chars_per_word=longest)
    model = tokenizers.models.WordPiece(
        vocab, unk_token="[UNK]", continuing_subword_prefix=prefix, max_input_chars_per_word=longest
    )
    theirs = theirs_untrained(tokenizers, model)
    theirs.decoder = tokenizers.decoders.WordPiece(prefix=prefix)
    encoded, expected = ours.encode_with_offsets(text), theirs.encode(text)
    assert encoded.ids == expected.ids
    assert encoded.offsets == expected.offsets
    assert ours.decode(expected.ids) == theirs.decode(expected.ids, skip_special_tokens=False)


def test_a_long_word_costs_its_length():
    class Counting(dict):
        asked = 0

        def get(self, *args):
            self.asked += 1
            return super().get(*args)

    ours = WordPieceTokenizer({"[UNK]": 0, "a": 1, "##aaa": 2, "##a": 3}, max_input_chars_per_word=10**9)
    counting = Counting(ours._model_vocab)
    ours._model_vocab = counting
    assert len(ours.encode("a" * 30_000)) == 1 + 9_999 + 2  # a ##aaa ... ##a ##a
    assert counting.asked < 30_000 * 5
    assert ours.encode("?" * 30_000) == [0] * 30_000


# Training


def theirs_trained(tokenizers, texts, *, rules=None, **options):
    theirs = theirs_untrained(tokenizers, tokenizers.models.WordPiece(unk_token="[UNK]"), **(rules or {}))
    trainer = tokenizers.trainers.WordPieceTrainer(special_tokens=SPECIAL, show_progress=False, **options)
    theirs.train_from_iterator(texts, trainer)
    return theirs


@settings(max_examples=60)
@given(data=st.data())
def test_training_is_that_of_tokenizers(data, tokenizers, training_texts):
    texts = data.draw(training_texts)
    lower = data.draw(st.booleans())
    min_frequency = data.draw(st.integers(0, 3))
    limit = data.draw(st.sampled_from([None, None, 5]))
    blank = WordPieceTokenizer(dict.fromkeys(["[UNK]"], 0), lowercase=lower)
    words = Counter(word for text in texts for word in blank.rules.split(text))
    if not words:
        return
    size = len({c for word in words for c in word}) * 2 + 5 + data.draw(st.integers(0, 20))
    options = {"vocab_size": size, "min_frequency": min_frequency}
    ours = WordPieceTokenizer.train_from_iterator(
        texts, lowercase=lower, limit_alphabet=limit, show_progress=False, **options
    )
    if limit is not None:
        options["limit_alphabet"] = limit
    theirs = theirs_trained(tokenizers, texts, rules={"lowercase": lower}, **options)
    tokens = sorted(theirs.get_vocab(), key=theirs.get_vocab().get)
    if limit is None:
        # Their characters that go on a word stand in any order, which decides between pairs that are
        # equally frequent. Given their order ours learns theirs.
        begin = next((i for i, t in enumerate(tokens) if i > 4 and len(t.removeprefix("##")) > 1), len(tokens))
        id_of = {token: i for i, token in enumerate(tokens[:begin])}
        spelled = {
            tuple([id_of["##" * (place > 0) + c] for place, c in enumerate(word)]): count
            for word, count in words.items()
        }
        learned = tokens[:begin]
        learn_merges(
            spelled,
            learned,
            size,
            min_frequency=min_frequency,
            join=lambda a, b: a + b.removeprefix("##"),
            show_progress=False,
        )
        assert learned == tokens
        assert set(tokens[:begin]) <= ours.get_vocab().keys()
        # How many tokens there are may depend on which of equally frequent pairs came first.
        assert begin < ours.vocab_size <= size or ours.vocab_size == begin


def test_training_on_shakespeare_gives_the_tokens_of_tokenizers(data_dir, tokenizers):
    text = (data_dir / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8")
    ours = WordPieceTokenizer.from_text(text, vocab_size=1000, show_progress=False)
    theirs = theirs_trained(tokenizers, [text], vocab_size=1000)
    assert ours.get_vocab().keys() == theirs.get_vocab().keys()
    tokens, others = (sorted(x.get_vocab(), key=x.get_vocab().get) for x in (ours, theirs))
    assert tokens[:42] == others[:42]  # special tokens and single characters
    assert tokens[68:100] == others[68:100]  # the first that were learned


def test_the_order_of_a_trained_vocabulary():
    ours = WordPieceTokenizer.from_text("ab ab ca", vocab_size=12, special_tokens=["[X]"], show_progress=False)
    assert list(ours.get_vocab()) == [*SPECIAL, "[X]", "a", "b", "c", "##a", "##b", "ab"]
    assert ours.encode("ab x") == [2, 11, 1, 3]
    assert ours.all_special_tokens == [*SPECIAL, "[X]"]


def test_the_alphabet_can_be_limited():
    options = {"vocab_size": 50, "limit_alphabet": 2, "show_progress": False}
    ours = WordPieceTokenizer.from_text("aaab aab cz", **options)
    assert {token for token in ours.get_vocab() if len(token) == 1} == {"a", "b"}
    assert ours.tokenize("aab abc") == ["aab", "[UNK]"]
    ours = WordPieceTokenizer.from_text("aaab aab cz", initial_alphabet="z", **options)
    assert {token for token in ours.get_vocab() if len(token) == 1} == {"a", "z"}
    assert "##z" in ours.get_vocab()  # it does not begin a word there, though its first letter is left out


def test_names_of_ones_own():
    ours = WordPieceTokenizer.from_text(
        "low lower", vocab_size=40, special_names={"unk_token": "<unk>", "pad_token": "<pad>"}, lowercase=False
    )
    assert (ours.unk_token_id, ours.pad_token_id, ours.cls_token) == (1, 0, "[CLS]")
    assert ours.tokenize("low Low") == ["low", "<unk>"]


def test_training_errors():
    with pytest.raises(ValueError, match="training text is empty"):
        WordPieceTokenizer.train_from_iterator(["", " \n"])
    with pytest.raises(ValueError, match="vocab_size=9 has no room for the 5 special tokens and 5 characters"):
        WordPieceTokenizer.from_text("abc", vocab_size=9)
    with pytest.raises(ValueError, match="lone surrogate"):
        WordPieceTokenizer.from_text("a\ud800")


# Added tokens, options, errors


@settings(max_examples=100)
@given(data=st.data())
def test_added_tokens_are_found_in_the_normalized_text(data, tokenizers, unicode_texts):
    contents = ["Newer", "low er", "[X]", "É", "世"]
    added = [
        AddedToken(
            content,
            special=content == "[X]",
            normalized=data.draw(st.booleans()),
            single_word=data.draw(st.booleans()),
            rstrip=data.draw(st.booleans()),
        )
        for content in data.draw(st.lists(st.sampled_from(contents), unique=True))
    ]
    vocab = {token: i for i, token in enumerate([*SPECIAL, *"lowern[x]世界", "##e", "##w", "##r", "##o"])}
    ours = WordPieceTokenizer(vocab, added_tokens=added)
    theirs = theirs_untrained(tokenizers, tokenizers.models.WordPiece(vocab, unk_token="[UNK]"))
    theirs.add_special_tokens(SPECIAL)
    for token in added:
        flags = {name: getattr(token, name) for name in ("normalized", "single_word", "rstrip")}
        add = theirs.add_special_tokens if token.special else theirs.add_tokens
        add([tokenizers.AddedToken(token.content, **flags)])
    parts = st.sampled_from([*contents, "newer", "é", "E\u0301", "low  er", "LOW\xa0ER", " ", "x", "[x]", "\x00"])
    text = data.draw(st.lists(parts, max_size=8).map("".join)) + data.draw(unicode_texts)
    encoded, expected = ours.encode_with_offsets(text), theirs.encode(text)
    assert encoded.ids == expected.ids
    assert encoded.offsets == expected.offsets


def test_copies_and_pickles_are_the_same(tmp_path):
    ours = WordPieceTokenizer.train_from_iterator(SENTENCES, vocab_size=60)
    ours.encode("lower")
    for other in (copy.copy(ours), copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert other("lower né")["input_ids"] == ours("lower né")["input_ids"]


def test_the_format_is_that_of_bert_where_its_tokens_are():
    assert WordPieceTokenizer({"[UNK]": 0, "a": 1}).encode("a") == [1]
    ours = WordPieceTokenizer({"[UNK]": 0, "a": 1, "[CLS]": 2, "[SEP]": 3})
    assert ours.encode("a", "a") == [2, 1, 3, 1, 3]
    assert ours("a", "a").token_type_ids == [0, 0, 0, 1, 1]


def test_decoding_without_cleaning_up():
    vocab = {token: i for i, token in enumerate(["[UNK]", "do", "n", "'", "t", ".", "##s"])}
    assert WordPieceTokenizer(vocab).decode([1, 6, 5]) == "dos."
    assert WordPieceTokenizer(vocab, cleanup=False).decode([1, 6, 5]) == "dos ."
    assert clean_up("he 's here , is n't he ? i 'm sure they 've gone") == "he's here, isn't he? i'm sure they've gone"


def test_errors():
    with pytest.raises(ValueError, match=r"vocabulary lacks '\[UNK\]', the token for unknown words"):
        WordPieceTokenizer({"a": 0})
    ours = WordPieceTokenizer({"[UNK]": 0})
    with pytest.raises(ValueError, match="lone surrogate"):
        ours("a\ud800")
    with pytest.raises(ValueError, match=r"special token '\[UNK\]' at character 1"):
        ours.encode("a[UNK]")
    assert json.dumps(ours("x")) == '{"input_ids": [0], "token_type_ids": [0], "attention_mask": [1]}'
