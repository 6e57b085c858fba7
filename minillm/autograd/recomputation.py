"""Activation checkpointing: backward computes a part of the network again instead of keeping what it saved.

The part is run once with recording, to see on which tensors outside it depends, and its graph is dropped: of all its
activations the inputs and outputs alone remain. In backward it is run again from the inputs and walked at once, so
the memory of one part is needed at a time, at the price of one more forward.

Source: Chen, Xu, Zhang and Guestrin, "Training Deep Nets with Sublinear Memory Cost", 2016, arXiv:1604.06174.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minillm.autograd.engine import place_of
from minillm.autograd.errors import OperationError
from minillm.autograd.function import Function, TensorClass, wrap
from minillm.autograd.grad_mode import enable_grad, is_grad_enabled, switches
from minillm.autograd.versions import next_number
from minillm.autograd.walk import Walk
from minillm.backend import default_generator

__all__ = ["checkpoint"]


def checkpoint(function: Callable[..., Any], *args: Any, preserve_rng_state: bool = True, **kwargs: Any) -> Any:
    """Return ``function(*args, **kwargs)``; backward runs it again instead of keeping its activations.

    Gradients flow to the tensors among the arguments and to all others that the function uses, such as the
    parameters of modules. It must compute the same both times: nothing that it reads may be written to meanwhile.

    Args:
        function: of tensors; returns a tensor, or a tuple with tensors.
        args: for the function.
        preserve_rng_state: let dropout draw the same numbers again.
        kwargs: for the function.

    Raises:
        OperationError: in backward, where the function returns something else than before, or where a tensor that
            it uses was written to since.

    Example:
        >>> import minillm
        >>> from minillm import nn
        >>> block = nn.Sequential(nn.Linear(4, 64), nn.GELU(), nn.Linear(64, 4))
        >>> x = minillm.randn(2, 4, requires_grad=True)
        >>> y = nn.utils.checkpoint.checkpoint(block, x)
        >>> y.sum().backward()
        >>> x.grad.shape, block[0].weight.grad.shape
        ((2, 4), (64, 4))
    """
    if not is_grad_enabled():
        return function(*args, **kwargs)
    part = _Part(function, args, kwargs, preserve_rng_state)
    result = part.run()
    outputs = list(result) if isinstance(result, (tuple, list)) else [result]
    recorded = [i for i, y in enumerate(outputs) if isinstance(y, TensorClass.cls) and y._edge is not None]
    part.recorded = recorded
    part.places = _places_before(part.start, [outputs[i]._edge for i in recorded])
    if not part.places:
        return result
    part.note_versions()
    arrays = tuple(outputs[i].array for i in recorded)
    del result
    for i in recorded:
        outputs[i] = None  # and with it, its graph
    for i, y in zip(recorded, Checkpoint.apply(part, arrays, *part.places), strict=True):
        outputs[i] = y
    return tuple(outputs) if part.returns_several else outputs[0]


class Checkpoint(Function):
    """A part of the network as one operation of the tensors outside it that it depends on."""

    def forward(self, part: _Part, arrays: tuple[Any, ...], *places: Any) -> tuple[Any, ...]:
        self.save_constants(part)
        return arrays

    def backward(self, *dys: Any) -> Any:
        part: _Part = self.constants[0]
        return None, None, *part.gradients(dys)


class _Part:
    """A function, its arguments, and all that is needed to run it again.

    Attributes:
        start: a number below those of its nodes, above those of all before.
        recorded: which of its outputs depend on something.
        places: the tensors outside that it depends on: leaves, or stand-ins with the edges of others.
        returns_several: whether it returns a tuple.
    """

    start: int
    recorded: list[int]
    places: list[Any]
    returns_several: bool

    def __init__(self, function: Callable[..., Any], args: Any, kwargs: Any, preserve_rng_state: bool) -> None:
        self._function, self._args, self._kwargs = function, args, kwargs
        self._random = default_generator().get_state() if preserve_rng_state else None
        self._versions: list[tuple[list[int], int]] = []
        self.start = next_number()

    def run(self) -> Any:
        """Return what the function returns, recorded."""
        with enable_grad():
            result = self._function(*self._args, **self._kwargs)
        self.returns_several = isinstance(result, (tuple, list))
        return result

    def note_versions(self) -> None:
        """Remember when the tensors that are read were last written to."""
        tensors = [x for x in (*self._args, *self._kwargs.values(), *self.places) if isinstance(x, TensorClass.cls)]
        self._versions = [(x._version, x._version[0]) for x in tensors]

    def gradients(self, dys: tuple[Any, ...]) -> list[Any]:
        """Run again, and return the gradient of each place."""
        if any(version[0] != value for version, value in self._versions):
            raise OperationError(
                "checkpoint: a tensor that the function uses was written to after it ran; backward runs it again and "
                "needs the same values"
            )
        result = self._run_again()
        outputs = list(result) if isinstance(result, (tuple, list)) else [result]
        roots = []
        for i, dy in zip(self.recorded, dys, strict=True):
            y: Any = outputs[i] if i < len(outputs) else None
            edge: Any = getattr(y, "_edge", None)
            if edge is None or (dy is not None and tuple(y.array.shape) != tuple(dy.shape)):
                got = "nothing to differentiate" if edge is None else f"shape {tuple(y.array.shape)}"
                raise OperationError(
                    f"checkpoint: run again for backward, the function returned {got} as output {i}; it needs to "
                    f"return the same as before{'' if dy is None else f', shape {tuple(dy.shape)}'}"
                )
            if dy is not None:
                roots.append((edge, dy))
        create_graph = switches.recording
        targets = [place_of(x) for x in self.places]
        walk = Walk(create_graph, create_graph, targets)
        walk.since = self.start  # what is older is the business of the walk that this one is a step of
        walk.run(roots)
        return [walk.gradients.get(place) for place in targets]

    def _run_again(self) -> Any:
        if self._random is None:
            return self.run()
        generator = default_generator()
        now = generator.get_state()
        generator.set_state(self._random)
        try:
            return self.run()
        finally:
            generator.set_state(now)


def _places_before(start: int, edges: list[Any]) -> list[Any]:
    """Return the tensors that a graph depends on and that are older than node ``start``."""
    found: dict[Any, Any] = {}
    seen = set()
    stack = list(edges)
    while stack:
        edge = stack.pop()
        if edge is None:
            continue
        if type(edge) is not tuple:  # a leaf
            found[id(edge)] = edge
        elif edge[0].number <= start:
            found[edge[:2]] = wrap(np.empty(0, edge[3]), edge)
        elif edge[0].number not in seen:
            seen.add(edge[0].number)
            stack.extend(edge[0].edges)
    return list(found.values())
