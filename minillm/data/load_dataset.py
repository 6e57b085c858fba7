"""Loading public data sets by name: from a folder of one's own, a cache, or their public source."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from minillm.data.download import DownloadError, download
from minillm.data.public_sets import OTHER_NAMES, PUBLIC_SETS, PublicSet, RemoteFile, Splits
from minillm.data.text_files import PathLike
from minillm.data.whole_files import write_whole

#: No file of a set is larger; a server that gives more is cut short.
MAX_BYTES = 1 << 26


def dataset_names() -> list[str]:
    """Return the names of the public sets.

    Example:
        >>> "tinyshakespeare" in dataset_names()
        True
    """
    return sorted(PUBLIC_SETS)


def load_dataset(
    name: str,
    *,
    data_dir: PathLike | None = None,
    cache_dir: PathLike | None = None,
    allow_download: bool = True,
    progress: bool | None = None,
) -> Splits:
    r"""Return the examples of a public set by split.

    Its files are looked for in the folder `name` of `data_dir`, then of the folder that the environment
    variable ``MINILLM_DATA`` names, then of the cache. What is nowhere is downloaded to the cache, and
    must have the sum that minillm knows; it is fetched once.

    Args:
        name: The set; see `dataset_names`.
        data_dir: A folder of sets.
        cache_dir: Where downloads go, by default ``MINILLM_CACHE``, or ``minillm`` in
            ``XDG_CACHE_HOME`` or ``~/.cache``.
        allow_download: Whether the network may be used.
        progress: Show a bar while downloading; None means on a terminal.

    Returns:
        Lists of examples, each a dict, under ``"train"``, ``"validation"`` and ``"test"``, as far as
        the set has them.

    Raises:
        ValueError: There is no such set, or a file cannot be read; the message says where.
        FileNotFoundError: The files are nowhere and must not be downloaded.
        DownloadError: The files could not be fetched.
        OSError: They could not be written, as on a full disk.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "names").mkdir()
        ...     _ = Path(folder, "names", "names.txt").write_text("emma\nolivia\n")
        ...     load_dataset("names", data_dir=folder)
        {'train': [{'text': 'emma'}, {'text': 'olivia'}]}
    """
    public = _known(name)
    folder = dataset_path(
        name,
        data_dir=data_dir,
        cache_dir=cache_dir,
        allow_download=allow_download,
        progress=progress,
    )
    return public.read(folder)


def dataset_path(
    name: str,
    *,
    data_dir: PathLike | None = None,
    cache_dir: PathLike | None = None,
    allow_download: bool = True,
    progress: bool | None = None,
) -> Path:
    """Return the folder with the files of a public set, downloaded if need be; see `load_dataset`."""
    public = _known(name)
    named = os.environ.get("MINILLM_DATA")
    roots = [Path(root) for root in (data_dir, named) if root]
    cache = _cache(cache_dir)
    for root in (*roots, cache):
        if all((root / public.name / file.name).is_file() for file in public.files):
            return root / public.name
    folder = cache / public.name
    if not allow_download:
        looked = ", ".join(str(root / public.name) for root in (*roots, cache))
        raise FileNotFoundError(
            f"the data set {public.name!r} lies in none of {looked}, and downloading is not allowed; set "
            "MINILLM_DATA to a folder that holds it"
        )
    for file in public.files:
        if not (folder / file.name).is_file():
            _fetch(public, file, folder, progress)
    return folder


def _known(name: str) -> PublicSet:
    key = name.lower().replace("_", "-")
    public = PUBLIC_SETS.get(OTHER_NAMES.get(key, key))
    if public is None:
        raise ValueError(f"load_dataset: there is no set {name!r}; there are {', '.join(dataset_names())}")
    return public


def _cache(cache_dir: PathLike | None) -> Path:
    if cache_dir is not None:
        return Path(cache_dir)
    if named := os.environ.get("MINILLM_CACHE"):
        return Path(named)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "minillm"


def _fetch(public: PublicSet, file: RemoteFile, folder: Path, progress: bool | None) -> None:
    """Download a file, from the first of its addresses that has it."""
    refusals = []
    for url in file.urls:
        try:
            if file.take is None:
                download(
                    url,
                    folder / file.name,
                    sha256=file.sha256,
                    size=file.size,
                    max_bytes=MAX_BYTES,
                    progress=progress,
                )
            else:
                _fetch_and_take(url, file, folder, progress)
            return
        except DownloadError as error:
            refusals.append(str(error))
    raise DownloadError(
        f"the data set {public.name!r} could not be fetched. {'; '.join(refusals)}. If you have it, set "
        f"MINILLM_DATA to a folder with {public.name}/{file.name} in it"
    )


def _fetch_and_take(url: str, file: RemoteFile, folder: Path, progress: bool | None) -> None:
    assert file.take is not None
    whole = download(url, folder / f"{file.name}.source", max_bytes=MAX_BYTES, progress=progress)
    data = file.take(whole.read_bytes())
    whole.unlink()
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise DownloadError(
            f"{url}: what is taken from the file has the sum {found}, it should have {file.sha256}; the "
            "file was changed at its source or on the way"
        )
    with write_whole(folder / file.name) as out:
        out.write(data)
