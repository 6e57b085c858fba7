"""The text of a run: where it comes from, its tokens, and a sum by which it is known again."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minillm.data import default_corpus, python_source_corpus, split_tokens, text_blocks
from minillm.data.text_files import check_readable
from minillm.data.token_batches import Tokens
from minillm.tokenizers import CharTokenizer, Tokenizer

#: Texts that every Python carries: the help topics (English), and source code of the standard library.
CORPORA = {"english": default_corpus, "python": python_source_corpus}


@dataclasses.dataclass(frozen=True)
class TextSource:
    """Where a text comes from: files, or else one of the corpora that come with Python.

    Attributes:
        files: read one after the other.
        corpus: of :data:`CORPORA`, where no files are given.
        encoding: of the files.
    """

    files: tuple[str, ...] = ()
    corpus: str = "english"
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if self.corpus not in CORPORA:
            raise ValueError(f"corpus is {self.corpus!r}; known are {', '.join(CORPORA)}")

    @classmethod
    def of_files(cls, files: Sequence[str | os.PathLike[str]], encoding: str = "utf-8") -> TextSource:
        """Return the source of the text in these files, by their full paths.

        Raises:
            FileNotFoundError, IsADirectoryError: there is no such file.
            ValueError: a file is empty.
        """
        for file in files:
            if not check_readable(file).stat().st_size:
                raise ValueError(f"{os.fspath(file)} holds no text (the file is empty)")
        return cls(tuple(str(Path(file).resolve()) for file in files), encoding=encoding)

    def blocks(self) -> Iterator[str]:
        """Yield the text in blocks that a tokenizer can take one by one."""
        if self.files:
            yield from text_blocks(list(self.files), self.encoding)
        else:
            yield CORPORA[self.corpus]()

    def __str__(self) -> str:
        if self.files:
            names = ", ".join(Path(file).name for file in self.files[:3])
            return names + (f" and {len(self.files) - 3} more files" if len(self.files) > 3 else "")
        if self.corpus == "english":
            return "the help texts of Python (English)"
        return "source code of Python's standard library"

    def to_dict(self) -> dict[str, Any]:
        """Return the source as JSON holds it."""
        if self.files:
            return {"files": list(self.files), "encoding": self.encoding}
        return {"corpus": self.corpus}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TextSource:
        """Undo :meth:`to_dict`."""
        return cls(
            tuple(values.get("files", ())), values.get("corpus", "english"), values.get("encoding", "utf-8")
        )


@dataclasses.dataclass(frozen=True)
class EncodedText:
    """A text as tokens.

    Attributes:
        tokens: (num_tokens,) uint16 or uint32.
        characters: of the text that the tokens stand for.
        sha256: of the text as it was read, in UTF-8.
        skipped: characters that were left out because the tokenizer does not know them.
    """

    tokens: Tokens
    characters: int
    sha256: str
    skipped: int = 0


def encode_source(tokenizer: Tokenizer, source: TextSource, unknown: str = "error") -> EncodedText:
    """Return the tokens of a text.

    Args:
        tokenizer: of the model.
        source: the text.
        unknown: what happens to characters that a character tokenizer does not know: ``error``, or
            ``skip`` to leave them out.

    Raises:
        ValueError: the text is empty, its bytes are no text, or it holds characters that the tokenizer
            does not know (the message lists them).
    """
    dtype = np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.uint32
    known = _known_characters(tokenizer)
    strange: collections.Counter[str] = collections.Counter()
    digest = hashlib.sha256()
    rows, characters, blank = [], 0, True
    for block in source.blocks():
        digest.update(block.encode("utf-8", "surrogatepass"))
        blank = blank and block.isspace()
        if known is not None and (new := set(block) - known):
            for char in new:
                strange[char] += block.count(char)
            block = block.translate(dict.fromkeys(map(ord, new)))
        characters += len(block)
        rows.append(np.array(tokenizer.encode(block, disallowed_special=()), dtype=dtype))
    if blank:
        raise ValueError(f"{source}: there is no text in it")
    if strange and unknown != "skip":
        raise ValueError(_describe_unknown(source, strange, characters))
    if not characters:
        raise ValueError(f"{source}: the tokenizer knows none of its characters")
    return EncodedText(np.concatenate(rows), characters, digest.hexdigest(), strange.total())


def _known_characters(tokenizer: Tokenizer) -> set[str] | None:
    """Return the characters of a tokenizer that does not know them all."""
    if isinstance(tokenizer, CharTokenizer) and tokenizer.unk_token_id is None:
        return set(tokenizer.get_vocab())
    return None


def _describe_unknown(source: TextSource, strange: collections.Counter[str], known: int) -> str:
    count = strange.total()
    common = sorted(strange.items(), key=lambda item: (-item[1], item[0]))[:5]
    most = ", ".join(f"{char!r} ({number} times)" for char, number in common)
    more = f" and {len(strange) - 5} others" if len(strange) > 5 else ""
    return (
        f"{source}: {count:,} of its {known + count:,} characters are not in the tokenizer's vocabulary: "
        f"{most}{more}. Leave them out with --unknown skip, or train with --tokenizer bpe, which knows "
        "every text"
    )


@dataclasses.dataclass(frozen=True)
class TrainingText:
    """What a run trains and is measured on.

    Attributes:
        training: tokens to train on.
        validation: tokens to measure on, None for none.
        validation_characters: that the predicted tokens of ``validation`` stand for.
        characters: of the whole text, that of the validation included.
        sha256: of the text, or texts.
        skipped: characters that the tokenizer does not know.
    """

    training: Tokens
    validation: Tokens | None
    validation_characters: int
    characters: int
    sha256: str
    skipped: int


def prepare_text(
    tokenizer: Tokenizer,
    source: TextSource,
    validation: TextSource | None = None,
    fraction: float = 0.1,
    unknown: str = "error",
) -> TrainingText:
    """Encode the text of a run, and set a part of it aside for validation.

    Args:
        tokenizer: of the model.
        source: of the text.
        validation: a text to measure on; None for the end of ``source``.
        fraction: of ``source`` that is set aside where ``validation`` is None; 0 for no validation.
        unknown: as for :func:`encode_source`.

    Raises:
        ValueError: as for :func:`encode_source`; or there is too little text to set aside a part.
    """
    text = encode_source(tokenizer, source, unknown)
    if validation is not None:
        other = encode_source(tokenizer, validation, unknown)
        training, held_out = text.tokens, other.tokens
        characters, skipped = text.characters + other.characters, text.skipped + other.skipped
        digest = hashlib.sha256((text.sha256 + other.sha256).encode()).hexdigest()
    else:
        training, held_out = split_tokens(text.tokens, fraction)
        characters, skipped, digest = text.characters, text.skipped, text.sha256
    if validation is None and not fraction:
        return TrainingText(training, None, 0, characters, digest, skipped)
    if len(held_out) < 2:
        raise ValueError(
            f"{validation or source}: of {len(text.tokens):,} tokens, {len(held_out)} are set aside to "
            "measure on, and at least 2 are needed; give a longer text, or --validation-fraction 0 to go "
            "without"
        )
    predicted = len(tokenizer.decode(held_out[1:].tolist()))
    return TrainingText(training, held_out, predicted, characters, digest, skipped)
