"""``TensorBase``: an array, its gradient, and its place in the graph.

The full ``Tensor``, with every operation as a method, stands a floor above, in :mod:`minillm.ops._tensor`.
"""

from __future__ import annotations

import itertools
import math
import sys
import weakref
from collections.abc import Callable
from typing import Any

from minillm.autograd import engine
from minillm.autograd.errors import OperationError
from minillm.autograd.function import LEAF, Function, TensorClass, wrap
from minillm.autograd.grad_mode import switches
from minillm.autograd.text import tensor_text
from minillm.autograd.versions import mark_written
from minillm.backend import Array, Device, device_of, is_array, to_device, to_numpy

_next_handle = itertools.count().__next__
_KINDS = {"b": 0, "i": 1, "u": 1, "f": 2}  # a tensor can be written to by those of lower or equal kind


class TensorBase:
    """An array with a gradient and a place in the graph.

    Attributes:
        array: the plain array, NumPy's on the CPU and CuPy's on the GPU.
    """

    # _edge: None (no gradient), LEAF, or (node, output number).
    # _version: [writes in place, views taken in the graph], shared by all views of the same memory.
    __slots__ = ("__weakref__", "_edge", "_grad", "_hooks", "_version", "array")

    array: Array
    _edge: Any
    _version: list[int]
    _grad: Any
    _hooks: dict[float, Callable[[Any], Any]] | None

    __array_ufunc__ = None  # `ndarray + tensor` is the tensor's to compute
    __hash__ = object.__hash__

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if TensorClass.cls is None:
            TensorClass.cls = cls

    # -- what it holds ------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each dimension."""
        return self.array.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> Any:
        """The type of the elements, a NumPy dtype."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim  # type: ignore[no-any-return]

    @property
    def device(self) -> Device:
        """Where the array lies."""
        return device_of(self.array)

    @property
    def data(self) -> Any:
        """The same memory outside of the graph; setting it puts another array in its place."""
        return wrap(self.array)

    @data.setter
    def data(self, value: Any) -> None:
        array = value.array if isinstance(value, TensorBase) else value
        if not is_array(array):
            raise TypeError(f"Tensor.data: got {type(array).__name__}; it needs a tensor or an array")
        self.array = array
        self._version = [0, 0]  # other memory; nodes keep the former

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded for backward."""
        return self._edge is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    @property
    def is_leaf(self) -> bool:
        """Whether the tensor was made by the user, not by a recorded operation."""
        return self._edge is None or self._edge is LEAF

    @property
    def grad_fn(self) -> Function | None:
        """The node of the operation that made this tensor, None for a leaf."""
        return None if self.is_leaf else self._edge[0]

    @property
    def grad(self) -> Any:
        """The gradient that backward has added up, None before."""
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            if not isinstance(value, TensorBase):
                raise TypeError(f"Tensor.grad: got {type(value).__name__}; it needs a tensor or None")
            if value.shape != self.shape:
                raise OperationError(
                    f"Tensor.grad: got shape {value.shape}; it needs the tensor's own, {self.shape}"
                )
            if value.dtype != self.dtype:
                raise OperationError(
                    f"Tensor.grad: got dtype {value.dtype}; it needs the tensor's own, {self.dtype}"
                )
        self._grad = value

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Ask for a gradient, or stop asking, in place.

        Raises:
            OperationError: integers, which have no gradient, or stopping a tensor inside a graph.
        """
        if requires_grad:
            if self._edge is None:
                if self.array.dtype.kind != "f":
                    raise OperationError(
                        f"requires_grad: got a tensor of {self.dtype}; only floats have gradients"
                    )
                self._edge = LEAF
        elif not self.is_leaf:
            raise OperationError(
                "requires_grad = False: this tensor was made by a recorded operation "
                f"({self._edge[0].name()}); use detach() for a tensor outside of the graph"
            )
        else:
            self._edge = None
        return self

    def detach(self) -> Any:
        """Return the same memory outside of the graph."""
        return wrap(self.array, None, self._version)

    def detach_(self) -> Any:
        """Take this tensor out of the graph, in place."""
        self._edge = None
        return self

    # -- gradients ----------------------------------------------------------------------------------

    def backward(
        self,
        gradient: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Add the gradient of this tensor with respect to every leaf into the leaves' ``grad``.

        Args:
            gradient: what to start from, of this tensor's shape; 1 for a single number.
            retain_graph: keep the graph for another walk; ``create_graph`` by default.
            create_graph: record the walk, for derivatives of higher order. A recorded gradient refers to its
                leaf, and the leaf to it: set ``grad`` to None when done, or call :func:`autograd.grad`.
            inputs: leaves to fill; all by default.

        Example:
            >>> import minillm
            >>> x = minillm.tensor([1.0, 2.0], requires_grad=True)
            >>> (x * x).sum().backward()
            >>> x.grad
            tensor([2., 4.])
        """
        engine.backward(self, gradient if gradient is None else [gradient], retain_graph, create_graph, inputs)

    def register_hook(self, hook: Callable[[Any], Any]) -> HookHandle:
        """Call ``hook`` with the gradient of this tensor each time it is known.

        Args:
            hook: takes the gradient; returns another in its place, or None.

        Returns:
            A handle, whose ``remove()`` takes the hook away.

        Example:
            >>> import minillm
            >>> x = minillm.tensor([1.0, 2.0], requires_grad=True)
            >>> handle = x.register_hook(lambda gradient: gradient * 10)
            >>> x.sum().backward()
            >>> x.grad
            tensor([10., 10.])
        """
        if self._edge is None:
            raise OperationError("register_hook: this tensor does not require grad, so it never gets one")
        if self._edge is LEAF:
            if self._hooks is None:
                self._hooks = {}
            key = _next_handle()
            self._hooks[key] = hook
            return HookHandle(self._hooks, key)
        node, i = self._edge[:2]
        node.special = True
        if node.hooks is None:
            node.hooks = {}
        hooks = node.hooks.setdefault(i, {})
        key = _next_handle()
        hooks[key] = hook
        return HookHandle(hooks, key)

    def retain_grad(self) -> None:
        """Keep the gradient of this tensor in ``grad`` although it is not a leaf."""
        if self._edge is None:
            raise OperationError("retain_grad: this tensor does not require grad, so it never gets one")
        if self._edge is not LEAF:
            me = weakref.ref(self)  # the node must not hold its own output

            def keep(gradient: Any) -> None:
                tensor = me()
                if tensor is not None:
                    tensor._grad = gradient if tensor._grad is None else tensor._grad + gradient

            node, i = self._edge[:2]
            node.special = True
            if node.hooks is None:
                node.hooks = {}
            node.hooks.setdefault(i, {})[math.inf] = keep  # after all other hooks, and once

    # -- writing in place ---------------------------------------------------------------------------

    def _check_writable(self, name: str, recorded: bool) -> None:
        """Raise an error where a write in place would make a gradient silently wrong."""
        if not switches.recording:
            return
        if self._edge is LEAF:
            raise OperationError(
                f"{name}: a leaf that requires grad is written to in place; do it under no_grad(), "
                "or compute out of place"
            )
        if (recorded or self._edge is not None) and self._version[1] and self._shares_memory():
            raise OperationError(
                f"{name}: this tensor shares its memory with a view that is part of the graph, so a recorded "
                "write in place is ambiguous; write to a clone()"
            )

    def _shares_memory(self) -> bool:
        """Return whether anyone else holds this tensor's memory, by counting who refers to its array."""
        count = sys.getrefcount  # itself holds one more reference
        if self.array.base is None:
            return count(self.array) > 2
        return count(self.array) > 2 or count(self.array.base) > 2

    def _become(self, name: str, result: Any) -> Any:
        """Take over the value and the place in the graph of ``result``, in this tensor's own memory."""
        self._check_writable(name, result._edge is not None)
        if result.shape != self.shape:
            raise OperationError(
                f"{name}: the result has shape {result.shape} and cannot be written into a tensor of "
                f"shape {self.shape}"
            )
        if _KINDS[result.dtype.kind] > _KINDS[self.dtype.kind]:
            raise OperationError(
                f"{name}: the result has dtype {result.dtype} and cannot be written into {self.dtype}"
            )
        if result._edge is not None and result._edge is not LEAF:
            result._edge[0].keep_copy_of(self)
        self.array[...] = result.array
        mark_written((self,))
        if switches.recording:
            self._edge = result._edge
        return self

    # -- out of the framework -----------------------------------------------------------------------

    def item(self) -> Any:
        """Return the value of a single number as a Python number.

        Example:
            >>> import minillm
            >>> minillm.tensor([2.5]).item()
            2.5
        """
        if self.array.size != 1:
            raise OperationError(f"item: got shape {self.shape}; it needs a single number")
        return self.array.item()

    def tolist(self) -> Any:
        """Return the values as nested lists of Python numbers."""
        return to_numpy(self.array).tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """Return the array itself, for a tensor on the CPU outside of the graph.

        Args:
            force: detach, and copy from the GPU, where that is needed.
        """
        if not force:
            if self._edge is not None:
                raise OperationError(
                    "numpy: this tensor requires grad, and NumPy would lose its graph; use .detach().numpy()"
                )
            if self.device.type != "cpu":
                raise TypeError(f"numpy: this tensor is on {self.device}; use .cpu().numpy()")
        return to_numpy(self.array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.array.dtype.kind not in "iu":
            raise TypeError(f"only an integer tensor can be an index, not {self.dtype}")
        return int(self.item())

    def __bool__(self) -> bool:
        if self.array.size != 1:
            raise OperationError(
                f"bool: the truth of a tensor of shape {self.shape} is ambiguous; use any() or all()"
            )
        return bool(self.item())

    def __len__(self) -> int:
        if not self.array.ndim:
            raise TypeError("len() of a 0-d tensor")
        return len(self.array)

    def __format__(self, spec: str) -> str:
        if not self.array.ndim:
            return format(self.item(), spec)
        return object.__format__(self, spec) if spec else repr(self)

    def __contains__(self, value: Any) -> bool:
        value = value.array if isinstance(value, TensorBase) else value
        return bool((self.array == value).any())

    def __repr__(self) -> str:
        return tensor_text(self)

    def __reduce__(self) -> Any:
        if not self.is_leaf:
            raise OperationError("pickle: only leaves can be pickled; detach() the tensor first")
        return _rebuild, (type(self), to_numpy(self.array), str(self.device), self.requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if not self.is_leaf:
            raise OperationError("deepcopy: only leaves can be copied deeply; detach() the tensor first")
        copy = _leaf(type(self), self.array.copy(), self.requires_grad)
        if self._grad is not None:
            copy._grad = wrap(self._grad.array.copy())
        if hasattr(self, "__dict__"):
            copy.__dict__.update(self.__dict__)
        memo[id(self)] = copy
        return copy


class HookHandle:
    """Takes a hook away again."""

    def __init__(self, hooks: dict[float, Any], key: float) -> None:
        self._hooks = hooks
        self._key = key

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self._hooks.pop(self._key, None)

    def __enter__(self) -> HookHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def _rebuild(cls: type, array: Any, device: str, requires_grad: bool) -> Any:
    """Return a leaf as it was before it was pickled."""
    return _leaf(cls, to_device(array, Device(device)), requires_grad)


def _leaf(cls: Any, array: Array, requires_grad: bool) -> Any:
    """Return a new leaf of a class of tensors, such as Parameter."""
    tensor: Any = cls.__new__(cls)
    tensor.array = array
    tensor._edge = LEAF if requires_grad else None
    tensor._version = [0, 0]
    tensor._grad = tensor._hooks = None
    return tensor
