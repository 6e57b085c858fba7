r"""Text files in, with errors that name the file, the byte and the line.

Everything that reads text in minillm goes through `decode_chunks`, which holds one chunk in memory
at a time. Lines end at ``\n``, ``\r\n`` or ``\r`` as for Python's `open`, never at the other
characters that `str.splitlines` splits at (U+0085 and U+2028 stand inside real sentences).
"""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

PathLike = str | os.PathLike[str]

CHUNK_BYTES = 1 << 20
MAX_LINE_CHARACTERS = 1 << 24

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def check_readable(path: PathLike) -> Path:
    """Return `path` as a `Path` to a file that exists.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        IsADirectoryError: `path` is a folder.
    """
    file = Path(path)
    if file.is_dir():
        raise IsADirectoryError(f"{file} is a folder: give the path of a text file")
    if not file.exists():
        raise FileNotFoundError(f"no file {file} (looked from the folder {Path.cwd()})")
    return file


def decode_chunks(path: PathLike, encoding: str = "utf-8") -> Iterator[str]:
    r"""Yield the text of a file in chunks of about a megabyte, line ends turned into ``\n``.

    A byte-order mark of UTF-8 is dropped.

    Args:
        path: the file.
        encoding: a codec name of Python: ``"utf-8"``, ``"latin-1"``, ``"gb18030"``, ...

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file.
        ValueError: the codec is unknown, or the bytes are not text in this encoding; the message
            names the file, the byte offset and the line.
    """
    file = check_readable(path)
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        raise ValueError(f"reading {file}: Python knows no encoding {encoding!r}") from None
    decoder = codecs.getincrementaldecoder("utf-8-sig" if name == "utf-8" else name)()
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    offset, line = 0, 1
    with open(file, "rb") as stream:
        while True:
            data = stream.read(CHUNK_BYTES)
            state = decoder.getstate()
            try:
                text = newlines.decode(decoder.decode(data, final=not data), final=not data)
            except UnicodeDecodeError as error:
                # The decoder saw the bytes that it had kept back, then `data`.
                start = offset - len(state[0]) + error.start
                decoder.setstate(state)
                before = decoder.decode(data[: max(0, start - offset)])
                line += newlines.decode(before, final=True).count("\n")
                raise ValueError(_undecodable(file, encoding, start, line, error)) from error
            if text:
                yield text
            if not data:
                return
            offset += len(data)
            line += text.count("\n")


def _undecodable(file: Path, encoding: str, offset: int, line: int, error: UnicodeDecodeError) -> str:
    byte = error.object[error.start : error.start + 1].hex()
    with open(file, "rb") as stream:
        mark = stream.read(2)
    if mark in _UTF16_MARKS:
        advice = "The file begins like UTF-16: give encoding='utf-16'"
    else:
        advice = "Give the file's encoding, such as encoding='latin-1' or encoding='gb18030'"
    return (
        f"{file}: byte {offset} (0x{byte}, line {line}) is not text in {encoding}: {error.reason}. {advice}"
    )


def read_lines(
    path: PathLike, encoding: str = "utf-8", *, max_characters: int = MAX_LINE_CHARACTERS
) -> Iterator[tuple[int, str]]:
    r"""Yield (line number from 1, line without its end) of a file, never all of it in memory.

    Args:
        path: the file.
        encoding: its encoding.
        max_characters: the longest line allowed; a longer one is an error, since a file without
            line ends would otherwise be gathered whole in memory.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file.
        ValueError: undecodable bytes, or a line longer than `max_characters`.
    """
    number, pending = 0, ""
    for chunk in decode_chunks(path, encoding):
        lines = (pending + chunk).split("\n")
        pending = lines.pop()
        for line in lines:
            number += 1
            _check_length(path, number, line, max_characters)
            yield number, line
        _check_length(path, number + 1, pending, max_characters)
    if pending:
        yield number + 1, pending


def _check_length(path: PathLike, number: int, line: str, max_characters: int) -> None:
    if len(line) > max_characters:
        raise ValueError(
            f"{os.fspath(path)}, line {number}: longer than {max_characters:,} characters; "
            "is this a text file with line ends?"
        )


def text_blocks(
    paths: PathLike | Sequence[PathLike], encoding: str = "utf-8", *, characters: int = 1 << 20
) -> Iterator[str]:
    r"""Yield the text of files in blocks, for a tokenizer that is to read more than fits in memory.

    Blocks end after a line end between two characters that are no white space: there, the
    patterns by which GPT-2's and similar tokenizers cut text find the same words on both sides as
    in the whole. (Between two line ends they do not: "\n\n" is a token of its own.) A stretch of
    `characters` without such a place is cut after its last line end, or else anywhere.

    Args:
        paths: a path, or a sequence of paths, read one after the other as by `read_text`.
        encoding: the encoding of all of them.
        characters: about how long a block is.

    Raises:
        FileNotFoundError, IsADirectoryError: a file is missing.
        ValueError: bytes that are not text in `encoding`, or `characters` is not positive.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.txt").write_text("one\ntwo\n\nthree\nfour")
        ...     list(text_blocks(Path(folder, "a.txt"), characters=12))
        ['one\n', 'two\n\nthree\n', 'four']
    """
    if characters < 1:
        raise ValueError(f"text_blocks: characters must be positive, got {characters}")
    return _text_blocks(paths, encoding, characters)


def _text_blocks(paths: PathLike | Sequence[PathLike], encoding: str, characters: int) -> Iterator[str]:
    files = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    waiting = ""
    for path in files:
        if waiting and not waiting.endswith("\n"):
            waiting += "\n"
        for chunk in decode_chunks(path, encoding):
            waiting += chunk
            while len(waiting) > characters:
                cut = _block_end(waiting, characters)
                yield waiting[:cut]
                waiting = waiting[cut:]
    if waiting:
        yield waiting


def _block_end(text: str, limit: int) -> int:
    end = limit
    while (end := text.rfind("\n", 0, end)) > 0:
        if not text[end - 1].isspace() and not text[end + 1].isspace():
            return end + 1
    return text.rfind("\n", 0, limit) + 1 or limit


def read_text(paths: PathLike | Sequence[PathLike], encoding: str = "utf-8") -> str:
    r"""Return the text of one or several files, one after the other.

    Line ends become ``\n``, and a file that does not end in one gets one before the next file
    begins, so that the last line of one and the first of the next stay apart.

    Args:
        paths: a path, or a sequence of paths.
        encoding: the encoding of all of them.

    Raises:
        FileNotFoundError: a file is missing.
        IsADirectoryError: a path is a folder.
        ValueError: no path was given, a file is empty, or its bytes are not text in `encoding`
            (the message names file, byte offset and line).

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files = [Path(folder, "a.txt"), Path(folder, "b.txt")]
        ...     _ = files[0].write_text("To be,"), files[1].write_text("or not to be")
        ...     read_text(files)
        'To be,\nor not to be'
    """
    files = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not files:
        raise ValueError("read_text: no file was given")
    parts: list[str] = []
    for path in files:
        text = "".join(decode_chunks(path, encoding))
        if not text or text.isspace():
            raise ValueError(f"{os.fspath(path)} holds no text (the file is empty)")
        if parts and not parts[-1].endswith("\n"):
            parts.append("\n")
        parts.append(text)
    return "".join(parts)
