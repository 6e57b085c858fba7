"""``Module``: a part of a network, with its parameters, its buffers and the modules inside it.

Names are paths, as in ``transformer.h.3.mlp.c_fc.weight``; ``state_dict`` and ``load_state_dict`` speak them,
and errors raised inside a module say them.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from minillm.autograd import no_grad
from minillm.autograd.errors import OperationError
from minillm.backend import Array, is_array
from minillm.ops import Parameter, Tensor

_next_handle = itertools.count().__next__
M = TypeVar("M", bound="Module")


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict(strict=False)`` could not match."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class StateDictError(OperationError):
    """A state dict does not fit the module."""


class RemovableHandle:
    """Takes a hook away again."""

    def __init__(self, hooks: dict[int, Any]) -> None:
        self._hooks = hooks
        self.id = _next_handle()

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


class Module:
    """Base of all parts of networks.

    Set parameters and modules as attributes in ``__init__`` (after ``super().__init__()``), and write
    ``forward``; call the module itself, which runs the hooks too.

    Attributes:
        training: True while training, False while evaluating; see :meth:`train` and :meth:`eval`.

    Example:
        >>> import minillm
        >>> from minillm import nn
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.fc = nn.Linear(2, 3)
        ...     def forward(self, x):
        ...         return self.fc(x).relu()
        >>> net = Net()
        >>> net(minillm.ones(4, 2)).shape
        (4, 3)
        >>> net
        Net(
          (fc): Linear(in_features=2, out_features=3, bias=True)  # 9 parameters
        )  # 9 parameters
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]

    def __init__(self) -> None:
        fill = super().__setattr__
        fill("training", True)
        fill("_parameters", {})
        fill("_buffers", {})
        fill("_modules", {})
        fill("_transient_buffers", set())
        fill("_forward_hooks", {})
        fill("_forward_pre_hooks", {})

    # -- attributes ---------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if "_modules" not in self.__dict__ and isinstance(value, (Parameter, Module)):
            raise AttributeError(
                f"{type(self).__name__}: call super().__init__() before setting the attribute {name!r}"
            )
        if isinstance(value, Parameter):
            self._take(name, self._parameters, value)
        elif isinstance(value, Module):
            self._take(name, self._modules, value)
        elif name in self.__dict__.get("_parameters", ()):
            if value is not None:
                raise TypeError(
                    f"{type(self).__name__}.{name} is a parameter; it can be set to a Parameter or None, "
                    f"not to {type(value).__name__}"
                )
            self._parameters[name] = None
        elif name in self.__dict__.get("_buffers", ()) and (value is None or isinstance(value, Tensor)):
            self._buffers[name] = value
        elif name in self.__dict__.get("_modules", ()) and value is None:
            self._modules[name] = None
        else:
            super().__setattr__(name, value)

    def _take(self, name: str, into: Any, value: Any) -> None:
        """Register a parameter or a module under ``name``, and nothing else there."""
        for place in (self.__dict__, self._parameters, self._buffers, self._modules):
            if place is not into:
                place.pop(name, None)
        into[name] = value

    def __getattr__(self, name: str) -> Any:
        # Reached only where the ordinary look-up found nothing.
        for place in ("_parameters", "_modules", "_buffers"):
            members = self.__dict__.get(place)
            if members is not None and name in members:
                return members[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        for place in (self._parameters, self._buffers, self._modules):
            if name in place:
                del place[name]
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._parameters, *self._buffers, *self._modules})

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter, or None to keep its place."""
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"register_parameter: got {type(param).__name__}; it needs a Parameter or None")
        self._check_name("register_parameter", name)
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is part of the state but is not trained.

        Args:
            name: the attribute.
            tensor: the value, or None to keep its place.
            persistent: whether it goes into the ``state_dict``.
        """
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"register_buffer: got {type(tensor).__name__}; it needs a Tensor or None")
        self._check_name("register_buffer", name)
        self._buffers[name] = tensor
        (self._transient_buffers.discard if persistent else self._transient_buffers.add)(name)

    def register_module(self, name: str, module: Module | None) -> None:
        """Add a module, or None to keep its place."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"add_module: got {type(module).__name__}; it needs a Module or None")
        self._check_name("add_module", name)
        self._modules[name] = module

    add_module = register_module

    def _check_name(self, operation: str, name: str) -> None:
        if not name or "." in name:
            raise KeyError(f"{operation}: got the name {name!r}; it needs a string without dots, not empty")
        if hasattr(self, name) and not any(
            name in place for place in (self._parameters, self._buffers, self._modules)
        ):
            raise KeyError(f"{operation}: {type(self).__name__} has an attribute {name!r} already")

    # -- calling ------------------------------------------------------------------------------------

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every module writes its own."""
        raise NotImplementedError(f"{type(self).__name__} needs a method forward(self, ...)")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if not self._forward_hooks and not self._forward_pre_hooks:
                return self.forward(*args, **kwargs)
            return self._call_with_hooks(args, kwargs)
        except OperationError as error:
            self._add_path(error)
            raise

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for hook in list(self._forward_pre_hooks.values()):
            result = hook(self, args)
            if result is not None:
                args = result if isinstance(result, tuple) else (result,)
        output = self.forward(*args, **kwargs)
        for hook in list(self._forward_hooks.values()):
            result = hook(self, args, output)
            if result is not None:
                output = result
        return output

    def _add_path(self, error: OperationError) -> None:
        """Put this module before the path of the module inside it that raised the error."""
        name = type(self).__name__
        if error.module is not None and error.module_path is not None:
            inner = error.module_path.partition(".")[2]
            child = next((n for n, m in self.named_modules() if m is error.module and n), None)
            if child is None:  # a module that is not part of this one
                return
            name = f"{name}.{child}" + (f".{inner}" if inner else "")
        error.module, error.module_path = self, name

    def register_forward_hook(self, hook: Callable[[Any, Any, Any], Any]) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after each forward; it may return another output."""
        handle = RemovableHandle(self._forward_hooks)
        self._forward_hooks[handle.id] = hook
        return handle

    def register_forward_pre_hook(self, hook: Callable[[Any, Any], Any]) -> RemovableHandle:
        """Call ``hook(module, args)`` before each forward; it may return other arguments."""
        handle = RemovableHandle(self._forward_pre_hooks)
        self._forward_pre_hooks[handle.id] = hook
        return handle

    # -- walking ------------------------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the modules directly inside, with their names, each once."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """Yield the modules directly inside."""
        for _, module in self.named_children():
            yield module

    def named_modules(
        self, memo: set[int] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Yield this module and all inside it, with their paths, each once."""
        memo = set() if memo is None else memo
        if id(self) not in memo or not remove_duplicate:
            memo.add(id(self))
            yield prefix, self
            for name, module in self._modules.items():
                if module is not None:
                    path = f"{prefix}.{name}" if prefix else name
                    yield from module.named_modules(memo, path, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """Yield this module and all inside it."""
        for _, module in self.named_modules():
            yield module

    def _named_members(
        self, place: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
            if recurse
            else [(prefix, self)]
        )
        for path, module in modules:
            for name, value in getattr(module, place).items():
                if value is None or (remove_duplicate and id(value) in seen):
                    continue
                seen.add(id(value))
                yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield the parameters with their paths; one that is used twice comes once."""
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield the parameters."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield the buffers with their paths."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield the buffers."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """Return the module at a path, as in ``h.3.mlp``; itself for an empty one."""
        module: Module = self
        for name in target.split(".") if target else []:
            child = module._modules.get(name)
            if child is None:
                raise AttributeError(f"{type(module).__name__} has no module {name!r} (path {target!r})")
            module = child
        return module

    def get_parameter(self, target: str) -> Parameter:
        """Return the parameter at a path, as in ``h.3.mlp.c_fc.weight``."""
        path, _, name = target.rpartition(".")
        parameter = self.get_submodule(path)._parameters.get(name)
        if parameter is None:
            raise AttributeError(f"{type(self).__name__} has no parameter {target!r}")
        return parameter

    def apply(self: M, fn: Callable[[Module], Any]) -> M:
        """Call ``fn`` on every module inside, and on this one last."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # -- state --------------------------------------------------------------------------------------

    def state_dict(self, prefix: str = "", keep_vars: bool = False) -> OrderedDict[str, Tensor]:
        """Return the parameters and persistent buffers by path; they share the module's memory.

        Args:
            prefix: put before each path.
            keep_vars: give the parameters themselves, not tensors outside of the graph.

        Example:
            >>> from minillm import nn
            >>> list(nn.Linear(2, 3).state_dict())
            ['weight', 'bias']
        """
        state: OrderedDict[str, Tensor] = OrderedDict()
        for path, module in self.named_modules(remove_duplicate=False):
            for name, value in self._own_state(module):
                full = prefix + (f"{path}.{name}" if path else name)
                state[full] = value if keep_vars else value.detach()
        return state

    @staticmethod
    def _own_state(module: Module) -> Iterator[tuple[str, Any]]:
        for name, parameter in module._parameters.items():
            if parameter is not None:
                yield name, parameter
        for name, buffer in module._buffers.items():
            if buffer is not None and name not in module._transient_buffers:
                yield name, buffer

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy parameters and buffers from a state dict, by path.

        Args:
            state_dict: tensors or arrays by path.
            strict: raise an error for missing and unexpected names, instead of returning them.
            assign: take over the arrays themselves, with their dtype, instead of copying the values.

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
        own = self.state_dict(keep_vars=True)
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        problems = []
        if strict and missing:
            problems.append(f"missing: {', '.join(missing)}")
        if strict and unexpected:
            problems.append(f"unexpected: {', '.join(unexpected)}")
        arrays: dict[str, Array] = {}
        for name, target in own.items():
            if name not in state_dict:
                continue
            value = state_dict[name]
            array = value.array if isinstance(value, Tensor) else value
            if not is_array(array):
                problems.append(f"{name}: got {type(value).__name__}, which is no tensor")
            elif tuple(array.shape) != target.shape:
                problems.append(f"{name}: got shape {tuple(array.shape)}, the module has {target.shape}")
            else:
                arrays[name] = array
        if problems:
            raise StateDictError(
                f"load_state_dict: the state does not fit {type(self).__name__}:\n  " + "\n  ".join(problems)
            )
        with no_grad():
            for name, array in arrays.items():
                target = own[name]
                source = Tensor(array)
                if assign:
                    target.data = source.to(target.device)
                else:
                    target.copy_(source)
        return IncompatibleKeys(missing, unexpected)

    # -- modes and places ---------------------------------------------------------------------------

    def train(self: M, mode: bool = True) -> M:
        """Set this module and all inside it to training (dropout works) or evaluation."""
        if not isinstance(mode, bool):
            raise ValueError(f"train: got {mode!r}; it needs True or False")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """Set this module and all inside it to evaluation."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Let all parameters be trained, or freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = parameter.grad.detach().zero_()

    def _apply(self: M, fn: Callable[[Tensor], Tensor]) -> M:
        """Replace the arrays of all parameters, gradients and buffers by what ``fn`` returns."""
        with no_grad():
            for parameter in self.parameters():
                gradient = parameter.grad
                parameter.grad = None
                parameter.data = fn(parameter.data)
                parameter.grad = None if gradient is None else fn(gradient)
            for buffer in self.buffers():
                buffer.data = fn(buffer.data)
        return self

    def to(self: M, *args: Any, **kwargs: Any) -> M:
        """Move all parameters and buffers to a device, or floats to a dtype; see ``Tensor.to``."""
        return self._apply(
            lambda t: t.to(*args, **kwargs) if t.is_floating_point() else t.to(t.to(*args, **kwargs).device)
        )

    def cpu(self: M) -> M:
        """Move everything to the CPU."""
        return self.to("cpu")

    def cuda(self: M, device: Any = None) -> M:
        """Move everything to the GPU."""
        return self._apply(lambda t: t.cuda(device))

    def float(self: M) -> M:
        """Turn all floats into float32."""
        return self.to("float32")

    def double(self: M) -> M:
        """Turn all floats into float64."""
        return self.to("float64")

    def half(self: M) -> M:
        """Turn all floats into float16."""
        return self.to("float16")

    # -- reading ------------------------------------------------------------------------------------

    def num_parameters(self, only_trainable: bool = False) -> int:
        """Return the number of numbers in all parameters, each counted once."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad or not only_trainable)

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the representation."""
        return ""

    def __repr__(self) -> str:
        lines = []
        for name, module in self._modules.items():
            lines.append(f"({name}): " + repr(module).replace("\n", "\n  "))
        count = self.num_parameters()
        tail = f"  # {count:,} parameters" if count else ""
        if not lines:
            return f"{type(self).__name__}({self.extra_repr()}){tail}"
        first = [self.extra_repr()] if self.extra_repr() else []
        return f"{type(self).__name__}(\n  " + "\n  ".join(first + lines) + f"\n){tail}"
