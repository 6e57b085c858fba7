"""WordPiece, the tokenizer of BERT: each word is cut into the longest pieces that the vocabulary has.

    unaffable   ->   una ##ffa ##ble

The text is first cut into words and signs (`bert_text`). From a word the longest token that begins
it is taken, then the longest that goes on from there, and so on; tokens that go on are written with
``##`` before them. A word for which this does not end in the last letter is ``[UNK]``.

Wu et al.: Google's neural machine translation system, 2016, section 4.1 (the model); Devlin et al.:
BERT, NAACL 2019, section 3.1, and its released `tokenization.py` (this greedy way).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from minillm.tokenizers.base import Tokenizer, check_text
from minillm.tokenizers.batching import Word
from minillm.tokenizers.bert_text import CHUNKS, BertText
from minillm.tokenizers.bpe_training import count_pieces, learn_merges
from minillm.tokenizers.remembering import Remembered
from minillm.tokenizers.special_tokens import AddedToken
from minillm.tokenizers.template import Template

#: The special tokens of BERT, in the order that training gives them ids.
BERT_TOKENS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}

#: A token of a word: its id, and the characters of the word (start, end) that it stands for.
Piece = tuple[int, int, int]


class WordPieceTokenizer(Tokenizer):
    """BERT's tokenizer.

    Args:
        vocab: The tokens and their ids.
        lowercase: Make letters small (the "uncased" models).
        strip_accents: Remove accents; None means that this goes with `lowercase`.
        clean_text: Remove controls and make all white space spaces.
        tokenize_chinese_chars: Make each Chinese character a word.
        prefix: What stands before tokens that do not begin a word.
        max_input_chars_per_word: Longer words are unknown.
        cleanup: Join signs and English contractions to the words before them in decoded text.
        cache_size: How many different words are remembered with their ids.
        **options: As for `Tokenizer`. The special tokens of BERT have their parts without being
            named, the format is ``[CLS] A [SEP] B [SEP]``, and a call gives token types too.

    Raises:
        ValueError: The vocabulary lacks the token for unknown words.

    Example:
        >>> tokenizer = WordPieceTokenizer({"[UNK]": 0, "una": 1, "##ffa": 2, "##ble": 3, "!": 4})
        >>> tokenizer.tokenize("Unaffable!")
        ['una', '##ffa', '##ble', '!']
        >>> tokenizer.encode("Unaffable? Äh!")
        [1, 2, 3, 0, 0, 4]
        >>> tokenizer.decode([1, 2, 3, 4])
        'unaffable!'
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        *,
        lowercase: bool = True,
        strip_accents: bool | None = None,
        clean_text: bool = True,
        tokenize_chinese_chars: bool = True,
        prefix: str = "##",
        max_input_chars_per_word: int = 100,
        cleanup: bool = True,
        cache_size: int = 100_000,
        special_names: Mapping[str, str] | None = None,
        template: Template | None = None,
        model_input_names: Sequence[str] = ("input_ids", "token_type_ids", "attention_mask"),
        **options: Any,
    ) -> None:
        names = {name: token for name, token in BERT_TOKENS.items() if token in vocab}
        names.update(special_names or {})
        unknown = names.get("unk_token", BERT_TOKENS["unk_token"])
        if unknown not in vocab:
            raise ValueError(
                f"WordPieceTokenizer: the vocabulary lacks {unknown!r}, the token for unknown words; "
                "name another with special_names={'unk_token': ...}"
            )
        super().__init__(vocab, special_names=names, model_input_names=model_input_names, **options)
        if template is not None:
            self.template = template
        elif self.cls_token_id is not None and self.sep_token_id is not None:
            self.template = Template.bert(cls_id=self.cls_token_id, sep_id=self.sep_token_id)
        self.prefix = prefix
        self.max_input_chars_per_word = max_input_chars_per_word
        self.cleanup = cleanup
        self._model_vocab = dict(vocab)
        self._unknown = vocab[unknown]
        self._longest = max(map(len, vocab))
        self._cache_size = cache_size
        self.use_rules(BertText(clean_text, tokenize_chinese_chars, strip_accents, lowercase))

    def use_rules(self, rules: BertText) -> None:
        """Cut texts into words by these rules from now on."""
        self.rules = rules
        self._added.normalize = rules.normalize
        self._added.forget()
        self._pieces = Remembered(self._cut, self._cache_size)
        self._ids = Remembered(self._ids_of, self._cache_size)
        self._placed = Remembered(self._place, self._cache_size)

    # Training.

    @classmethod
    def train_from_iterator(
        cls,
        texts: Iterable[str],
        vocab_size: int = 30_000,
        *,
        min_frequency: int = 0,
        special_tokens: Sequence[str] = (),
        limit_alphabet: int | None = None,
        initial_alphabet: Iterable[str] = (),
        show_progress: bool = True,
        **options: Any,
    ) -> WordPieceTokenizer:
        """Learn a vocabulary from texts, by merging the most frequent pairs of tokens.

        So do Hugging Face's trainers; how Google trained BERT's was never released. The special
        tokens get the first ids, in the order of `special_names` and `special_tokens`, then come
        single characters, characters that go on a word, and what is learned. (Those trainers give
        characters that go on a word ids at random, and so can learn other tokens in each run.)

        Args:
            texts: The texts.
            vocab_size: The number of tokens in all. There are fewer if the texts hold too few
                different pairs.
            min_frequency: Merge only pairs that stand in the texts at least so often.
            special_tokens: Special tokens besides those of BERT.
            limit_alphabet: Keep only so many different characters, the most frequent.
            initial_alphabet: Characters to keep in any case.
            show_progress: Show a progress bar if it takes longer than a second.
            **options: As for the class.

        Raises:
            ValueError: The texts are empty, or `vocab_size` has no room for the characters.
        """
        names = {**BERT_TOKENS, **options.pop("special_names", {})}
        specials = list(dict.fromkeys([*names.values(), *special_tokens]))
        vocab = {token: token_id for token_id, token in enumerate(specials)}
        added = [AddedToken(token) for token in specials]
        settings = {"special_names": names, "added_tokens": added, **options}
        untrained = cls(vocab, **settings)

        counts = count_pieces(texts, untrained._training_words, show_progress=show_progress)
        if not counts:
            raise ValueError("WordPiece training: the training text is empty")
        alphabet = _alphabet(counts, limit_alphabet, set(initial_alphabet))
        going_on = {character for word in counts for character in word[1:]} & alphabet
        prefix = untrained.prefix
        tokens = [*specials, *sorted(alphabet - set(specials)), *(prefix + c for c in sorted(going_on))]
        if vocab_size < len(tokens):
            raise ValueError(
                f"WordPiece training: vocab_size={vocab_size} has no room for the {len(specials)} special "
                f"tokens and {len(tokens) - len(specials)} characters of the text (at a word's beginning "
                "and within); raise it, or pass limit_alphabet"
            )
        id_of = {token: token_id for token_id, token in enumerate(tokens)}
        words: Counter[tuple[int, ...]] = Counter()
        for word, count in counts.items():
            spelled = [prefix * (place > 0) + c for place, c in enumerate(word) if c in alphabet]
            words[tuple([id_of[token] for token in spelled])] += count

        def join(first: str, second: str) -> str:
            return first + second.removeprefix(prefix)

        learn_merges(
            words,
            tokens,
            vocab_size,
            min_frequency=min_frequency,
            join=join,
            show_progress=show_progress,
        )
        return cls({token: token_id for token_id, token in enumerate(tokens)}, **settings)

    def _training_words(self, text: str) -> list[str]:
        check_text(text, "WordPiece training")
        words: list[str] = []
        for token_id, start, end in self._added.split(text, allowed="all"):
            if token_id is None:
                words += self.rules.split(text[start:end])
        return words

    # Text to ids.

    def _encode_plain(self, text: str, start: int) -> list[int]:
        return list(chain.from_iterable(map(self._ids.__getitem__, CHUNKS.findall(text))))

    def _ids_of(self, chunk: str) -> list[int]:
        """The ids of a stretch without white space."""
        pieces = self._pieces
        return [token_id for word in self.rules.split(chunk) for token_id, _, _ in pieces[word]]

    def _encode_words(self, text: str, start: int) -> list[Word]:
        words: list[Word] = []
        for match in CHUNKS.finditer(text):
            place = start + match.start()
            for ids, offsets in self._placed[match[0]]:
                words.append((ids, [(place + first, place + last) for first, last in offsets]))
        return words

    def _place(self, chunk: str) -> list[Word]:
        """The words of such a stretch: their ids, and the characters of each."""
        words: list[Word] = []
        for word, places in self.rules.words(chunk):
            pieces = self._pieces[word]
            ids = [token_id for token_id, _, _ in pieces]
            words.append((ids, [(places[first], places[last - 1] + 1) for _, first, last in pieces]))
        return words

    def _cut(self, word: str) -> list[Piece]:
        """The longest tokens that make up a word, or the token for unknown words."""
        length = len(word)
        if length > self.max_input_chars_per_word:
            return [(self._unknown, 0, length)]
        pieces: list[Piece] = []
        prefix, start = "", 0
        while start < length:
            for end in range(min(length, start + self._longest), start, -1):
                token_id = self._model_vocab.get(prefix + word[start:end])
                if token_id is not None:
                    break
            else:
                return [(self._unknown, 0, length)]
            pieces.append((token_id, start, end))
            prefix, start = self.prefix, end
        return pieces

    # Ids to text.

    def _decode_plain(self, ids: Sequence[int]) -> str:
        return self.convert_tokens_to_string([self._tokens[token_id] for token_id in ids])

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        """Return the text of tokens, and of words among them that are no tokens."""
        return "".join(self._spelled(tokens))

    def _spelled(self, tokens: Sequence[str]) -> Iterator[str]:
        for number, token in enumerate(tokens):
            if token in self._added.tokens and self._added.tokens[token].normalized:
                token, _ = self.rules.normalize(token)  # as it was found in the text
            if number > 0:
                going_on = token.removeprefix(self.prefix)
                token = going_on if going_on != token or not self.prefix else " " + token
            yield clean_up(token) if self.cleanup else token

    # Files.

    def _save(self, directory: Path) -> None:
        from minillm.tokenizers.files import wordpiece_files

        wordpiece_files.save(self, directory)

    @classmethod
    def _load(cls, directory: Path) -> WordPieceTokenizer:
        from minillm.tokenizers.files import wordpiece_files

        return wordpiece_files.load(cls, directory)


def clean_up(text: str) -> str:
    """Remove the space before signs and English contractions, as Hugging Face's decoders do.

    Example:
        >>> clean_up("i do n't know , do you ?")
        "i don't know, do you?"
    """
    for spaced, joined in _CLEANED_UP:
        text = text.replace(spaced, joined)
    return text


_CLEANED_UP = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" do not", " don't"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)


def _alphabet(counts: Mapping[str, int], limit: int | None, initial: set[str]) -> set[str]:
    """The characters to keep: all, or the `limit` most frequent, and `initial` in any case."""
    frequency: Counter[str] = Counter()
    for word, count in counts.items():
        for character in word:
            frequency[character] += count
    # Of equally frequent ones the first in Unicode's order stay.
    order = sorted(frequency.keys() - initial, key=lambda character: (-frequency[character], character))
    return initial.union(order if limit is None else order[: max(0, limit - len(initial))])
