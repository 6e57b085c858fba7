"""Downloading a file once: resumed where it was cut off, retried, checked, and moved into place."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import re
import shutil
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, BinaryIO

from minillm.data.text_files import PathLike
from minillm.data.whole_files import disk_full

_CHUNK = 1 << 16
_RETRIED = {408, 425, 429, 500, 502, 503, 504}
_MAX_WAIT = 60.0


class DownloadError(OSError):
    """A file could not be fetched; the message says which, why, and what can be done."""


class _CutOffError(Exception):
    """This try failed in a way that the next one may not. `wait` is what the server asked for."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


def download(
    url: str,
    path: PathLike,
    *,
    sha256: str | None = None,
    size: int | None = None,
    max_bytes: int = 1 << 30,
    retries: int = 5,
    timeout: float = 30.0,
    progress: bool | None = None,
) -> Path:
    """Fetch a file from the web and return where it stands.

    What has come stands in ``<path>.part`` until it is whole and its sum is right. A try that is
    cut off, by the server, the network or Ctrl-C, goes on from there the next time (HTTP's
    Range). Failures that may pass (time-outs, connections that break, answers 429 and 5xx) are
    tried again with growing waits, as long as no more than `retries` in a row bring nothing new.

    Args:
        url: an address that begins with http:// or https://.
        path: where the file shall stand; its folder is made if it is missing.
        sha256: the sum that the file must have, in hexadecimal.
        size: how many bytes to fetch. A longer file is cut after so many.
        max_bytes: the most bytes to accept where `size` is not known.
        retries: how often to try again after a failure that may pass.
        timeout: seconds to wait for each answer or piece of the file.
        progress: show a bar with speed and time left; None means on a terminal. Unless it is False, each new try
            is announced on stderr.

    Raises:
        DownloadError: the address does not exist or refuses, the tries are used up, the file is
            larger than it may be, or its sum is wrong twice.
        OSError: the file cannot be written, as on a full disk. What has come is kept.
        ValueError: the address is not one of the web.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"download: needs an address with http:// or https://, got {url!r}")
    place = Path(path)
    part = place.with_name(place.name + ".part")
    place.parent.mkdir(parents=True, exist_ok=True)
    failures = wrong_sums = 0
    while True:
        have = part.stat().st_size if part.exists() else 0
        if size is not None and have > size:
            part.unlink()
            have = 0
        if size is None or have < size:
            try:
                _receive(url, part, have, size, max_bytes, timeout, progress)
            except _CutOffError as error:
                grown = part.exists() and part.stat().st_size > have
                failures = 1 if grown else failures + 1
                if failures > retries:
                    raise DownloadError(
                        f"{url}: {error}, after {failures} tries. What has come is kept: try "
                        "again later, and it goes on from there"
                    ) from error
                wait = min(_MAX_WAIT, max(error.wait, 2.0 ** (failures - 1)))
                if progress is not False:
                    again = f"trying again in {wait:.0f} s ({failures} of {retries})"
                    print(f"{place.name}: {error}; {again}", file=sys.stderr, flush=True)
                time.sleep(wait)
                continue
        found = _sum_of(part) if sha256 is not None else None
        if found == sha256:
            os.replace(part, place)
            return place
        part.unlink()
        wrong_sums += 1
        if wrong_sums == 2:
            raise DownloadError(
                f"{url}: the file that came has the sum {found}, it should have {sha256}. It was "
                "changed at its source or on the way, and was thrown away"
            )


def _receive(
    url: str,
    part: Path,
    have: int,
    size: int | None,
    max_bytes: int,
    timeout: float,
    progress: bool | None,
) -> None:
    """Append to `part` what the server gives from byte `have` on, or raise `_CutOffError`."""
    last = "" if size is None else str(size - 1)
    headers = {"User-Agent": "minillm", "Accept-Encoding": "identity"}
    if have or last:
        headers["Range"] = f"bytes={have}-{last}"
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            have = _start(response, have)
            coming = response.headers.get("Content-Length") or ""
            total = size if size is not None else have + int(coming) if coming.isdecimal() else None
            limit = max_bytes if size is None else size
            if size is None and total is not None and total > max_bytes:
                raise DownloadError(f"{url}: has {total:,} bytes, more than {max_bytes:,}")
            _check_space(part, (total or 0) - have)
            with _open_part(part, have) as file:
                received = _copy(response, file, part, have, total, limit, progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and _is_whole(error, have):
            if size is None:
                return
            part.unlink()
            raise DownloadError(f"{url}: has {have:,} bytes, {size:,} are needed") from error
        if error.code == 416:
            part.unlink(missing_ok=True)
            raise _CutOffError("the server has a shorter file than what had come") from error
        if error.code in _RETRIED:
            wait = error.headers.get("Retry-After", "")
            seconds = float(wait) if wait.isdecimal() else 0.0
            raise _CutOffError(f"the server answers {error.code}", seconds) from error
        raise DownloadError(f"{url}: the server answers {error.code} {error.reason}") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as e:
        reason = getattr(e, "reason", None) or str(e) or type(e).__name__
        raise _CutOffError(f"no connection or it broke ({reason})") from e
    if size is None and received > max_bytes:
        part.unlink()
        raise DownloadError(f"{url}: more than {max_bytes:,} bytes came")
    if total is not None and received < total:
        raise _CutOffError(f"cut off after {received:,} of {total:,} bytes")


def _start(response: Any, have: int) -> int:
    """Return the byte that the answer begins at: `have`, or 0 if the server gives all of it."""
    if response.status != 206:
        return 0
    begins = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if begins is None or int(begins[1]) != have:
        raise _CutOffError("the server gave another range than it was asked for")
    return have


def _is_whole(error: urllib.error.HTTPError, have: int) -> bool:
    """Whether "range not satisfiable" means that everything had come already."""
    return error.headers.get("Content-Range", "") == f"bytes */{have}"


def _check_space(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise OSError(errno.ENOSPC, f"{needed:,} bytes are to come and the disk has {free:,} left", str(part))


def _open_part(part: Path, have: int) -> BinaryIO:
    return open(part, "ab" if have else "wb")


def _copy(
    response: Any,
    file: BinaryIO,
    part: Path,
    have: int,
    total: int | None,
    limit: int,
    progress: bool | None,
) -> int:
    """Write the answer to the file, up to just over `limit` bytes; return the size reached."""
    from tqdm import tqdm

    disable = None if progress is None else not progress  # None: shown on terminals alone
    name = part.name.removesuffix(".part")
    with tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=name, disable=disable) as bar:
        while have <= limit and (data := response.read(min(_CHUNK, limit - have + 1))):
            if total is not None:
                data = data[: total - have]
            try:
                file.write(data)
                file.flush()
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise disk_full(part, error) from error
                raise
            have += len(data)
            bar.update(len(data))
            if have == total:
                break
    return have


def _sum_of(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()
