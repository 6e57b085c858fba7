"""Hooks: functions that a module calls before and after its forward and its backward.

Backward is caught by two nodes that change nothing: the inputs pass through one on their way in, the outputs
through another on their way out, so that the gradients of both come by on the way back.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from minillm.autograd.errors import OperationError
from minillm.autograd.function import Function, wrap
from minillm.backend import is_array
from minillm.ops import Tensor

_next_id = itertools.count().__next__


class RemovableHandle:
    """Takes a hook away again.

    Args:
        hooks: where the hook stands.
        hook: what is called, with its options.
        prepend: call it before those that are there.
    """

    def __init__(self, hooks: dict[int, Any], hook: Any, prepend: bool = False) -> None:
        self._hooks = hooks
        self.id = _next_id()
        if prepend:
            others = dict(hooks)
            hooks.clear()
            hooks[self.id] = hook
            hooks.update(others)
        else:
            hooks[self.id] = hook

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


class ForwardHooks:
    """The hooks of one module, by the time at which they are called; values are (hook, options...)."""

    def __init__(self) -> None:
        self.before: dict[int, tuple[Any, bool]] = {}  # hook, with_kwargs
        self.after: dict[int, tuple[Any, bool, bool]] = {}  # hook, with_kwargs, always_call
        self.before_backward: dict[int, Any] = {}
        self.after_backward: dict[int, Any] = {}

    def call(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the module's forward between its hooks."""
        called: set[int] = set()
        try:
            return self._call(module, args, kwargs, called)
        except Exception:
            for key, (hook, with_kwargs, always) in list(self.after.items()):
                if always and key not in called:
                    hook(module, args, kwargs, None) if with_kwargs else hook(module, args, None)
            raise

    def _call(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], called: set[int]) -> Any:
        for hook, with_kwargs in list(self.before.values()):
            result = hook(module, args, kwargs) if with_kwargs else hook(module, args)
            if with_kwargs and result is not None:
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise RuntimeError(
                        f"a forward pre-hook with kwargs returned {type(result).__name__}; it needs to return "
                        "None or (args, kwargs)"
                    )
                args, kwargs = result
            elif result is not None:
                args = result if isinstance(result, tuple) else (result,)
        watch = None
        if self.before_backward or self.after_backward:
            watch = BackwardWatch(module, list(self.before_backward.values()), list(self.after_backward.values()))
            args = watch.inputs(args)
        output = module.forward(*args, **kwargs)
        for key, (hook, with_kwargs, _) in list(self.after.items()):
            called.add(key)
            result = hook(module, args, kwargs, output) if with_kwargs else hook(module, args, output)
            if result is not None:
                output = result
        return output if watch is None else watch.outputs(output)


class BackwardWatch:
    """One call of a module whose backward is watched: its gradients, until all are there.

    Args:
        module: given to the hooks.
        before: hooks that get (module, grad_output) and may return another grad_output.
        after: hooks that get (module, grad_input, grad_output) and may return another grad_input.
    """

    def __init__(self, module: Any, before: Sequence[Any], after: Sequence[Any]) -> None:
        self.module, self.before, self.after = module, before, after
        self.grad_output: tuple[Any, ...] | None = None  # between the two nodes
        self.num_inputs = 0
        self.places: list[int] = []  # which of the inputs have gradients
        self.waits_for_inputs = False

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the arguments, with those tensors that have gradients on their way through a node."""
        self.num_inputs = len(args)
        self.places = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
        if not self.places or not self.after:
            return args
        self.waits_for_inputs = True
        passed = PassThrough.apply(self.input_gradients, *(args[i] for i in self.places))
        replaced = dict(zip(self.places, passed, strict=True))
        return tuple(replaced.get(i, a) for i, a in enumerate(args))

    def outputs(self, output: Any) -> Any:
        """Return the output, with its tensors on their way through a node."""
        results = list(output) if isinstance(output, (tuple, list)) else [output]
        places = [i for i, y in enumerate(results) if isinstance(y, Tensor) and y.requires_grad]
        if not places:
            return output

        def gradients(dys: tuple[Any, ...]) -> tuple[Any, ...]:
            full: list[Any] = [None] * len(results)
            for i, dy in zip(places, dys, strict=True):
                full[i] = dy
            grad_output = self.output_gradients(tuple(full))
            return tuple(grad_output[i] for i in places)

        for i, y in zip(places, PassThrough.apply(gradients, *(results[i] for i in places)), strict=True):
            results[i] = y
        if not isinstance(output, (tuple, list)):
            return results[0]
        return type(output)(*results) if hasattr(output, "_fields") else type(output)(results)

    def output_gradients(self, grad_output: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return what the hooks make of the gradients of the outputs."""
        for hook in self.before:
            result = hook(self.module, grad_output)
            if result is not None:
                grad_output = self._checked("full_backward_pre_hook", result, len(grad_output))
        self.grad_output = grad_output
        if self.after and not self.waits_for_inputs:
            self._call_after((None,) * self.num_inputs)
        return grad_output

    def input_gradients(self, dxs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return what the hooks make of the gradients of the inputs."""
        if self.grad_output is None:  # a second derivative, which did not come by the outputs
            return dxs
        full: list[Any] = [None] * self.num_inputs
        for i, dx in zip(self.places, dxs, strict=True):
            full[i] = dx
        grad_input = self._call_after(tuple(full))
        return tuple(grad_input[i] for i in self.places)

    def _call_after(self, grad_input: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in self.after:
            result = hook(self.module, grad_input, self.grad_output)
            if result is not None:
                grad_input = self._checked("full_backward_hook", result, len(grad_input))
        self.grad_output = None
        return grad_input

    @staticmethod
    def _checked(name: str, result: Any, wanted: int) -> tuple[Any, ...]:
        gradients = result if isinstance(result, tuple) else (result,)
        if len(gradients) != wanted:
            raise OperationError(
                f"{name}: a hook returned {len(gradients)} gradients; the module has {wanted}, so it needs to "
                "return as many, or None"
            )
        return gradients


class PassThrough(Function):
    """y = x for some tensors; their gradients pass by a function, as tensors."""

    def forward(self, on_gradients: Callable[[tuple[Any, ...]], tuple[Any, ...]], *xs: Any) -> Any:
        self.on_gradients = on_gradients
        self.set_materialize_grads(False)
        return xs

    def backward(self, *dys: Any) -> Any:
        taped = any(isinstance(dy, Tensor) for dy in dys)
        results = self.on_gradients(tuple(wrap(dy) if is_array(dy) else dy for dy in dys))
        if not taped:
            results = tuple(None if dx is None else dx.array for dx in results)
        return None, *results
