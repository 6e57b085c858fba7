"""Files that appear whole or not at all: written beside their place, moved there when complete."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def write_whole(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a new binary file that takes its place at `path` when the block ends well.

    Until then, and if the block raises, whatever stood at `path` stays as it was, and nothing is
    left beside it.

    Args:
        path: where the file shall stand. Its folder is made if it is missing.

    Raises:
        OSError: the file cannot be written; a full disk is named as such.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with write_whole(Path(folder, "a.bin")) as file:
        ...         _ = file.write(b"abc")
        ...     Path(folder, "a.bin").read_bytes()
        b'abc'
    """
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{place.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        with open(beside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, place)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(place, error) from error
        raise


def disk_full(path: Path, error: OSError) -> OSError:
    """The error to raise in place of a bare "No space left on device"."""
    return OSError(error.errno, f"no space left on the disk of {path.parent} to write", str(path))
