"""The files of a tokenizer of words: Keras' JSON, and a `tokenizer.json` of the same words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minillm.tokenizers.files.char_files import SPLIT
from minillm.tokenizers.files.config import (
    TOKENIZER,
    added_tokens_of_directory,
    added_tokens_to_json,
    check_id,
    check_vocab,
    load_config,
    options_of,
    save_config,
    template_to_json,
    vocab_to_json,
)
from minillm.tokenizers.files.disk import read_text, write_json, write_text

if TYPE_CHECKING:
    from minillm.tokenizers.word import WordTokenizer

#: What Keras' `to_json` gives.
WORDS = "word_tokenizer.json"


def save(tokenizer: WordTokenizer, directory: Path) -> None:
    """Write both, and the configuration."""
    if tokenizer.analyzer is not None:
        raise ValueError("WordTokenizer: cannot be saved with an analyzer, which is a program")
    save_config(tokenizer, directory, "PreTrainedTokenizerFast")
    write_json(directory / TOKENIZER, to_tokenizer_json(tokenizer))
    write_text(directory / WORDS, tokenizer.to_json() + "\n")


def to_tokenizer_json(tokenizer: WordTokenizer) -> dict[str, Any]:
    """Return what `tokenizer.json` holds.

    `tokenizers` makes letters small one by one, so that ``Σ`` at the end of a word is ``σ`` there,
    and it refuses unknown words where there is no token for them.
    """
    kept = {word: i for word, i in tokenizer.word_index.items() if tokenizer._index_of(word) == i}
    split: dict[str, Any] = SPLIT
    if not tokenizer.char_level:
        filters = [re.escape(character) for character in tokenizer.filters]
        pattern = "|".join([re.escape(tokenizer.split), *filters])
        split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed", "invert": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens_to_json(tokenizer),
        "normalizer": {"type": "Lowercase"} if tokenizer.lower else None,
        "pre_tokenizer": split,
        "post_processor": template_to_json(tokenizer),
        "decoder": None,
        "model": {
            "type": "WordLevel",
            "vocab": vocab_to_json(tokenizer, kept),
            "unk_token": tokenizer.oov_token or "",
        },
    }


def load(cls: type[WordTokenizer], directory: Path) -> WordTokenizer:
    """Read Keras' JSON and the configuration."""
    config = load_config(directory)
    options = options_of(directory, config)
    names = options.pop("special_names")
    pad_token = names.pop("pad_token", None)
    names.pop("unk_token", None)
    added = added_tokens_of_directory(directory, config)
    options["added_tokens"] = [added[i] for i in sorted(added) if added[i].content != pad_token]
    options.update(special_names=names, pad_token=pad_token)
    return from_json(cls, read_text(directory / WORDS), str(directory / WORDS), options)


def from_json(cls: type[WordTokenizer], text: str, source: str, options: dict[str, Any]) -> WordTokenizer:
    """Make a tokenizer from Keras' JSON."""
    try:
        config = dict(json.loads(text)["config"])
        tables = {
            name: json.loads(config.pop(name))
            for name in ("word_counts", "word_docs", "index_docs", "word_index", "index_word")
        }
        index_docs = {int(index): int(count) for index, count in tables["index_docs"].items()}
        counts = {word: int(count) for word, count in tables["word_counts"].items()}
        docs = {word: int(count) for word, count in tables["word_docs"].items()}
        document_count = int(config.pop("document_count"))
        settings = {
            name: config[name] for name in ("num_words", "filters", "lower", "split", "char_level", "oov_token")
        }
        tokenizer = cls(**settings, **options)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{source}: not JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{source}: not the JSON of a Keras tokenizer: {error!r}") from None
    check_vocab(tables["word_index"], source)
    for word, index in tables["word_index"].items():
        check_id(index - 1, word, source)  # 0 is kept for padding
    tokenizer.document_count = document_count
    tokenizer.word_counts = counts
    tokenizer.word_docs = {word: docs[word] for word in docs if word in tables["word_index"]}
    tokenizer._set_words(tables["word_index"])
    tokenizer.index_docs = index_docs
    return tokenizer
