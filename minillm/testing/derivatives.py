"""A call in either library with its derivatives, and all that came of it as NumPy arrays with names.

The first order is the gradient of ``sum_i w_i . y_i`` by all leaves, over the float outputs y_i, with weights
w_i drawn between 0.5 and 1.5. The second order is the gradient of ``sum_k v_k . dx_k`` by all leaves and by the
w_i, where the dx_k are those first gradients, taken with ``create_graph=True``.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from minillm.ops import Tensor
from minillm.testing.cases.case import Prepared, tensor_of

FORWARD, GRADIENT, SECOND = "forward", "gradient", "second order"


class Result(NamedTuple):
    """One array that came of a call: in which part, what it is, its numbers, and whether it requires a gradient."""

    part: str
    what: str
    value: Any  # an array; None, or what a call gave that is neither tensor nor number
    requires_grad: bool = False


def flat(value: Any) -> list[Any]:
    """Return the tensors, numbers and Nones in nested tuples and lists."""
    if isinstance(value, (tuple, list)):
        return [leaf for item in value for leaf in flat(item)]
    return [value]


def is_tensor(value: Any) -> bool:
    """Return whether a value is a tensor of either library."""
    return isinstance(value, Tensor) or (hasattr(value, "requires_grad") and hasattr(value, "detach"))


def host_array(value: Any) -> Any:
    """Return the numbers of a tensor of either library as an array of its own; other things as they are."""
    if is_tensor(value):
        value = value.detach().cpu().numpy(force=True)
    return value if value is None or isinstance(value, str) else np.array(value)


def results_of(prepared: Prepared, order: int) -> list[Result]:
    """Return all that comes of a call: outputs, what it wrote to, gradients, and gradients of those."""
    with differentiable_attention(prepared.library, order):
        return list(_results_of(prepared, order))


def _results_of(prepared: Prepared, order: int) -> Iterator[Result]:
    outputs = flat(prepared.call(*prepared.leaves))
    for i, y in enumerate(outputs):
        yield Result(FORWARD, f"output {i}", host_array(y), bool(getattr(y, "requires_grad", False)))
    for i, x in enumerate(prepared.after()):
        yield Result(FORWARD, f"input or buffer {i} afterwards", host_array(x))
    places = [i for i, x in enumerate(prepared.leaves) if is_tensor(x) and x.requires_grad]
    leaves, labels = [prepared.leaves[i] for i in places], prepared.labels()
    labels = [labels[i] for i in places]
    outputs = [y for y in outputs if is_tensor(y) and y.requires_grad]
    if not order or not leaves or not outputs:
        return
    weights = weights_like(prepared.library, outputs, seed=5)
    first = gradients(prepared.library, outputs, leaves, weights, retain_graph=order > 1)
    for label, dx in zip(labels, first, strict=True):
        yield Result(GRADIENT, f"gradient of {label}", host_array(dx))
    if order > 1:  # the first order once more: everyday gradients are computed by fused kernels, these by the formula
        weights = [w.requires_grad_(True) for w in weights]
        first = gradients(prepared.library, outputs, leaves, weights, create_graph=True)
        for label, dx in zip(labels, first, strict=True):
            yield Result(GRADIENT, f"gradient of {label}, by create_graph=True", host_array(dx))
        every = weights_like(prepared.library, first, seed=6)
        totals = [dx for dx in first if dx.requires_grad]
        again = [v for dx, v in zip(first, every, strict=True) if dx.requires_grad]
        labels += [f"the gradient of output {i}" for i in range(len(weights))]
        second = gradients(prepared.library, totals, [*leaves, *weights], again)
        for label, d in zip(labels, second, strict=True):
            yield Result(SECOND, f"second order by {label}", host_array(d))


def gradients(
    library: Any, outputs: list[Any], leaves: list[Any], weights: list[Any], **options: bool
) -> list[Any]:
    """Return the gradients of a weighted sum of outputs; zeros where there is no way."""
    if not outputs:
        return [library.zeros_like(x) for x in leaves]
    return list(
        library.autograd.grad(
            outputs, leaves, weights, allow_unused=True, materialize_grads=True, **options
        )
    )


def weights_like(library: Any, outputs: list[Any], seed: int) -> list[Any]:
    """Return numbers between 0.5 and 1.5 for each output; the same in both libraries."""
    weights = []
    for i, y in enumerate(outputs):
        values = np.random.default_rng([seed, i]).uniform(0.5, 1.5, tuple(y.shape))
        weights.append(tensor_of(library, np.asarray(values).astype(str(y.dtype).removeprefix("torch."))))
    return weights


def differentiable_attention(library: Any, order: int) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which PyTorch computes attention by the formula: its flash kernel has no second order."""
    if library.__name__ != "torch" or order < 2:
        return contextlib.nullcontext()
    attention = library.nn.attention
    context: contextlib.AbstractContextManager[Any] = attention.sdpa_kernel(attention.SDPBackend.MATH)
    return context


def stopwatch(prepared: Prepared, order: int) -> Callable[[], float]:
    """Return a function that runs forward (and, for an order above 0, backward) once and returns the seconds."""
    grad = prepared.library.autograd.grad
    leaves = [x for x in prepared.leaves if is_tensor(x) and x.requires_grad]
    weights: list[Any] = []

    def run() -> float:
        start = time.perf_counter()
        outputs = [y for y in flat(prepared.call(*prepared.leaves)) if is_tensor(y) and y.requires_grad]
        if order and leaves and outputs:
            if not weights:
                weights.extend(weights_like(prepared.library, outputs, seed=5))
            grad(outputs, leaves, weights, allow_unused=True)
        return time.perf_counter() - start

    return run
