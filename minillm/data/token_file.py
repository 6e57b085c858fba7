r"""Token files: corpora larger than memory, as a header and raw numbers.

    bytes 0..4095   one line of JSON, filled up with blanks: {"format": "minillm tokens",
                    "version": 1, "dtype": "uint16", "num_tokens": ..., "vocab_size": ...,
                    "metadata": {...}}
    bytes 4096..    the tokens, little-endian uint16 or uint32, nothing after them

`TokenWriter` writes one as a stream, `TokenFile` maps one into memory, so that only the parts that
are looked at are read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from minillm.data.text_files import PathLike, check_readable
from minillm.data.whole_files import write_whole

HEADER_BYTES = 4096
FORMAT, VERSION = "minillm tokens", 1
_DTYPES: dict[str, np.dtype[Any]] = {"uint16": np.dtype("<u2"), "uint32": np.dtype("<u4")}

Ids = Sequence[int] | npt.NDArray[Any]


class TokenWriter:
    """Writes a token file piece by piece; it appears at its place when the block ends well.

    Args:
        path: where the file shall stand.
        vocab_size: how many different tokens there are; up to 65,536 are stored in two bytes
            each, more in four.
        metadata: anything JSON can hold that readers should know, such as the tokenizer's name;
            at most about 3,500 bytes.

    Raises:
        ValueError: a vocabulary size out of range, metadata too large; in `write`, a number that
            is no token of the vocabulary.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with TokenWriter(Path(folder, "corpus.tokens"), vocab_size=300) as writer:
        ...         writer.write([1, 2, 299])
        ...         writer.write([7])
        ...     TokenFile(Path(folder, "corpus.tokens")).tokens.tolist()
        [1, 2, 299, 7]
    """

    def __init__(self, path: PathLike, vocab_size: int, metadata: dict[str, Any] | None = None) -> None:
        if not 1 <= vocab_size <= 1 << 32:
            raise ValueError(f"TokenWriter: vocab_size must be 1 to 2**32, got {vocab_size}")
        self.path = Path(path)
        self.vocab_size = vocab_size
        self.metadata = metadata or {}
        self.num_tokens = 0
        self._dtype_name = "uint16" if vocab_size <= 1 << 16 else "uint32"
        self._file: BinaryIO | None = None
        self._open = ExitStack()
        self._header()  # metadata that does not fit must fail before the work, not after it

    def __enter__(self) -> TokenWriter:
        self._file = self._open.enter_context(write_whole(self.path))
        self._file.write(bytes(HEADER_BYTES))
        return self

    def write(self, tokens: Ids) -> None:
        """Append tokens, a list or a row of integers."""
        if self._file is None:
            raise ValueError("TokenWriter: write inside of its 'with' block")
        row = np.asarray(tokens)
        if row.ndim != 1 or (row.size and row.dtype.kind not in "iu"):
            raise ValueError(
                f"TokenWriter: tokens must be a row of integers, got {row.dtype} of shape {row.shape}"
            )
        if row.size and not (row.min() >= 0 and row.max() < self.vocab_size):
            wrong = int(np.flatnonzero((row < 0) | (row >= self.vocab_size))[0])
            raise ValueError(
                f"TokenWriter: token {row[wrong]} at place {self.num_tokens + wrong} is outside "
                f"of the vocabulary, 0 to {self.vocab_size - 1}"
            )
        self._file.write(row.astype(_DTYPES[self._dtype_name]).tobytes())
        self.num_tokens += row.size

    def _header(self) -> bytes:
        header = {
            "format": FORMAT,
            "version": VERSION,
            "dtype": self._dtype_name,
            "num_tokens": self.num_tokens,
            "vocab_size": self.vocab_size,
            "metadata": self.metadata,
        }
        line = json.dumps(header).encode()
        room = HEADER_BYTES - 32  # the number of tokens grows
        if len(line) > room:
            raise ValueError(
                f"TokenWriter: the header takes {len(line)} bytes with this metadata, and there "
                f"is room for {room}"
            )
        return line.ljust(HEADER_BYTES - 1) + b"\n"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None and self._file is not None:
                self._file.seek(0)
                self._file.write(self._header())
        except BaseException as failure:
            self._open.__exit__(type(failure), failure, failure.__traceback__)
            raise
        finally:
            self._file = None
        self._open.__exit__(kind, error, traceback)


def write_tokens(
    path: PathLike,
    tokens: Ids | Iterable[Ids],
    vocab_size: int,
    metadata: dict[str, Any] | None = None,
) -> int:
    """Write a token file from one row of tokens, or from an iterable of rows, one at a time.

    Args:
        path: where the file shall stand.
        tokens: a list or row of integers, or an iterable of such, for a corpus larger than
            memory: ``write_tokens(path, map(tokenizer.encode, text_blocks(files)), 50257)``.
        vocab_size: how many different tokens there are.
        metadata: anything JSON can hold that readers should know.

    Returns:
        The number of tokens written.

    Raises:
        ValueError: a token outside of the vocabulary (the message names its place).
        OSError: the file cannot be written. What stood at `path` before still does.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_tokens(Path(folder, "corpus.tokens"), ([i, i] for i in range(3)), 50257)
        6
    """
    with TokenWriter(path, vocab_size, metadata) as writer:
        if isinstance(tokens, np.ndarray):
            writer.write(tokens)
        else:
            row: list[int] = []
            for item in tokens:
                if isinstance(item, (int, np.integer)):
                    row.append(int(item))
                    if len(row) == 1 << 16:
                        writer.write(row)
                        row = []
                else:
                    writer.write(item)
            writer.write(row)
    return writer.num_tokens


class TokenFile:
    """A token file, mapped into memory: opening it reads the header alone.

    Args:
        path: the file.

    Attributes:
        tokens: (num_tokens,) read-only uint16 or uint32 array on the file; give it to
            `TokenBatches` or `split_tokens`.
        vocab_size: how many different tokens there are.
        metadata: what the writer noted.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file.
        ValueError: not a token file, of a newer version, cut off, or with something after its end.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = write_tokens(Path(folder, "t"), [5, 6, 7], 10, metadata={"split": "train"})
        ...     file = TokenFile(Path(folder, "t"))
        ...     file, file.tokens[-2:].tolist(), file.metadata
        (TokenFile(3 tokens, vocab_size=10, uint16), [6, 7], {'split': 'train'})
    """

    def __init__(self, path: PathLike) -> None:
        self.path = check_readable(path)
        header = _read_header(self.path)
        self.vocab_size: int = header["vocab_size"]
        self.metadata: dict[str, Any] = header["metadata"]
        num_tokens, dtype = header["num_tokens"], _DTYPES[header["dtype"]]
        actual, needed = os.path.getsize(self.path), HEADER_BYTES + num_tokens * dtype.itemsize
        if actual < needed:
            raise ValueError(
                f"{self.path} is cut off: it has {actual:,} bytes, and its header promises "
                f"{num_tokens:,} tokens, {needed:,} bytes"
            )
        if actual > needed:
            raise ValueError(
                f"{self.path} has {actual - needed:,} bytes after the {num_tokens:,} tokens that "
                "its header promises: it was changed after it was written"
            )
        self.tokens: npt.NDArray[Any]
        if num_tokens:
            shape = (num_tokens,)
            self.tokens = np.memmap(self.path, dtype, mode="r", offset=HEADER_BYTES, shape=shape)
        else:
            self.tokens = np.empty(0, dtype)  # nothing cannot be mapped

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"TokenFile({len(self):,} tokens, vocab_size={self.vocab_size}, {self.tokens.dtype})"


def _read_header(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        raw = file.read(HEADER_BYTES)
    try:
        header = json.loads(raw)
    except ValueError:  # also undecodable bytes
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError(f"{path} is no token file of minillm (see write_tokens)")
    if header.get("version") != VERSION:
        raise ValueError(
            f"{path} is a token file of version {header.get('version')}, this minillm reads version {VERSION}"
        )
    counts = (header.get("num_tokens"), header.get("vocab_size"))
    sane = all(type(count) is int and count >= 0 for count in counts)
    if not sane or header.get("dtype") not in _DTYPES or type(header.get("metadata")) is not dict:
        raise ValueError(f"{path}: the header of this token file is damaged")
    return header
