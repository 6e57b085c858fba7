"""``TrainingLog``: what happened in a run, one JSON object a line, in the order of the steps.

    {"step": 10, "loss": 3.1, "lr": 0.00011, "grad_norm": 2.2, "tokens": 7680, "seconds": 0.4}
    {"step": 250, "val_loss": 2.4, "best": true}
    {"step": 2000, "final": true, "val_loss": 1.88, "kept_step": 2000}

Lines are appended, so a killed run leaves at most its last line in part. A resumed run first goes back to
the lines that its checkpoint knew: the log then ends up as that of a run which was never stopped.
"""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from minillm.data.whole_files import disk_full

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class TrainingLog:
    """The log of a run, open for writing.

    Args:
        path: of the file; made if missing.

    Attributes:
        num_lines: whole lines written so far.

    Raises:
        RuntimeError: another process writes this log.
        OSError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with TrainingLog(Path(folder, "log.jsonl")) as log:
        ...         log.write({"step": 10, "loss": 3.14159265})
        ...     read_log(Path(folder, "log.jsonl"))
        [{'step': 10, 'loss': 3.14159}]
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = open(self.path, "ab", buffering=0)  # noqa: SIM115  (close() closes it)
        if fcntl is not None:
            try:
                # The system takes the lock away when the process ends, even if it was killed.
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                self._file.close()
                raise RuntimeError(
                    f"{self.path.parent}: another process is training in this directory; "
                    "wait for it, or give another directory"
                ) from error
        self.num_lines = len(_whole_lines(self.path))

    def write(self, record: dict[str, Any]) -> None:
        """Append a record; floats are kept to six digits.

        Raises:
            OSError: the file cannot be written; a full disk is named as such.
        """
        line = json.dumps(_rounded(record), allow_nan=False).encode() + b"\n"
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise disk_full(self.path, error) from error
            raise
        self.num_lines += 1

    def go_back(self, num_lines: int) -> None:
        """Forget all after the first ``num_lines`` lines, a line in part included."""
        lines = _whole_lines(self.path)[:num_lines]
        self._file.truncate(sum(map(len, lines)))
        self.num_lines = len(lines)

    def sync(self) -> None:
        """Wait until the disk holds all lines."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class MemoryLog:
    """The same for a run that writes no files.

    Attributes:
        records: what was written.
    """

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    @property
    def num_lines(self) -> int:
        """The number of records."""
        return len(self.records)

    def write(self, record: dict[str, Any]) -> None:
        """Append a record; floats are kept to six digits."""
        self.records.append(_rounded(record))

    def sync(self) -> None:
        """Do nothing: there is no disk to wait for."""

    def close(self) -> None:
        """Do nothing."""


def _rounded(record: dict[str, Any]) -> dict[str, Any]:
    return {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in record.items()}


def read_log(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the records of a log; a last line in part, of a run that was killed, is left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is no JSON object; the message names it.
    """
    records = []
    for number, line in enumerate(_whole_lines(Path(path)), 1):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise ValueError(f"{path}, line {number}: this is no line of a training log: {line[:60]!r}")
        records.append(record)
    return records


def _whole_lines(path: Path) -> list[bytes]:
    lines = path.read_bytes().splitlines(keepends=True)
    return lines if not lines or lines[-1].endswith(b"\n") else lines[:-1]
