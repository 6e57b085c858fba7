"""The file of a character tokenizer: a `tokenizer.json` of words that are single characters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from minillm.tokenizers.files.config import (
    TOKENIZER,
    added_tokens_from_json,
    added_tokens_to_json,
    by_id,
    check_vocab,
    load_config,
    options_of,
    save_config,
    template_from_json,
    template_to_json,
)
from minillm.tokenizers.files.disk import read_json_object, write_json

if TYPE_CHECKING:
    from minillm.tokenizers.char import CharTokenizer

#: Cuts a text into its characters; this is how a `tokenizer.json` of this kind is recognized.
SPLIT = {
    "type": "Split",
    "pattern": {"Regex": r"[\s\S]"},
    "behavior": "Isolated",
    "invert": False,
}


def save(tokenizer: CharTokenizer, directory: Path) -> None:
    """Write `tokenizer.json` and the configuration."""
    save_config(tokenizer, directory, "PreTrainedTokenizerFast")
    data: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens_to_json(tokenizer),
        "normalizer": None,
        "pre_tokenizer": SPLIT,
        "post_processor": template_to_json(tokenizer),
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "WordLevel",
            "vocab": by_id(tokenizer.get_vocab()),
            # The format wants a string; without such a token an unknown character is an error.
            "unk_token": tokenizer.unk_token or "",
        },
    }
    write_json(directory / TOKENIZER, data)


def is_char_tokenizer(data: dict[str, Any]) -> bool:
    """Return whether a `tokenizer.json` is of this kind."""
    return data["model"].get("type") == "WordLevel" and data.get("pre_tokenizer") == SPLIT


def load(cls: type[CharTokenizer], directory: Path) -> CharTokenizer:
    """Read `tokenizer.json`."""
    path = directory / TOKENIZER
    data = read_json_object(path)
    try:
        if not is_char_tokenizer(data):
            raise ValueError(f"{path}: holds no character tokenizer")
        vocab = data["model"]["vocab"]
        check_vocab(vocab, str(path))
        added = added_tokens_from_json(data, path)
        template = template_from_json(data.get("post_processor"), path)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not the file of a character tokenizer: {error!r}") from None
    options = options_of(directory, load_config(directory))
    return cls(vocab, added_tokens=added, template=template, **options)
