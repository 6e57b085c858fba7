"""The state of a module by name: ``state_dict`` and ``load_state_dict``.

Names are paths, as in ``transformer.h.3.mlp.c_fc.weight``. Loading checks every name and shape before it writes
the first number: a state that does not fit changes nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from minillm.autograd import no_grad
from minillm.autograd.errors import OperationError
from minillm.backend import Array, is_array
from minillm.nn.hooks import RemovableHandle
from minillm.ops import Tensor

if TYPE_CHECKING:
    from minillm.nn.module import Module

_EXTRA = "_extra_state"  # the name of what get_extra_state returns


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict(strict=False)`` could not match."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class StateDictError(OperationError):
    """A state dict does not fit the module."""


class HasState:
    """The half of ``Module`` that gives and takes its state."""

    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _transient_buffers: set[str]
    _state_hooks: StateHooks | None
    named_modules: Callable[..., Iterator[tuple[str, Module]]]

    def state_dict(
        self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> OrderedDict[str, Any]:
        """Return the parameters and persistent buffers by path; they share the module's memory.

        Args:
            destination: a dict to add to, instead of a new one.
            prefix: put before each path.
            keep_vars: give the parameters themselves, not tensors outside of the graph.

        Example:
            >>> from minillm import nn
            >>> list(nn.Linear(2, 3).state_dict())
            ['weight', 'bias']
        """
        state: OrderedDict[str, Any] = OrderedDict() if destination is None else destination
        finished: list[tuple[StateHooks, Module, str]] = []
        for path, module in self.named_modules(remove_duplicate=False):
            start = prefix + path + "." if path else prefix
            hooks = module._state_hooks
            if hooks is not None:
                for hook in list(hooks.before_saving.values()):
                    hook(module, start, keep_vars)
                finished.append((hooks, module, start))
            for name, value in module._named_state():
                state[start + name] = value if keep_vars else value.detach()
            if _has_extra_state(module):
                state[start + _EXTRA] = module.get_extra_state()
        for hooks, module, start in reversed(finished):  # of the innermost modules first, as in PyTorch
            for hook in list(hooks.after_saving.values()):
                hook(module, state, start, {})
        return state

    def _named_state(self) -> Iterator[tuple[str, Tensor]]:
        """Yield this module's own parameters and persistent buffers."""
        for name, parameter in self._parameters.items():
            if parameter is not None:
                yield name, parameter
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._transient_buffers:
                yield name, buffer

    def get_extra_state(self) -> Any:
        """Return what else belongs to the state: a tensor, or anything; a module of yours may write this.

        It stands in the ``state_dict`` as ``_extra_state`` and comes back to :meth:`set_extra_state`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no extra state: it lacks get_extra_state()")

    def set_extra_state(self, state: Any) -> None:
        """Take over what :meth:`get_extra_state` returned."""
        raise NotImplementedError(f"{type(self).__name__} cannot take extra state: it lacks set_extra_state()")

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy parameters and buffers from a state dict, by path.

        Args:
            state_dict: tensors or arrays by path.
            strict: raise an error for missing and unexpected names, instead of returning them.
            assign: take over the arrays themselves, with their dtype and device, instead of copying the values.

        Raises:
            StateDictError: names that are missing or unexpected, or shapes that differ; nothing has been
                changed then.

        Example:
            >>> from minillm import nn
            >>> a, b = nn.Linear(2, 3), nn.Linear(2, 3)
            >>> a.load_state_dict(b.state_dict())
            IncompatibleKeys(missing_keys=[], unexpected_keys=[])
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: got {type(state_dict).__name__}; it needs a mapping of names")
        given = dict(state_dict)  # hooks may rename and remove
        missing: list[str] = []
        unexpected: list[str] = []
        problems: list[str] = []
        targets: dict[str, Tensor] = {}
        extra: dict[str, Module] = {}
        modules = list(self.named_modules(remove_duplicate=False))
        for path, module in modules:
            start = path + "." if path else ""
            if module._state_hooks is not None:
                for hook in list(module._state_hooks.before_loading.values()):
                    hook(module, given, start, {}, strict, missing, unexpected, problems)
            targets.update((start + name, value) for name, value in module._named_state())
            if _has_extra_state(module):
                extra[start + _EXTRA] = module
        missing += [name for name in (*targets, *extra) if name not in given]
        unexpected += [name for name in given if name not in targets and name not in extra]
        if strict and missing:
            problems.append(f"missing: {', '.join(missing)}")
        if strict and unexpected:
            problems.append(f"unexpected: {', '.join(unexpected)}")
        arrays: dict[str, Array] = {}
        for name in filter(given.__contains__, targets):
            value = given[name]
            array = value.array if isinstance(value, Tensor) else value
            if not is_array(array):
                problems.append(f"{name}: got {type(value).__name__}, which is no tensor")
            elif array.shape != targets[name].shape:
                problems.append(f"{name}: got shape {array.shape}, the module has {targets[name].shape}")
            else:
                arrays[name] = array
        if problems:
            raise StateDictError(
                f"load_state_dict: the state does not fit {type(self).__name__}:\n  " + "\n  ".join(problems)
            )
        with no_grad():
            for name, array in arrays.items():
                if assign:
                    targets[name].data = array
                else:
                    targets[name].copy_(Tensor(array))
        for name in filter(given.__contains__, extra):
            extra[name].set_extra_state(given[name])
        result = IncompatibleKeys(missing, unexpected)
        for _, module in reversed(modules):
            if module._state_hooks is not None:
                for hook in list(module._state_hooks.after_loading.values()):
                    hook(module, result)
        return result

    # -- hooks --------------------------------------------------------------------------------------

    def _hooks_of_state(self) -> StateHooks:
        if self._state_hooks is None:
            self._state_hooks = StateHooks()
        return self._state_hooks

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before the module's state is gathered."""
        return RemovableHandle(self._hooks_of_state().before_saving, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` when the state is gathered; it may edit it."""
        return RemovableHandle(self._hooks_of_state().after_saving, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors)``.

        It is called before anything is loaded and may rename, change or remove what ``state_dict``, a copy,
        holds; names and messages that it adds to the three lists are reported.
        """
        return RemovableHandle(self._hooks_of_state().before_loading, hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` when the state is loaded."""
        return RemovableHandle(self._hooks_of_state().after_loading, hook)


class StateHooks:
    """The hooks around saving and loading of one module."""

    def __init__(self) -> None:
        self.before_saving: dict[int, Any] = {}
        self.after_saving: dict[int, Any] = {}
        self.before_loading: dict[int, Any] = {}
        self.after_loading: dict[int, Any] = {}


def _has_extra_state(module: Any) -> bool:
    return type(module).get_extra_state is not HasState.get_extra_state
