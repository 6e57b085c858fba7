"""The files of BERT's tokenizer: `vocab.txt`, or `tokenizer.json`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from minillm.tokenizers.files.config import (
    CONFIG,
    TOKENIZER,
    added_tokens_from_json,
    added_tokens_of_directory,
    added_tokens_to_json,
    by_id,
    check_vocab,
    load_config,
    options_of,
    save_config,
    template_from_json,
    template_to_json,
    vocab_to_json,
)
from minillm.tokenizers.files.disk import read_json_object, read_text, write_json, write_text

if TYPE_CHECKING:
    from minillm.tokenizers.wordpiece import WordPieceTokenizer

VOCAB = "vocab.txt"


def save(tokenizer: WordPieceTokenizer, directory: Path) -> None:
    """Write both: each of Hugging Face's libraries finds the file it reads."""
    vocab = by_id(tokenizer._model_vocab)
    # A line a token says which id each has only if no id is left out and no token holds a line end.
    if list(vocab.values()) == list(range(len(vocab))) and not any("\n" in token for token in vocab):
        write_text(directory / VOCAB, "".join(f"{token}\n" for token in vocab))
    rules = tokenizer.rules
    save_config(
        tokenizer,
        directory,
        "BertTokenizer",
        do_lower_case=rules.lowercase,
        strip_accents=rules.strip_accents,
        tokenize_chinese_chars=rules.tokenize_chinese_chars,
    )
    write_json(directory / TOKENIZER, to_json(tokenizer))


def to_json(tokenizer: WordPieceTokenizer) -> dict[str, Any]:
    """Return what `tokenizer.json` holds."""
    rules = tokenizer.rules
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens_to_json(tokenizer),
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": rules.clean_text,
            "handle_chinese_chars": rules.tokenize_chinese_chars,
            "strip_accents": rules.strip_accents,
            "lowercase": rules.lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": template_to_json(tokenizer),
        "decoder": {"type": "WordPiece", "prefix": tokenizer.prefix, "cleanup": tokenizer.cleanup},
        "model": {
            "type": "WordPiece",
            "unk_token": tokenizer.unk_token,
            "continuing_subword_prefix": tokenizer.prefix,
            "max_input_chars_per_word": tokenizer.max_input_chars_per_word,
            "vocab": vocab_to_json(tokenizer, tokenizer._model_vocab),
        },
    }


def load(cls: type[WordPieceTokenizer], directory: Path) -> WordPieceTokenizer:
    """Read a directory: `tokenizer.json` if it is there, else `vocab.txt`."""
    config = load_config(directory)
    options = options_of(directory, config)
    if (directory / TOKENIZER).exists():
        return from_json(cls, directory / TOKENIZER, options)
    if config.get("do_basic_tokenize") is False:
        raise ValueError(f"{directory / CONFIG}: do_basic_tokenize=false is not supported")
    strips = config.get("strip_accents")
    return cls(
        load_vocab(directory / VOCAB),
        added_tokens=added_tokens_of_directory(directory, config),
        lowercase=bool(config.get("do_lower_case", True)),
        strip_accents=None if strips is None else bool(strips),
        tokenize_chinese_chars=bool(config.get("tokenize_chinese_chars", True)),
        **options,
    )


def load_vocab(path: Path) -> dict[str, int]:
    r"""Read `vocab.txt`: a token a line, the line's number from 0 its id.

    Lines end at ``\n`` or ``\r\n`` alone: that of BERT for Chinese holds U+2028 as a token.
    """
    lines = read_text(path).split("\n")
    if lines[-1] == "":
        lines.pop()
    if not lines:
        raise ValueError(f"{path}: is empty; it should hold a token a line")
    vocab: dict[str, int] = {}
    for token_id, line in enumerate(lines):
        token = line.removesuffix("\r")
        if token == "":
            raise ValueError(f"{path}: line {token_id + 1} is empty; it should hold a token")
        if vocab.setdefault(token, token_id) != token_id:
            raise ValueError(
                f"{path}: line {token_id + 1} holds {token!r} again, which stands on line {vocab[token] + 1}"
            )
    return vocab


def from_json(cls: type[WordPieceTokenizer], path: Path, options: dict[str, Any]) -> WordPieceTokenizer:
    """Read `tokenizer.json`."""
    data = read_json_object(path)
    try:
        return _from_json(cls, data, path, options)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{path}: not the tokenizer.json of a WordPiece: {error!r}") from None


def _from_json(
    cls: type[WordPieceTokenizer], data: dict[str, Any], path: Path, options: dict[str, Any]
) -> WordPieceTokenizer:
    model = data["model"]
    for name, kind in (
        ("model", "WordPiece"),
        ("normalizer", "BertNormalizer"),
        ("pre_tokenizer", "BertPreTokenizer"),
        ("decoder", "WordPiece"),
    ):
        found = data[name].get("type") if isinstance(data.get(name), dict) else data.get(name)
        # Old files do not name the type of the model.
        if found != kind and not (name == "model" and found is None and "vocab" in model):
            raise ValueError(f"{path}: the {name} {found!r} is not supported; {cls.__name__} needs {kind}")
    check_vocab(model["vocab"], str(path))
    normalizer = data["normalizer"]
    names = {"unk_token": model["unk_token"], **options.pop("special_names")}
    return cls(
        model["vocab"],
        special_names=names,
        added_tokens=added_tokens_from_json(data, path),
        template=template_from_json(data.get("post_processor"), path),
        clean_text=bool(normalizer["clean_text"]),
        tokenize_chinese_chars=bool(normalizer["handle_chinese_chars"]),
        strip_accents=normalizer["strip_accents"],
        lowercase=bool(normalizer["lowercase"]),
        prefix=model["continuing_subword_prefix"],
        max_input_chars_per_word=int(model["max_input_chars_per_word"]),
        cleanup=bool(data["decoder"]["cleanup"]),
        **options,
    )
