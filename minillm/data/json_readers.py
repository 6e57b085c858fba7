"""JSON and JSON lines, question answering in SQuAD's form, and instructions."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

from minillm.data.text_files import PathLike, decode_chunks, read_lines

_TYPE_NAMES = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}


def read_json(path: PathLike, encoding: str = "utf-8") -> Any:
    """Return what a JSON file holds.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file.
        ValueError: undecodable bytes or malformed JSON; the message names file, line and column.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder, "a.json")
        ...     _ = file.write_text('{"a": [1, 2]}')
        ...     read_json(file)
        {'a': [1, 2]}
    """
    text = "".join(decode_chunks(path, encoding))
    if not text.strip():
        raise ValueError(f"{os.fspath(path)} is empty: it should hold JSON")
    return _parse(text, path, 1)


def read_jsonl(
    path: PathLike, *, required: Sequence[str] = (), encoding: str = "utf-8"
) -> Iterator[dict[str, Any]]:
    r"""Yield the objects of a file that has one JSON object a line. Blank lines are passed over.

    Args:
        path: the file.
        required: names that every object must have.
        encoding: the encoding of the file.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file.
        ValueError: undecodable bytes, malformed JSON, something else than an object, a missing
            name, or no line at all; the message names file and line.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder, "a.jsonl")
        ...     _ = file.write_text('{"text": "one"}\n{"text": "two"}\n')
        ...     [row["text"] for row in read_jsonl(file, required=["text"])]
        ['one', 'two']
    """
    empty = True
    for number, line in read_lines(path, encoding):
        if not line.strip():
            continue
        where = f"{os.fspath(path)}, line {number}"
        row = _parse(line, path, number)
        if not isinstance(row, dict):
            raise ValueError(f"{where}: needs a JSON object {{...}}, got {_kind(row)}")
        for name in required:
            if name not in row:
                raise ValueError(f"{where}: no {name!r}; there are {', '.join(row) or 'no names'}")
        empty = False
        yield row
    if empty:
        raise ValueError(f"{os.fspath(path)} holds no rows")


def read_squad(path: PathLike, encoding: str = "utf-8") -> Iterator[dict[str, Any]]:
    """Yield the questions of a file in the form of SQuAD 1.1 or 2.0 (Rajpurkar et al. 2016, 2018).

    Every answer is checked to stand in the context where the file says.

    Yields:
        ``{"id", "title", "context", "question", "answers", "is_impossible"}``, where ``answers``
        is ``{"text": [...], "answer_start": [...]}``, places counted in characters; both lists
        are empty for a question without an answer.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file.
        ValueError: malformed JSON, a missing part, or an answer that does not stand in its
            context; the message names file, article, paragraph and question.
    """
    top = _need(read_json(path, encoding), dict, os.fspath(path))
    for a, article in enumerate(_part(top, "data", list, os.fspath(path))):
        at_article = f"{os.fspath(path)}, data[{a}]"
        title = _need(article, dict, at_article).get("title", "")
        for p, paragraph in enumerate(_part(article, "paragraphs", list, at_article)):
            at = f"{at_article}.paragraphs[{p}]"
            context = _part(_need(paragraph, dict, at), "context", str, at)
            for q, question in enumerate(_part(paragraph, "qas", list, at)):
                yield _question(question, context, title, f"{at}.qas[{q}]")


def _question(question: Any, context: str, title: str, where: str) -> dict[str, Any]:
    _need(question, dict, where)
    texts: list[str] = []
    starts: list[int] = []
    impossible = bool(question.get("is_impossible", False))
    answers = [] if impossible else _part(question, "answers", list, where)
    for number, answer in enumerate(answers):
        at = f"{where}.answers[{number}]"
        text = _part(_need(answer, dict, at), "text", str, at)
        start = _part(answer, "answer_start", int, at)
        found = context[start : start + len(text)] if start >= 0 else ""
        if found != text:
            raise ValueError(
                f"{at}: the answer {text[:60]!r} does not stand at character {start} of its "
                f"context, which has {found[:60]!r} there"
            )
        texts.append(text)
        starts.append(start)
    return {
        "id": question.get("id", ""),
        "title": title,
        "context": context,
        "question": _part(question, "question", str, where),
        "answers": {"text": texts, "answer_start": starts},
        "is_impossible": impossible,
    }


def read_instructions(path: PathLike, encoding: str = "utf-8") -> Iterator[dict[str, str]]:
    """Yield instructions with their answers, from a list in JSON or from JSON lines.

    The form is that of Alpaca (Taori et al. 2023): each entry is an object with ``instruction``,
    ``output`` and, where the task has one, ``input``. A file whose name ends in ``.jsonl`` has one
    such object a line.

    Yields:
        ``{"instruction", "input", "output"}``; ``input`` is "" where there is none.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file.
        ValueError: malformed JSON, or an entry that lacks a part or has something else than text
            in it; the message names the file and the entry.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder, "a.json")
        ...     _ = file.write_text('[{"instruction": "Say hello.", "output": "Hello."}]')
        ...     list(read_instructions(file))
        [{'instruction': 'Say hello.', 'input': '', 'output': 'Hello.'}]
    """
    name = os.fspath(path)
    entries: Iterator[Any]
    if name.endswith(".jsonl"):
        entries = read_jsonl(path, encoding=encoding)
    else:
        entries = iter(_need(read_json(path, encoding), list, name))
    number = -1
    for number, entry in enumerate(entries):
        where = f"{name}, entry {number + 1}"
        _need(entry, dict, where)
        optional = _part(entry, "input", str, where) if entry.get("input") is not None else ""
        yield {
            "instruction": _part(entry, "instruction", str, where),
            "input": optional,
            "output": _part(entry, "output", str, where),
        }
    if number < 0:
        raise ValueError(f"{name} holds no instructions")


def _parse(text: str, path: PathLike, first_line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise ValueError(
            f"{os.fspath(path)}, line {line}, column {error.colno}: malformed JSON: {error.msg}"
        ) from error
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, lists 5,000 deep
        raise ValueError(f"{os.fspath(path)}, line {first_line}: {error}") from error


def _part(parent: dict[str, Any], name: str, kind: type, where: str) -> Any:
    if name not in parent:
        raise ValueError(f"{where}: no {name!r}; there are {', '.join(parent) or 'no names'}")
    return _need(parent[name], kind, f"{where}.{name}")


def _need(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{where}: needs {_TYPE_NAMES[kind]}, got {_kind(value)}")
    return value


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return _TYPE_NAMES.get(type(value), "a number")
