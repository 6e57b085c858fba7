r"""One token a word, the most frequent first: the tokenizer of Keras.

Punctuation is replaced by spaces, the text made small and cut at spaces; words get the ids 1, 2, 3
... from the most frequent on; 0 is kept for padding. Methods, names and results are those of
`keras.preprocessing.text.Tokenizer` (Chollet et al. 2015), beside the face that all tokenizers share.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minillm.tokenizers.base import Tokenizer, check_text
from minillm.tokenizers.batching import Word
from minillm.tokenizers.special_tokens import AddedToken

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: All ASCII punctuation but the apostrophe, and tab and line end.
FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'

#: A text, or the words of one.
Text = str | list[str]


class WordTokenizer(Tokenizer):
    """Keras' tokenizer of words.

    Args:
        num_words: Keep the ``num_words - 1`` most frequent words; None keeps all.
        filters: The characters that are replaced by `split`.
        lower: Make the text small.
        split: What stands between two words.
        char_level: Each character is a word, and nothing is filtered.
        oov_token: The token for words that were not seen, which gets the id 1. Without it such words
            are left out.
        analyzer: Cuts a text into words in place of `filters`, `lower` and `split`. A tokenizer with
            one cannot be saved.
        pad_token: The name of the id 0.
        **options: As for `Tokenizer`.

    Attributes:
        word_counts: How often each word was seen, in the order in which they were first seen.
        word_docs: In how many texts.
        word_index: The id of each word (whatever `num_words` says).
        index_word: The word of each id.
        document_count: How many texts were seen.

    Example:
        >>> tokenizer = WordTokenizer(num_words=4, oov_token="<oov>")
        >>> tokenizer.fit_on_texts(["The cat, the dog.", "A dog?"])
        >>> tokenizer.word_index
        {'<oov>': 1, 'the': 2, 'dog': 3, 'cat': 4, 'a': 5}
        >>> tokenizer.texts_to_sequences(["the dog and the cat"])
        [[2, 3, 1, 2, 1]]
        >>> tokenizer.sequences_to_texts([[2, 3, 1]])
        ['the dog <oov>']
    """

    def __init__(
        self,
        num_words: int | None = None,
        *,
        filters: str = FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        analyzer: Callable[[str], list[str]] | None = None,
        pad_token: str | None = "<pad>",
        **options: Any,
    ) -> None:
        if num_words is not None and num_words < 1:
            raise ValueError(f"WordTokenizer: num_words must be positive or None, got {num_words}")
        if split == "":
            raise ValueError("WordTokenizer: split must not be empty; char_level=True cuts into characters")
        self._pad = [] if pad_token is None else [pad_token]
        names = dict(options.pop("special_names", {}))
        if pad_token is not None:
            names["pad_token"] = pad_token
            options["added_tokens"] = [AddedToken(pad_token), *options.pop("added_tokens", [])]
        super().__init__(dict.fromkeys(self._pad, 0), special_names=names, **options)
        self.num_words = num_words
        self.filters = filters
        self.lower = lower
        self.split = split
        self.char_level = char_level
        self.oov_token = oov_token
        self.analyzer = analyzer
        self._filtered = str.maketrans(dict.fromkeys(filters, split))
        self.word_counts: dict[str, int] = {}
        self.word_docs: dict[str, int] = {}
        self.document_count = 0
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}
        self.index_docs: dict[int, int] = {}

    # Learning words.

    @classmethod
    def train_from_iterator(cls, texts: Iterable[Text], **options: Any) -> WordTokenizer:
        """Learn the words of texts; options as for the class.

        Raises:
            ValueError: The texts are empty.
        """
        tokenizer = cls(**options)
        tokenizer.fit_on_texts(texts)
        if not tokenizer.word_counts:
            raise ValueError("WordTokenizer training: the training text is empty")
        return tokenizer

    def fit_on_texts(self, texts: Iterable[Text]) -> None:
        """Count the words of texts, besides those counted before, and number them anew.

        Args:
            texts: The texts; a list in place of a text is one that is cut into words already.

        Raises:
            ValueError: A word is the token for padding, or holds a lone surrogate.
            TypeError: A text is neither a string nor a list of strings.
        """
        if isinstance(texts, str):
            raise TypeError("fit_on_texts: needs a list of texts, got one string; pass [text]")
        for text in texts:
            self.document_count += 1
            words = self._words(text, "fit_on_texts")
            for word in words:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in dict.fromkeys(words):
                self.word_docs[word] = self.word_docs.get(word, 0) + 1
        order = sorted(self.word_counts, key=self.word_counts.__getitem__, reverse=True)
        unknown = [] if self.oov_token is None else [self.oov_token]
        self._set_words({word: index for index, word in enumerate([*unknown, *order], 1)})

    def fit_on_sequences(self, sequences: Iterable[Iterable[int]]) -> None:
        """Count in how many rows of ids each id stands, for ``mode="tfidf"``."""
        for sequence in sequences:
            self.document_count += 1
            for index in set(sequence):
                self.index_docs[index] = self.index_docs.get(index, 0) + 1

    def _set_words(self, word_index: Mapping[str, int]) -> None:
        """Take words with their ids into the vocabulary; tokens added by hand follow them."""
        for token in self._pad:
            if token in word_index:
                raise ValueError(
                    f"WordTokenizer: the texts hold the word {token!r}, which is the token for padding; "
                    "give another pad_token"
                )
        added = [token for token in self._added.tokens.values() if token.content not in self._pad]
        self.word_index = dict(word_index)
        self.index_word = {index: word for word, index in word_index.items()}
        self.index_docs = {self.word_index[word]: count for word, count in self.word_docs.items()}
        self._set_vocab({**dict.fromkeys(self._pad, 0), **word_index})
        for added_token in added:
            self._add(added_token)
        if self.oov_token is not None:
            self.unk_token = self.oov_token

    @property
    def vocab_size(self) -> int:
        """The number of rows that a model's embedding needs: the highest id given out, plus one."""
        added = [self._added.ids[t] for t in self._added.tokens if t not in self.word_index]
        words = len(self.word_index) + 1
        if self.num_words:
            words = min(words, max(self.num_words, 2 if self.oov_token else 1))
        return max([words, *(token_id + 1 for token_id in added)])

    # Text to ids.

    def texts_to_sequences(self, texts: Iterable[Text]) -> list[list[int]]:
        """Return the ids of the words of each text."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[Text]) -> Iterator[list[int]]:
        """Yield the ids of the words of each text."""
        if isinstance(texts, str):
            raise TypeError("texts_to_sequences: needs a list of texts, got one string; pass [text]")
        for text in texts:
            words = self._words(text, "texts_to_sequences")
            yield [index for word in words if (index := self._index_of(word)) is not None]

    def _index_of(self, word: str) -> int | None:
        """The id of a word; that of the token for unknown words, or None, if it has none."""
        index = self.word_index.get(word)
        if index is None or (self.num_words and index >= self.num_words):
            return None if self.oov_token is None else self.word_index.get(self.oov_token)
        return index

    def _words(self, text: Text, operation: str) -> Sequence[str]:
        if isinstance(text, list):
            words = [check_text(word, operation) for word in text]
            return [word.lower() for word in words] if self.lower else words
        check_text(text, operation)
        if self.analyzer is not None and not self.char_level:
            return self.analyzer(text)
        if self.lower:
            text = text.lower()
        if self.char_level:
            return list(text)
        return [word for word in text.translate(self._filtered).split(self.split) if word]

    def _encode_plain(self, text: str, start: int) -> list[int]:
        words = self._words(text, "encode")
        return [index for word in words if (index := self._index_of(word)) is not None]

    def _encode_words(self, text: str, start: int) -> list[Word]:
        words: list[Word] = []
        for word, first, last in self._placed_words(text):
            index = self._index_of(word)
            if index is not None:
                words.append(([index], [(start + first, start + last)]))
        return words

    def _placed_words(self, text: str) -> Iterator[tuple[str, int, int]]:
        """The words of a text, and the characters that each stands for."""
        words = self._words(text, "encode")
        if self.analyzer is not None and not self.char_level:
            done = 0
            for word in words:  # an analyzer can make up words that do not stand in the text
                found = text.find(word, done)
                yield (word, found, found + len(word)) if found >= 0 else (word, done, done)
                done = max(done, found + len(word))
            return
        # Where each character comes from: small letters can be two, filtered ones a long split.
        places = range(len(text))
        lengths = [len(character.lower()) for character in text] if self.lower else [1] * len(text)
        if not self.char_level and len(self.split) > 1:
            lengths = [
                len(self.split) if character in self.filters else length
                for character, length in zip(text, lengths, strict=True)
            ]
        spread = [place for place, length in zip(places, lengths, strict=True) for _ in range(length)]
        gap = 0 if self.char_level else len(self.split)
        if gap:
            small = text.lower() if self.lower else text
            words = small.translate(self._filtered).split(self.split)
        begin = 0
        for word in words:
            end = begin + len(word)
            if word:
                yield word, spread[begin], spread[end - 1] + 1
            begin = end + gap

    # Ids to text.

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """Return the words of each row of ids, with spaces between."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """Yield the words of each row of ids; an id that is no word is the token for unknown words."""
        for sequence in sequences:
            words = [self._word_of(index) for index in sequence]
            yield " ".join([word for word in words if word is not None])

    def _word_of(self, index: int) -> str | None:
        word = self.index_word.get(index)
        if word is None or (self.num_words and index >= self.num_words):
            return self.oov_token if self.oov_token in self.word_index else None
        return word

    def _decode_plain(self, ids: Sequence[int]) -> str:
        words = [
            self._tokens[index] if self._tokens[index] in self._added.tokens else self._word_of(index)
            for index in ids
        ]
        return " ".join([word for word in words if word is not None])

    # Rows of numbers.

    def texts_to_matrix(self, texts: Iterable[Text], mode: str = "binary") -> npt.NDArray[np.float64]:
        """Return a row for each text with a number for each word; see `sequences_to_matrix`."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(
        self, sequences: Sequence[Sequence[int]], mode: str = "binary"
    ) -> npt.NDArray[np.float64]:
        """Return a row for each row of ids, with a number for each id that there is.

        Args:
            sequences: Rows of ids.
            mode: ``"binary"``: 1 if the word is there. ``"count"``: how often. ``"freq"``: its share of
                the words. ``"tfidf"``: (1 + log count) log(1 + texts / (1 + texts with the word)).

        Returns:
            Shape ``(rows, num_words)``, or ``(rows, words + 1)`` where `num_words` is None.

        Raises:
            ValueError: The mode is unknown, or nothing has been learned yet.
        """
        import numpy as np

        if mode not in ("binary", "count", "freq", "tfidf"):
            raise ValueError(f"to_matrix: mode={mode!r} is none of 'binary', 'count', 'freq', 'tfidf'")
        if not self.num_words and not self.word_index:
            raise ValueError("to_matrix: give num_words, or call fit_on_texts first")
        if mode == "tfidf" and not self.document_count:
            raise ValueError("to_matrix: mode='tfidf' needs texts to count; call fit_on_texts first")
        width = self.num_words or len(self.word_index) + 1
        matrix = np.zeros((len(sequences), width))
        for row, sequence in zip(matrix, sequences, strict=True):
            for index, count in Counter(sequence).items():
                if index >= width:
                    continue
                if mode == "tfidf":
                    texts = self.document_count / (1 + self.index_docs.get(index, 0))
                    row[index] = (1 + np.log(count)) * np.log(1 + texts)
                else:
                    row[index] = {"binary": 1, "count": count, "freq": count / len(sequence)}[mode]
        return matrix

    # Files.

    def get_config(self) -> dict[str, Any]:
        """Return the settings and what was learned, as Keras' `get_config`."""
        return {
            "num_words": self.num_words,
            "filters": self.filters,
            "lower": self.lower,
            "split": self.split,
            "char_level": self.char_level,
            "oov_token": self.oov_token,
            "document_count": self.document_count,
            "word_counts": json.dumps(self.word_counts),
            "word_docs": json.dumps(self.word_docs),
            "index_docs": json.dumps(self.index_docs),
            "index_word": json.dumps(self.index_word),
            "word_index": json.dumps(self.word_index),
        }

    def to_json(self, **options: Any) -> str:
        """Return all as JSON that `keras.preprocessing.text.tokenizer_from_json` reads too."""
        return json.dumps({"class_name": "Tokenizer", "config": self.get_config()}, **options)

    @classmethod
    def from_json(cls, text: str, **options: Any) -> WordTokenizer:
        """Make a tokenizer from the JSON of `to_json`, ours or Keras'.

        Raises:
            ValueError: The text is not such JSON.
        """
        from minillm.tokenizers.files import word_files

        return word_files.from_json(cls, text, "from_json", options)

    def _save(self, directory: Path) -> None:
        from minillm.tokenizers.files import word_files

        word_files.save(self, directory)

    @classmethod
    def _load(cls, directory: Path) -> WordTokenizer:
        from minillm.tokenizers.files import word_files

        return word_files.load(cls, directory)


def text_to_word_sequence(
    text: str, filters: str = FILTERS, lower: bool = True, split: str = " "
) -> list[str]:
    """Cut a text into words, as Keras' function of this name.

    Example:
        >>> text_to_word_sequence("Don't panic, (please).")
        ["don't", 'panic', 'please']
    """
    return list(WordTokenizer(filters=filters, lower=lower, split=split)._words(text, "text_to_word_sequence"))


def tokenizer_from_json(text: str) -> WordTokenizer:
    """Make a tokenizer from the JSON of `WordTokenizer.to_json`, as Keras' function of this name."""
    return WordTokenizer.from_json(text)
