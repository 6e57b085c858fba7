"""Sentences with a label for each word, and lines of several files that belong together."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Sequence

from minillm.data.text_files import PathLike, read_lines

_BLANKS = re.compile(r"[ \t]+")  # str.split() would also cut at a no-break space inside a word


def read_conll(
    path: PathLike,
    *,
    columns: Sequence[str] = ("tokens", "tags"),
    separator: str | None = None,
    comment: str | None = None,
    encoding: str = "utf-8",
) -> Iterator[dict[str, list[str]]]:
    r"""Yield sentences from columns: a word a line, a blank line between two sentences.

    Lines that begin with ``-DOCSTART-`` (CoNLL-2003) are passed over.

    Args:
        path: the file.
        columns: the names of the columns, such as ``("tokens", "pos", "chunk", "tags")``.
        separator: what stands between two columns; None means blanks and tabs.
        comment: lines that begin so are passed over, such as ``"# "`` in CoNLL-U.
        encoding: the encoding of the file.

    Yields:
        A dict from column name to the list of that column, one entry a word.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file.
        ValueError: undecodable bytes, a line with another number of columns, or no sentence; the
            message names file and line.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder, "a.conll")
        ...     _ = file.write_text("Ada\tB-person\nwrites\tO\n\nYes\tO\n")
        ...     for sentence in read_conll(file):
        ...         print(sentence)
        {'tokens': ['Ada', 'writes'], 'tags': ['B-person', 'O']}
        {'tokens': ['Yes'], 'tags': ['O']}
    """
    if not columns:
        raise ValueError("read_conll: columns must hold at least one name")
    rows: list[list[str]] = []
    empty = True
    for number, line in read_lines(path, encoding):
        if not line.strip():
            if rows:
                yield _sentence(columns, rows)
            rows = []
            continue
        if line.startswith("-DOCSTART-") or (comment is not None and line.startswith(comment)):
            continue
        fields = _BLANKS.split(line.strip(" \t")) if separator is None else line.split(separator)
        if len(fields) != len(columns):
            raise ValueError(
                f"{os.fspath(path)}, line {number}: {len(fields)} columns, needs {len(columns)} "
                f"({', '.join(columns)}): {line[:80]!r}"
            )
        empty = False
        rows.append(fields)
    if rows:
        yield _sentence(columns, rows)
    if empty:
        raise ValueError(f"{os.fspath(path)} holds no sentences")


def _sentence(columns: Sequence[str], rows: list[list[str]]) -> dict[str, list[str]]:
    return {name: list(column) for name, column in zip(columns, zip(*rows, strict=True), strict=True)}


def read_parallel(*paths: PathLike, encoding: str = "utf-8") -> Iterator[tuple[str, ...]]:
    r"""Yield the first lines of several files together, then the second ones, and so on.

    For sentences and their translations, or texts and their labels, in files of their own.

    Args:
        *paths: the files, at least two.
        encoding: the encoding of all of them.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file.
        ValueError: undecodable bytes, fewer than two files, files with different numbers of lines
            (the message says which is shorter), or no line at all.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files = pathlib.Path(folder, "a.en"), pathlib.Path(folder, "a.de")
        ...     _ = files[0].write_text("Yes.\nNo.\n"), files[1].write_text("Ja.\nNein.\n")
        ...     list(read_parallel(*files))
        [('Yes.', 'Ja.'), ('No.', 'Nein.')]
    """
    if len(paths) < 2:
        raise ValueError(f"read_parallel needs at least two files, got {len(paths)}")
    readers = [read_lines(path, encoding) for path in paths]
    number = 0
    for lines in itertools.zip_longest(*readers):
        if None in lines:
            ended = os.fspath(paths[lines.index(None)])
            going_on = next(os.fspath(p) for p, line in zip(paths, lines, strict=True) if line)
            raise ValueError(
                f"{ended} has {number} lines and {going_on} has more: lines of parallel files belong together"
            )
        number += 1
        yield tuple(line for _, line in lines)
    if number == 0:
        raise ValueError(f"{os.fspath(paths[0])} holds no lines")


def read_tagged(
    tokens_path: PathLike,
    tags_path: PathLike,
    labels_path: PathLike | None = None,
    encoding: str = "utf-8",
) -> Iterator[dict[str, list[str] | str]]:
    r"""Yield sentences and their tags from two files with a sentence a line, blanks between.

    Args:
        tokens_path: the sentences.
        tags_path: as many tags on each line as the sentence has words.
        labels_path: a label for each sentence, if there are any.
        encoding: the encoding of all of them.

    Yields:
        ``{"tokens", "tags"}``, and ``"label"`` with labels.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file.
        ValueError: undecodable bytes, files with different numbers of lines, or a line with
            another number of tags than words; the message names files and line.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files = pathlib.Path(folder, "seq.in"), pathlib.Path(folder, "seq.out")
        ...     _ = files[0].write_text("play jazz\n"), files[1].write_text("O B-genre\n")
        ...     list(read_tagged(*files))
        [{'tokens': ['play', 'jazz'], 'tags': ['O', 'B-genre']}]
    """
    paths = [tokens_path, tags_path] + ([] if labels_path is None else [labels_path])
    for number, lines in enumerate(read_parallel(*paths, encoding=encoding), 1):
        tokens, tags = (_BLANKS.split(line.strip(" \t")) for line in lines[:2])
        if len(tokens) != len(tags):
            raise ValueError(
                f"{os.fspath(tags_path)}, line {number}: {len(tags)} tags for the {len(tokens)} "
                f"words of {os.fspath(tokens_path)}"
            )
        sentence: dict[str, list[str] | str] = {"tokens": tokens, "tags": tags}
        if labels_path is not None:
            sentence["label"] = lines[2].strip()
        yield sentence
