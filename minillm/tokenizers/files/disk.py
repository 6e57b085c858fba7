"""Reading and writing text and JSON, with errors that name the file and the place in it.

A file is written beside its place and moved there when whole, so that a reader sees either the
old file or the new one, never half of either.
"""

from __future__ import annotations

import json
import os
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PathLike = str | os.PathLike[str]


class _TwiceError(ValueError):
    """A key that stands twice in an object of JSON."""


def read_text(path: PathLike) -> str:
    """Return the text of a UTF-8 file, line ends untouched.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not UTF-8; the message names the file and the byte.
    """
    data = existing_file(path).read_bytes()
    return _decode(data, path, 0)


def read_lines(paths: PathLike | Sequence[PathLike]) -> Iterator[str]:
    r"""Yield the lines of UTF-8 files one after another, each with its ``\n``.

    Lines end at ``\n`` alone, so joining what comes back gives the text of the files. Memory holds
    one line at a time. All files are looked for before the first is read.

    Raises:
        FileNotFoundError: One of the files does not exist.
        ValueError: A file is not UTF-8; the message names the file and the byte.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    return _lines_of([existing_file(path) for path in paths])


def _lines_of(files: list[Path]) -> Iterator[str]:
    for file in files:
        start = 0
        with file.open("rb") as stream:
            for line in stream:
                yield _decode(line, file, start)
                start += len(line)


def _decode(data: bytes, path: PathLike, start: int) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{os.fspath(path)}: not UTF-8 at byte {start + error.start} "
            f"(0x{data[error.start]:02x}: {error.reason}); convert the file to UTF-8 first"
        ) from None


def existing_file(path: PathLike) -> Path:
    """Return `path` as a Path, or raise FileNotFoundError if no file is there."""
    file = Path(path)
    if file.is_dir():
        raise FileNotFoundError(f"{file}: is a directory; a file is needed")
    if not file.exists():
        raise FileNotFoundError(f"{file}: no such file")
    return file


def read_json(path: PathLike) -> Any:
    """Return what a JSON file holds; a key that stands twice in one object is an error.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not UTF-8 or not JSON, or a key stands twice; the message names the
            file and the place.
    """

    def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            twice = next(key for key in counts if counts[key] > 1)
            raise _TwiceError(f"{os.fspath(path)}: the entry {twice!r} stands there twice")
        return result

    text = read_text(path)
    try:
        return json.loads(text, object_pairs_hook=without_duplicates)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{os.fspath(path)}: not JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except RecursionError:
        raise ValueError(f"{os.fspath(path)}: the JSON is nested too deeply") from None
    except _TwiceError:
        raise
    except ValueError as error:  # a number of 5,000 digits
        raise ValueError(f"{os.fspath(path)}: {error}") from None


def read_json_object(path: PathLike) -> dict[str, Any]:
    """Return the JSON object (a dict) that a file holds; anything else is a ValueError."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise ValueError(f"{os.fspath(path)}: needs a JSON object {{...}}, holds a {type(value).__name__}")
    return value


def write_text(path: PathLike, text: str) -> None:
    """Write `text` as UTF-8 beside `path`, then move it there in one step."""
    file = Path(path)
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("x", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(beside, file)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_json(path: PathLike, value: Any, *, indent: int | None = 2) -> None:
    """Write `value` as JSON, non-ASCII characters as themselves, by `write_text`."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=indent) + "\n")
