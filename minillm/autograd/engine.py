"""The engine: walks the graph from outputs to inputs and carries gradients (reverse-mode differentiation).

Every node has a number larger than those of the nodes it depends on, so a heap on numbers is a topological
order: when a node is taken from the heap, all that used its outputs has been done, and its gradients are
complete. The walk is a loop, not a recursion: the length of a chain is bounded by memory alone. A node's
saved arrays are released as soon as it is done, so memory falls during the walk.

In everyday training the gradients are plain arrays and nothing is recorded. Under ``create_graph=True``
they are Tensors, each step of backward is recorded, and the result can be differentiated again.

Source: Griewank and Walther, "Evaluating Derivatives", 2nd edition, SIAM 2008, chapter 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from sys import getrefcount
from typing import Any

import numpy as np

from minillm.autograd.errors import AnomalyError, OperationError, OperationTypeError
from minillm.autograd.function import FREED, LEAF, Function, TensorClass, _non_finite, wrap
from minillm.autograd.grad_mode import enable_grad, no_grad, switches
from minillm.backend import Array, is_array, xp_of
from minillm.backend.references import ONE_REFERENCE


def sum_to(gradient: Any, shape: tuple[int, ...], name: str) -> Any:
    """Sum a gradient (array or Tensor) down to ``shape``, from which its shape was broadcast.

    Args:
        gradient: of a shape to which ``shape`` broadcasts.
        shape: of the input.
        name: of the operation, for errors.
    """
    got = tuple(gradient.shape)
    extra = len(got) - len(shape)
    if extra >= 0:
        summed = tuple(range(extra)) + tuple(
            extra + i for i, n in enumerate(shape) if n == 1 and got[extra + i] != 1
        )
        if all(n in (1, got[extra + i]) for i, n in enumerate(shape)):
            if summed:
                gradient = gradient.sum(axis=summed, keepdims=True)
            return gradient.reshape(shape)
    raise OperationError(
        f"{name}: its backward returned a gradient of shape {got} for an input of shape {shape}; "
        "it needs that shape, or one that the input broadcasts to"
    )


class Walk:
    """One walk over the graph.

    Args:
        retain_graph: keep the saved arrays, for another walk over the same graph.
        create_graph: record the walk itself, for derivatives of higher order.
        targets: walk only to these places, see :func:`place_of`; None walks to every leaf.
    """

    def __init__(self, retain_graph: bool, create_graph: bool, targets: Sequence[Any] | None = None) -> None:
        self.retain_graph = retain_graph
        self.create_graph = create_graph
        self.anomaly = switches.anomaly
        self.targets = None if targets is None else set(targets)
        self.direct = targets is None and not create_graph  # into the `grad` of leaves, but those with hooks
        self.gradients: dict[Any, Any] = {}  # place (of another leaf, or of a target) -> gradient
        self.owned: set[Any] = set()  # of these leaves, those whose gradient is no one else's memory
        self.pending: dict[Function, list[Any]] = {}  # node -> gradient of each output so far
        self.heap: list[tuple[int, Function]] = []
        self.since = 0  # a walk to targets leaves nodes up to this number alone

    @np.errstate(all="ignore")  # infinities and NaN come without a word, as in PyTorch
    def run(self, roots: Sequence[tuple[Any, Any]]) -> None:
        """Walk from ``roots``, pairs of an edge (or leaf) and its gradient."""
        heap, pending, targets = self.heap, self.pending, self.targets
        recording = switches.recording
        switches.recording = self.create_graph
        try:
            needed = None if targets is None else self._needed([edge for edge, _ in roots])
            for edge, gradient in roots:
                if type(edge) is tuple:
                    self._send(edge, gradient)
                else:
                    self._send_to_leaf(edge, gradient, None, False)
            if self.direct and not self.anomaly:
                self._run_plainly()
            while heap:
                node = heappop(heap)[1]
                dys = pending.pop(node)
                if node.hooks is not None:
                    self._call_hooks_of(node, dys)
                if targets is not None and needed is not None:
                    for i, dy in enumerate(dys):
                        if (node, i) in targets and dy is not None:
                            self.gradients[node, i] = dy
                    if node not in needed:
                        continue
                self._step(node, dys)
        finally:
            switches.recording = recording

    def _run_plainly(self) -> None:
        """Do the same in everyday training; nodes that are special in some way take :meth:`_step` here, too.

        In a chain of nodes, as most of a graph is, neither heap nor dict are needed. For the networks of
        beginners this loop is a large part of the time, so it makes few calls and repeats lines of others.
        """
        heap, pending, release = self.heap, self.pending, not self.retain_graph
        chained: Any = None  # the only edge that is pending, and
        gradient: Any = None  # its gradient
        while True:
            if chained is not None:
                node = chained[0]
                dys = [gradient]
                chained = gradient = None
            elif heap:
                node = heappop(heap)[1]
                dys = pending.pop(node)
            else:
                return
            if node.hooks is not None:
                self._call_hooks_of(node, dys)
            saved = node.saved
            if saved is FREED or node.outputs is not None or node._torch_style:
                del saved
                self._step(node, dys)
                continue
            for version, value in node.versions:
                if version[0] != value:
                    self._check_versions(node, node.versions)
            dxs: Any = node.backward(*dys)
            if type(dxs) is not tuple:
                dxs = (dxs,)
            if release and (saved or node.constants or node.inputs):
                node.saved = FREED
                node.constants = node.inputs = ()
            del saved, dys  # what remains of them is held by those who need it
            edges = node.edges
            if len(dxs) > len(edges):
                self._check_number(node, dxs)
            for i in range(min(len(edges), len(dxs))):  # (zip would hold one more reference)
                edge = edges[i]
                dx = dxs[i]
                if edge is None or dx is None:
                    continue
                if type(dx) is not np.ndarray:
                    self._check_type(node, dx)
                if type(edge) is tuple:
                    parent, _, shape, dtype = edge
                    if dx.shape != shape:
                        dx = sum_to(dx, shape, node.name())
                    if dx.dtype is not dtype and dx.dtype != dtype:
                        dx = dx.astype(dtype)
                    if chained is None and not heap and parent.outputs is None:
                        chained, gradient = edge, dx
                        continue
                    if chained is not None:
                        self._send(chained, gradient)
                        chained = gradient = None
                    self._send(edge, dx)
                    continue
                # Memory is a leaf's own if nothing but `dxs` and `dx` refers to it.
                owned = dx.base is None and getrefcount(dx) == ONE_REFERENCE + 1
                array = edge.array
                if owned and edge._grad is edge._hooks is None and dx.dtype is array.dtype and dx.shape == array.shape:
                    edge._grad = wrap(dx)  # most often
                else:
                    self._send_to_leaf(edge, dx, node, owned)
            dxs = dx = None

    def _step(self, node: Function, dys: list[Any]) -> None:
        """Run one node's backward and send its gradients along its edges."""
        saved = node.saved
        if saved is FREED:
            raise OperationError(
                f"backward through {node.name()} a second time: the arrays that it saved were released by "
                "the first walk over this graph; call the first backward with retain_graph=True to keep them"
            )
        self._check_versions(node, node.versions)
        if node.outputs is not None and node._materialize_grads:
            dys = [self._zeros(node, i, dys) if dy is None else dy for i, dy in enumerate(dys)]
        if self.create_graph or node._torch_style:
            dxs = self._backward_on_tensors(node, dys)
        else:
            dxs = node.backward(*dys)
        if type(dxs) is not tuple:
            dxs = (dxs,)
        edges = node.edges
        self._check_number(node, dxs)
        if self.anomaly:
            self._check_finite(node, dxs)
        if not self.retain_graph and (saved or node.constants or node.inputs):
            node.saved = FREED
            node.constants = node.inputs = ()
        del saved  # what remains of it is held by those who need it
        for i in range(min(len(edges), len(dxs))):  # (zip would hold one more reference)
            edge = edges[i]
            if edge is None:
                continue
            dx = dxs[i]
            if dx is None:
                continue
            self._check_type(node, dx)
            if type(edge) is tuple:
                _, _, shape, dtype = edge
                if dx.shape != shape:
                    dx = sum_to(dx, shape, node.name())
                if dx.dtype is not dtype and dx.dtype != dtype:
                    dx = dx.astype(dtype)
                self._send(edge, dx)
            else:
                # Memory is a leaf's own if nothing but `dxs` and `dx` refers to it.
                owned = not self.create_graph and dx.base is None and getrefcount(dx) == ONE_REFERENCE + 1
                self._send_to_leaf(edge, dx, node, owned)

    def _send(self, edge: Any, dx: Any) -> None:
        """Add a gradient of an output of a node; the node's turn comes when all have arrived."""
        parent, i, _, _ = edge
        gradients = self.pending.get(parent)
        if gradients is None:
            if parent.outputs is None:
                self.pending[parent] = [dx]
            else:
                gradients = self.pending[parent] = [None] * len(parent.outputs)
                gradients[i] = dx
            heappush(self.heap, (-parent.number, parent))
        else:
            before = gradients[i]
            gradients[i] = dx if before is None else before + dx

    def _send_to_leaf(self, leaf: Any, dx: Any, node: Function | None, owned: bool) -> None:
        """Add a gradient of a leaf; ``owned`` says that no one else uses its memory."""
        array = leaf.array
        if dx.shape != array.shape:
            dx = sum_to(dx, array.shape, node.name() if node else "backward")
        if dx.dtype is not array.dtype and dx.dtype != array.dtype:
            dx = dx.astype(array.dtype)
        if self.direct and not leaf._hooks:
            _accumulate(leaf, dx, owned, False)
            return
        before = self.gradients.get(leaf)
        if before is None:
            self.gradients[leaf] = dx
            if owned:
                self.owned.add(leaf)
        elif leaf in self.owned:
            before += dx
            self.gradients[leaf] = before
        else:
            self.gradients[leaf] = before + dx
            if not self.create_graph:
                self.owned.add(leaf)

    def _check_versions(self, node: Function, versions: Any) -> None:
        """Raise an error if an array that a node saved was written to in place since."""
        for version, value in versions:
            if version[0] != value:
                raise OperationError(
                    f"{node.name()}: an array that it saved for backward was written to in place since "
                    f"(version {version[0]}, saved at version {value}); write to a clone(), or compute "
                    "out of place"
                )

    def _check_number(self, node: Function, dxs: tuple[Any, ...]) -> None:
        """Raise an error if backward returned gradients that belong to no argument."""
        number = len(node.edges)
        if any(dx is not None for dx in dxs[number:]):
            raise OperationError(f"{node.name()}: its backward returned {len(dxs)} gradients for {number} arguments")

    def _check_type(self, node: Function, dx: Any) -> None:
        """Raise an error unless a gradient is an array or a Tensor."""
        if not hasattr(dx, "shape"):
            raise OperationTypeError(
                f"{node.name()}: its backward returned a {type(dx).__name__}; it needs an array or None "
                "for each argument"
            )

    def _zeros(self, node: Function, i: int, dys: list[Any]) -> Any:
        """Return the gradient of an output that nothing used."""
        other = next(dy for dy in dys if dy is not None)
        assert node.outputs is not None
        shape, dtype = node.outputs[i]
        array = other.array if self.create_graph else other
        zeros = xp_of(array).zeros(shape, dtype)
        return wrap(zeros) if self.create_graph else zeros

    def _backward_on_tensors(self, node: Function, dys: list[Any]) -> Any:
        """Run backward on Tensors, so that it is recorded, with the saved arrays tied to the graph."""
        if node.composite is not None and not node._torch_style:
            return self._backward_of_composite(node, dys)
        raw = node.saved
        tensors: list[Any] = []
        for saved, origin in zip(raw, node.origins, strict=True):
            if origin is not None and not is_array(saved):
                tensors.append(saved)
            elif origin is None:
                if is_array(saved) and saved.dtype.kind == "f" and self.create_graph:
                    raise OperationError(
                        f"{node.name()} cannot be differentiated twice: it saved an array that is neither "
                        "an input nor an output of it; save inputs and outputs, give save_constants what "
                        "no derivative flows through, or give the class a composite"
                    )
                tensors.append(wrap(saved) if is_array(saved) else saved)
            elif origin >= 0:
                tensors.append(_tied(saved, node.edges[origin]))
            else:
                shape, dtype = saved.shape, saved.dtype
                tensors.append(wrap(saved, (node, ~origin, shape, dtype)))
        if not self.create_graph:
            dys = [dy if dy is None else wrap(dy) for dy in dys]
        constants = node.constants
        node.saved = tuple(tensors)
        node.constants = tuple(wrap(c) if is_array(c) else c for c in constants)
        try:
            with enable_grad() if self.create_graph else no_grad():
                dxs = node.backward(node, *dys) if node._torch_style else node.backward(*dys)
        finally:
            node.saved, node.constants = raw, constants
        if not self.create_graph:
            dxs = dxs if type(dxs) is tuple else (dxs,)
            dxs = tuple(None if dx is None else dx.array for dx in dxs)
        return dxs

    def _backward_of_composite(self, node: Function, dys: list[Any]) -> Any:
        """Differentiate the textbook formula of a fused operation, in the place of the operation."""
        assert node.composite is not None
        self._check_versions(node, [pair for pair in node.input_versions if pair is not None])
        with enable_grad():
            # An own alias for each argument: the same tensor given twice has two gradients.
            arguments = [
                value if edge is None and not is_array(value) else _Alias.apply(_tied(value, edge))
                for value, edge in zip(node.inputs, node.edges, strict=True)
            ]
            ys = node.composite(*arguments)
        ys = ys if type(ys) is tuple else (ys,)
        asked = [a for a, edge in zip(arguments, node.edges, strict=True) if edge is not None]
        pairs = [(y, dy) for y, dy in zip(ys, dys, strict=True) if y._edge is not None]
        dxs = iter(
            grad(
                [y for y, _ in pairs],
                asked,
                [dy for _, dy in pairs],
                retain_graph=True,
                create_graph=True,
                allow_unused=True,
            )
        )
        return tuple(None if edge is None else next(dxs) for edge in node.edges)

    def _call_hooks_of(self, node: Function, dys: list[Any]) -> None:
        """Give the gradients of a node's outputs to their hooks."""
        assert node.hooks is not None
        for i, hooks in node.hooks.items():
            if dys[i] is not None:
                dys[i] = self._call_hooks(hooks, dys[i])

    def _call_hooks(self, hooks: dict[float, Any], gradient: Any) -> Any:
        """Give a gradient to its hooks, in order; each may return another in its place."""
        tensor = gradient if self.create_graph else wrap(xp_of(gradient).asarray(gradient))
        for key in sorted(hooks):
            result = hooks[key](tensor)
            if result is not None:
                if result.array.shape != tensor.array.shape:
                    raise OperationError(
                        f"a gradient hook returned shape {result.array.shape} for a gradient of shape "
                        f"{tensor.array.shape}; it needs to return that shape, or None"
                    )
                tensor = result
        return tensor if self.create_graph else tensor.array

    def _check_finite(self, node: Function, dxs: tuple[Any, ...]) -> None:
        """Raise an error if this backward made a NaN or an infinity."""
        for i, dx in enumerate(dxs):
            array = getattr(dx, "array", dx)
            if is_array(array) and array.dtype.kind == "f" and not bool(xp_of(array).isfinite(array).all()):
                raise AnomalyError(
                    f"backward of {node.name()} made {_non_finite(array)}, in the gradient of argument {i}"
                )

    def _needed(self, edges: list[Any]) -> set[Function]:
        """Return the nodes that lie between the roots and the targets: only they need to run."""
        assert self.targets is not None
        targets = self.targets
        reached: dict[int, Function] = {}
        stack = [edge[0] for edge in edges if type(edge) is tuple]
        while stack:
            node = stack.pop()
            if node.number > self.since and node.number not in reached:
                reached[node.number] = node
                stack.extend(edge[0] for edge in node.edges if type(edge) is tuple)
        needed: set[Function] = set()
        for number in sorted(reached):
            node = reached[number]
            for edge in node.edges:
                if type(edge) is tuple:
                    found = edge[0] in needed or edge[:2] in targets
                else:
                    found = edge is not None and edge in targets
                if found:
                    needed.add(node)
                    break
        return needed


class _Alias(Function):
    """y = x: gives a tensor an edge of its own."""

    def forward(self, x: Array) -> Array:
        return x.view() if hasattr(x, "view") else x

    def backward(self, dy: Any) -> Any:
        return dy


def _tied(array: Array, edge: Any) -> Any:
    """Return a Tensor on ``array`` at the place in the graph that ``edge`` tells."""
    if edge is None or type(edge) is tuple:
        return wrap(array, edge)
    if edge.array is array:
        return edge  # the leaf itself
    alias = _Alias.apply(edge)  # its data was replaced since: what was saved counts
    alias.array = array
    return alias


def edge_of(tensor: Any) -> Any:
    """Return the edge that leads to a tensor: itself for a leaf, an Edge, or None."""
    return tensor if tensor._edge is LEAF else tensor._edge


def place_of(tensor: Any) -> Any:
    """Return what tells places in the graph apart: a leaf itself, or (node, output number)."""
    return tensor if tensor._edge is LEAF else tensor._edge[:2]


def _first_gradient(name: str, output: Any, gradient: Any, create_graph: bool) -> Any:
    """Return the gradient that a walk starts with: the given one, or 1 for a scalar."""
    xp = xp_of(output.array)
    if gradient is None:
        if output.array.size != 1:
            raise OperationError(
                f"{name}: the output has shape {output.array.shape}; only a single number has an implicit "
                "gradient of 1: take the sum() or mean(), or give the gradient"
            )
        shape, dtype = output.array.shape, output.array.dtype  # (asarray takes a tenth of the time of ones)
        first = xp.ones(shape, dtype) if shape else xp.asarray(1, dtype)
        return wrap(first) if create_graph else first
    elif not isinstance(gradient, TensorClass.cls):
        gradient = wrap(xp.asarray(gradient))
    if gradient.array.shape != output.array.shape:
        raise OperationError(
            f"{name}: the gradient has shape {gradient.array.shape} and the output {output.array.shape}; "
            "they need the same shape"
        )
    if gradient.array.dtype != output.array.dtype:
        gradient = wrap(gradient.array.astype(output.array.dtype))
    return gradient if create_graph else gradient.array


def _roots(name: str, outputs: Any, gradients: Any, create_graph: bool) -> list[tuple[Any, Any]]:
    """Return the pairs (edge, gradient) that a walk starts from."""
    gradients = [None] * len(outputs) if gradients is None else list(gradients)
    if len(gradients) != len(outputs):
        raise OperationError(f"{name}: got {len(gradients)} gradients for {len(outputs)} outputs")
    roots = []
    for output, gradient in zip(outputs, gradients, strict=True):
        if output._edge is None:
            raise OperationError(
                f"{name}: the output does not require grad: no input of its operations had "
                "requires_grad=True, or they ran under no_grad()"
            )
        roots.append((edge_of(output), _first_gradient(name, output, gradient, create_graph)))
    return roots


def _as_sequence(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradients of the outputs with respect to every leaf into the leaves' ``grad``.

    Args:
        tensors: an output or a sequence of outputs.
        grad_tensors: for each output the gradient to start from, of its shape; None for a single number.
        retain_graph: keep the graph for another walk; ``create_graph`` by default.
        create_graph: record the walk, for derivatives of higher order.
        inputs: leaves to fill; all by default.

    Raises:
        OperationError: an output that does not require grad, a shape that does not fit, a graph that was
            released by an earlier walk, or a saved array that was written to since.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([1.0, 2.0], requires_grad=True)
        >>> minillm.autograd.backward((x * x).sum())
        >>> x.grad
        tensor([2., 4.])
    """
    outputs = _as_sequence(tensors)
    gradients = None if grad_tensors is None else _as_sequence(grad_tensors)
    wanted = targets = None
    if inputs is not None:
        wanted = _as_sequence(inputs)
        _check_inputs("backward", wanted)
        targets = [place_of(x) for x in wanted]
    walk = Walk(create_graph if retain_graph is None else retain_graph, create_graph, targets)
    walk.run(_roots("backward", outputs, gradients, create_graph))
    found = walk.gradients
    if not found:
        return
    if wanted is not None:
        found = {tensor: found[place] for tensor in wanted if (place := place_of(tensor)) in found}
    for tensor, gradient in found.items():
        owned = tensor in walk.owned
        if tensor._hooks:
            gradient = walk._call_hooks(tensor._hooks, gradient)
            owned = False
        _accumulate(tensor, gradient, owned, create_graph)


def _check_inputs(name: str, inputs: list[Any]) -> None:
    """Raise an error unless the inputs are tensors that can have a gradient."""
    if not inputs:
        raise OperationError(f"{name}: got no inputs; it needs at least one")
    for i, x in enumerate(inputs):
        if not isinstance(x, TensorClass.cls):
            raise OperationTypeError(f"{name}: input {i} is a {type(x).__name__}; it needs a tensor")
        if x._edge is None:
            raise OperationError(f"{name}: input {i} does not require grad; make it with requires_grad=True")


def _accumulate(leaf: Any, gradient: Any, owned: bool, create_graph: bool) -> None:
    """Add a gradient to ``leaf.grad``, which must be memory of its own: users write to it in place."""
    if create_graph:
        leaf._grad = gradient if leaf._grad is None else leaf._grad + gradient
    elif leaf._grad is None:
        if type(gradient) is not np.ndarray:  # of NumPy's scalars, too
            gradient = xp_of(leaf.array).asarray(gradient)
        leaf._grad = wrap(gradient if owned else gradient.copy())
    elif leaf._grad._edge is not None:
        leaf._grad = wrap(leaf._grad.array + gradient)
    else:
        leaf._grad.array += gradient
        leaf._grad._version[0] += 1


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """Return the gradients of the outputs with respect to the inputs; no ``grad`` is touched.

    Args:
        outputs: a tensor or a sequence of tensors.
        inputs: a tensor or a sequence of tensors, leaves or not.
        grad_outputs: for each output the gradient to start from, of its shape; None for a single number.
        retain_graph: keep the graph for another walk; ``create_graph`` by default.
        create_graph: record the walk, so that the result can be differentiated again.
        allow_unused: return None for an input that no output depends on, instead of raising an error.
        materialize_grads: return zeros in the place of None.

    Returns:
        A tuple with a tensor for each input, of its shape.

    Example:
        >>> import minillm
        >>> x = minillm.tensor(3.0, requires_grad=True)
        >>> (dy,) = minillm.autograd.grad(x ** 3, x, create_graph=True)
        >>> minillm.autograd.grad(dy, x)
        (tensor(18.),)
    """
    outputs, inputs = _as_sequence(outputs), _as_sequence(inputs)
    gradients = None if grad_outputs is None else _as_sequence(grad_outputs)
    _check_inputs("grad", inputs)
    if materialize_grads and allow_unused is False:  # what PyTorch refuses, too
        raise OperationError("grad: allow_unused=False contradicts materialize_grads=True")
    targets = [place_of(x) for x in inputs]
    walk = Walk(create_graph if retain_graph is None else retain_graph, create_graph, targets)
    walk.run(_roots("grad", outputs, gradients, create_graph))
    results = []
    for i, (x, place) in enumerate(zip(inputs, targets, strict=True)):
        result = walk.gradients.get(place)
        if result is not None and x._hooks:
            result = walk._call_hooks(x._hooks, result)
        if result is None and materialize_grads:
            result = xp_of(x.array).zeros(x.array.shape, x.array.dtype)
            result = wrap(result) if create_graph else result
        if result is None and not allow_unused:
            raise OperationError(
                f"grad: no output depends on input {i}, of shape {tuple(x.array.shape)}; "
                "pass allow_unused=True to get None for it"
            )
        if result is not None and not create_graph:
            # The caller may write to it: neither a broadcast view nor what a retained graph still holds.
            result = wrap(xp_of(x.array).asarray(result if place in walk.owned else result.copy()))
        results.append(result)
    return tuple(results)
