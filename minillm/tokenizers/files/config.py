"""The files that all tokenizers share: `tokenizer_config.json`, `special_tokens_map.json`.

And the parts of `tokenizer.json` that all kinds have: added tokens and the model's template.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from minillm.tokenizers.files.disk import read_json_object, write_json
from minillm.tokenizers.special_tokens import SPECIAL_TOKEN_NAMES, AddedToken
from minillm.tokenizers.template import Slot, Template

if TYPE_CHECKING:
    from minillm.tokenizers.base import Tokenizer

CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS_MAP = "special_tokens_map.json"
ADDED_TOKENS = "added_tokens.json"
TOKENIZER = "tokenizer.json"

#: What Hugging Face's library writes where a tokenizer has no longest row.
NO_MAX_LENGTH = 10**30


def save_config(tokenizer: Tokenizer, directory: Path, tokenizer_class: str, **settings: Any) -> None:
    """Write `tokenizer_config.json` and `special_tokens_map.json`."""
    names = tokenizer.special_tokens_map
    write_json(
        directory / CONFIG,
        {
            "tokenizer_class": tokenizer_class,
            "model_max_length": tokenizer.model_max_length or NO_MAX_LENGTH,
            "model_input_names": list(tokenizer.model_input_names),
            "padding_side": tokenizer.padding_side,
            "truncation_side": tokenizer.truncation_side,
            "clean_up_tokenization_spaces": False,
            "added_tokens_decoder": {
                str(token["id"]): {key: token[key] for key in token if key != "id"}
                for token in added_tokens_to_json(tokenizer)
            },
            **settings,
            **names,
        },
    )
    write_json(directory / SPECIAL_TOKENS_MAP, names)


def load_config(directory: Path) -> dict[str, Any]:
    """Return the settings of `tokenizer_config.json`, or an empty dict where there is none."""
    path = directory / CONFIG
    return read_json_object(path) if path.exists() else {}


def options_of(directory: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Return the options of `Tokenizer` that the configuration states."""
    options: dict[str, Any] = {"special_names": special_names(directory, config)}
    length = config.get("model_max_length")
    if isinstance(length, int | float) and 0 < length < NO_MAX_LENGTH // 10:
        options["model_max_length"] = int(length)
    for side in ("padding_side", "truncation_side"):
        if config.get(side) in ("left", "right"):
            options[side] = config[side]
    if isinstance(config.get("model_input_names"), list):
        options["model_input_names"] = tuple(config["model_input_names"])
    return options


def special_names(directory: Path, config: dict[str, Any]) -> dict[str, str]:
    """Return the parts that special tokens play, from both files that may say so."""
    names: dict[str, str] = {}
    path = directory / SPECIAL_TOKENS_MAP
    for source in (read_json_object(path) if path.exists() else {}, config):
        for name in SPECIAL_TOKEN_NAMES:
            token = source.get(name)
            if isinstance(token, dict):
                token = token.get("content")
            if isinstance(token, str):
                names[name] = token
    return names


def added_tokens_to_json(tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Return the `added_tokens` of `tokenizer.json`, in the order of their ids."""
    added = tokenizer._added
    return [
        {
            "id": added.ids[token.content],
            "content": token.content,
            "single_word": token.single_word,
            "lstrip": token.lstrip,
            "rstrip": token.rstrip,
            "normalized": token.normalized,
            "special": token.special,
        }
        for token in sorted(added.tokens.values(), key=lambda token: added.ids[token.content])
    ]


def added_token_from_json(entry: Any, source: Path) -> AddedToken:
    """Read one entry of `added_tokens` or `added_tokens_decoder`."""
    if not isinstance(entry, dict) or not isinstance(entry.get("content"), str):
        raise ValueError(f"{source}: an added token must be an object with a 'content', is {entry!r}")
    flags = ("special", "single_word", "lstrip", "rstrip", "normalized")
    return AddedToken(entry["content"], **{flag: bool(entry.get(flag, False)) for flag in flags})


def added_tokens_from_json(data: dict[str, Any], source: Path) -> dict[int, AddedToken]:
    """Return the `added_tokens` of `tokenizer.json` and their ids."""
    found: dict[int, AddedToken] = {}
    for entry in data.get("added_tokens") or []:
        token = added_token_from_json(entry, source)
        _place(found, entry.get("id"), token, source)
    return found


def added_tokens_of_directory(directory: Path, config: dict[str, Any]) -> dict[int, AddedToken]:
    """Return the added tokens that stand outside `tokenizer.json`, and their ids."""
    found: dict[int, AddedToken] = {}
    path = directory / ADDED_TOKENS
    if path.exists():
        for content, token_id in read_json_object(path).items():
            _place(found, token_id, AddedToken(content, special=False, normalized=True), path)
    path = directory / CONFIG
    described: dict[int, AddedToken] = {}
    entries = config.get("added_tokens_decoder", {})
    if not isinstance(entries, dict):
        raise ValueError(f"{path}: added_tokens_decoder must be an object of ids and tokens")
    for key, entry in entries.items():
        token = added_token_from_json(entry, path)
        _place(described, int(key) if key.isdecimal() else key, token, path)
    return {**found, **described}


def _place(found: dict[int, AddedToken], token_id: Any, token: AddedToken, source: Path) -> None:
    """Enter a token under its id, or raise ValueError if that is taken or is no id."""
    check_id(token_id, token.content, str(source))
    other = found.setdefault(token_id, token)
    if other is not token:
        raise ValueError(
            f"{source}: the added tokens {other.content!r} and {token.content!r} both have the id {token_id}"
        )


#: Ids are less than this, as those of every model are: no file makes us take memory for more.
MAX_ID = 1 << 31


def check_id(token_id: object, token: str, source: str) -> None:
    """Raise ValueError unless `token_id` is a whole number from 0 up that a model can have."""
    if not isinstance(token_id, int) or isinstance(token_id, bool) or not 0 <= token_id < MAX_ID:
        raise ValueError(
            f"{source}: the id of {token!r} is {token_id!r}, not a number from 0 to {MAX_ID - 1}"
        )


def check_vocab(vocab: Any, source: str) -> None:
    """Raise ValueError unless `vocab` is an object of tokens and their ids, each id once."""
    if not isinstance(vocab, dict):
        raise ValueError(f"{source}: the vocabulary must be an object of tokens and ids")
    tokens: dict[int, str] = {}
    for token, token_id in vocab.items():
        check_id(token_id, token, source)
        if tokens.setdefault(token_id, token) != token:
            raise ValueError(
                f"{source}: the id {token_id} is that of two tokens, {tokens[token_id]!r} and {token!r}"
            )


def by_id(vocab: dict[str, int]) -> dict[str, int]:
    """Return the vocabulary in the order of its ids."""
    return dict(sorted(vocab.items(), key=lambda item: item[1]))


def vocab_to_json(tokenizer: Tokenizer, model_vocab: dict[str, int]) -> dict[str, int]:
    """Return the vocabulary of the model in `tokenizer.json`.

    Hugging Face's library numbers added tokens itself, one by one after the tokens of the model.
    Where theirs are other ids, they must stand among the tokens of the model to keep them.
    """
    added = tokenizer._added.ids
    new = sorted(added[content] for content in added if content not in model_vocab)
    if new != list(range(len(model_vocab), len(model_vocab) + len(new))):
        model_vocab = {**model_vocab, **added}
    return by_id(model_vocab)


def template_to_json(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the `TemplateProcessing` of `tokenizer.json` that gives the tokenizer's template."""

    def slot_to_json(slot: Slot, type_id: int) -> dict[str, Any]:
        if isinstance(slot, int):
            return {"SpecialToken": {"id": tokenizer.id_to_token(slot), "type_id": type_id}}
        return {"Sequence": {"id": slot, "type_id": type_id}}

    template = tokenizer.template
    specials = {
        tokenizer.id_to_token(slot): slot
        for slot, _ in (*template.single, *template.pair)
        if isinstance(slot, int)
    }
    return {
        "type": "TemplateProcessing",
        "single": [slot_to_json(*slot) for slot in template.single],
        "pair": [slot_to_json(*slot) for slot in template.pair],
        "special_tokens": {
            token: {"id": token, "ids": [token_id], "tokens": [token]} for token, token_id in specials.items()
        },
    }


def template_from_json(processor: dict[str, Any] | None, source: Path) -> Template | None:
    """Read the `post_processor` of `tokenizer.json`; None where it adds no tokens."""
    if processor is None:
        return None
    kind = processor["type"]
    if kind == "ByteLevel":
        return None
    if kind == "Sequence":
        found = [template_from_json(part, source) for part in processor["processors"]]
        return next((template for template in found if template is not None), None)
    if kind == "BertProcessing":
        return Template.bert(cls_id=processor["cls"][1], sep_id=processor["sep"][1])
    if kind == "RobertaProcessing":
        return Template.roberta(cls_id=processor["cls"][1], sep_id=processor["sep"][1])
    if kind != "TemplateProcessing":
        raise ValueError(f"{source}: the post_processor {kind!r} is not supported")

    def slots(entries: list[dict[str, Any]]) -> tuple[tuple[Slot, int], ...]:
        result: list[tuple[Slot, int]] = []
        for entry in entries:
            if "Sequence" in entry:
                sequence = entry["Sequence"]
                result.append((sequence["id"], sequence["type_id"]))
            else:
                special = entry["SpecialToken"]
                ids = processor["special_tokens"][special["id"]]["ids"]
                result += [(token_id, special["type_id"]) for token_id in ids]
        return tuple(result)

    return Template(slots(processor["single"]), slots(processor["pair"]))
