"""Safetensors: arrays by name in one file, and nothing in it that could be run.

A file is a header and then the bytes of the arrays::

    8 bytes         N, the length of the header, little-endian
    N bytes         JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...,
                           "__metadata__": {"text": "text"}}
    the rest        the arrays, row-major, little-endian, side by side; offsets count from here

The header is checked against the size of the file before memory is taken: a file that was cut off, or one
made to harm, ends in an error. NumPy has no bfloat16 (the upper half of a float32), so arrays of it are read
as float32.

Source: https://huggingface.co/docs/safetensors, "Format".
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from minillm.backend import to_numpy
from minillm.data.whole_files import write_whole

PathLike = str | os.PathLike[str]
HostArray = np.ndarray[Any, Any]

MOST_HEADER_BYTES = 100_000_000  # as in Hugging Face's library

_READABLE = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
_WRITABLE = {np.dtype(code): name for name, code in _READABLE.items() if name != "BF16"}


class SafetensorsError(ValueError):
    """A file is no whole safetensors file, or holds what minillm cannot compute with."""


class Entry(NamedTuple):
    """One array of a file: ``dtype`` as the file names it, and where its bytes lie."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class SafetensorsFile:
    """A safetensors file that is open for reading; each array is read when it is asked for.

    Args:
        path: of the file.

    Attributes:
        entries: dtype, shape and place of each array, by name.
        metadata: texts by name, as the writer left them.

    Raises:
        FileNotFoundError: there is no such file.
        SafetensorsError: the file is truncated, or no safetensors file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.safetensors")
        ...     write_arrays(path, {"x": np.zeros((2, 3), np.float32)})
        ...     with SafetensorsFile(path) as file:
        ...         print(file.entries["x"].dtype, file.read("x").shape)
        F32 (2, 3)
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"{self.path}: there is no such file")
        self._file: BinaryIO = open(self.path, "rb")  # noqa: SIM115  (close() and `with` close it)
        try:
            self.entries, self.metadata, self._start = _read_header(self._file, self.path)
        except BaseException:
            self._file.close()
            raise

    def read(self, name: str) -> HostArray:
        """Return an array; bfloat16 comes as float32.

        Raises:
            KeyError: there is none of this name.
            SafetensorsError: it has a dtype that minillm cannot compute with.
        """
        entry = self.entries[name]
        if entry.dtype not in _READABLE:
            raise SafetensorsError(
                f"{self.path}: {name} has the dtype {entry.dtype}; known are {', '.join(_READABLE)}"
            )
        try:
            array = np.empty(entry.shape, _READABLE[entry.dtype])
        except (ValueError, OverflowError) as error:  # empty, but with a dimension beyond all bounds
            raise SafetensorsError(f"{self.path}: {name} has the shape {entry.shape}: {error}") from error
        self._file.seek(self._start + entry.begin)
        if array.nbytes and self._file.readinto(array.reshape(-1).view(np.uint8).data) != array.nbytes:  # type: ignore[attr-defined]
            raise SafetensorsError(f"{self.path}: the file became shorter while it was read")
        if entry.dtype == "BF16":
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array.astype(array.dtype.newbyteorder("="), copy=False)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> SafetensorsFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_arrays(path: PathLike) -> tuple[dict[str, HostArray], dict[str, str]]:
    """Return all arrays of a safetensors file by name, and its metadata.

    Raises:
        FileNotFoundError: there is no such file.
        SafetensorsError: the file is truncated, no safetensors file, or of a dtype that is not known here.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_arrays(Path(folder, "a.safetensors"), {"x": np.arange(3)}, {"by": "me"})
        ...     read_arrays(Path(folder, "a.safetensors"))
        ({'x': array([0, 1, 2])}, {'by': 'me'})
    """
    with SafetensorsFile(path) as file:
        return {name: file.read(name) for name in file.entries}, file.metadata


def write_arrays(
    path: PathLike,
    arrays: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
    dtype: str | None = None,
) -> None:
    """Write arrays by name to a safetensors file, whole or not at all.

    Args:
        path: of the file; its folder is made if it is missing.
        arrays: on any device, of any strides.
        metadata: texts by name.
        dtype: of the floats in the file: ``float32``, ``float16``, ``bfloat16``, ...; their own by default.

    Raises:
        SafetensorsError: a dtype that cannot be written.
        OSError: the disk is full, or the folder cannot be written to; what stood there before is intact.
    """
    header: dict[str, Any] = {}
    if metadata:
        header["__metadata__"] = {str(key): str(value) for key, value in metadata.items()}
    # Wide types first, so that every array lies at a multiple of its item's size.
    codes = {name: _code_of(name, array, dtype) for name, array in arrays.items()}
    names = sorted(arrays, key=lambda name: -np.dtype(_READABLE[codes[name]]).itemsize)
    end = 0
    for name in names:
        shape = tuple(arrays[name].shape)
        begin, end = end, end + math.prod(shape) * np.dtype(_READABLE[codes[name]]).itemsize
        header[name] = {"dtype": codes[name], "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with write_whole(path) as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in names:
            file.write(_bytes_of(to_numpy(arrays[name]), codes[name]))


def _code_of(name: str, array: Any, dtype: str | None) -> str:
    """Return the file's name of the dtype that an array is written in."""
    if dtype is not None and array.dtype.kind == "f":
        if str(dtype).removeprefix("torch.") == "bfloat16":
            return "BF16"
        kind = np.dtype(dtype)
        if kind.kind != "f":
            raise SafetensorsError(f"write_arrays: got the dtype {dtype} for floats; it needs a float type")
    else:
        kind = np.dtype(array.dtype)
    code = _WRITABLE.get(kind.newbyteorder("<"))
    if code is None:
        raise SafetensorsError(f"write_arrays: {name} has the dtype {kind}, which the format has no name for")
    return code


def _bytes_of(array: HostArray, code: str) -> memoryview:
    """Return the bytes of an array in the file's dtype."""
    if code == "BF16":
        array = _round_to_bfloat16(array)
    array = np.asarray(array, dtype=_READABLE[code], order="C")
    return array.reshape(-1).view(np.uint8).data


def _round_to_bfloat16(array: HostArray) -> HostArray:
    """Return the upper halves of float32 numbers, rounded to the nearest, ties to even."""
    bits = np.asarray(array, dtype=np.float32, order="C").view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) >> 16
    # Adding to the bits of a NaN may carry it into infinity or zero.
    return np.where(np.isnan(array), 0x7FC0, rounded).astype(np.uint16)


def _read_header(file: BinaryIO, path: Path) -> tuple[dict[str, Entry], dict[str, str], int]:
    """Return the entries, the metadata, and where the arrays begin."""
    size = os.fstat(file.fileno()).st_size
    if size < 8:
        raise SafetensorsError(
            f"{path}: this is no safetensors file: it has {size} bytes; the length of its header needs 8"
        )
    length = int.from_bytes(file.read(8), "little")
    if length > MOST_HEADER_BYTES:
        raise SafetensorsError(
            f"{path}: this is no safetensors file: its first 8 bytes announce a header of {length:,} bytes"
        )
    if 8 + length > size:
        raise SafetensorsError(
            f"{path}: this safetensors file was cut off: its header has {length:,} bytes, the whole file "
            f"{size:,}; copy it again"
        )
    raw = file.read(length)
    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise SafetensorsError(
            f"{path}: this is no safetensors file: its header is not valid JSON ({error})"
        ) from None
    if not isinstance(header, dict):
        raise SafetensorsError(f"{path}: this is no safetensors file: its header is {type(header).__name__}")
    metadata = header.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise SafetensorsError(f"{path}: its __metadata__ needs to hold texts by name")
    entries = {name: _checked_entry(name, value, path) for name, value in header.items()}
    _check_places(entries, size - 8 - length, path)
    return entries, metadata, 8 + length


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a name stands in it twice")
    return result


def _checked_entry(name: str, value: Any, path: Path) -> Entry:
    """Return what the header says of one array, or raise an error where that makes no sense."""
    try:
        dtype, shape, (begin, end) = value["dtype"], value["shape"], value["data_offsets"]
        numbers = [*shape, begin, end]
        whole = all(type(n) is int and n >= 0 for n in numbers)
    except (TypeError, KeyError, ValueError):
        whole = False
    if not whole or not isinstance(dtype, str):
        raise SafetensorsError(
            f"{path}: this is no safetensors file: what its header says of {name!r} is not understood"
        )
    if dtype in _READABLE:
        needed = math.prod(shape) * np.dtype(_READABLE[dtype]).itemsize
        if needed != end - begin:
            raise SafetensorsError(
                f"{path}: {name} is damaged: {dtype} of shape {tuple(shape)} takes {needed:,} bytes, "
                f"and its header gives it {end - begin:,}"
            )
    return Entry(dtype, tuple(shape), begin, end)


def _check_places(entries: dict[str, Entry], available: int, path: Path) -> None:
    """Raise an error unless the arrays lie side by side and fill the file."""
    place = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != place or entry.end < entry.begin:
            raise SafetensorsError(
                f"{path}: {name} is damaged: its bytes begin at {entry.begin:,}, not at {place:,}, where "
                "the array before it ends"
            )
        place = entry.end
    if place > available:
        raise SafetensorsError(
            f"{path}: this safetensors file was cut off: its arrays take {place:,} bytes, and {available:,} "
            "are there; copy it again"
        )
    if place < available:
        raise SafetensorsError(
            f"{path}: this is no whole safetensors file: {available - place:,} bytes follow its last array"
        )
