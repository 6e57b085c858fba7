"""``Tensor``: the array that remembers, with every operation as a method and an operator.

Each method is the function of the same name with the tensor as its first argument: the documentation is
there. What is written out here moves, converts, or writes in place.
"""

from __future__ import annotations

import builtins
from typing import Any

from minillm.autograd.errors import OperationError, OperationTypeError
from minillm.autograd.function import Function, wrap
from minillm.autograd.grad_mode import is_grad_enabled
from minillm.autograd.tensor import TensorBase
from minillm.autograd.versions import mark_written
from minillm.backend import Array, Device, default_generator, device_of, is_array, to_device
from minillm.ops import arithmetic, choice, comparison, creation, gathering, indexing, linalg, pieces, pointwise
from minillm.ops import diagonal as diagonals
from minillm.ops import matmul as matrix
from minillm.ops import softmax as soft

# isort: split
from minillm.ops import promotion, random, reduction, repetition, rounding, search, shape, typed

_OPERANDS = (TensorBase, builtins.float, builtins.int)
_PIECE = 1 << 17  # numbers drawn at a time: those of GPT-2's token embedding, 154 MB, were there twice before


def _operator(operation: Any, swapped: bool = False) -> Any:
    """Return the method of an operator, which leaves what is no operand to the other side."""
    run = getattr(operation, "apply", operation)

    def method(self: Any, other: Any) -> Any:
        return run(self, other) if isinstance(other, _OPERANDS) or is_array(other) else NotImplemented

    def swapped_method(self: Any, other: Any) -> Any:
        return run(other, self) if isinstance(other, _OPERANDS) or is_array(other) else NotImplemented

    return swapped_method if swapped else method


def _in_place(operation: Any, name: str = "") -> Any:
    """Return the method that writes the result of an operation into the tensor's own memory: ``add_`` for add."""
    name = name or f"{operation.__name__}_"

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._become(name, operation(self, *args, **kwargs))

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"Like {name[:-1]}, written into this tensor's own memory."
    return method


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

    __add__, __radd__ = _operator(arithmetic.Add), _operator(arithmetic.Add, swapped=True)
    __sub__, __rsub__ = _operator(arithmetic.Sub), _operator(arithmetic.Sub, swapped=True)
    __mul__, __rmul__ = _operator(arithmetic.Mul), _operator(arithmetic.Mul, swapped=True)
    __truediv__, __rtruediv__ = _operator(arithmetic.Div), _operator(arithmetic.Div, swapped=True)
    __pow__, __rpow__ = _operator(arithmetic.Pow), _operator(arithmetic.Pow, swapped=True)
    __mod__, __rmod__ = _operator(arithmetic.remainder), _operator(arithmetic.remainder, swapped=True)
    __floordiv__ = _operator(arithmetic.floor_divide)
    __rfloordiv__ = _operator(arithmetic.floor_divide, swapped=True)
    __matmul__, __rmatmul__ = _operator(matrix.matmul), _operator(matrix.matmul, swapped=True)
    __eq__, __ne__ = _operator(comparison.Eq), _operator(comparison.Ne)
    __lt__, __le__ = _operator(comparison.Lt), _operator(comparison.Le)
    __gt__, __ge__ = _operator(comparison.Gt), _operator(comparison.Ge)
    __and__ = __rand__ = _operator(comparison.BitwiseAnd)
    __or__ = __ror__ = _operator(comparison.BitwiseOr)
    __xor__ = __rxor__ = _operator(comparison.BitwiseXor)
    __neg__ = pointwise.neg
    __abs__ = pointwise.abs
    __invert__ = comparison.invert
    __getitem__ = indexing.getitem
    __setitem__ = indexing.setitem
    __hash__ = TensorBase.__hash__

    def __pos__(self) -> Any:
        return self

    def __iter__(self) -> Any:
        if not self.ndim:
            raise OperationTypeError("iteration over a 0-d tensor")
        return iter(pieces.unbind(self, 0))

    # -- functions as methods -----------------------------------------------------------------------

    add, sub, mul, div = arithmetic.add, arithmetic.sub, arithmetic.mul, arithmetic.div
    true_divide, floor_divide, remainder = arithmetic.true_divide, arithmetic.floor_divide, arithmetic.remainder
    pow, lerp = arithmetic.pow, arithmetic.lerp

    maximum, minimum = choice.maximum, choice.minimum
    clamp, clamp_min, clamp_max = choice.clamp, choice.clamp_min, choice.clamp_max

    eq, ne, lt = comparison.eq, comparison.ne, comparison.lt
    le, gt, ge = comparison.le, comparison.gt, comparison.ge
    isnan, isinf, isfinite = comparison.isnan, comparison.isinf, comparison.isfinite
    isclose, allclose, equal = comparison.isclose, comparison.allclose, comparison.equal
    logical_and, logical_or = comparison.logical_and, comparison.logical_or
    logical_xor, logical_not = comparison.logical_xor, comparison.logical_not

    neg, abs, exp, expm1 = pointwise.neg, pointwise.abs, pointwise.exp, pointwise.expm1
    log, log2, log1p = pointwise.log, pointwise.log2, pointwise.log1p
    sqrt, rsqrt, square, reciprocal = pointwise.sqrt, pointwise.rsqrt, pointwise.square, pointwise.reciprocal
    sin, cos, tanh, erf = pointwise.sin, pointwise.cos, pointwise.tanh, pointwise.erf
    sigmoid, relu = pointwise.sigmoid, pointwise.relu
    sign, floor, ceil = rounding.sign, rounding.floor, rounding.ceil
    trunc, round = rounding.trunc, rounding.round

    sum, nansum, cumsum = reduction.sum, reduction.nansum, reduction.cumsum
    mean, prod, var, std = reduction.mean, reduction.prod, reduction.var, reduction.std
    all, any, count_nonzero = reduction.all, reduction.any, reduction.count_nonzero

    amax, amin, max, min = search.amax, search.amin, search.max, search.min
    argmax, argmin, median = search.argmax, search.argmin, search.median
    sort, argsort, topk = search.sort, search.argsort, search.topk
    unique, bincount = search.unique, search.bincount

    reshape, view, flatten, unflatten = shape.reshape, shape.view, shape.flatten, shape.unflatten
    squeeze, unsqueeze, permute, movedim = shape.squeeze, shape.unsqueeze, shape.permute, shape.movedim
    transpose, swapaxes, t = shape.transpose, shape.transpose, shape.t
    clone, contiguous = shape.clone, shape.contiguous

    broadcast_to, expand = repetition.broadcast_to, repetition.expand
    repeat, repeat_interleave = repetition.repeat, repetition.repeat_interleave

    narrow, select, chunk = pieces.narrow, pieces.select, pieces.chunk
    unbind, flip, roll = pieces.unbind, pieces.flip, pieces.roll
    tril, triu, diagonal, diag = diagonals.tril, diagonals.triu, diagonals.diagonal, diagonals.diag

    index_put, nonzero = indexing.index_put, indexing.nonzero
    masked_fill, masked_select = indexing.masked_fill, indexing.masked_select
    gather, take_along_dim = gathering.gather, gathering.take_along_dim
    scatter, scatter_add = gathering.scatter, gathering.scatter_add
    index_select, index_add = gathering.index_select, gathering.index_add

    softmax, log_softmax, logsumexp = soft.softmax, soft.log_softmax, soft.logsumexp
    matmul, mm, bmm, addmm = matrix.matmul, matrix.mm, matrix.bmm, matrix.addmm
    mv, dot, outer = matrix.mv, matrix.dot, matrix.outer
    norm = linalg.norm_of
    multinomial = random.multinomial

    def where(self, condition: Any, other: Any) -> Any:
        """Return this tensor where the condition holds, other elsewhere."""
        return choice.where(condition, self, other)

    def tile(self, *dims: Any) -> Any:
        """Return the whole tensor, repeated; see :func:`minillm.tile`."""
        return repetition.tile(self, shape.sizes_of("tile", dims))

    def split(self, split_size: Any, dim: builtins.int = 0) -> Any:
        """Return pieces of a size, or of these sizes; see :func:`minillm.split`."""
        return pieces.split(self, split_size, dim)

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

    nelement = numel
    type = typed.type_of

    def is_contiguous(self) -> builtins.bool:
        """Return whether the elements lie in order in memory."""
        return builtins.bool(self.array.flags.c_contiguous)

    def is_floating_point(self) -> builtins.bool:
        """Return whether the elements are floats."""
        return builtins.bool(self.array.dtype.kind == "f")

    @property
    def is_cuda(self) -> builtins.bool:
        """Whether the tensor is on a GPU."""
        return self.device.type == "cuda"

    def element_size(self) -> builtins.int:
        """Return the bytes of one element."""
        return builtins.int(self.array.itemsize)

    def view_as(self, other: Tensor) -> Any:
        """Return the same memory in the shape of another tensor."""
        return shape.view(self, other.shape)

    def reshape_as(self, other: Tensor) -> Any:
        """Return the same elements in the shape of another tensor."""
        return shape.reshape(self, other.shape)

    def expand_as(self, other: Tensor) -> Any:
        """Return the tensor, repeated to the shape of another."""
        return repetition.broadcast_to(self, other.shape)

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
            elif isinstance(arg, Device) or (isinstance(arg, str) and arg.split(":")[0] in ("cpu", "cuda", "strict")):
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
        return creation.tensor(data, dtype=dtype or self.dtype, device=self.device, requires_grad=requires_grad)

    def new_zeros(self, *size: Any, dtype: Any = None) -> Any:
        """Return zeros with this tensor's dtype and device."""
        return creation.zeros(*size, dtype=dtype or self.dtype, device=self.device)

    def new_ones(self, *size: Any, dtype: Any = None) -> Any:
        """Return ones with this tensor's dtype and device."""
        return creation.ones(*size, dtype=dtype or self.dtype, device=self.device)

    def new_empty(self, *size: Any, dtype: Any = None) -> Any:
        """Return unwritten memory with this tensor's dtype and device."""
        return creation.empty(*size, dtype=dtype or self.dtype, device=self.device)

    def new_full(self, size: Any, fill_value: Any, *, dtype: Any = None) -> Any:
        """Return one value everywhere, with this tensor's dtype and device."""
        return creation.full(size, fill_value, dtype=dtype or self.dtype, device=self.device)

    # -- in place: the result of the operation, written into this tensor's own memory ---------------

    add_, sub_, mul_, div_ = map(_in_place, (arithmetic.add, arithmetic.sub, arithmetic.mul, arithmetic.div))
    pow_, remainder_, lerp_ = map(_in_place, (arithmetic.pow, arithmetic.remainder, arithmetic.lerp))
    clamp_, clamp_min_, clamp_max_ = map(_in_place, (choice.clamp, choice.clamp_min, choice.clamp_max))
    neg_, abs_, exp_, log_ = map(_in_place, (pointwise.neg, pointwise.abs, pointwise.exp, pointwise.log))
    sqrt_, rsqrt_, square_ = map(_in_place, (pointwise.sqrt, pointwise.rsqrt, pointwise.square))
    reciprocal_, tanh_ = map(_in_place, (pointwise.reciprocal, pointwise.tanh))
    sigmoid_, relu_ = map(_in_place, (pointwise.sigmoid, pointwise.relu))
    floor_, ceil_ = map(_in_place, (rounding.floor, rounding.ceil))
    round_, trunc_ = map(_in_place, (rounding.round, rounding.trunc))
    tril_, triu_ = map(_in_place, (diagonals.tril, diagonals.triu))
    index_put_, masked_fill_ = map(_in_place, (indexing.index_put, indexing.masked_fill))
    index_add_, scatter_ = map(_in_place, (gathering.index_add, gathering.scatter))
    scatter_add_ = _in_place(gathering.scatter_add)

    __iadd__, __isub__, __imul__, __itruediv__ = add_, sub_, mul_, div_
    __ipow__, __imod__ = pow_, remainder_
    __iand__ = _in_place(comparison.BitwiseAnd.apply, "__iand__")
    __ior__ = _in_place(comparison.BitwiseOr.apply, "__ior__")
    __ixor__ = _in_place(comparison.BitwiseXor.apply, "__ixor__")

    def copy_(self, other: Any) -> Any:
        """Take over the values of another tensor, which broadcasts, in place."""
        other = other.to(device=self.device, dtype=self.dtype)
        return self._replace("copy_", repetition.broadcast_to(other, self.shape))

    def fill_(self, value: Any) -> Any:
        """Write one value everywhere, in place."""
        return self._replace("fill_", creation.full_like(self, value))

    def zero_(self) -> Any:
        """Write zeros, in place."""
        return self.fill_(0)

    def normal_(self, mean: Any = 0.0, std: Any = 1.0, *, generator: Any = None) -> Any:
        """Write numbers drawn from a normal distribution, in place."""
        generator = generator or default_generator()
        return self._fill("normal_", lambda shape: generator.normal(shape, mean, std, self.dtype, self.device))

    def uniform_(self, low: Any = 0.0, high: Any = 1.0, *, generator: Any = None) -> Any:
        """Write numbers drawn evenly between two bounds, in place."""
        generator = generator or default_generator()
        return self._fill("uniform_", lambda shape: generator.uniform(shape, low, high, self.dtype, self.device))

    def _fill(self, name: str, draw: Any) -> Any:
        """Write what ``draw(shape)`` returns, in place; piece by piece, so that no second array is as large."""
        array = self.array
        recorded = self.requires_grad and is_grad_enabled()
        if array.size <= _PIECE or recorded or not array.flags.c_contiguous:
            return self._replace(name, wrap(draw(self.shape)))
        self._check_writable(name, False)
        flat = array.reshape(-1)
        for start in range(0, flat.size, _PIECE):
            piece = flat[start : start + _PIECE]
            piece[...] = draw(piece.shape)
        mark_written((self,))
        return self

    def _replace(self, name: str, new: Any) -> Any:
        """Write other values in place. The old ones stay in the graph: their gradient is zero, not missing."""
        if self.requires_grad and is_grad_enabled():
            new = choice.where(creation.zeros((), dtype="bool", device=self.device), self, new)
        return self._become(name, new)


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
