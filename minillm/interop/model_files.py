"""The files of a pretrained model: finds the weights in a directory, in one safetensors file or several.

A large model lies in several files (shards), and ``model.safetensors.index.json`` says which name is where::

    {"metadata": {"total_size": 123}, "weight_map": {"wte.weight": "model-00001-of-00002.safetensors", ...}}
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from minillm.data.json_readers import read_json
from minillm.data.whole_files import write_whole
from minillm.interop.safetensors import Entry, HostArray, SafetensorsError, SafetensorsFile, write_arrays

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


class ModelFiles:
    """The weights of a pretrained model, open for reading, wherever each of them lies.

    Args:
        path: a directory with ``model.safetensors`` or its shards and index, or one safetensors file.

    Attributes:
        directory: where the files lie.
        entries: dtype, shape and place of each array, by name.

    Raises:
        FileNotFoundError: there is no such directory or file, or a shard is missing.
        SafetensorsError: a file is truncated or no safetensors file, or the index does not fit.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        path = Path(path)
        if not path.exists():
            raise FileNotFoundError(
                f"{path}: there is no such directory or file, and nothing is downloaded by itself; fetch the "
                "model's config.json and model.safetensors, e.g. by `hf download NAME --local-dir DIR`, and "
                "give DIR"
            )
        self.directory = path if path.is_dir() else path.parent
        self._files: dict[str, SafetensorsFile] = {}
        self.entries: dict[str, Entry] = {}
        self._place: dict[str, SafetensorsFile] = {}
        try:
            if path.is_dir() and not (path / WEIGHTS).is_file():
                self._open_shards()
            else:
                self._open(path / WEIGHTS if path.is_dir() else path)
        except BaseException:
            self.close()
            raise

    def _open(self, path: Path) -> SafetensorsFile:
        if path.suffix in {".bin", ".pt", ".pth", ".ckpt", ".pkl"}:
            raise SafetensorsError(_refuse_pickle(path))
        file = self._files[path.name] = SafetensorsFile(path)
        for name, entry in file.entries.items():
            self.entries[name], self._place[name] = entry, file
        return file

    def _open_shards(self) -> None:
        """Open the files that the index names, and check that each holds what it should."""
        index = self.directory / INDEX
        if not index.is_file():
            pickled = sorted(self.directory.glob("pytorch_model*.bin"))
            if pickled:
                raise SafetensorsError(_refuse_pickle(pickled[0]))
            raise FileNotFoundError(
                f"{self.directory}: it holds neither {WEIGHTS} nor {INDEX}, so there are no weights to read"
            )
        content = read_json(index)
        places = content.get("weight_map") if isinstance(content, dict) else None
        if not isinstance(places, dict) or not all(isinstance(shard, str) for shard in places.values()):
            raise SafetensorsError(f"{index}: it needs a weight_map, which says in what file each name is")
        for shard in dict.fromkeys(places.values()):
            if Path(shard).name != shard or shard in {"", ".", ".."}:
                raise SafetensorsError(
                    f"{index}: the shard {shard!r} needs to be a file of the same directory"
                )
            self._open(self.directory / shard)
        for name, shard in places.items():
            if name not in self._files[shard].entries:
                raise SafetensorsError(
                    f"{self.directory / shard}: {name} is not in it, though {INDEX} says so"
                )

    def read(self, name: str) -> HostArray:
        """Return an array, as :meth:`SafetensorsFile.read` does."""
        return self._place[name].read(name)

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()

    def __enter__(self) -> ModelFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _refuse_pickle(path: Path) -> str:
    return (
        f"{path}: this is a pickle, which can run any program when it is read, so minillm does not; convert "
        f"it once where you trust it: transformers.AutoModel.from_pretrained({str(path.parent)!r})"
        f".save_pretrained({str(path.parent)!r}) writes {WEIGHTS}"
    )


def write_model_files(
    directory: str | os.PathLike[str],
    arrays: Mapping[str, Any],
    dtype: str | None = None,
    max_shard_bytes: int | None = None,
) -> list[Path]:
    """Write the weights of a model as Hugging Face's library does, in one file or in shards with an index.

    Args:
        directory: it is made if it is missing.
        arrays: by name.
        dtype: of the floats in the files; their own by default.
        max_shard_bytes: the most bytes of arrays in one file; an array that is larger has a file of its own.

    Returns:
        The files that were written. Weights that stood there before under other names are removed.
    """
    directory = Path(directory)
    shards = _parts(arrays, dtype, max_shard_bytes)
    total = len(shards)
    names = (
        [WEIGHTS]
        if total == 1
        else [f"model-{i:05d}-of-{total:05d}.safetensors" for i in range(1, total + 1)]
    )
    written = []
    for name, shard in zip(names, shards, strict=True):
        write_arrays(directory / name, shard, {"format": "pt"}, dtype)
        written.append(directory / name)
    if total > 1:
        places = {key: name for name, shard in zip(names, shards, strict=True) for key in shard}
        size = sum(path.stat().st_size for path in written)
        with write_whole(directory / INDEX) as file:
            content = {"metadata": {"total_size": size}, "weight_map": places}
            file.write(json.dumps(content, indent=2, sort_keys=True).encode())
        written.append(directory / INDEX)
    for old in [directory / WEIGHTS, directory / INDEX, *directory.glob("model-*-of-*.safetensors")]:
        if old not in written:
            old.unlink(missing_ok=True)
    return written


def bytes_of(size: int | str) -> int:
    """Return a number of bytes from a text: ``"200MB"`` is 200,000,000, ``"1GiB"`` is 2^30.

    Raises:
        ValueError: a text that is not understood.

    Example:
        >>> bytes_of("5GB"), bytes_of("2KiB"), bytes_of(1000)
        (5000000000, 2048, 1000)
    """
    if isinstance(size, int):
        return size
    match = re.fullmatch(r"(\d+)\s*([KMG]?)(I?)B?", size.strip().upper())
    if match is None:
        raise ValueError(f"max_shard_size is {size!r}; it needs a number and KB, MB or GB, as in '200MB'")
    number, unit, binary = match.groups()
    power = " KMG".index(unit or " ")
    return int(int(number) * (1024 if binary else 1000) ** power)


def _parts(arrays: Mapping[str, Any], dtype: str | None, most: int | None) -> list[dict[str, Any]]:
    """Return the arrays in groups of at most so many bytes each, in their order."""
    if most is None:
        return [dict(arrays)]
    if most < 1:
        raise ValueError(f"max_shard_bytes is {most}; it needs to be positive")
    width = {None: None, "float32": 4, "float64": 8}.get(dtype, 2)
    parts: list[dict[str, Any]] = [{}]
    size = 0
    for name, array in arrays.items():
        item = width if width and array.dtype.kind == "f" else array.dtype.itemsize
        count = math.prod(array.shape) * item
        if parts[-1] and size + count > most:
            parts.append({})
            size = 0
        parts[-1][name] = array
        size += count
    return parts
