"""Tokenizers: text to the numbers that language models read, and back.

Each is written out by hand and gives the very ids of the library that made it known:

- `CharTokenizer`: one token a character.
- `WordTokenizer`: one token a word (Keras).
- `BPETokenizer`: byte-level byte-pair encoding (GPT-2, GPT-4, Llama 3).
- `WordPieceTokenizer`: the longest pieces of words (BERT).
"""

from minillm.tokenizers.base import Tokenizer
from minillm.tokenizers.batching import BatchEncoding
from minillm.tokenizers.bpe import BPETokenizer
from minillm.tokenizers.char import CharTokenizer
from minillm.tokenizers.loading import from_pretrained
from minillm.tokenizers.special_tokens import AddedToken
from minillm.tokenizers.streaming import StreamDecoder
from minillm.tokenizers.word import WordTokenizer, text_to_word_sequence, tokenizer_from_json
from minillm.tokenizers.wordpiece import WordPieceTokenizer

__all__ = [
    "AddedToken",
    "BPETokenizer",
    "BatchEncoding",
    "CharTokenizer",
    "StreamDecoder",
    "Tokenizer",
    "WordPieceTokenizer",
    "WordTokenizer",
    "from_pretrained",
    "text_to_word_sequence",
    "tokenizer_from_json",
]
