"""``LongTensor``, ``FloatTensor`` and the other names that PyTorch had for tensors of one type, and ``type``.

Programs of PyTorch's first years make tensors with them, convert with them, and ask ``isinstance``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minillm.autograd.errors import OperationTypeError
from minillm.autograd.tensor import TensorBase
from minillm.backend import DType, to_dtype
from minillm.ops import creation, promotion

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


class TensorOfType(type):
    """The class of these classes: calling one makes a tensor, and ``isinstance`` asks for type and device."""

    dtype: DType
    device: str

    def __call__(cls, *data: Any) -> Any:
        """Return a tensor of values, or an unwritten one of the sizes that are given as numbers."""
        if all(isinstance(n, int) for n in data):
            return creation.empty(*(data or (0,)), dtype=cls.dtype, device=cls.device)
        if len(data) > 1:
            raise OperationTypeError(f"{cls.__name__}: got {len(data)} arguments; it needs values, or sizes")
        return creation.as_tensor(data[0], dtype=cls.dtype, device=cls.device)

    def __instancecheck__(cls, obj: Any) -> bool:
        return isinstance(obj, TensorBase) and obj.dtype == cls.dtype and obj.device.type == cls.device


class FloatTensor(metaclass=TensorOfType):
    """Tensors of float32 on the CPU.

    Example:
        >>> import minillm
        >>> minillm.FloatTensor([1, 2]), minillm.FloatTensor(2, 3).shape
        (tensor([1., 2.]), (2, 3))
        >>> isinstance(minillm.ones(2), minillm.FloatTensor)
        True
    """

    dtype, device = to_dtype("float32"), "cpu"


class DoubleTensor(metaclass=TensorOfType):
    """Tensors of float64 on the CPU; see :class:`FloatTensor`."""

    dtype, device = to_dtype("float64"), "cpu"


class HalfTensor(metaclass=TensorOfType):
    """Tensors of float16 on the CPU; see :class:`FloatTensor`."""

    dtype, device = to_dtype("float16"), "cpu"


class LongTensor(metaclass=TensorOfType):
    """Tensors of int64 on the CPU; see :class:`FloatTensor`.

    Example:
        >>> import minillm
        >>> minillm.LongTensor([1, 2])
        tensor([1, 2])
    """

    dtype, device = to_dtype("int64"), "cpu"


class IntTensor(metaclass=TensorOfType):
    """Tensors of int32 on the CPU; see :class:`FloatTensor`."""

    dtype, device = to_dtype("int32"), "cpu"


class ShortTensor(metaclass=TensorOfType):
    """Tensors of int16 on the CPU; see :class:`FloatTensor`."""

    dtype, device = to_dtype("int16"), "cpu"


class CharTensor(metaclass=TensorOfType):
    """Tensors of int8 on the CPU; see :class:`FloatTensor`."""

    dtype, device = to_dtype("int8"), "cpu"


class ByteTensor(metaclass=TensorOfType):
    """Tensors of uint8 on the CPU; see :class:`FloatTensor`."""

    dtype, device = to_dtype("uint8"), "cpu"


class BoolTensor(metaclass=TensorOfType):
    """Tensors of booleans on the CPU; see :class:`FloatTensor`."""

    dtype, device = to_dtype("bool"), "cpu"


_ON_CPU = (
    FloatTensor, DoubleTensor, HalfTensor, LongTensor, IntTensor, ShortTensor, CharTensor, ByteTensor, BoolTensor,
)  # fmt: skip


def type_of(input: Tensor, dtype: Any = None) -> Any:
    """Return a tensor in another type, given as a dtype, as one of these classes or as its name; without one, the name.

    The name is PyTorch's, ``torch.FloatTensor``: programs compare with it.

    Example:
        >>> import minillm
        >>> minillm.ones(2).type(minillm.LongTensor), minillm.ones(2).type()
        (tensor([1, 1]), 'torch.FloatTensor')
    """
    if dtype is None:
        (name,) = (cls.__name__ for cls in _ON_CPU if cls.dtype == input.dtype)
        return f"torch.{'' if input.device.type == 'cpu' else f'{input.device.type}.'}{name}"
    if isinstance(dtype, str) and dtype.endswith("Tensor"):
        *_, where, name = ("cpu", *dtype.split("."))
        known = {cls.__name__: cls.dtype for cls in _ON_CPU}
        if name not in known:
            raise OperationTypeError(f"type: got {dtype!r}; known are {', '.join(known)}")
        return creation.as_tensor(input, known[name], "cuda" if where == "cuda" else "cpu")
    if isinstance(dtype, TensorOfType):
        return creation.as_tensor(input, dtype.dtype, dtype.device)
    return promotion.cast(input, dtype)


def is_tensor(obj: object) -> bool:
    """Return whether something is a tensor.

    Example:
        >>> import minillm
        >>> minillm.is_tensor(minillm.ones(1)), minillm.is_tensor(1.0)
        (True, False)
    """
    return isinstance(obj, TensorBase)
