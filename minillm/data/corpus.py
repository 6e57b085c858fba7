"""Text to train on that needs no download: what every Python carries with it.

`default_corpus` is half a megabyte of English prose about Python (the help topics of `pydoc`),
`python_source_corpus` is code of the standard library, and `read_text` reads files of your own.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from collections.abc import Iterable

from minillm.data.text_files import read_text

__all__ = ["default_corpus", "python_source_corpus", "read_text"]

# Long, well-commented modules of plain Python that Python 3.10 to 3.13 all have, in reading order.
SOURCE_MODULES = (
    "textwrap", "heapq", "bisect", "string", "random", "statistics", "fractions", "collections",
    "functools", "contextlib", "dataclasses", "enum", "argparse", "difflib", "shlex", "csv",
    "configparser", "json.decoder", "json.encoder", "pathlib", "shutil",
    "tempfile", "glob", "fnmatch", "datetime", "calendar", "copy", "pprint", "types", "typing",
    "inspect", "ast", "tokenize", "dis", "traceback", "logging", "logging.handlers", "warnings",
    "threading", "queue", "subprocess", "selectors", "socketserver", "http.client", "http.server",
    "http.cookiejar", "urllib.parse", "urllib.request", "html.parser", "xml.etree.ElementTree",
    "xml.dom.minidom", "email.message", "email.header", "mimetypes", "base64", "gzip", "tarfile",
    "zipfile", "pickle", "pickletools", "doctest", "unittest.case", "unittest.mock", "pdb",
    "timeit", "cmd", "code", "locale", "gettext", "ipaddress", "decimal", "_pydecimal", "_pyio",
    "asyncio.base_events", "asyncio.streams", "asyncio.tasks", "concurrent.futures.process",
    "multiprocessing.pool", "multiprocessing.managers", "sqlite3.dump", "optparse", "turtle",
)  # fmt: skip

_RULE = re.compile(r"^([*=\-~^#])\1{2,}$")  # the underline of a heading
_MISSING = "give a text of your own: --text FILE, or read_text('FILE')"


def default_corpus() -> str:
    r"""Return about half a megabyte of English text that comes with Python itself.

    The text is that of Python's help topics (`pydoc_data.topics`, as in ``help('assignment')``),
    in alphabetical order of their names, blank lines between them, the underlines of headings
    and blanks at line ends taken out. It is the same in every run on one Python version. A Python
    that was installed without it gives the docstrings of its standard library instead.

    Raises:
        RuntimeError: this Python has neither; the message says how to give a text.

    Example:
        >>> text = default_corpus()
        >>> len(text) > 300_000 and text == default_corpus()
        True
    """
    text = _help_topics() or _docstrings()
    if not text:
        raise RuntimeError(
            "this Python carries neither its help topics (pydoc_data.topics) nor the source of "
            f"its standard library, so there is no default corpus: {_MISSING}"
        )
    return text


def _help_topics() -> str:
    try:
        topics = importlib.import_module("pydoc_data.topics").topics
    except (ImportError, AttributeError):
        return ""
    return _join(text for _, text in sorted(topics.items()) if isinstance(text, str))


def _docstrings() -> str:
    return _join(text for name in SOURCE_MODULES for text in _docstrings_of(_source_of(name)))


def _docstrings_of(source: str) -> list[str]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, documented))
    return [text for text in map(ast.get_docstring, nodes) if text]


def _source_of(module: str) -> str:
    """The source of a module without running it, "" where this Python has none."""
    try:
        spec = importlib.util.find_spec(module)
    except ImportError:
        return ""
    get_source = getattr(getattr(spec, "loader", None), "get_source", None)
    try:
        source = get_source(module) if get_source else None
    except (ImportError, OSError, UnicodeError):
        return ""
    return source or ""


def _join(texts: Iterable[str]) -> str:
    text = "\n\n".join(filter(None, map(_clean, texts)))
    return text + "\n" if text else ""


def _clean(text: str) -> str:
    """Blanks at line ends, heading underlines and runs of blank lines taken out."""
    lines = [line.rstrip() for line in text.split("\n")]
    text = "\n".join(line for line in lines if not _RULE.match(line))
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


def python_source_corpus(max_bytes: int = 1_000_000) -> str:
    """Return Python code, for fine-tuning on programs: modules of the standard library.

    Whole modules of `SOURCE_MODULES`, in that order; the last is cut after a line so that the
    text is at most `max_bytes` bytes of UTF-8 (all the modules together are about 4 MB).

    Args:
        max_bytes: the most bytes of UTF-8 to return, at least 1000.

    Raises:
        ValueError: `max_bytes` is too small to hold any code.
        RuntimeError: this Python carries no source code; the message says how to give a text.

    Example:
        >>> code = python_source_corpus(max_bytes=20_000)
        >>> len(code.encode()) <= 20_000 and "def wrap(" in code
        True
    """
    if max_bytes < 1000:
        raise ValueError(f"python_source_corpus: max_bytes must be at least 1000, got {max_bytes}")
    parts: list[str] = []
    left = max_bytes
    for name in SOURCE_MODULES:
        source = _source_of(name).strip("\n")
        if not source:
            continue
        part = (source + "\n\n\n").encode()
        if len(part) > left:
            cut = part[:left].rfind(b"\n") + 1
            parts.append(part[:cut].decode())
            break
        parts.append(part.decode())
        left -= len(part)
    text = "".join(parts)
    if not text:
        raise RuntimeError(f"this Python carries no source of its standard library: {_MISSING}")
    return text
