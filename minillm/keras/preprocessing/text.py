"""The names of ``keras.preprocessing.text``: see :mod:`minillm.tokenizers.word`.

Example:
    >>> tokenizer = Tokenizer(num_words=10, oov_token="<OOV>")
    >>> tokenizer.fit_on_texts(["a good film", "a bad film"])
    >>> tokenizer.texts_to_sequences(["a dull film"])
    [[2, 1, 3]]
"""

from __future__ import annotations

from minillm.tokenizers.word import WordTokenizer as Tokenizer
from minillm.tokenizers.word import text_to_word_sequence, tokenizer_from_json

__all__ = ["Tokenizer", "text_to_word_sequence", "tokenizer_from_json"]
