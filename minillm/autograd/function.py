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
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

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


class TensorLike(Protocol):
    """What the engine needs to know of a tensor."""

    array: Array
    _edge: Any
    _version: list[int]


class TensorClass:
    """Where the class of tensors is found: it stands a floor above, with the operations."""

    cls: Any = None


def wrap(array: Array, edge: Any = None, version: list[int] | None = None) -> Any:
    """Return a Tensor on ``array``, with its place in the graph, sharing ``version`` with a view's base."""
    cls = TensorClass.cls
    tensor = cls.__new__(cls)
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

    # Of one node; set by apply where they differ from these.
    number: int
    edges: tuple[Any, ...]  # for each argument None, a leaf tensor, or (node, output number)
    outputs: tuple[tuple[tuple[int, ...], Any], ...]  # shape and dtype of each output
    saved: tuple[Any, ...] = ()
    constants: tuple[Any, ...] = ()
    origins: tuple[int | None, ...] = ()  # for each saved array: input i, output ~j, or neither
    versions: tuple[tuple[list[int], int], ...] = ()
    inputs: tuple[Any, ...] = ()  # the arguments, kept for the composite alone
    hooks: dict[int, dict[int, Callable[[Any], Any]]] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        composite = cls.__dict__.get("composite")
        if composite is not None and not isinstance(composite, staticmethod):
            cls.composite = staticmethod(composite)
        if isinstance(cls.__dict__.get("forward"), staticmethod):
            cls._torch_style = True

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
        node = cls()
        arrays: list[Any] = []
        edges: list[Any] = []
        tensors: list[Any] = []
        recording = False
        tensor_class = TensorClass.cls
        for argument in arguments:
            if isinstance(argument, tensor_class):
                tensors.append(argument)
                arrays.append(argument.array)
                edge = argument._edge
                if edge is None:
                    edges.append(None)
                else:
                    edges.append(argument if edge is LEAF else edge)
                    recording = True
            else:
                arrays.append(argument)
                edges.append(None)
        if recording and not (switches.recording and cls.differentiable):
            recording = False
            edges = [None] * len(edges)
        node.edges = tuple(edges)

        try:
            run = node._forward_torch_style if cls._torch_style else node.forward
            result = run(*(arguments if cls._torch_style else arrays))
        except OperationError:
            raise
        except (ValueError, TypeError, IndexError) as error:
            same_device(cls.name(), *filter(is_array, arrays))
            raise explain(cls.name(), arrays, cls.explain(*arrays), error) from error

        if not tensors:
            return result
        if switches.anomaly:
            node._check_finite(arrays, result)
        results = result if type(result) is tuple else (result,)
        outputs = []
        for y in results:
            if type(y) is not ndarray and not is_array(y):  # NumPy returns scalars for 0-d arrays
                y = xp_of(tensors[0].array).asarray(y)
            version = None
            base = y.base
            for tensor in tensors:
                x = tensor.array
                if y is x or (base is not None and (base is x or base is x.base)):
                    version = tensor._version
                    if recording:
                        version[1] += 1  # a view in the graph
                    break
            outputs.append(wrap(y, None, version))
        if recording:
            node.number = _next_number()
            node.outputs = tuple([(t.array.shape, t.array.dtype) for t in outputs])
            for i, output in enumerate(outputs):
                if node.outputs[i][1].kind == "f":
                    output._edge = (node, i)
            if node.saved:
                node._remember_origins(arguments, arrays, results, outputs)
            if cls.composite is not None:
                node.inputs = tuple(arrays)
        return tuple(outputs) if type(result) is tuple else outputs[0]

    def _remember_origins(
        self, arguments: Any, arrays: list[Any], results: tuple[Any, ...], outputs: list[Any]
    ) -> None:
        """Note which input or output each saved array is, and how often it has been written to."""
        origins: list[int | None] = []
        versions = []
        for saved in self.saved:
            origin = None
            if saved is not None:
                for i, array in enumerate(arrays):
                    if array is saved:
                        origin = i
                        version = getattr(arguments[i], "_version", None)
                        if version is not None:
                            versions.append((version, version[0]))
                        break
                else:
                    for j, result in enumerate(results):
                        if result is saved:
                            origin = ~j
                            version = outputs[j]._version
                            versions.append((version, version[0]))
                            break
            origins.append(origin)
        self.origins = tuple(origins)
        self.versions = tuple(versions)

    def _forward_torch_style(self, *arguments: Any) -> Any:
        """Run a forward written for PyTorch, which takes and returns Tensors."""
        before = switches.recording
        switches.recording = False
        try:
            result = self.forward(self, *arguments)
        finally:
            switches.recording = before
        self.saved = tuple(getattr(saved, "array", saved) for saved in self.saved)
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
