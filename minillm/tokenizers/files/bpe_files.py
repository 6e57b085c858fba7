"""The files of a byte-level BPE: `vocab.json` and `merges.txt` (GPT-2), or `tokenizer.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minillm.tokenizers.files.config import (
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
from minillm.tokenizers.files.disk import (
    read_json_object,
    read_text,
    write_json,
    write_text,
)
from minillm.tokenizers.split_patterns import GPT2_PATTERN

if TYPE_CHECKING:
    from minillm.tokenizers.bpe import BPETokenizer

VOCAB = "vocab.json"
MERGES = "merges.txt"


def save(tokenizer: BPETokenizer, directory: Path) -> None:
    """Write all of them: each of Hugging Face's libraries finds the file it reads."""
    vocab = by_id(tokenizer._model_vocab)
    write_json(directory / VOCAB, vocab, indent=None)
    lines = [f"{first} {second}\n" for first, second in tokenizer.merges]
    write_text(directory / MERGES, "#version: 0.2\n" + "".join(lines))
    save_config(
        tokenizer,
        directory,
        "PreTrainedTokenizerFast",
        add_prefix_space=tokenizer.add_prefix_space,
    )
    write_json(directory / TOKENIZER, to_json(tokenizer))


def to_json(tokenizer: BPETokenizer) -> dict[str, Any]:
    """Return what `tokenizer.json` holds."""
    uses_gpt2_pattern = tokenizer.pattern == GPT2_PATTERN
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": tokenizer.add_prefix_space,
        "trim_offsets": tokenizer.trim_offsets,
        "use_regex": uses_gpt2_pattern,
    }
    pre_tokenizer: dict[str, Any] = byte_level
    if not uses_gpt2_pattern:
        split = {
            "type": "Split",
            "pattern": {"Regex": tokenizer.pattern},
            "behavior": "Isolated",
            "invert": False,
        }
        pre_tokenizer = {"type": "Sequence", "pretokenizers": [split, byte_level]}
    processor: dict[str, Any] = byte_level
    if tokenizer.num_special_tokens_to_add():
        processor = {"type": "Sequence", "processors": [byte_level, template_to_json(tokenizer)]}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens_to_json(tokenizer),
        "normalizer": None,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": processor,
        "decoder": {**byte_level, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": tokenizer.ignore_merges,
            "vocab": vocab_to_json(tokenizer, tokenizer._model_vocab),
            "merges": [list(pair) for pair in tokenizer.merges],
        },
    }


def load(cls: type[BPETokenizer], directory: Path) -> BPETokenizer:
    """Read a directory: `tokenizer.json` if it is there, else `vocab.json` and `merges.txt`."""
    config = load_config(directory)
    options = options_of(directory, config)
    if (directory / TOKENIZER).exists():
        return from_json(cls, directory / TOKENIZER, options)
    vocab = load_vocab(directory / VOCAB)
    merges = load_merges(directory / MERGES)
    return cls(
        vocab,
        merges,
        added_tokens=added_tokens_of_directory(directory, config),
        add_prefix_space=bool(config.get("add_prefix_space", False)),
        **options,
    )


def load_vocab(path: Path) -> dict[str, int]:
    """Read `vocab.json`: an object of tokens and ids."""
    vocab = read_json_object(path)
    check_vocab(vocab, str(path))
    return vocab


def load_merges(path: Path) -> list[tuple[str, str]]:
    r"""Read `merges.txt`: a pair of tokens a line, first learned first."""
    merges: list[tuple[str, str]] = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        line = line.removesuffix("\r")
        if not line or (number == 1 and line.startswith("#version")):
            continue
        parts = line.split(" ")
        if len(parts) != 2 or "" in parts:
            raise ValueError(f"{path}: line {number} must be two tokens with a space between, is {line!r}")
        merges.append((parts[0], parts[1]))
    return merges


def from_json(cls: type[BPETokenizer], path: Path, options: dict[str, Any]) -> BPETokenizer:
    """Read `tokenizer.json`."""
    data = read_json_object(path)
    try:
        return _from_json(cls, data, path, options)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{path}: not the tokenizer.json of a byte-level BPE: {error!r}") from None


def _from_json(
    cls: type[BPETokenizer], data: dict[str, Any], path: Path, options: dict[str, Any]
) -> BPETokenizer:
    model = data["model"]
    if model.get("type", "BPE") != "BPE":
        raise ValueError(f"{path}: holds a {model['type']} model; {cls.__name__} needs BPE")
    for name in ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            raise ValueError(f"{path}: a BPE model with {name}={model[name]!r} is not supported")
    if data.get("normalizer") is not None:
        raise ValueError(f"{path}: BPE with a normalizer ({data['normalizer']['type']}) is not supported")
    check_vocab(model["vocab"], str(path))
    merges: list[tuple[str, str]] = []
    for number, entry in enumerate(model["merges"], 1):
        pair = entry.split(" ") if isinstance(entry, str) else entry
        if len(pair) != 2:
            raise ValueError(f"{path}: merge {number} must be two tokens, is {entry!r}")
        merges.append((pair[0], pair[1]))
    return cls(
        model["vocab"],
        merges,
        added_tokens=added_tokens_from_json(data, path),
        template=template_from_json(data.get("post_processor"), path),
        ignore_merges=bool(model.get("ignore_merges", False)),
        **_pre_tokenizer(data.get("pre_tokenizer"), path),
        trim_offsets=_trims_offsets(data.get("post_processor")),
        **options,
    )


def _pre_tokenizer(pre_tokenizer: Any, path: Path) -> dict[str, Any]:
    """The split pattern and prefix space of a `ByteLevel`, alone or after one `Split`."""
    parts = [pre_tokenizer]
    if pre_tokenizer is not None and pre_tokenizer["type"] == "Sequence":
        parts = pre_tokenizer["pretokenizers"]
    kinds = [None if part is None else part["type"] for part in parts]
    if kinds[-1:] == ["ByteLevel"] and kinds[:-1] in ([], ["Split"]):
        byte_level = parts[-1]
        prefix = {"add_prefix_space": byte_level["add_prefix_space"]}
        uses_regex = byte_level.get("use_regex", True)
        if kinds == ["ByteLevel"] and uses_regex:
            return {"pattern": GPT2_PATTERN, **prefix}
        split = parts[0]
        if (
            kinds[0] == "Split"
            and not uses_regex
            and not byte_level["add_prefix_space"]
            and split["behavior"] == "Isolated"
            and not split["invert"]
            and "Regex" in split["pattern"]
        ):
            return {"pattern": split["pattern"]["Regex"], **prefix}
    raise ValueError(
        f"{path}: the pre_tokenizer {json.dumps(pre_tokenizer)} is not supported; byte-level BPE "
        "needs ByteLevel, or an isolating Split by a Regex and ByteLevel without one"
    )


def _trims_offsets(processor: Any) -> bool:
    if processor is None:
        return False
    parts = processor["processors"] if processor["type"] == "Sequence" else [processor]
    return any(part.get("trim_offsets", False) for part in parts)
