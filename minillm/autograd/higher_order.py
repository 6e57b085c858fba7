"""Backward on Tensors: each step of it is recorded, so that its result can be differentiated again.

An operation writes its derivative once, in operators that take arrays or Tensors alike; here it gets Tensors.
What it saved is tied to its place in the graph again, so that the derivative depends on it. A fused operation
is differentiated through its textbook formula, the ``composite``, instead. The lines of operations that were
written for PyTorch get Tensors, too, recorded or not.
"""

from __future__ import annotations

from typing import Any

from minillm.autograd.errors import OperationError
from minillm.autograd.function import Function, wrap
from minillm.autograd.grad_mode import enable_grad, no_grad
from minillm.backend import Array, is_array


def backward_on_tensors(walk_class: Any, node: Function, dys: list[Any], create_graph: bool) -> Any:
    """Return what the node's backward makes of the gradients of its outputs.

    Args:
        walk_class: the class of walks, for a walk over the graph of a composite.
        node: the operation.
        dys: the gradients, Tensors under ``create_graph`` and arrays otherwise.
        create_graph: whether the step is recorded.
    """
    if node.composite is not None and not node._torch_style:
        return _backward_of_composite(walk_class, node, dys)
    tensors: list[Any] = []
    for saved, origin in zip(node.saved, node.origins(), strict=True):
        if not is_array(saved):
            tensors.append(saved)
        elif origin is None:
            if saved.dtype.kind == "f" and create_graph:
                raise OperationError(
                    f"{node.name()} cannot be differentiated twice: it saved an array that is neither "
                    "an input nor an output of it; save inputs and outputs, give save_constants what "
                    "no derivative flows through, or give the class a composite"
                )
            tensors.append(wrap(saved))
        elif origin < len(node.edges):
            tensors.append(_tied(saved, node.edges[origin]))
        else:
            tensors.append(wrap(saved, (node, origin - len(node.edges), saved.shape, saved.dtype, node.number)))
    if not create_graph:
        dys = [dy if dy is None else wrap(dy) for dy in dys]
    raw, constants = node.saved, node.constants
    node.saved = tuple(tensors)
    node.constants = tuple(wrap(c) if is_array(c) else c for c in constants)
    try:
        with enable_grad() if create_graph else no_grad():
            dxs = node.backward(node, *dys) if node._torch_style else node.backward(*dys)
    finally:
        node.saved, node.constants = raw, constants
    if not create_graph:
        dxs = dxs if type(dxs) is tuple else (dxs,)
        dxs = tuple(None if dx is None else dx.array for dx in dxs)
    return dxs


def _backward_of_composite(walk_class: Any, node: Function, dys: list[Any]) -> Any:
    """Differentiate the textbook formula of a fused operation, in the place of the operation."""
    assert node.composite is not None
    node.check_inputs()
    with enable_grad():
        # An own alias for each argument: the same tensor given twice has two gradients.
        arguments = [
            value if edge is None and not is_array(value) else _Alias.apply(_tied(value, edge))
            for value, edge in zip(node.inputs, node.edges, strict=True)
        ]
        ys = node.composite(*arguments)
    ys = ys if type(ys) is tuple else (ys,)
    places = [None if edge is None else a._edge[:2] for a, edge in zip(arguments, node.edges, strict=True)]
    walk = walk_class(True, True, [place for place in places if place is not None])
    walk.run([(y._edge, dy) for y, dy in zip(ys, dys, strict=True) if y._edge is not None])
    return tuple(None if place is None else walk.gradients.get(place) for place in places)


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
