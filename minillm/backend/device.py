"""Where arrays live: device values, the array module of an array, and explicit moves.

Three kinds of device exist. ``cpu`` computes with NumPy, ``cuda:0``, ``cuda:1``, ... with CuPy, and
``strict`` with a stand-in that computes on the CPU under CuPy's rules, so that the tests of the GPU
path run on any machine (see `minillm.backend.strict`).

An array stays where it is: operations ask `xp_of` for the module of their input and call it.
Nothing moves unless `to_device` or `to_numpy` is called. CuPy is imported only when a CUDA device
is asked for.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

__all__ = [
    "Array",
    "Device",
    "device_of",
    "get_default_device",
    "is_array",
    "is_available",
    "same_device",
    "set_default_device",
    "synchronize",
    "to_device",
    "to_numpy",
    "xp_for",
    "xp_of",
]

Array: TypeAlias = Any
"""An array of NumPy, of CuPy or of the stand-in: the three share no type, so this is ``Any``."""

_INSTALL_CUPY = 'pip install "minillm[cuda]"'
_DEVICE_TEXT = re.compile(r"(cpu|cuda|strict)(?::(\d+))?")
_DEVICE_CHOICES = "'cpu', 'cuda', 'cuda:0', 'cuda:1', ... or 'strict'"


class Device:
    """A place where arrays live and are computed on; published as ``minillm.device``.

    Args:
        type: ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"strict"``; or another device.
        index: the number of the GPU, when ``type`` is plain ``"cuda"``. ``"cuda"`` alone is the
            current GPU: that of the default device where this is a GPU, otherwise ``cuda:0``.

    A device is an immutable value: equal devices are equal, hashable keys. As in PyTorch a device
    never equals a string; compare ``x.device == minillm.device("cpu")`` or ``x.device.type ==
    "cpu"``. Naming a GPU needs neither a GPU nor CuPy; only using it does.

    As a context manager it is the default device of the current thread inside the block. Blocks may
    be nested, also with the same object.

    Raises:
        ValueError: an unknown name, or an index where none can be.
        TypeError: neither a name nor a device.

    Example:
        >>> from minillm.backend import Device, get_default_device
        >>> Device("cuda", 1)
        device('cuda:1')
        >>> Device("cuda:1").type, Device("cuda:1").index
        ('cuda', 1)
        >>> with Device("strict"):
        ...     print(get_default_device())
        strict
    """

    __slots__ = ("_text", "index", "type")

    type: str
    index: int | None
    _text: str

    def __init__(self, type: str | Device = "cpu", index: int | None = None) -> None:
        kind, number = _parse(type, index)
        if kind == "cuda" and number is None:
            current = get_default_device()
            number = current.index if current.type == "cuda" else 0
        self._fill(kind, number)

    def _fill(self, kind: str, number: int | None) -> None:
        object.__setattr__(self, "type", kind)
        object.__setattr__(self, "index", number)
        object.__setattr__(self, "_text", kind if number is None else f"{kind}:{number}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"device: a device cannot be changed (tried to set {name!r})")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"device: a device cannot be changed (tried to delete {name!r})")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Device):
            return self._text == other._text
        return NotImplemented

    def __hash__(self) -> int:
        return hash(("minillm.device", self._text))

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"device('{self._text}')"

    def __reduce__(self) -> tuple[Callable[..., Device], tuple[str, int | None]]:
        return Device, (self.type, self.index)

    def __enter__(self) -> Device:
        _require(self)
        cuda = None
        if self.type == "cuda":  # CuPy allocates on its own current device: move that as well
            cuda = sys.modules["cupy"].cuda.Device(self.index)
            cuda.__enter__()
        _thread.blocks.append((self, cuda))
        return self

    def __exit__(self, *exception: object) -> None:
        _, cuda = _thread.blocks.pop()
        if cuda is not None:
            cuda.__exit__(*exception)


def _parse(type: object, index: int | None) -> tuple[str, int | None]:
    """Split a device's name into its type and its index; None stands for an index not given."""
    if isinstance(type, Device):
        if index is not None:
            raise ValueError(f"device: {type!r} has its index already, got index={index} as well")
        return type.type, type.index
    if not isinstance(type, str):
        raise TypeError(
            f"device: got {type!r} of type {type.__class__.__name__}, "
            f"needs a device or one of {_DEVICE_CHOICES}"
        )
    match = _DEVICE_TEXT.fullmatch(type)
    if match is None:
        raise ValueError(f"device: unknown device {type!r}, needs one of {_DEVICE_CHOICES}")
    kind = match[1]
    if match[2] is not None:
        if index is not None:
            raise ValueError(f"device: {type!r} has its index already, got index={index} as well")
        index = int(match[2])
    if index is not None and index < 0:
        raise ValueError(f"device: the index of a GPU counts from 0, got {index}")
    if kind != "cuda":
        if index:
            raise ValueError(f"device: there is one {kind} device, got index {index}")
        index = None  # "cpu:0" is a name of "cpu"
    return kind, index


class _Thread(threading.local):
    """What a thread has entered with ``with device(...)``: (device, CuPy's own block)."""

    def __init__(self) -> None:
        self.blocks: list[tuple[Device, Any]] = []


_thread = _Thread()
_process_default: Device | None = None  # None until first asked for: MINILLM_DEVICE is read then

_CPU = Device("cpu")
_STRICT = Device("strict")


def get_default_device() -> Device:
    """Return the device on which new tensors are made.

    That is the innermost ``with device(...)`` block of this thread; outside of one, what
    `set_default_device` was given; otherwise the environment variable ``MINILLM_DEVICE``, read on
    first use; otherwise the CPU.

    Raises:
        ValueError: ``MINILLM_DEVICE`` is no device.
        RuntimeError: ``MINILLM_DEVICE`` names a device that this machine does not have.

    Example:
        >>> from minillm.backend import Device, get_default_device
        >>> with Device("cpu"):
        ...     get_default_device()
        device('cpu')
    """
    global _process_default
    if _thread.blocks:
        return _thread.blocks[-1][0]
    if _process_default is None:
        _process_default = _device_of_environment()
    return _process_default


def set_default_device(device: str | Device) -> None:
    """Make ``device`` the place of new tensors, in every thread, outside ``with device(...)``.

    Args:
        device: a device or its name. A GPU must be there: this is checked now, not at first use.

    Raises:
        RuntimeError: the device is not available on this machine.

    Example:
        >>> from minillm.backend import get_default_device, set_default_device
        >>> set_default_device("cpu")
        >>> get_default_device()
        device('cpu')
    """
    global _process_default
    device = Device(device)
    _require(device)
    if device.type == "cuda":
        sys.modules["cupy"].cuda.Device(device.index).use()
    _process_default = device


def _device_of_environment() -> Device:
    name = os.environ.get("MINILLM_DEVICE", "").strip() or "cpu"
    device = Device.__new__(Device)
    try:
        kind, number = _parse(name, None)
        device._fill(kind, 0 if kind == "cuda" and number is None else number)
        _require(device)
    except (ValueError, RuntimeError) as error:
        raise error.__class__(f"the environment variable MINILLM_DEVICE is {name!r}: {error}") from error
    return device


def _import_cupy() -> Any:
    """Import CuPy for a machine that has a GPU, or say what is missing."""
    try:
        import cupy
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "cupy":
            raise RuntimeError(
                f"device 'cuda' needs CuPy, which is not installed: {_INSTALL_CUPY}"
            ) from error
        raise RuntimeError(
            f"device 'cuda' needs CuPy, which is installed but cannot be imported: {error}"
        ) from error
    # CuPy imports on machines without a GPU as well, so the import proves nothing.
    if not cupy.cuda.is_available():
        raise RuntimeError(
            "device 'cuda' needs an NVIDIA GPU and its driver: CuPy is installed but finds no GPU"
        )
    return cupy


def _require(device: Device) -> Any:
    """Return the array module of a device that can be used now, or raise RuntimeError."""
    if device.type == "cpu":
        return np
    if device.type == "strict":
        from minillm.backend.strict import strict_xp  # at first use: few programs need it

        return strict_xp
    cupy = _import_cupy()
    count = cupy.cuda.runtime.getDeviceCount()
    if device.index is None or device.index >= count:
        last = "cuda:0 alone" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        raise RuntimeError(f"device '{device}' does not exist: this machine has {last}")
    return cupy


def is_available(type: str | Device) -> bool:
    """Return whether a device can be used on this machine: ``"cpu"``, ``"cuda"``, ``"cuda:1"``...

    Example:
        >>> from minillm.backend import is_available
        >>> is_available("cpu")
        True
    """
    try:
        _require(Device(type))
    except RuntimeError:
        return False
    return True


def xp_of(array: Array) -> Any:
    """Return the array module of an array: ``numpy``, ``cupy`` or the strict stand-in.

    NumPy's scalars (``numpy.float32(1)``) count as its arrays; Python's numbers have no module.

    Raises:
        TypeError: not an array.

    Example:
        >>> import numpy
        >>> from minillm.backend import xp_of
        >>> xp_of(numpy.ones(3)).__name__
        'numpy'
    """
    # Every operation asks this. The exact type first: about 40 ns, isinstance costs twice that.
    if type(array) is _ndarray:
        return np
    return _other_xp(array)


_ndarray = np.ndarray
_NO_ARRAYS = frozenset({float, int, bool, str, tuple, list, slice, type(None), type(...)})


def _other_xp(array: Array) -> Any:
    if isinstance(array, (np.ndarray, np.generic)):
        return np
    # An array of the stand-in or of CuPy can only exist once its module was imported.
    strict = sys.modules.get("minillm.backend.strict")
    if strict is not None and isinstance(array, strict.StrictArray):
        return strict.strict_xp
    cupy = sys.modules.get("cupy")
    if cupy is not None and isinstance(array, cupy.ndarray):
        return cupy
    raise TypeError(f"xp_of: needs an array, got {array.__class__.__name__}")


def xp_for(device: str | Device | None = None) -> Any:
    """Return the array module that makes arrays on a device (None: on the default device).

    CuPy makes arrays on its current GPU: create them inside ``with device(...)``, or move them
    with `to_device`, which takes care of it.

    Raises:
        RuntimeError: the device is not available on this machine; says what is missing.

    Example:
        >>> from minillm.backend import xp_for
        >>> xp_for("cpu").zeros(2)
        array([0., 0.])
    """
    return _require(get_default_device() if device is None else Device(device))


def is_array(value: object) -> bool:
    """Return whether a value is an array of any device (NumPy's scalars included).

    Example:
        >>> import numpy
        >>> from minillm.backend import is_array
        >>> is_array(numpy.ones(3)), is_array([1.0, 2.0]), is_array(3.0)
        (True, False, False)
    """
    kind = type(value)
    if kind is _ndarray:
        return True
    if kind in _NO_ARRAYS:  # an exception costs a microsecond
        return False
    try:
        _other_xp(value)
    except TypeError:
        return False
    return True


def device_of(array: Array) -> Device:
    """Return the device on which an array lives.

    Raises:
        TypeError: not an array.

    Example:
        >>> import numpy
        >>> from minillm.backend import device_of
        >>> device_of(numpy.ones(3))
        device('cpu')
    """
    xp = xp_of(array)
    if xp is np:
        return _CPU
    if getattr(xp, "__name__", "") == "cupy":
        return Device("cuda", array.device.id)
    return _STRICT


def to_device(array: Array, device: str | Device) -> Array:
    """Move an array to a device; an array that is there already is returned itself, not copied.

    Between the CPU and another device the bytes are copied, so the result shares no memory with
    ``array``. Dtype and shape stay. A copy between two GPUs or between a GPU and the stand-in goes
    the way that CuPy offers, the latter through the host.

    Args:
        array: an array of any device.
        device: where to.

    Raises:
        RuntimeError: the device is not available on this machine.
        TypeError: not an array.

    Example:
        >>> import numpy
        >>> from minillm.backend import device_of, to_device
        >>> moved = to_device(numpy.arange(3), "strict")
        >>> device_of(moved), device_of(to_device(moved, "cpu"))
        (device('strict'), device('cpu'))
    """
    device = Device(device)
    source = device_of(array)
    if source == device:
        return array
    if device.type == "cpu":
        return array.get()
    xp = _require(device)
    if device.type == "strict":
        return xp.asarray(to_numpy(array))
    with xp.cuda.Device(device.index):
        return xp.asarray(array if source.type == "cuda" else to_numpy(array))


def to_numpy(array: Array) -> np.ndarray[Any, Any]:
    """Return an array as one of NumPy: itself on the CPU, otherwise a copy of it on the host.

    Raises:
        TypeError: not an array.

    Example:
        >>> import numpy
        >>> from minillm.backend import to_device, to_numpy
        >>> to_numpy(to_device(numpy.arange(3), "strict"))
        array([0, 1, 2])
    """
    result: np.ndarray[Any, Any] = np.asarray(array if xp_of(array) is np else array.get())
    return result


def same_device(operation: str, *arrays: Array) -> None:
    """Check that the arrays of an operation live on one device.

    Python's numbers, NumPy's scalars and None live nowhere and are passed over.

    Args:
        operation: the name of the operation, for the error.
        *arrays: its inputs.

    Raises:
        RuntimeError: they live on more than one device; names two.

    Example:
        >>> import numpy
        >>> from minillm.backend import same_device, to_device
        >>> x = numpy.ones(3)
        >>> same_device("add", x, x)
        >>> same_device("add", x, to_device(x, "strict"))
        Traceback (most recent call last):
        RuntimeError: add: its inputs are on two devices, cpu and strict: move one with .to(...)
    """
    first: Device | None = None
    for array in arrays:
        if type(array) is _ndarray:
            device = _CPU
        elif array is None or isinstance(array, (int, float, np.generic)):
            continue
        else:
            device = device_of(array)
        if first is None:
            first = device
        elif device is not first and device != first:
            raise RuntimeError(
                f"{operation}: its inputs are on two devices, {first} and {device}: move one with .to(...)"
            )


def synchronize(device: str | Device | None = None) -> None:
    """Wait until a device has finished what it was given (None: the default device).

    A GPU computes while Python runs on; wait before reading a clock. The CPU has always finished.

    Example:
        >>> from minillm.backend import synchronize
        >>> synchronize("cpu")
    """
    device = get_default_device() if device is None else Device(device)
    if device.type == "cuda":
        _require(device).cuda.Device(device.index).synchronize()
