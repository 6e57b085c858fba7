from __future__ import annotations

import pytest

from minillm.tokenizers.byte_alphabet import ALPHABET, BYTE_TO_CHAR, bytes_to_token, token_to_bytes


def test_each_byte_has_a_character_of_its_own_that_prints():
    assert len(set(BYTE_TO_CHAR)) == 256
    assert all(char.isprintable() and not char.isspace() for char in BYTE_TO_CHAR)
    assert token_to_bytes(bytes_to_token(bytes(range(256)))) == bytes(range(256))


def test_the_alphabet_is_that_of_tokenizers():
    tokenizers = pytest.importorskip("tokenizers")
    assert sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()) == ALPHABET


def test_a_character_that_stands_for_no_byte():
    with pytest.raises(KeyError):
        token_to_bytes("世")
