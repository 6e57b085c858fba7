"""The engine's two questions: ``backward`` fills the ``grad`` of leaves, ``grad`` returns gradients.

In everyday training the gradients are plain arrays and nothing is recorded. Under ``create_graph=True``
they are Tensors, each step of backward is recorded, and the result can be differentiated again.
"""

from __future__ import annotations

from typing import Any

from minillm.autograd.errors import OperationError, OperationTypeError
from minillm.autograd.function import LEAF, TensorClass, wrap
from minillm.autograd.walk import Walk, accumulate
from minillm.backend import xp_of


def place_of(tensor: Any) -> Any:
    """Return what tells places in the graph apart: a leaf itself, or (node, output number)."""
    return tensor if tensor._edge is LEAF else tensor._edge[:2]


def _root(name: str, output: Any, gradient: Any, create_graph: bool) -> tuple[Any, Any]:
    """Return where a walk starts, and its first gradient: the given one, or 1 for a single number."""
    edge = output._edge
    if edge is None:
        raise OperationError(
            f"{name}: the output does not require grad: no input of its operations had "
            "requires_grad=True, or they ran under no_grad()"
        )
    if edge is LEAF:
        edge = output
    array = output.array
    xp = xp_of(array)
    if gradient is None:
        shape = array.shape
        if shape and array.size != 1:
            raise OperationError(
                f"{name}: the output has shape {shape}; only a single number has an implicit "
                "gradient of 1: take the sum() or mean(), or give the gradient"
            )
        # (asarray takes a tenth of the time of ones)
        first = xp.ones(shape, array.dtype) if shape else xp.asarray(1, array.dtype)
        return edge, wrap(first) if create_graph else first
    if not isinstance(gradient, TensorClass.cls):
        gradient = wrap(xp.asarray(gradient))
    if gradient.array.shape != array.shape:
        raise OperationError(
            f"{name}: the gradient has shape {gradient.array.shape} and the output {array.shape}; "
            "they need the same shape"
        )
    if gradient.array.dtype != array.dtype:
        gradient = wrap(gradient.array.astype(array.dtype))
    return edge, gradient if create_graph else gradient.array


def _roots(name: str, outputs: Any, gradients: Any, create_graph: bool) -> list[tuple[Any, Any]]:
    """Return the pairs (edge, gradient) that a walk starts from."""
    gradients = [None] * len(outputs) if gradients is None else list(gradients)
    if len(gradients) != len(outputs):
        raise OperationError(f"{name}: got {len(gradients)} gradients for {len(outputs)} outputs")
    return [_root(name, output, dy, create_graph) for output, dy in zip(outputs, gradients, strict=True)]


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
    if retain_graph is None:
        retain_graph = create_graph
    wanted = targets = None
    if inputs is not None:
        wanted = _as_sequence(inputs)
        _check_inputs("backward", wanted)
        targets = [place_of(x) for x in wanted]
    if grad_tensors is None and isinstance(tensors, TensorClass.cls):
        roots = [_root("backward", tensors, None, create_graph)]
    else:
        gradients = None if grad_tensors is None else _as_sequence(grad_tensors)
        roots = _roots("backward", _as_sequence(tensors), gradients, create_graph)
    walk = Walk(retain_graph, create_graph, targets)
    walk.run(roots)
    found = walk.gradients
    if not found:
        return
    if wanted is not None:
        found = {tensor: found[place] for tensor in wanted if (place := place_of(tensor)) in found}
    for tensor, gradient in found.items():
        owned = tensor in walk.owned
        if tensor._hooks:
            gradient = walk.call_hooks(tensor._hooks, gradient)
            owned = False
        accumulate(tensor, gradient, owned, create_graph)


def _check_inputs(name: str, inputs: list[Any]) -> None:
    """Raise an error unless the inputs are tensors that can have a gradient."""
    if not inputs:
        raise OperationError(f"{name}: got no inputs; it needs at least one")
    for i, x in enumerate(inputs):
        if not isinstance(x, TensorClass.cls):
            raise OperationTypeError(f"{name}: input {i} is a {type(x).__name__}; it needs a tensor")
        if x._edge is None:
            raise OperationError(f"{name}: input {i} does not require grad; make it with requires_grad=True")


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
            result = walk.call_hooks(x._hooks, result)
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
