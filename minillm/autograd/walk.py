"""The walk over the graph, from outputs to inputs, which carries gradients (reverse-mode differentiation).

Every node has a number larger than those of the nodes it depends on, so a heap on numbers is a topological
order: when a node is taken from the heap, all that used its outputs has been done, and its gradients are
complete. The walk is a loop, not a recursion: the length of a chain is bounded by memory alone. A node's
saved arrays are released as soon as it is done, so memory falls during the walk.

Source: Griewank and Walther, "Evaluating Derivatives", 2nd edition, SIAM 2008, chapter 3.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from heapq import heappop, heappush
from sys import getrefcount
from typing import Any

import numpy as np

from minillm.autograd.anomaly import check_gradients
from minillm.autograd.broadcast import sum_to
from minillm.autograd.errors import OperationError, OperationTypeError
from minillm.autograd.function import FREED, Function, wrap
from minillm.autograd.grad_mode import switches
from minillm.autograd.higher_order import backward_on_tensors
from minillm.autograd.versions import mark_written
from minillm.backend import xp_of
from minillm.backend.references import ONE_REFERENCE
from minillm.kernels import LARGE, kernels_of

_ndarray = np.ndarray


class Walk:
    """One walk over the graph.

    Args:
        retain_graph: keep the saved arrays, for another walk over the same graph.
        create_graph: record the walk itself, for derivatives of higher order.
        targets: walk only to these places, see :func:`~minillm.autograd.engine.place_of`; None walks to
            every leaf.
    """

    __slots__ = (
        "create_graph", "direct", "fresh", "gradients", "heap", "owned", "pending", "retain_graph",
        "since", "targets",
    )  # fmt: skip

    def __init__(self, retain_graph: bool, create_graph: bool, targets: Sequence[Any] | None = None) -> None:
        self.retain_graph = retain_graph
        self.create_graph = create_graph
        self.targets = None if targets is None else set(targets)
        self.direct = targets is None and not create_graph  # into the `grad` of leaves, but those with hooks
        self.gradients: dict[Any, Any] = {}  # place (of another leaf, or of a target) -> gradient
        self.fresh: dict[Any, Any] = {}  # leaf without `grad` -> tensor that becomes it
        self.owned: set[Any] = set()  # of these leaves, those whose gradient is no one else's memory
        self.pending: dict[Function, list[Any]] = {}  # node -> gradient of each output so far
        self.heap: list[tuple[int, Function]] = []
        self.since = 0  # a walk to targets leaves nodes up to this number alone

    @np.errstate(all="ignore")  # infinities and NaN come without a word, as in PyTorch
    def run(self, roots: Sequence[tuple[Any, Any]]) -> None:
        """Walk from ``roots``, pairs of an edge (or leaf) and its gradient."""
        mode = switches.mode
        switches.mode = mode & 2 | self.create_graph
        try:
            needed = None if self.targets is None else self._needed([edge for edge, _ in roots])
            ahead = dy = None
            for edge, gradient in roots:
                if type(edge) is not tuple:
                    self._send_to_leaf(edge, gradient, False)
                elif self.direct and mode < 2 and len(roots) == 1:
                    ahead, dy = edge, gradient
                else:
                    self._send(edge, gradient)
            if self.direct and mode < 2:
                self._run_plainly(ahead, dy)
            else:
                self._run_with_care(needed)
        finally:
            switches.mode = mode
        if self.fresh:
            with _lock:
                for leaf, gradient in self.fresh.items():
                    if leaf._grad is None:
                        leaf._grad = gradient
                    else:  # another thread was faster
                        _add_to_grad(leaf, gradient.array, True)

    def _run_with_care(self, needed: set[Function] | None) -> None:
        """Walk to targets, or on Tensors, or looking for anomalies."""
        heap, pending, targets = self.heap, self.pending, self.targets
        while heap:
            node = heappop(heap)[1]
            dys = pending.pop(node)
            if targets is not None and needed is not None:
                if node.hooks is not None:
                    self._call_hooks_of(node, dys)
                for i, dy in enumerate(dys):
                    if (node, i) in targets and dy is not None:
                        self.gradients[node, i] = dy
                if node in needed:
                    self._step(node, dys, hooks=False)
            else:
                self._step(node, dys)

    def _run_plainly(self, ahead: Any, dy: Any) -> None:
        """Do the same in everyday training; nodes that are special in some way take :meth:`_step` here, too.

        Along a chain of nodes, as most of a graph is, neither heap nor dict are needed. For the networks of
        beginners this loop is a large part of the time, so it makes few calls and repeats lines of others.

        Args:
            ahead: the edge to the node whose turn is next, where it is not on the heap.
            dy: its gradient.
        """
        heap, pending, fresh, release = self.heap, self.pending, self.fresh, not self.retain_graph
        while True:
            if ahead is not None:
                node = ahead[0]
                dxs: Any = node.step(dy, release)
                if dxs is None:
                    self._send(ahead, dy)
                    ahead = dy = None
                    continue
                ahead = dy = None
            elif heap:
                node = heappop(heap)[1]
                dys = pending.pop(node)
                dxs = node.step(dys[0], release)
                if dxs is None:
                    self._step(node, dys)
                    continue
                del dys
            else:
                return
            for edge, dx in zip(node.edges, dxs):  # noqa: B905  (trailing Nones may be left out)
                if edge is None or dx is None:
                    continue
                if type(edge) is tuple:
                    parent, _, shape, dtype, number = edge
                    if type(dx) is not _ndarray or dx.dtype is not dtype or dx.shape != shape:
                        dx = self._fitted(node, dx, shape, dtype)
                    if pending and parent in pending:
                        self._send(edge, dx)
                    elif ahead is None:
                        ahead, dy = edge, dx
                    elif number > ahead[4]:
                        self._send(ahead, dy)
                        ahead, dy = edge, dx
                    else:
                        if number == ahead[4]:
                            self._send(ahead, dy)
                            ahead = None
                        self._send(edge, dx)
                    continue
                array = edge.array
                if type(dx) is not _ndarray or dx.dtype is not array.dtype or dx.shape != array.shape:
                    dx = self._fitted(node, dx, array.shape, array.dtype)
                # Memory is a leaf's own if nothing but `dxs` and this loop refers to it.
                if edge._grad is edge._hooks is None and edge not in fresh:  # most often
                    owned = getrefcount(dx) == _IN_A_LOOP and dx.base is None
                    fresh[edge] = wrap(dx if owned else xp_of(array).array(dx))
                else:
                    self._send_to_leaf(edge, dx, False)
            dxs = dx = None
            if heap and ahead is not None and ahead[4] < -heap[0][0]:
                self._send(ahead, dy)
                ahead = dy = None

    def _step(self, node: Function, dys: list[Any], hooks: bool = True) -> None:
        """Run one node's backward and send its gradients along its edges."""
        if hooks and node.hooks is not None:
            self._call_hooks_of(node, dys)
        if node.saved is FREED:
            raise OperationError(
                f"backward through {node.name()} a second time: the arrays that it saved were released by "
                "the first walk over this graph; call the first backward with retain_graph=True to keep them"
            )
        node.check_saved()
        if node.outputs is not None and node._materialize_grads:
            dys = [self._zeros(node, i, dys) if dy is None else dy for i, dy in enumerate(dys)]
        if self.create_graph or node._torch_style:
            dxs = backward_on_tensors(type(self), node, dys, self.create_graph)
        else:
            dxs = node.backward(*dys)
        if type(dxs) is not tuple:
            dxs = (dxs,)
        node.check_number(dxs)
        if switches.anomaly:
            check_gradients(node.name(), dxs)
        if not self.retain_graph:
            node.release()
        for edge, dx in zip(node.edges, dxs):  # noqa: B905  (trailing Nones may be left out)
            if edge is None or dx is None:
                continue
            if type(edge) is tuple:
                self._send(edge, self._fitted(node, dx, edge[2], edge[3]))
                continue
            array = edge.array
            fitting = self._fitted(node, dx, array.shape, array.dtype)
            # Memory is a leaf's own if nothing but `dxs` and this loop refers to it.
            owned = fitting is not dx or getrefcount(dx) == _IN_A_LOOP + 1  # of `fitting`
            self._send_to_leaf(edge, fitting, owned and not self.create_graph and fitting.base is None)

    def _fitted(self, node: Function, dx: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return a gradient in the shape and dtype of what it is the gradient of."""
        if not hasattr(dx, "shape"):
            raise OperationTypeError(
                f"{node.name()}: its backward returned a {type(dx).__name__}; it needs an array or None "
                "for each argument"
            )
        if dx.shape != shape:
            dx = sum_to(dx, shape, node.name())
        if dx.dtype is not dtype and dx.dtype != dtype:
            dx = dx.astype(dtype)
        return dx

    def _send(self, edge: Any, dx: Any) -> None:
        """Add a gradient of an output of a node; the node's turn comes when all have arrived."""
        parent, i, _, _, number = edge
        gradients = self.pending.get(parent)
        if gradients is None:
            if parent.outputs is None:
                self.pending[parent] = [dx]
            else:
                gradients = self.pending[parent] = [None] * len(parent.outputs)
                gradients[i] = dx
            heappush(self.heap, (-number, parent))
            return
        before, gradients[i] = gradients[i], None
        if before is None:
            gradients[i] = dx
        elif (
            type(before) is _ndarray and getrefcount(before) == ONE_REFERENCE and before.base is None
            and before.flags.writeable
        ):  # memory that no one else refers to: no new array, two thirds of the time  # fmt: skip
            if before.size > LARGE and type(dx) is _ndarray:
                kernels_of(before).add_to(before, dx)
            else:
                before += dx
            gradients[i] = before
        else:
            gradients[i] = before + dx

    def _send_to_leaf(self, leaf: Any, dx: Any, owned: bool) -> None:
        """Add a gradient of a leaf; ``owned`` says that no one else uses its memory."""
        if self.direct and not leaf._hooks:
            if leaf in self.fresh:
                self.fresh[leaf].array += dx
            elif leaf._grad is None:
                self.fresh[leaf] = wrap(dx if owned else xp_of(leaf.array).array(dx))
            else:
                accumulate(leaf, dx, owned, False)
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

    def _zeros(self, node: Function, i: int, dys: list[Any]) -> Any:
        """Return the gradient of an output that nothing used."""
        other = next(dy for dy in dys if dy is not None)
        assert node.outputs is not None
        shape, dtype = node.outputs[i]
        array = other.array if self.create_graph else other
        zeros = xp_of(array).zeros(shape, dtype)
        return wrap(zeros) if self.create_graph else zeros

    def _call_hooks_of(self, node: Function, dys: list[Any]) -> None:
        """Give the gradients of a node's outputs to their hooks."""
        assert node.hooks is not None
        for i, hooks in node.hooks.items():
            if dys[i] is not None:
                dys[i] = self.call_hooks(hooks, dys[i])

    def call_hooks(self, hooks: dict[float, Any], gradient: Any) -> Any:
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


def _references_in_a_loop() -> int:
    pair = (object(),)
    return next(getrefcount(item) for _, item in zip((None,), pair, strict=True))


# What `getrefcount(dx)` returns inside of `for _, dx in zip(..., dxs)` where nothing else refers to `dx`.
_IN_A_LOOP = _references_in_a_loop()


# Threads may walk graphs with the same leaves at once: no gradient may get lost. Taking it once for each leaf would
# be a tenth of a small network's backward, so a walk gives all new gradients to their leaves together.
_lock = threading.Lock()


def accumulate(leaf: Any, gradient: Any, owned: bool, create_graph: bool) -> None:
    """Add a gradient to ``leaf.grad``, which must be memory of its own: users write to it in place."""
    with _lock:
        if create_graph:
            leaf._grad = gradient if leaf._grad is None else leaf._grad + gradient
        else:
            _add_to_grad(leaf, gradient, owned)


def _add_to_grad(leaf: Any, gradient: Any, owned: bool) -> None:
    if leaf._grad is None:
        if type(gradient) is not np.ndarray:  # of NumPy's scalars, too
            gradient = xp_of(leaf.array).asarray(gradient)
        leaf._grad = wrap(gradient if owned else gradient.copy())
    elif leaf._grad._edge is not None:
        leaf._grad = wrap(leaf._grad.array + gradient)
    else:
        leaf._grad.array += gradient
        mark_written((leaf._grad,))
