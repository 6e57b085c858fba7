from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.tokenizers.bert_text import BertText

MARKS = st.text(st.sampled_from("aÀç\u0301\u0328\u0345\u302e\u1b44\u0f73\u0344가각\u1100\u1161İß\u200b ."), max_size=8)


@settings(max_examples=300)
@given(
    data=st.data(),
    clean=st.booleans(),
    chinese=st.booleans(),
    strip=st.sampled_from([None, True, False]),
    lower=st.booleans(),
)
def test_words_and_places_are_those_of_tokenizers(data, clean, chinese, strip, lower, unicode_texts):
    tokenizers = pytest.importorskip("tokenizers")
    text = data.draw(st.one_of(unicode_texts, MARKS))
    theirs = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0}, unk_token="?"))
    theirs.normalizer = tokenizers.normalizers.BertNormalizer(
        clean_text=clean, handle_chinese_chars=chinese, strip_accents=strip, lowercase=lower
    )
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    rules = BertText(clean, chinese, strip, lower)
    normalized, places = rules.normalize(text)
    assert normalized == theirs.normalizer.normalize_str(text)
    assert len(places) == len(normalized)
    words = rules.words(text)
    assert [word for word, _ in words] == [
        word for word, _ in theirs.pre_tokenizer.pre_tokenize_str(normalized)
    ]
    assert [(places[0], places[-1] + 1) for _, places in words] == theirs.encode(text).offsets


def test_single_characters_are_those_of_tokenizers():
    tokenizers = pytest.importorskip("tokenizers")
    theirs = tokenizers.normalizers.BertNormalizer()
    rules = BertText()
    # Every character that any version of Unicode from 8 to 17 treats in a way of its own is near one
    # of these; a full run over all code points takes half a minute.
    for code in [*range(0x600), *range(0x600, 0x110000, 97)]:
        if not 0xD800 <= code < 0xE000:
            character = chr(code)
            assert rules.normalize(character)[0] == theirs.normalize_str(character), hex(code)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Déjà vu?", ["deja", "vu", "?"]),
        ("don't $5.00", ["don", "'", "t", "$", "5", ".", "00"]),
        ("ab你好c", ["ab", "你", "好", "c"]),
        ("a\x00b\u200bc\xadd\ufffd", ["abcd"]),
        ("a\vb\fc\x85d", ["abcd"]),  # white space, but also controls
        ("a\tb\nc\xa0d\u3000e", ["a", "b", "c", "d", "e"]),
        ("ΟΔΟΣ", ["οδοσ"]),
        ("İi̇", ["ii"]),
        ("각", ["\u1100\u1161\u11a8"]),
        ("“x”—y", ["“", "x", "”", "—", "y"]),
        ("", []),
        (" \n", []),
    ],
)
def test_words(text, words):
    assert BertText().split(text) == [word for word, _ in BertText().words(text)] == words


def test_places_lead_back_to_the_text():
    text = "  Ça\u200b  vÀ\u0328 好!"
    for word, places in BertText().words(text):
        stretch = text[places[0] : places[-1] + 1]
        assert BertText().normalize(stretch)[0].strip() == word


def test_rules_compare_and_pickle():
    assert BertText() == BertText(lowercase=True) != BertText(lowercase=False)
    assert pickle.loads(pickle.dumps(BertText())).normalize("É\x00")[0] == "e"
    assert repr(BertText()).startswith("BertText(clean_text=True, ")
