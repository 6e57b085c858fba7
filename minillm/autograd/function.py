"""``Function``: one operation, which is also one node of the graph that backward walks.

An operation is a class with two methods on plain arrays::

    class Tanh(Function):
        '''y = tanh(x),  dx = dy (1 - y^2).'''

        def forward(self, x):
            y = xp_of(x).tanh(x)
            self.save_for_backward(y)
            return y

        def backward(self, dy):
            (y,) = self.saved
            return dy * (1 - y * y)

``Tanh.apply(x)`` makes an instance, runs ``forward`` on the arrays inside the tensors, and, when one of
them requires a gradient, keeps the instance as the node of the result. ``backward`` is handed arrays in
everyday training and Tensors under ``create_graph=True``; its lines work on both, so a derivative of any
order comes from them.

A node holds arrays and edges, never its own output, so there are no reference cycles: a graph is freed
the moment its last tensor goes. Its ``number`` is larger than those of all nodes it depends on; the engine
needs nothing else to walk the graph in order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias

from numpy import ndarray

from minillm.autograd.errors import AnomalyError, OperationError, explain
from minillm.autograd.grad_mode import switches
from minillm.backend import Array, is_array, same_device, xp_of

_next_number = itertools.count(1).__next__  # one step of C: safe between threads

FREED: tuple[Any, ...] = ("freed",)  # stands in `saved` once backward has released the arrays


class Leaf:
    """The edge of a tensor that collects its gradient itself: it was made by the user."""

    def __repr__(self) -> str:
        return "LEAF"


LEAF = Leaf()


class TensorClass:
    """Where the class of tensors is found: it stands a floor above, with the operations."""

    cls: Any = None


# A place in the graph: the node, which of its outputs, and the shape and dtype of that.
Edge: TypeAlias = tuple[Any, int, tuple[int, ...], Any]


_new = object.__new__


def wrap(array: Array, edge: Any = None, version: list[int] | None = None) -> Any:
    """Return a Tensor on ``array``, with its place in the graph, sharing ``version`` with a view's base."""
    tensor: Any = _new(TensorClass.cls)
    tensor.array = array
    tensor._edge = edge
    tensor._version = [0, 0] if version is None else version
    tensor._grad = None
    tensor._hooks = None
    return tensor


class Function:
    """Base of all operations; subclass it with ``forward`` and ``backward`` to make your own.

    ``forward(self, *arguments)`` gets arrays in the place of tensors, all other arguments as they are, and
    returns an array or a tuple of arrays. ``backward(self, *dys)`` gets the gradient of each output and
    returns the gradient of each argument, None where there is none; trailing Nones may be left out. A
    gradient may have the broadcast shape or another float dtype: the engine sums it down and casts it.

    Classes written for PyTorch, with static methods and a ``ctx``, work too: the node is the ``ctx``, and
    their methods get Tensors.

    Attributes:
        composite: the same function as a formula of other operations, for fused operations; it takes the
            arguments of ``forward`` and is what ``create_graph=True`` differentiates.
        differentiable: False for operations such as comparisons, which are never recorded.

    Example:
        >>> import minillm
        >>> class Cube(minillm.autograd.Function):
        ...     def forward(self, x):
        ...         self.save_for_backward(x)
        ...         return x * x * x
        ...     def backward(self, dy):
        ...         (x,) = self.saved
        ...         return 3 * x * x * dy
        >>> x = minillm.tensor([1.0, 2.0], requires_grad=True)
        >>> Cube.apply(x).sum().backward()
        >>> x.grad
        tensor([ 3., 12.])
    """

    composite: ClassVar[Callable[..., Any] | None] = None
    differentiable: ClassVar[bool] = True
    _torch_style: ClassVar[bool] = False
    _setup_context: ClassVar[Any] = None

    # Of each node, set by apply. (Slots are set and read in a third of the time of others.)
    __slots__ = (
        "__dict__", "__weakref__", "constants", "edges", "input_versions", "inputs", "number", "origins", "saved",
        "versions",
    )  # fmt: skip
    number: int
    edges: list[Any]  # for each argument None, a leaf tensor, or an Edge
    saved: tuple[Any, ...]
    constants: tuple[Any, ...]
    versions: Sequence[tuple[list[int], int]]  # of the saved arrays
    origins: Sequence[int | None]  # of each saved array: input i, output ~j, or neither
    inputs: Sequence[Any]  # the arguments, kept for the composite alone
    input_versions: Sequence[tuple[list[int], int] | None]  # of the arguments that are tensors
    # Of some.
    outputs: list[tuple[tuple[int, ...], Any]] | None = None  # shape and dtype of several; None for one
    hooks: dict[int, dict[float, Callable[[Any], Any]]] | None = None
    _without_gradient: tuple[Any, ...] = ()  # outputs that PyTorch's ctx marked so
    _materialize_grads: bool = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        composite = cls.__dict__.get("composite")
        if composite is not None and not isinstance(composite, staticmethod):
            cls.composite = staticmethod(composite)
        if isinstance(cls.__dict__.get("forward"), staticmethod):
            cls._torch_style = True
            cls._setup_context = cls.__dict__.get("setup_context")

    def forward(self, *arguments: Any) -> Any:
        """Compute the result from arrays."""
        raise NotImplementedError(f"{type(self).__name__} needs a method forward(self, ...)")

    def backward(self, *dys: Any) -> Any:
        """Return the gradients of the arguments, given those of the outputs."""
        raise NotImplementedError(f"{type(self).__name__} needs a method backward(self, ...)")

    def save_for_backward(self, *arrays: Any) -> None:
        """Keep inputs and outputs (and, with a ``composite``, other arrays) for backward, as ``saved``."""
        self.saved = arrays

    def save_constants(self, *values: Any) -> None:
        """Keep arrays that no derivative flows through, such as masks, as ``constants``."""
        self.constants = values

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """PyTorch's name of ``saved``."""
        return self.saved

    def mark_non_differentiable(self, *outputs: Any) -> None:
        """In a forward written for PyTorch: say which outputs have no gradient."""
        self._without_gradient = tuple(y.array for y in outputs)

    def set_materialize_grads(self, value: bool) -> None:
        """Say whether backward gets zeros for outputs that nothing used (the default), or None."""
        self._materialize_grads = value

    def needs(self, i: int) -> bool:
        """Return whether the gradient of argument ``i`` is asked for."""
        return self.edges[i] is not None

    @property
    def needs_input_grad(self) -> tuple[bool, ...]:
        """For each argument, whether its gradient is asked for."""
        return tuple(edge is not None for edge in self.edges)

    @classmethod
    def name(cls) -> str:
        """Return the name of the operation for messages: ``layer_norm`` for ``LayerNorm``."""
        text = cls.__name__.strip("_")
        return "".join(
            "_" + c.lower() if c.isupper() and i and not text[i - 1].isupper() else c.lower()
            for i, c in enumerate(text)
        )

    @classmethod
    def explain(cls, *arguments: Any) -> str | None:
        """Return what the operation needs, for the error message about these arguments."""
        return None

    @classmethod
    def apply(cls, *arguments: Any) -> Any:
        """Run the operation; record it where an argument requires a gradient.

        Without any tensor among the arguments it takes arrays and returns arrays.
        """
        # Every operation comes through here: what is not needed each time stands in other methods.
        node: Any = cls()
        tensor_class = TensorClass.cls
        arrays: list[Any] = []
        edges: list[Any] = []
        versions: list[tuple[list[int], int] | None] = []
        tensor: Any = None
        recorded = False
        for argument in arguments:
            if isinstance(argument, tensor_class):
                tensor = argument
                arrays.append(tensor.array)
                version = tensor._version
                versions.append((version, version[0]))
                edge = tensor._edge
                if edge is not None:
                    recorded = True
                    if edge is LEAF:
                        edge = tensor
                edges.append(edge)
            else:
                arrays.append(argument)
                versions.append(None)
                edges.append(None)
        if recorded:
            if not (switches.recording and cls.differentiable):
                recorded = False
                edges = [None] * len(edges)
            elif len(arrays) == 2:
                if arrays[0] is arrays[1]:
                    _tell_apart(arrays, edges)
            elif len(arrays) == 3:
                first, second, third = arrays
                if first is second or first is third or second is third:
                    _tell_apart(arrays, edges)
                del first, second, third  # an operation may look whether its memory is its own
            elif len(arrays) > 3 and len(set(map(id, arrays))) != len(arrays):
                _tell_apart(arrays, edges)
        node.edges = edges
        node.input_versions = versions
        node.saved = node.constants = node.versions = node.origins = node.inputs = ()

        try:
            result = node._forward_torch_style(arguments) if cls._torch_style else node.forward(*arrays)
        except OperationError:
            raise
        except (ValueError, TypeError, IndexError) as error:
            same_device(cls.name(), *filter(is_array, arrays))
            raise explain(cls.name(), arrays, cls.explain(*arrays), error) from error

        if tensor is None:
            return result
        if switches.anomaly:
            node._check_finite(arrays, result)
        if type(result) is tuple:
            outputs = tuple([_tensor_of(y, arguments, arrays, recorded) for y in result])
            if recorded:
                node._record(arguments, arrays, result, outputs)
            return outputs
        fresh = type(result) is ndarray and result.base is None
        for array in arrays:
            if array is result:
                fresh = False
        # Memory of its own, as most results are, or a view?
        output = wrap(result) if fresh else _tensor_of(result, arguments, arrays, recorded)
        if recorded:
            array = output.array
            dtype = array.dtype
            if dtype.kind == "f" and not node._without_gradient:
                node.number = _next_number()
                output._edge = (node, 0, array.shape, dtype)
                if cls.composite is not None:
                    node.inputs = arrays
                if node.saved:
                    node._remember(arrays, (result,), (output,))
        return output

    def _record(
        self, arguments: Any, arrays: list[Any], result: tuple[Any, ...], outputs: tuple[Any, ...]
    ) -> None:
        """Give several outputs their places in the graph."""
        self.number = _next_number()
        self.outputs = [(y.array.shape, y.array.dtype) for y in outputs]
        for i, (y, output) in enumerate(zip(result, outputs, strict=True)):
            shape, dtype = self.outputs[i]
            if dtype.kind == "f" and not any(y is other for other in self._without_gradient):
                output._edge = (self, i, shape, dtype)
        if self.composite is not None:
            self.inputs = arrays
        self._remember(arrays, result, outputs)

    def _remember(self, arrays: list[Any], result: tuple[Any, ...], outputs: tuple[Any, ...]) -> None:
        """Note which input or output each saved array is, and how often it has been written to."""
        versions: list[tuple[list[int], int]] = []
        origins: list[int | None] = []
        for saved in self.saved:
            origin = _place_of(saved, arrays)
            if origin is not None:
                pair = self.input_versions[origin]
                if pair is not None:
                    versions.append(pair)
            elif (i := _place_of(saved, result)) is not None:
                origin = ~i
                version = outputs[i]._version
                versions.append((version, version[0]))
            origins.append(origin)
        self.versions = versions
        self.origins = origins

    def keep_copy_of(self, tensor: Any) -> None:
        """Save a copy in the place of an input that the result of this very operation is written to."""
        array = tensor.array
        if any(saved is array for saved in self.saved):
            copy = array.copy()
            self.saved = tuple(copy if other is array else other for other in self.saved)
            self.versions = [pair for pair in self.versions if pair[0] is not tensor._version]

    def _forward_torch_style(self, arguments: Any) -> Any:
        """Run a forward written for PyTorch, which takes and returns Tensors."""
        before = switches.recording
        switches.recording = False
        try:
            if self._setup_context is None:
                result = self.forward(self, *arguments)
            else:
                result = self.forward(*arguments)
                self._setup_context(self, arguments, result)
        finally:
            switches.recording = before
        self.saved = tuple(getattr(saved, "array", saved) for saved in self.saved)
        # It may have written to its arguments.
        self.input_versions = [pair if pair is None else (pair[0], pair[0][0]) for pair in self.input_versions]
        if type(result) is tuple:
            return tuple(y.array for y in result)
        return result.array

    def _check_finite(self, arrays: list[Any], result: Any) -> None:
        """Raise an error if this operation made the first NaN or infinity."""
        inputs = [a for a in arrays if is_array(a) and a.dtype.kind == "f"]
        numbers = [a for a in arrays if isinstance(a, float)]
        for y in result if type(result) is tuple else (result,):
            if not is_array(y) or y.dtype.kind != "f" or bool(xp_of(y).isfinite(y).all()):
                continue
            came_finite = all(bool(xp_of(a).isfinite(a).all()) for a in inputs)
            if came_finite and all(map(math.isfinite, numbers)):
                verb = "made"
            elif bool(xp_of(y).isnan(y).any()):
                verb = "passed on"
            else:  # infinities that were there before, as in a mask of -inf
                continue
            raise AnomalyError(
                f"{self.name()} {verb} {_non_finite(y)}, out of {', '.join(map(_range_of, inputs))}"
            )


def _tell_apart(arrays: list[Any], edges: list[Any]) -> None:
    """Make two objects of an array that came in two places of the graph, as in ``x * x.detach()``.

    Which argument a saved array was is told by identity.
    """
    for i, array in enumerate(arrays):
        first = _place_of(array, arrays)
        if first is not None and first < i and edges[first] is not edges[i] and is_array(array):
            arrays[i] = xp_of(array).asarray(array).view()


def _place_of(wanted: Any, items: Sequence[Any]) -> int | None:
    """Return where an object itself (not an equal one) stands in a sequence."""
    if wanted is not None:
        i = 0
        for item in items:
            if item is wanted:
                return i
            i += 1  # noqa: SIM113  (a third faster than enumerate)
    return None


def _tensor_of(y: Any, arguments: Any, arrays: list[Any], recorded: bool) -> Any:
    """Return a Tensor on a result; a view of an input shares its version counter with it."""
    if type(y) is not ndarray:  # for arrays without dimensions NumPy returns scalars
        xp = xp_of(y) if is_array(y) else xp_of(next(filter(is_array, arrays)))
        y = xp.asarray(y)
    base = y.base
    for i, x in enumerate(arrays):
        if x is y or (base is not None and (x is base or (is_array(x) and x.base is base))):
            version = getattr(arguments[i], "_version", None)
            if version is not None:
                if recorded:
                    version[1] += 1
                return wrap(y, None, version)
    return wrap(y)


def _non_finite(y: Array) -> str:
    """Return an account of the NaNs and infinities of an array."""
    xp = xp_of(y)
    nan, infinite = int(xp.isnan(y).sum()), int(xp.isinf(y).sum())
    return f"{nan} NaN and {infinite} infinite of its {y.size} values"


def _range_of(x: Array) -> str:
    """Return shape and range of an input, for messages."""
    if not x.size:
        return f"shape {tuple(x.shape)}"
    return f"shape {tuple(x.shape)} with values from {float(x.min()):.6g} to {float(x.max()):.6g}"
