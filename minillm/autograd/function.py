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

import functools
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, ClassVar, TypeAlias

from numpy import dtype, ndarray

from minillm.autograd.anomaly import check_result
from minillm.autograd.errors import OperationError, explain
from minillm.autograd.grad_mode import switches
from minillm.autograd.versions import Version, last_write, next_number
from minillm.backend import Array, is_array, same_device, xp_of

FREED: tuple[Any, ...] = ("freed",)  # stands in `saved` once backward has released the arrays


class Leaf:
    """The edge of a tensor that collects its gradient itself: it was made by the user."""

    def __repr__(self) -> str:
        return "LEAF"


LEAF = Leaf()


class _TensorClass:
    """Where the class of tensors is found: it stands a floor above, with the operations."""

    __slots__ = ("cls",)  # of an object, which Python reads in a tenth of the time of a class's attribute

    def __init__(self) -> None:
        self.cls: Any = None


TensorClass = _TensorClass()


# A place in the graph: the node, which of its outputs, the shape and dtype of that, and the node's number.
Edge: TypeAlias = tuple[Any, int, tuple[int, ...], Any, int]


_new = object.__new__
_FLOAT32 = dtype("float32")


def wrap(array: Array, edge: Any = None, version: Version | None = None) -> Any:
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
        "__dict__", "__weakref__", "constants", "edges", "identities", "inputs", "number", "saved", "special",
        "versions",
    )  # fmt: skip
    number: int
    edges: Sequence[Any]  # for each argument None, a leaf tensor, or an Edge
    saved: tuple[Any, ...]
    constants: tuple[Any, ...]
    inputs: Sequence[Any]  # the arguments, kept for the composite alone
    versions: Sequence[Version | None]  # of the arguments, then of the outputs
    # Of their arrays, but not of the `inputs`: they tell which of them a saved array is, as long as that lives.
    identities: Sequence[int]
    special: bool  # the walk has to look at what stands below, or has been here
    # Of some.
    outputs: list[tuple[tuple[int, ...], Any]] | None = None  # shape and dtype of several; None for one
    hooks: dict[int, dict[float, Callable[[Any], Any]]] | None = None
    _without_gradient: tuple[Any, ...] = ()  # outputs that PyTorch's ctx marked so
    _materialize_grads: bool = True
    _copied: tuple[int, ...] = ()  # which of `saved` are copies, made when their original was written to
    _origins: list[int | None] | None = None  # what `origins` returned when they were made

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        composite = cls.__dict__.get("composite")
        if composite is not None and not isinstance(composite, staticmethod):
            cls.composite = staticmethod(composite)
        if isinstance(cls.__dict__.get("forward"), staticmethod):
            cls._torch_style = True
            cls._setup_context = cls.__dict__.get("setup_context")
        # Python adapts code to the types that it meets. Of code that all operations shared it would adapt
        # nothing, so each has its own: a fifth less time.
        if "apply" not in cls.__dict__:
            method: Any = cls._apply_to_many if cls._torch_style else cls.apply
            cls.apply = classmethod(_own_code(method.__func__))  # type: ignore[method-assign, assignment]
        if "step" not in cls.__dict__:
            cls.step = _own_code(cls.step)  # type: ignore[method-assign]

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
        # Every operation comes through here. Most have up to three arguments and one result in new memory:
        # for them all is written out, without a loop and without a call. What is rare stands elsewhere.
        count = len(arguments)
        if count == 1:
            (a,) = arguments
            b = c = None
        elif count == 2:
            a, b = arguments
            c = None
        elif count == 3:
            a, b, c = arguments
        else:
            return cls._apply_to_many(*arguments)
        mode = switches.mode
        if mode > 1:  # anomalies are looked for
            return cls._apply_to_many(*arguments)
        tensor_class = TensorClass.cls
        edge_a = edge_b = edge_c = version_a = version_b = version_c = None
        if isinstance(a, tensor_class):
            edge_a = a._edge
            if edge_a is LEAF:
                edge_a = a
            version_a = a._version
            a = a.array
        if isinstance(b, tensor_class):
            edge_b = b._edge
            if edge_b is LEAF:
                edge_b = b
            version_b = b._version
            b = b.array
        if isinstance(c, tensor_class):
            edge_c = c._edge
            if edge_c is LEAF:
                edge_c = c
            version_c = c._version
            c = c.array
        recorded = edge_a is not None or edge_b is not None or edge_c is not None
        if recorded:
            if not mode or not cls.differentiable:
                recorded = False
                edge_a = edge_b = edge_c = None
            elif (
                (a is b and edge_a is not edge_b)
                or (a is c and edge_a is not edge_c)
                or (b is c and edge_b is not edge_c)
            ):  # an array in two places of the graph
                return cls._apply_to_many(*arguments)
        node: Any = cls()
        node.saved = node.constants = node.inputs = ()
        node.special = False
        try:
            if count == 1:
                node.edges = (edge_a,)
                result = node.forward(a)
            elif count == 2:
                node.edges = (edge_a, edge_b)
                result = node.forward(a, b)
            else:
                node.edges = (edge_a, edge_b, edge_c)
                result = node.forward(a, b, c)
        except OperationError:
            raise
        except (ValueError, TypeError, IndexError) as error:
            raise cls._explained(error, (a, b, c)[:count]) from error
        if (
            type(result) is not ndarray
            or result.base is not None
            or result is a
            or result is b
            or result is c
            or (version_a is None and version_b is None and version_c is None)
        ):
            versions, arrays = (version_a, version_b, version_c)[:count], (a, b, c)[:count]
            return node._finish(arguments, versions, arrays, result, recorded)
        output = _new(tensor_class)
        output.array = result
        output._version = version = [0, 0]
        output._grad = output._hooks = output._edge = None
        if not recorded:
            return output
        dtype = result.dtype
        if dtype is not _FLOAT32 and dtype.kind != "f":
            return output
        node.number = number = next_number()
        output._edge = (node, 0, result.shape, dtype, number)
        if cls.composite is not None:  # the inputs are kept, and so are their identities
            node.inputs = (a, b, c) if count == 3 else (a, b, c)[:count]
            node.identities = (id(result),)
        elif not node.saved:
            node.versions = node.identities = ()
            return output
        elif count == 1:
            node.identities = (id(a), id(result))
        elif count == 2:
            node.identities = (id(a), id(b), id(result))
        else:
            node.identities = (id(a), id(b), id(c), id(result))
        if count == 1:
            node.versions = (version_a, version)
        elif count == 2:
            node.versions = (version_a, version_b, version)
        else:
            node.versions = (version_a, version_b, version_c, version)
        return output

    @classmethod
    def _apply_to_many(cls, *arguments: Any) -> Any:
        """Do what ``apply`` does, with any number of arguments, and look for anomalies."""
        node: Any = cls()
        tensor_class = TensorClass.cls
        arrays: list[Any] = []
        edges: list[Any] = []
        versions: list[Version | None] = []
        recorded = False
        for argument in arguments:
            if isinstance(argument, tensor_class):
                arrays.append(argument.array)
                versions.append(argument._version)
                edge = argument._edge
                if edge is not None:
                    recorded = True
                    if edge is LEAF:
                        edge = argument
                edges.append(edge)
            else:
                arrays.append(argument)
                versions.append(None)
                edges.append(None)
        if recorded:
            if not (switches.mode & 1 and cls.differentiable):
                recorded = False
                edges = [None] * len(edges)
            elif len(set(map(id, arrays))) != len(arrays):
                _tell_apart(arrays, edges)
        node.edges = edges
        node.saved = node.constants = node.inputs = ()
        node.special = cls._torch_style
        try:
            result = node._forward_torch_style(arguments) if cls._torch_style else node.forward(*arrays)
        except OperationError:
            raise
        except (ValueError, TypeError, IndexError) as error:
            raise cls._explained(error, arrays) from error
        if switches.mode > 1 and any(version is not None for version in versions):
            check_result(cls.name(), arrays, result)
        return node._finish(arguments, versions, arrays, result, recorded)

    def _finish(
        self, arguments: Any, versions: Sequence[Version | None], arrays: Sequence[Any], result: Any, recorded: bool
    ) -> Any:
        """Return what ``apply`` returns, given what ``forward`` did; give it its place in the graph."""
        for version in versions:
            if version is not None:
                break
        else:
            return result
        if type(result) is tuple:
            outputs = tuple([_tensor_of(y, arguments, arrays, recorded) for y in result])
            if recorded:
                self._place_several(versions, arrays, result, outputs)
            return outputs
        output = _tensor_of(result, arguments, arrays, recorded)
        if recorded:
            y = output.array
            dtype = y.dtype
            if (dtype is _FLOAT32 or dtype.kind == "f") and not self._without_gradient:
                self.number = number = next_number()
                output._edge = (self, 0, y.shape, dtype, number)
                self._remember(versions, arrays, (result,), (output,))
        return output

    def _place_several(
        self, versions: Sequence[Version | None], arrays: Sequence[Any], results: Any, outputs: Any
    ) -> None:
        """Give several outputs their places in the graph."""
        self.number = number = next_number()
        self.outputs = [(y.array.shape, y.array.dtype) for y in outputs]
        self.special = True
        for i, (y, output) in enumerate(zip(results, outputs, strict=True)):
            shape, dtype = self.outputs[i]
            if dtype.kind == "f" and not any(y is other for other in self._without_gradient):
                output._edge = (self, i, shape, dtype, number)
        self._remember(versions, arrays, results, outputs)

    def _remember(
        self, versions: Sequence[Version | None], arrays: Sequence[Any], results: Any, outputs: Any
    ) -> None:
        """Note what tells later which argument or output a saved array is, and whether it was written to."""
        if type(self).composite is not None:
            self.inputs = arrays
        elif not self.saved:
            self.versions = self.identities = ()
            return
        self.versions = (*versions, *[output._version for output in outputs])
        self.identities = tuple(map(id, results if self.inputs else (*arrays, *results)))

    @classmethod
    def _explained(cls, error: Exception, arrays: Sequence[Any]) -> OperationError:
        """Return the error for people that stands for ``error``, which ``forward`` raised."""
        same_device(cls.name(), *filter(is_array, arrays))
        return explain(cls.name(), arrays, cls.explain(*arrays), error)

    def step(self, dy: Any, release: bool) -> Any:
        """Run backward in everyday training; return a tuple of gradients, or None where something is special."""
        if self.special:
            return None
        if last_write[0] > self.number:
            self.check_saved()
        dxs = self.backward(dy)
        if type(dxs) is not tuple:
            dxs = (dxs,)
        elif len(dxs) > len(self.edges):
            self.check_number(dxs)
        if release and (self.saved or self.constants or self.inputs):
            self.saved = FREED
            self.constants = self.inputs = ()
            self.special = True
        return dxs

    def release(self) -> None:
        """Let go of what was kept for backward; without anything, the node may be walked over again."""
        if self.saved or self.constants or self.inputs:
            self.saved = FREED
            self.constants = self.inputs = ()
            self.special = True

    def check_number(self, dxs: tuple[Any, ...]) -> None:
        """Raise an error if backward returned gradients that belong to no argument."""
        number = len(self.edges)
        if any(dx is not None for dx in dxs[number:]):
            raise OperationError(f"{self.name()}: its backward returned {len(dxs)} gradients for {number} arguments")

    def origins(self) -> list[int | None]:
        """Return which argument each saved array is, counted from 0; outputs are counted on; None for others."""
        if self._origins is not None:
            return self._origins
        identities = [*map(id, self.inputs), *self.identities]
        places = {identity: i for i, identity in reversed(list(enumerate(identities)))}
        return [None if saved is None else places.get(id(saved)) for saved in self.saved]

    def check_saved(self) -> None:
        """Raise an error if an array that was saved has been written to in place since."""
        number = self.number
        for version in self.versions:
            if version is not None and version[0] > number:
                break
        else:
            return
        for i, origin in enumerate(self.origins() if self.saved else ()):
            if origin is not None and i not in self._copied:
                self._check_version(origin)

    def check_inputs(self) -> None:
        """Raise an error if an argument has been written to in place since."""
        for i in range(len(self.edges)):
            self._check_version(i)

    def _check_version(self, i: int) -> None:
        version = self.versions[i]
        if version is not None and version[0] > self.number:
            which = f"argument {i}" if i < len(self.edges) else "its output"
            raise OperationError(
                f"{self.name()}: an array that it saved for backward ({which}) was written to in place since; "
                "write to a clone(), or compute out of place"
            )

    def keep_copy_of(self, tensor: Any) -> None:
        """Save a copy in the place of an input that the result of this very operation is written to."""
        array = tensor.array
        places = tuple(i for i, saved in enumerate(self.saved) if saved is array)
        if places:
            self._origins = self.origins()
            self._copied = places
            copy = array.copy()
            self.saved = tuple(copy if other is array else other for other in self.saved)

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
        if type(result) is tuple:
            return tuple(y.array for y in result)
        return result.array


def _own_code(function: Any) -> Any:
    """Return the same function with code that is no other's."""
    code, closure = function.__code__.replace(), function.__closure__
    own = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, closure)
    own.__kwdefaults__ = function.__kwdefaults__
    return functools.update_wrapper(own, function, updated=())


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


def _tensor_of(y: Any, arguments: Any, arrays: Sequence[Any], recorded: bool) -> Any:
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
