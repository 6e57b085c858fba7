"""Bytes written as printable characters, the alphabet of GPT-2's vocabulary files.

A token of byte-level BPE is a string of bytes, and JSON holds characters. GPT-2's files write each
byte as one visible character (Radford et al. 2019): those of Latin-1 that print stand for
themselves, the other 68 (controls, spaces, the soft hyphen) for U+0100 onward in order. So a space
is ``Ġ`` and a line end ``Ċ``.
"""

from __future__ import annotations


def _alphabet() -> list[str]:
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    substitutes = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printable else chr(next(substitutes)) for byte in range(256)]


#: The character of each byte.
BYTE_TO_CHAR: list[str] = _alphabet()
#: The byte of each character.
CHAR_TO_BYTE: dict[str, int] = {char: byte for byte, char in enumerate(BYTE_TO_CHAR)}
#: The alphabet in the order of its characters, which is the order of ids in GPT-2's vocabulary.
ALPHABET: list[str] = sorted(BYTE_TO_CHAR)


def bytes_to_token(data: bytes) -> str:
    """Write bytes in the alphabet.

    Example:
        >>> bytes_to_token(" né".encode())
        'ĠnÃ©'
    """
    return "".join([BYTE_TO_CHAR[byte] for byte in data])


def token_to_bytes(token: str) -> bytes:
    """Return the bytes that a token in the alphabet stands for.

    Raises:
        KeyError: A character is not of the alphabet.

    Example:
        >>> token_to_bytes("ĠnÃ©").decode()
        ' né'
    """
    return bytes([CHAR_TO_BYTE[char] for char in token])
