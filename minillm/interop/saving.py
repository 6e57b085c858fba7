"""``save`` and ``load``: dictionaries and lists of tensors, numbers and texts in one file, under PyTorch's names.

PyTorch writes a pickle, which can run any program when it is read. This is a safetensors file: the tensors by name,
and how they stand in the object as JSON in its metadata. A dictionary of tensors, such as ``state_dict()``, keeps
its names there, so that every program for safetensors reads it. In the JSON, null, booleans, texts, numbers and lists
are themselves, and everything else is an object with one entry that tells its kind::

    {"epoch": 3, "model": {"weight": tensor}}   ->   {"dict": [["epoch", 3], ["model", {"dict": [["weight",
                                                      {"tensor": "model.weight"}]]}]]}
"""

from __future__ import annotations

import json
import os
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minillm.backend import Device, is_array, to_device, to_dtype
from minillm.interop.safetensors import SafetensorsError, SafetensorsFile, write_arrays
from minillm.ops import Parameter, Tensor

KEY = "minillm.save 1"  # in the metadata; the number is that of the form

_MAPPINGS: dict[str, Any] = {"dict": dict, "OrderedDict": OrderedDict, "Counter": Counter}
_SEQUENCES: dict[str, Any] = {"tuple": tuple, "set": set, "frozenset": frozenset}
_PLAIN = (type(None), bool, int, float, str)
MapLocation = str | Device | dict[str, str] | Callable[[Tensor, str], Any] | None


def save(obj: Any, f: str | os.PathLike[str]) -> None:
    """Write an object to a file, whole or not at all.

    Args:
        obj: tensors, NumPy arrays, numbers, texts, None, dtypes, devices, and dictionaries, lists, tuples and sets of
            them, at any depth. Two names of one tensor, such as tied weights, share their memory again when loaded.
        f: the path of the file; the ending is of no importance.

    Raises:
        TypeError: something that is no data, such as a module: save its ``state_dict()``.
        OSError: the file cannot be written.

    Example:
        >>> import minillm, tempfile
        >>> model = minillm.nn.Linear(2, 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     minillm.save({"model": model.state_dict(), "epoch": 3}, Path(folder, "run.pt"))
        ...     saved = minillm.load(Path(folder, "run.pt"))
        >>> saved["epoch"], list(saved["model"])
        (3, ['weight', 'bias'])
    """
    if hasattr(f, "write"):
        raise TypeError(f"save: got {type(f).__name__}; it needs the path of a file")
    writer = _Writer()
    try:
        structure = json.dumps(writer.plain(obj, ()))
    except RecursionError:
        raise TypeError("save: the object holds itself, or holds others too deep") from None
    write_arrays(f, writer.arrays, {"format": "pt", KEY: structure})


def load(f: str | os.PathLike[str], map_location: MapLocation = None, *, weights_only: bool = True) -> Any:
    """Return the object that :func:`save` wrote; of any other safetensors file, the tensors by name.

    Args:
        f: the path of the file.
        map_location: the device of the tensors; that where they were by default. Also a dictionary of devices, or a
            function of a tensor on the CPU and the name of its device that returns it where it shall be.
        weights_only: without effect; nothing in such a file can be run.

    Raises:
        FileNotFoundError: there is no such file.
        SafetensorsError: it is damaged, or a pickle of PyTorch's; the message says how to convert that.
        RuntimeError: tensors were on a GPU, and there is none; give ``map_location="cpu"``.

    Example:
        >>> import minillm, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     minillm.save([minillm.ones(2), ("a", 0.5)], Path(folder, "list.pt"))
        ...     minillm.load(Path(folder, "list.pt"), map_location="cpu")
        [tensor([1., 1.]), ('a', 0.5)]
    """
    if hasattr(f, "read"):
        raise TypeError(f"load: got {type(f).__name__}; it needs the path of a file")
    _refuse_pickle(Path(f))
    with SafetensorsFile(f) as file:
        reader = _Reader(file, map_location)
        if KEY not in file.metadata:
            return {name: reader.object_of({"tensor": name}) for name in file.entries}
        try:
            return reader.object_of(json.loads(file.metadata[KEY]))
        except (LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
            if isinstance(error, SafetensorsError):
                raise
            raise SafetensorsError(f"{f}: its {KEY!r} does not fit its tensors: {error!r}") from error


class _Writer:
    """Turns an object into what JSON holds, and gathers its arrays by name.

    Attributes:
        arrays: by name, each once.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, Any] = {}
        self._names: dict[Any, str] = {}  # by the memory of an array

    def plain(self, obj: Any, path: tuple[Any, ...]) -> Any:
        """Return an object, which stands at ``path`` in the whole, as JSON holds it."""
        kind = type(obj)
        if kind in _PLAIN:
            return obj
        if kind is list:
            return [self.plain(item, (*path, i)) for i, item in enumerate(obj)]
        if kind in _MAPPINGS.values():
            return {kind.__name__: [[self.plain(k, path), self.plain(v, (*path, k))] for k, v in obj.items()]}
        if kind in _SEQUENCES.values():
            return {kind.__name__: [self.plain(item, (*path, i)) for i, item in enumerate(obj)]}
        if isinstance(obj, Tensor):
            entry = {"Parameter" if isinstance(obj, Parameter) else "tensor": self._name(obj.array, path)}
            if obj.device.type != "cpu":
                entry["device"] = str(obj.device)
            return {**entry, "requires_grad": True} if obj.requires_grad else entry
        if is_array(obj) and not isinstance(obj, np.generic):
            return {"array": self._name(obj, path)}
        if isinstance(obj, np.generic):
            return {"number": self._name(np.asarray(obj), path)}
        if isinstance(obj, np.dtype):
            return {"dtype": str(obj)}
        if isinstance(obj, Device):
            return {"device": str(obj)}
        raise TypeError(_no_data(obj, path))

    def _name(self, array: Any, path: tuple[Any, ...]) -> str:
        """Return the name that an array has in the file: its path, and a number where that is taken."""
        if array.dtype.kind not in "biuf":
            raise TypeError(f"save: {_place(path)} is an array of {array.dtype}; it needs numbers or booleans")
        interface = getattr(array, "__array_interface__", None) or getattr(array, "__cuda_array_interface__", None)
        start = interface["data"][0] if interface else id(array)
        memory = (start, array.shape, array.strides, str(array.dtype))
        if array.size and memory in self._names:
            return self._names[memory]
        name = first = ".".join(map(str, path)) or "tensor"
        number = 1
        while name in self.arrays or name == "__metadata__":
            number += 1
            name = f"{first}#{number}"
        self.arrays[name] = array
        self._names[memory] = name
        return name


def _no_data(obj: Any, path: tuple[Any, ...]) -> str:
    """Return why an object cannot be saved, and what can be in its place."""
    kind = type(obj).__name__
    if hasattr(obj, "state_dict"):
        return f"save: {_place(path)} is a {kind}, no data; save its state_dict(), and load that into a new {kind}"
    return (
        f"save: {_place(path)} is a {kind}; it needs tensors, arrays, numbers, texts, None, and dicts, lists, tuples "
        "and sets of them"
    )


def _place(path: tuple[Any, ...]) -> str:
    return "the object" if not path else "what stands at " + "".join(f"[{key!r}]" for key in path)


class _Reader:
    """Turns what JSON held into the object again.

    Args:
        file: with the arrays.
        map_location: as for :func:`load`.
    """

    def __init__(self, file: SafetensorsFile, map_location: MapLocation) -> None:
        self._file, self._map = file, map_location
        self._moved: dict[Any, Any] = {}

    def object_of(self, plain: Any) -> Any:
        """Return the object that stood there."""
        if isinstance(plain, list):
            return [self.object_of(item) for item in plain]
        if not isinstance(plain, dict):
            return plain
        kind, value = list(plain.items())[0]  # noqa: RUF015  (an empty one is an IndexError, no StopIteration)
        if kind in _MAPPINGS:
            return _MAPPINGS[kind]({self.object_of(key): self.object_of(item) for key, item in value})
        if kind in _SEQUENCES:
            return _SEQUENCES[kind](self.object_of(item) for item in value)
        if kind in ("tensor", "Parameter"):
            array = self._array(value, plain.get("device", "cpu"))
            return (Parameter if kind == "Parameter" else Tensor)(array, plain.get("requires_grad", False))
        if kind in ("array", "number"):
            array = self._array(value, None)
            return array if kind == "array" else array[()]
        kinds: dict[str, Callable[[Any], Any]] = {"dtype": to_dtype, "device": Device}
        return kinds[kind](value)

    def _array(self, name: str, device: str | None) -> Any:
        """Return an array where it shall be, the same one for the same name; NumPy's where no device is given."""
        if (name, device) not in self._moved:
            array = self._file.read(name)
            self._moved[name, device] = array if device is None else self._placed(array, device)
        return self._moved[name, device]

    def _placed(self, array: Any, device: str) -> Any:
        place: Any = self._map
        if callable(place):
            moved = place(Tensor(array, device="cpu"), device)
            if moved is not None:
                return moved.array
            place = None
        if isinstance(place, dict):
            place = place.get(device)
        return to_device(array, Device(device if place is None else place))


def _refuse_pickle(path: Path) -> None:
    """Raise an error for a file of ``torch.save``: a zip archive with a pickle in it, or a bare pickle."""
    if not path.is_file():
        return
    with open(path, "rb") as file:
        begin, size = file.read(8), os.fstat(file.fileno()).st_size
    pickled = begin[:4] == b"PK\x03\x04" or (begin[:1] == b"\x80" and begin[1:2] in b"\x02\x03\x04\x05")
    if pickled and int.from_bytes(begin, "little") > size:  # else it may be the length of a safetensors header
        raise SafetensorsError(
            f"{path}: this is a pickle of torch.save, which can run any program when it is read, so minillm does not; "
            "convert it once where you trust it: safetensors.torch.save_file(torch.load(f, weights_only=True), "
            "'weights.safetensors') writes a dictionary of tensors, which load reads"
        )
