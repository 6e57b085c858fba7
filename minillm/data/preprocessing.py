r"""Making texts alike before they are counted or learned from: spelling, punctuation, common words, endings.

A model that counts words sees ``Run,``, ``runs`` and ``running`` as three; these functions make one of
them, each step on its own:

    "Réunions—they RUN on!"  normalize_text  "réunions—they run on!"
                             words           ["réunions", "they", "run", "on"]
                             remove_stop_words  ["réunions", "run"]
                             stem            ["réunion", "run"]

Neural models with subwords need none of this but perhaps `normalize_text`: what is thrown away here is
what they learn from.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

#: The commonest English words, which say little about what a text is about.
ENGLISH_STOP_WORDS = frozenset(
    # A list of two hundred literals would be three times as long.
    """
    a about above after again against all also am an and any are as at be because been before being
    below between both but by can cannot could did do does doing down during each even ever few for
    from further get had has have having he her here hers herself him himself his how however i if in
    into is it its itself just let me might more most much must my myself no nor not now of off on once
    only or other ought our ours ourselves out over own same shall she should so some still such than
    that the their theirs them themselves then there these they this those though through thus to too
    under until up upon us very was we were what when where which while who whom whose why will with
    within without would yet you your yours yourself yourselves
    aren't can't couldn't didn't doesn't don't hadn't hasn't haven't he'd he'll he's here's how's i'd
    i'll i'm i've isn't it's let's mustn't shan't she'd she'll she's shouldn't that's there's they'd
    they'll they're they've wasn't we'd we'll we're we've weren't what's when's where's who's why's
    won't wouldn't you'd you'll you're you've
    """.split()  # noqa: SIM905
)

#: Words with apostrophes and hyphens inside: don't, well-known.
_WORDS = re.compile(r"[^\W_]+(?:['’‑-][^\W_]+)*")
_SPACES = re.compile(r"\s+")
_URLS = re.compile(r"(?:https?://|www\.)[^\s<>\"']+[^\s<>\"'.,;:!?)\]]", re.IGNORECASE)
_NUMBERS = re.compile(r"(?<![\w.])[+-]?\d+(?:[.,]\d+)*(?![\w])")


def normalize_text(
    text: str,
    *,
    form: Literal["NFC", "NFD", "NFKC", "NFKD"] | None = "NFC",
    lowercase: bool = True,
    strip_accents: bool = False,
    remove_controls: bool = True,
    collapse_spaces: bool = True,
    url_token: str | None = None,
    number_token: str | None = None,
) -> str:
    r"""Return a text in one way of writing.

    Args:
        text: The text.
        form: The form of Unicode: ``"NFC"`` writes ``e`` and an accent as one character, ``"NFKC"`` also
            full-width letters, ligatures and the like as plain ones; None leaves it.
        lowercase: Make letters small.
        strip_accents: Leave out accents: ``é`` becomes ``e``.
        remove_controls: Leave out control and format characters but tab and line ends.
        collapse_spaces: Make any white space one space, none at the ends.
        url_token: What to put for addresses of the web; None leaves them.
        number_token: What to put for numbers; None leaves them.

    Raises:
        ValueError: There is no such form.

    Example:
        >>> normalize_text("Cafe\u0301  №5,\tsee www.x.org.", form="NFKC", url_token="<url>")
        'café no5, see <url>.'
    """
    if form is not None:
        if form not in ("NFC", "NFD", "NFKC", "NFKD"):
            raise ValueError(f"normalize_text: form={form!r} is none of NFC, NFD, NFKC, NFKD and None")
        text = unicodedata.normalize(form, text)
    if url_token is not None:
        text = _URLS.sub(lambda match: url_token, text)
    if number_token is not None:
        text = _NUMBERS.sub(lambda match: number_token, text)
    if lowercase:
        kept = [token for token in (url_token, number_token) if token]
        text = _lower_around(text, kept) if kept else text.lower()
    if strip_accents:
        parts = unicodedata.normalize("NFD", text)
        text = "".join([c for c in parts if unicodedata.category(c) != "Mn"])
        text = unicodedata.normalize("NFC", text)
    if remove_controls:
        text = "".join([c for c in text if c in "\t\n\r" or unicodedata.category(c) not in ("Cc", "Cf")])
    if collapse_spaces:
        text = _SPACES.sub(" ", text).strip()
    return text


def _lower_around(text: str, kept: list[str]) -> str:
    """Make a text small but for the tokens that were put into it."""
    pattern = re.compile("(" + "|".join(map(re.escape, kept)) + ")")
    return "".join([part if number % 2 else part.lower() for number, part in enumerate(pattern.split(text))])


def remove_punctuation(text: str, keep: str = "") -> str:
    """Return a text with spaces for its punctuation, that of all languages.

    Apostrophes and hyphens between two letters or digits stay, since they are parts of words.

    Args:
        text: The text.
        keep: Signs that stay.

    Example:
        >>> remove_punctuation("Don't panic — (well-known)!")
        "Don't panic    well-known  "
    """
    result = []
    for place, character in enumerate(text):
        inside = text[place - 1 : place].isalnum() and text[place + 1 : place + 2].isalnum()
        stays = character in keep or (inside and character in "'’‑-")
        is_sign = unicodedata.category(character).startswith("P")
        result.append(" " if is_sign and not stays else character)
    return "".join(result)


def words(text: str) -> list[str]:
    """Return the words of a text, without punctuation.

    Example:
        >>> words("Don't panic: well-known, naïve!")
        ["Don't", 'panic', 'well-known', 'naïve']
    """
    return _WORDS.findall(text)


def remove_stop_words(
    tokens: Iterable[str], stop_words: Collection[str] = ENGLISH_STOP_WORDS
) -> list[str]:
    """Return the words that are not among the common ones, compared without case.

    Args:
        tokens: The words.
        stop_words: The common words, in small letters; default those of English.

    Example:
        >>> remove_stop_words(["The", "cat", "is", "on", "a", "mat"])
        ['cat', 'mat']
    """
    return [token for token in tokens if token.lower().replace("’", "'") not in stop_words]


def stem(tokens: Iterable[str], language: str = "english") -> list[str]:
    """Return words without their endings, by the Snowball stemmers (Porter 1980, 2001).

    Needs the library snowballstemmer: ``pip install snowballstemmer``.

    Args:
        tokens: Words in small letters.
        language: ``"english"``, ``"german"``, ``"french"``, ``"russian"``, ...; ``"porter"`` for the
            first stemmer of English.

    Raises:
        ImportError: The library is missing; the message says how to install it.
        ValueError: It does not know the language.

    Example:
        >>> stem(["running", "runs", "easily"])
        ['run', 'run', 'easili']
    """
    stemmed: list[str] = _stemmer(language).stemWords(list(tokens))
    return stemmed


@cache
def _stemmer(language: str) -> Any:
    try:
        import snowballstemmer
    except ImportError as error:
        raise ImportError(
            "stem: needs the library snowballstemmer; install it with: pip install snowballstemmer"
        ) from error
    if language not in snowballstemmer.algorithms():
        known = ", ".join(snowballstemmer.algorithms())
        raise ValueError(f"stem: there is no stemmer for {language!r}; there are {known}")
    return snowballstemmer.stemmer(language)


class Preprocessor:
    """Several steps in a row: from a text to the words to learn from.

    Args:
        normalize: Options of `normalize_text`, or None to leave the text as it is.
        tokenize: Cuts the text into words.
        stop_words: Words to leave out; None keeps all.
        stem_language: The language of the endings to take off; None leaves them.
        min_length: Leave out shorter words.

    Example:
        >>> clean = Preprocessor(stop_words=ENGLISH_STOP_WORDS)
        >>> clean("The cats were RUNNING, quickly.")
        ['cats', 'running', 'quickly']
    """

    def __init__(
        self,
        *,
        normalize: Mapping[str, Any] | None = MappingProxyType({}),
        tokenize: Callable[[str], Sequence[str]] = words,
        stop_words: Collection[str] | None = None,
        stem_language: str | None = None,
        min_length: int = 1,
    ) -> None:
        self.normalize = normalize
        self.tokenize = tokenize
        self.stop_words = stop_words
        self.stem_language = stem_language
        self.min_length = min_length

    def __call__(self, text: str) -> list[str]:
        """Return the words of a text after all steps."""
        if self.normalize is not None:
            text = normalize_text(text, **self.normalize)
        tokens = list(self.tokenize(text))
        if self.stop_words is not None:
            tokens = remove_stop_words(tokens, self.stop_words)
        if self.stem_language is not None:
            tokens = stem(tokens, self.stem_language)
        return [token for token in tokens if len(token) >= self.min_length]
