"""CSV and TSV files, row by row, with errors that name the file and the line."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence

from minillm.data.text_files import PathLike, read_lines

Row = dict[str, str]


def read_csv(
    path: PathLike,
    *,
    columns: Sequence[str] | None = None,
    required: Sequence[str] = (),
    delimiter: str = ",",
    quoted: bool = True,
    encoding: str = "utf-8",
) -> Iterator[Row]:
    r"""Yield the rows of a table as dicts from column name to text. Blank lines are passed over.

    Args:
        path: the file.
        columns: the names of the columns, for a file that does not begin with a line of names.
        required: names that the file's own line of names must hold.
        delimiter: what stands between two fields.
        quoted: fields may stand in double quotes and then hold delimiters, line ends and doubled
            quotes (RFC 4180). With False, a quote is a character like any other.
        encoding: the encoding of the file.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file.
        ValueError: undecodable bytes, no row, a missing or doubled column name, a row with too
            few or too many fields, a quote that is not closed; the message names file and line.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder, "reviews.csv")
        ...     _ = file.write_text('label,text\n1,"good, cheap"\n')
        ...     list(read_csv(file, required=["label"]))
        [{'label': '1', 'text': 'good, cheap'}]
    """
    rows = _quoted_rows(path, delimiter, encoding) if quoted else _rows(path, delimiter, encoding)
    names = list(columns) if columns is not None else _header(path, rows, required)
    empty = True
    for line, fields in rows:
        if len(fields) != len(names):
            raise ValueError(
                f"{os.fspath(path)}, line {line}: {len(fields)} fields, the table has "
                f"{len(names)} columns ({', '.join(names)}). Is {delimiter!r} the delimiter?"
            )
        empty = False
        yield dict(zip(names, fields, strict=True))
    if empty:
        raise ValueError(f"{os.fspath(path)} holds no rows")


def read_tsv(
    path: PathLike,
    *,
    columns: Sequence[str] | None = None,
    required: Sequence[str] = (),
    encoding: str = "utf-8",
) -> Iterator[Row]:
    r"""Yield the rows of a tab-separated table, in which quotes are plain characters.

    See `read_csv`, which this calls with ``delimiter="\t", quoted=False``.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder, "sms.tsv")
        ...     _ = file.write_text('ham\tSo "late"?\n')
        ...     list(read_tsv(file, columns=["label", "text"]))
        [{'label': 'ham', 'text': 'So "late"?'}]
    """
    return read_csv(
        path,
        columns=columns,
        required=required,
        delimiter="\t",
        quoted=False,
        encoding=encoding,
    )


def _rows(path: PathLike, delimiter: str, encoding: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in read_lines(path, encoding):
        if line.strip():
            yield number, line.split(delimiter)


def _quoted_rows(path: PathLike, delimiter: str, encoding: str) -> Iterator[tuple[int, list[str]]]:
    lines = (line + "\n" for _, line in read_lines(path, encoding))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        start = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            advice = "is a quote left open?"
            if "field limit" in str(error):
                advice += " (for longer fields, raise csv.field_size_limit)"
            raise ValueError(f"{os.fspath(path)}, line {start}: {error}; {advice}") from error
        if any(field.strip() for field in fields) or len(fields) > 1:
            yield start, fields


def _header(path: PathLike, rows: Iterator[tuple[int, list[str]]], required: Sequence[str]) -> list[str]:
    line, names = next(rows, (0, None))
    if names is None:
        raise ValueError(f"{os.fspath(path)} is empty: it should begin with the names of columns")
    names = [name.strip() for name in names]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled or "" in names:
        what = f"the name {doubled[0]!r} twice" if doubled else "a column without a name"
        raise ValueError(
            f"{os.fspath(path)}, line {line}: {what} in the line of column names {names}; give "
            "columns=[...] if the file has no such line"
        )
    missing = [name for name in required if name not in names]
    if missing:
        raise ValueError(
            f"{os.fspath(path)}, line {line}: no column {missing[0]!r}; there are {', '.join(names)}"
        )
    return names
