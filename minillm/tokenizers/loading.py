"""Finding out which tokenizer a directory holds, and loading it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from minillm.tokenizers.base import Tokenizer
from minillm.tokenizers.bpe import BPETokenizer
from minillm.tokenizers.char import CharTokenizer
from minillm.tokenizers.files import wordpiece_files
from minillm.tokenizers.files.bpe_files import MERGES, VOCAB
from minillm.tokenizers.files.char_files import is_char_tokenizer
from minillm.tokenizers.files.config import TOKENIZER
from minillm.tokenizers.files.disk import PathLike, read_json_object
from minillm.tokenizers.files.word_files import WORDS
from minillm.tokenizers.word import WordTokenizer
from minillm.tokenizers.wordpiece import WordPieceTokenizer

AnyTokenizer = TypeVar("AnyTokenizer", bound=Tokenizer)


def from_pretrained(directory: PathLike) -> Tokenizer:
    """Load the tokenizer in `directory`, whatever its kind.

    Reads what `save_pretrained` wrote and what Hugging Face's libraries write.

    Raises:
        FileNotFoundError: The directory does not exist, or has no tokenizer's files.
        ValueError: A file is malformed or states what is not supported.
    """
    return load(directory, Tokenizer)


def load(directory: PathLike, wanted: type[AnyTokenizer]) -> AnyTokenizer:
    """Load the tokenizer in `directory`, which must be a `wanted`."""
    folder = Path(directory)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such directory")
    found = kind_of(folder)
    if issubclass(wanted, found):
        found = wanted
    if not issubclass(found, wanted):
        raise ValueError(f"{folder}: holds a {found.__name__}, not a {wanted.__name__}")
    return found._load(folder)


def kind_of(folder: Path) -> type[Tokenizer]:
    """Return the class of the tokenizer in `folder`."""
    if (folder / WORDS).exists():
        return WordTokenizer
    if (folder / TOKENIZER).exists():
        data: dict[str, Any] = read_json_object(folder / TOKENIZER)
        model = data.get("model")
        if not isinstance(model, dict):
            raise ValueError(f"{folder / TOKENIZER}: has no 'model'")
        # Old files do not name the type; BPE is the model that has merges.
        kind = model.get("type", "BPE" if "merges" in model else None)
        if kind == "BPE":
            return BPETokenizer
        if kind == "WordPiece" or (kind is None and "continuing_subword_prefix" in model):
            return WordPieceTokenizer
        if is_char_tokenizer(data):
            return CharTokenizer
        raise ValueError(f"{folder / TOKENIZER}: the model type {kind!r} is not supported")
    if (folder / VOCAB).exists() or (folder / MERGES).exists():
        return BPETokenizer
    if (folder / wordpiece_files.VOCAB).exists():
        return WordPieceTokenizer
    raise FileNotFoundError(
        f"{folder}: holds no tokenizer (tokenizer.json, or vocab.json and merges.txt, or vocab.txt)"
    )
