"""``Tensor``: the array that remembers, with every operation as a method and an operator.

Each method is the function of the same name with the tensor as its first argument: the documentation is
there. What is written out here moves, converts, or writes in place.
"""

from __future__ import annotations

import builtins
from typing import Any

from minillm.autograd.errors import OperationError, OperationTypeError
from minillm.autograd.function import LEAF, Function, wrap
from minillm.autograd.tensor import TensorBase
from minillm.backend import Array, Device, default_generator, device_of, to_device
from minillm.ops import (
    arithmetic,
    choice,
    comparison,
    creation,
    indexing,
    pointwise,
    promotion,
    reduction,
    shape,
)
from minillm.ops.matmul import bmm, matmul, mm
from minillm.ops.softmax import log_softmax, softmax


class ToDevice(Function):
    """y = x on another device; the gradient moves back."""

    def forward(self, x: Array, device: Device) -> Array:
        self.origin = device_of(x)
        return to_device(x, device)

    def backward(self, dy: Any) -> Any:
        return ToDevice.apply(dy, self.origin)


class Tensor(TensorBase):
    """An array of numbers that knows how it was computed.

    Args:
        data: a number, nested sequences, an array or a tensor; it is not copied where that is possible.
        requires_grad: ask for gradients.
        dtype: of the elements; as in :func:`minillm.tensor` by default.
        device: "cpu", "cuda:0", ...

    Example:
        >>> import minillm
        >>> x = minillm.tensor([1.0, 2.0, 3.0], requires_grad=True)
        >>> y = (x * x).sum()
        >>> y.backward()
        >>> x.grad
        tensor([2., 4., 6.])
    """

    __slots__ = ()

    def __init__(
        self, data: Any = (), requires_grad: builtins.bool = False, dtype: Any = None, device: Any = None
    ) -> None:
        self.array = creation.array_from(data, dtype, device, copy=False)
        self._edge = None
        self._version = [0, 0]
        self._grad = None
        self._hooks = None
        if requires_grad:
            self.requires_grad_()

    # -- operators ----------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        return arithmetic.Add.apply(self, other)

    def __radd__(self, other: Any) -> Any:
        return arithmetic.Add.apply(other, self)

    def __sub__(self, other: Any) -> Any:
        return arithmetic.Sub.apply(self, other)

    def __rsub__(self, other: Any) -> Any:
        return arithmetic.Sub.apply(other, self)

    def __mul__(self, other: Any) -> Any:
        return arithmetic.Mul.apply(self, other)

    def __rmul__(self, other: Any) -> Any:
        return arithmetic.Mul.apply(other, self)

    def __truediv__(self, other: Any) -> Any:
        return arithmetic.Div.apply(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return arithmetic.Div.apply(other, self)

    def __pow__(self, other: Any) -> Any:
        return arithmetic.Pow.apply(self, other)

    def __rpow__(self, other: Any) -> Any:
        return arithmetic.Pow.apply(other, self)

    def __matmul__(self, other: Any) -> Any:
        return matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return matmul(other, self)

    def __pos__(self) -> Any:
        return self

    __neg__ = pointwise.neg
    __abs__ = pointwise.abs
    __invert__ = comparison.invert
    __getitem__ = indexing.getitem
    __setitem__ = indexing.setitem
    __eq__ = comparison.eq  # type: ignore[assignment]
    __ne__ = comparison.ne  # type: ignore[assignment]
    __lt__ = comparison.lt
    __le__ = comparison.le
    __gt__ = comparison.gt
    __ge__ = comparison.ge
    __hash__ = TensorBase.__hash__

    def __and__(self, other: Any) -> Any:
        return comparison.And.apply(self, other)

    def __or__(self, other: Any) -> Any:
        return comparison.Or.apply(self, other)

    def __xor__(self, other: Any) -> Any:
        return comparison.Xor.apply(self, other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __iter__(self) -> Any:
        if not self.ndim:
            raise OperationTypeError("iteration over a 0-d tensor")
        return iter(shape.unbind(self, 0))

    # -- functions as methods -----------------------------------------------------------------------

    add, sub, mul, div, pow = (
        arithmetic.add, arithmetic.sub, arithmetic.mul, arithmetic.div, arithmetic.pow,
    )  # fmt: skip
    neg = pointwise.neg
    abs = pointwise.abs
    exp = pointwise.exp
    expm1 = pointwise.expm1
    log = pointwise.log
    log1p = pointwise.log1p
    sqrt = pointwise.sqrt
    rsqrt = pointwise.rsqrt
    square = pointwise.square
    sin = pointwise.sin
    cos = pointwise.cos
    tanh = pointwise.tanh
    sigmoid = pointwise.sigmoid
    relu = pointwise.relu
    erf = pointwise.erf
    clamp = choice.clamp
    sign = comparison.sign
    maximum = choice.maximum
    minimum = choice.minimum
    eq, ne, lt, le, gt, ge = (
        comparison.eq, comparison.ne, comparison.lt, comparison.le, comparison.gt, comparison.ge,
    )  # fmt: skip
    isnan = comparison.isnan
    isinf = comparison.isinf
    isfinite = comparison.isfinite
    logical_not = comparison.logical_not

    sum = reduction.sum
    mean = reduction.mean
    var = reduction.var
    std = reduction.std
    amax = reduction.amax
    amin = reduction.amin
    max = reduction.max
    min = reduction.min
    argmax = reduction.argmax
    argmin = reduction.argmin
    all = reduction.all
    any = reduction.any
    cumsum = reduction.cumsum
    logsumexp = reduction.logsumexp
    softmax = softmax
    log_softmax = log_softmax

    reshape = shape.reshape
    view = shape.reshape
    flatten = shape.flatten
    squeeze = shape.squeeze
    unsqueeze = shape.unsqueeze
    permute = shape.permute
    transpose = shape.transpose
    swapaxes = shape.transpose
    t = shape.t
    movedim = shape.movedim
    expand = shape.expand
    broadcast_to = shape.broadcast_to
    narrow = shape.narrow
    split = shape.split
    chunk = shape.chunk
    unbind = shape.unbind
    flip = shape.flip
    roll = shape.roll
    tril = shape.tril
    triu = shape.triu
    clone = shape.clone
    contiguous = shape.contiguous

    matmul = matmul
    mm = mm
    bmm = bmm

    gather = indexing.gather
    scatter = indexing.scatter
    scatter_add = indexing.scatter_add_along
    index_select = indexing.index_select
    index_put = indexing.index_put
    masked_fill = indexing.masked_fill
    masked_select = indexing.masked_select

    # -- shape and type -----------------------------------------------------------------------------

    @property
    def T(self) -> Any:
        """The tensor with its dimensions in reverse order."""
        return shape.permute(self, tuple(reversed(range(self.ndim))))

    @property
    def mT(self) -> Any:
        """The tensor with its last two dimensions swapped."""
        if self.ndim < 2:
            raise OperationError(f"mT: got shape {self.shape}; it needs at least two dimensions")
        return shape.transpose(self, -1, -2)

    def size(self, dim: builtins.int | None = None) -> Any:
        """Return the shape, or the size of one dimension."""
        return self.shape if dim is None else self.shape[shape.dim_of("size", self.ndim, dim)]

    def dim(self) -> builtins.int:
        """Return the number of dimensions."""
        return self.ndim

    def numel(self) -> builtins.int:
        """Return the number of elements."""
        return builtins.int(self.array.size)

    def is_contiguous(self) -> builtins.bool:
        """Return whether the elements lie in order in memory."""
        return builtins.bool(self.array.flags.c_contiguous)

    def is_floating_point(self) -> builtins.bool:
        """Return whether the elements are floats."""
        return builtins.bool(self.array.dtype.kind == "f")

    def view_as(self, other: Tensor) -> Any:
        """Return the same elements in the shape of another tensor."""
        return shape.reshape(self, other.shape)

    def expand_as(self, other: Tensor) -> Any:
        """Return the tensor, repeated to the shape of another."""
        return shape.broadcast_to(self, other.shape)

    def astype(self, dtype: Any) -> Any:
        """Return the tensor in another dtype."""
        return promotion.cast(self, dtype)

    def type_as(self, other: Tensor) -> Any:
        """Return the tensor in the dtype of another."""
        return promotion.cast(self, other.dtype)

    def float(self) -> Any:
        """Return the tensor in float32."""
        return promotion.cast(self, "float32")

    def double(self) -> Any:
        """Return the tensor in float64."""
        return promotion.cast(self, "float64")

    def half(self) -> Any:
        """Return the tensor in float16."""
        return promotion.cast(self, "float16")

    def long(self) -> Any:
        """Return the tensor in int64."""
        return promotion.cast(self, "int64")

    def int(self) -> Any:
        """Return the tensor in int32."""
        return promotion.cast(self, "int32")

    def bool(self) -> Any:
        """Return the tensor in booleans."""
        return promotion.cast(self, "bool")

    def to(self, *args: Any, device: Any = None, dtype: Any = None, copy: Any = False) -> Any:
        """Return the tensor on another device or in another dtype; itself where nothing changes.

        Args:
            args: a device, a dtype, both, or another tensor to follow.
            device: "cpu", "cuda:0", ...
            dtype: of the elements.
            copy: copy even where nothing changes.

        Example:
            >>> import minillm
            >>> minillm.tensor([1, 2]).to(minillm.float32)
            tensor([1., 2.])
        """
        for arg in args:
            if isinstance(arg, TensorBase):
                device, dtype = arg.device, arg.dtype
            elif isinstance(arg, Device) or (
                isinstance(arg, str) and arg.split(":")[0] in ("cpu", "cuda", "strict")
            ):
                device = arg
            elif arg is not None:
                dtype = arg
        result: Any = self
        if dtype is not None:
            result = promotion.cast(result, dtype)
        if device is not None and Device(device) != result.device:
            result = ToDevice.apply(result, Device(device))
        return shape.clone(result) if copy and result is self else result

    def cpu(self) -> Any:
        """Return the tensor on the CPU."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Any:
        """Return the tensor on the GPU."""
        return self.to(Device("cuda", device) if not isinstance(device, Device) else device)

    def new_tensor(self, data: Any, *, dtype: Any = None, requires_grad: Any = False) -> Any:
        """Return a new tensor with this one's dtype and device."""
        return creation.tensor(
            data, dtype=dtype or self.dtype, device=self.device, requires_grad=requires_grad
        )

    def new_zeros(self, *size: Any, dtype: Any = None) -> Any:
        """Return zeros with this tensor's dtype and device."""
        return creation.zeros(*size, dtype=dtype or self.dtype, device=self.device)

    def new_ones(self, *size: Any, dtype: Any = None) -> Any:
        """Return ones with this tensor's dtype and device."""
        return creation.ones(*size, dtype=dtype or self.dtype, device=self.device)

    def new_full(self, size: Any, fill_value: Any, *, dtype: Any = None) -> Any:
        """Return one value everywhere, with this tensor's dtype and device."""
        return creation.full(size, fill_value, dtype=dtype or self.dtype, device=self.device)

    # -- in place: the result of the operation, written into this tensor's own memory ---------------

    def add_(self, other: Any, *, alpha: Any = 1) -> Any:
        """Add in place."""
        return self._become("add_", arithmetic.add(self, other, alpha=alpha))

    def sub_(self, other: Any, *, alpha: Any = 1) -> Any:
        """Subtract in place."""
        return self._become("sub_", arithmetic.sub(self, other, alpha=alpha))

    def mul_(self, other: Any) -> Any:
        """Multiply in place."""
        return self._become("mul_", arithmetic.mul(self, other))

    def div_(self, other: Any) -> Any:
        """Divide in place."""
        return self._become("div_", arithmetic.div(self, other))

    def clamp_(self, min: Any = None, max: Any = None) -> Any:
        """Clamp in place."""
        return self._become("clamp_", choice.clamp(self, min, max))

    def masked_fill_(self, mask: Any, value: Any) -> Any:
        """Fill where the mask is True, in place."""
        return self._become("masked_fill_", indexing.masked_fill(self, mask, value))

    def copy_(self, other: Any) -> Any:
        """Take over the values of another tensor, which broadcasts, in place."""
        other = other.to(device=self.device, dtype=self.dtype)
        return self._become("copy_", shape.broadcast_to(other, self.shape))

    def fill_(self, value: Any) -> Any:
        """Write one value everywhere, in place."""
        return self._become("fill_", creation.full_like(self, value))

    def zero_(self) -> Any:
        """Write zeros, in place."""
        return self.fill_(0)

    def normal_(self, mean: Any = 0.0, std: Any = 1.0, *, generator: Any = None) -> Any:
        """Write numbers drawn from a normal distribution, in place."""
        draw = (generator or default_generator()).normal(self.shape, mean, std, self.dtype, self.device)
        return self._become("normal_", wrap(draw))

    def uniform_(self, low: Any = 0.0, high: Any = 1.0, *, generator: Any = None) -> Any:
        """Write numbers drawn evenly between two bounds, in place."""
        draw = (generator or default_generator()).uniform(self.shape, low, high, self.dtype, self.device)
        return self._become("uniform_", wrap(draw))

    __iadd__, __isub__, __imul__, __itruediv__ = add_, sub_, mul_, div_


class Parameter(Tensor):
    """A tensor that a module registers and an optimizer updates; it requires a gradient.

    Example:
        >>> import minillm
        >>> minillm.nn.Parameter(minillm.zeros(2))
        Parameter containing:
        tensor([0., 0.], requires_grad=True)
    """

    def __init__(self, data: Any = (), requires_grad: builtins.bool = True) -> None:
        super().__init__(data)
        if requires_grad:
            self.requires_grad_()

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


__all__ = ["LEAF", "Parameter", "Tensor"]
