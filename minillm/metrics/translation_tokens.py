r"""How sacrebleu cuts texts into tokens before it counts them, so that scores can be compared.

BLEU depends on it more than on most models (Post: A call for clarity in reporting BLEU scores, 2018).

- ``"13a"``: NIST's mteval-v13a, the usual one: punctuation is cut off, but not inside numbers.
- ``"intl"``: mteval-v14: the punctuation and symbols of all languages are.
- ``"zh"``: each Chinese character is a token, the rest as in 13a.
- ``"char"``: each character is a token.
- ``"none"``: the text is cut into tokens already, with spaces.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import regex

#: Signs that are always tokens: ASCII punctuation but for . , - and '. Space is among them.
_SIGNS = re.compile(r"([{-~\[-` -&(-+:-@/])")
#: A period or comma, unless digits stand on both sides.
_AFTER_NO_DIGIT = re.compile(r"([^0-9])([.,])")
_BEFORE_NO_DIGIT = re.compile(r"([.,])([^0-9])")
#: A hyphen after a digit.
_AFTER_DIGIT = re.compile(r"([0-9])(-)")

_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))

#: What sacrebleu's list of blocks comes to. (Two entries, written with five digits where Python
#: reads four, mean other characters than those named there.)
_CHINESE = re.compile(
    "([\u2001-\u2a6d\u2e80-\u2eff\u2f00-\u2fdf\u2ff0-\u2fff\u3000-\u303f\u3100-\u312f\u31a0-\u31bf"
    "\u31c0-\u31ef\u3200-\u32ff\u3300-\u33ff\u3400-\u4db5\u4e00-\u9fa5\u9fa6-\u9fbb\uf900-\ufa2d"
    "\ufa30-\ufa6a\ufa70-\ufad9\ufe10-\ufe1f\ufe30-\ufe4f\uff00-\uffef])"
)


def _signs_apart(text: str) -> list[str]:
    text = _SIGNS.sub(r" \1 ", text)
    text = _AFTER_NO_DIGIT.sub(r"\1 \2 ", text)
    text = _BEFORE_NO_DIGIT.sub(r" \1 \2", text)
    return _AFTER_DIGIT.sub(r"\1 \2 ", text).split()


def _mteval_13a(text: str) -> list[str]:
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in _ENTITIES:
        text = text.replace(entity, character)
    return _signs_apart(f" {text} ")


def _chinese(text: str) -> list[str]:
    return _signs_apart(_CHINESE.sub(r" \1 ", text.strip()))


@cache
def _international() -> tuple[tuple[regex.Pattern[str], str], ...]:
    import regex  # here alone: the usual tokens need nothing but Python's own

    return (
        (regex.compile(r"(\P{N})(\p{P})"), r"\1 \2 "),
        (regex.compile(r"(\p{P})(\P{N})"), r" \1 \2"),
        (regex.compile(r"(\p{S})"), r" \1 "),
    )


def _mteval_14(text: str) -> list[str]:
    for pattern, replacement in _international():
        text = pattern.sub(replacement, text)
    return text.split()


def _characters(text: str) -> list[str]:
    return " ".join(text).split()


TOKENIZERS: dict[str, Callable[[str], list[str]]] = {
    "13a": _mteval_13a,
    "intl": _mteval_14,
    "zh": _chinese,
    "char": _characters,
    "none": str.split,
}


def tokens_for_bleu(text: str, tokenize: str = "13a") -> list[str]:
    """Return the tokens of a text.

    Args:
        text: The text.
        tokenize: ``"13a"``, ``"intl"``, ``"zh"``, ``"char"`` or ``"none"``.

    Raises:
        ValueError: There is no such tokenizer.

    Example:
        >>> tokens_for_bleu("Don't pay $3.50, please.")
        ["Don't", 'pay', '$', '3.50', ',', 'please', '.']
    """
    if tokenize not in TOKENIZERS:
        raise ValueError(f"bleu: tokenize={tokenize!r} is none of {', '.join(TOKENIZERS)}")
    return TOKENIZERS[tokenize](text.rstrip())
