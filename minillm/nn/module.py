"""``Module``: a part of a network, with its parameters, its buffers and the modules inside it.

Names are paths, as in ``transformer.h.3.mlp.c_fc.weight``; ``state_dict`` and ``load_state_dict`` speak them,
and errors raised inside a module say them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from minillm.autograd import no_grad
from minillm.autograd.errors import OperationError
from minillm.nn.hooks import ForwardHooks, RemovableHandle
from minillm.nn.state_dict import HasState, IncompatibleKeys, StateDictError, StateHooks
from minillm.ops import Parameter, Tensor

M = TypeVar("M", bound="Module")


class Module(HasState):
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
    _call_hooks: ForwardHooks | None = None
    _state_hooks: StateHooks | None = None

    def __init__(self) -> None:
        self.__dict__.update(training=True, _parameters={}, _buffers={}, _modules={}, _transient_buffers=set())

    # -- attributes ---------------------------------------------------------------------------------

    # Parameters, buffers and modules stand in their dicts, by which the tree is walked, and beside them in
    # the __dict__ of the instance, where Python finds them ten times faster than by __getattr__.

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, (Parameter, Module)):
            if "_modules" not in self.__dict__:
                raise AttributeError(
                    f"{type(self).__name__}: call super().__init__() before setting the attribute {name!r}"
                )
            self._put_member(self._parameters if isinstance(value, Parameter) else self._modules, name, value)
            return
        for place, kind, wanted in (
            ("_parameters", "parameter", Parameter),
            ("_buffers", "buffer", Tensor),
            ("_modules", "module", Module),
        ):
            members = self.__dict__.get(place)
            if members is not None and name in members:
                if value is not None and not isinstance(value, wanted):
                    raise TypeError(
                        f"{type(self).__name__}.{name} is a {kind}; it can be set to a {wanted.__name__} or "
                        f"None, not to {type(value).__name__}"
                    )
                self._put_member(members, name, value)
                return
        object.__setattr__(self, name, value)

    def _put_member(self, place: dict[str, Any], name: str, value: Any) -> None:
        """Register a parameter, a buffer or a module under ``name``, and nothing else there."""
        for other in (self._parameters, self._buffers, self._modules):
            if other is not place:
                other.pop(name, None)
        place[name] = value
        self.__dict__[name] = value

    def __getattr__(self, name: str) -> Any:
        # Reached only where the ordinary look-up found nothing: for what was put into a dict directly, or
        # where a subclass has a property that failed.
        for place in ("_parameters", "_buffers", "_modules"):
            members = self.__dict__.get(place)
            if members is not None and name in members:
                return members[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        for place in (self._parameters, self._buffers, self._modules):
            if name in place:
                del place[name]
                self.__dict__.pop(name, None)
                return
        object.__delattr__(self, name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter, or None to keep its place.

        Example:
            >>> import minillm
            >>> module = minillm.nn.Module()
            >>> module.register_parameter("scale", minillm.nn.Parameter(minillm.ones(2)))
            >>> module.scale.shape
            (2,)
        """
        self._register_member("register_parameter", self._parameters, name, param, Parameter)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is part of the state but is not trained.

        Args:
            name: the attribute.
            tensor: the value, or None to keep its place.
            persistent: whether it goes into the ``state_dict``.

        Example:
            >>> import minillm
            >>> module = minillm.nn.Module()
            >>> module.register_buffer("mask", minillm.ones(2))
            >>> list(module.state_dict())
            ['mask']
        """
        self._register_member("register_buffer", self._buffers, name, tensor, Tensor)
        (self._transient_buffers.discard if persistent else self._transient_buffers.add)(name)

    def register_module(self, name: str, module: Module | None) -> None:
        """Add a module, or None to keep its place."""
        self._register_member("add_module", self._modules, name, module, Module)

    add_module = register_module

    def _register_member(self, operation: str, place: dict[str, Any], name: Any, value: Any, wanted: type) -> None:
        if value is not None and not isinstance(value, wanted):
            raise TypeError(f"{operation}: got {type(value).__name__}; it needs a {wanted.__name__} or None")
        if not isinstance(name, str) or not name or "." in name:
            raise KeyError(f"{operation}: got the name {name!r}; it needs a string without dots, not empty")
        if hasattr(self, name) and name not in place:
            raise KeyError(f"{operation}: {type(self).__name__} has an attribute {name!r} already")
        self._put_member(place, name, value)

    # -- calling ------------------------------------------------------------------------------------

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every module writes its own."""
        raise NotImplementedError(f"{type(self).__name__} needs a method forward(self, ...)")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._call_hooks is None:
                return self.forward(*args, **kwargs) if kwargs else self.forward(*args)
            return self._call_hooks.call(self, args, kwargs)
        except OperationError as error:
            self._add_path(error)
            raise

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

    def _hooks_of_call(self) -> ForwardHooks:
        if self._call_hooks is None:
            self._call_hooks = ForwardHooks()
        return self._call_hooks

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after each forward; it may return another output.

        Args:
            hook: the function.
            prepend: call it before the hooks that are there.
            with_kwargs: call ``hook(module, args, kwargs, output)`` instead.
            always_call: call it even where forward raises an error, with None for the output.

        Example:
            >>> import minillm
            >>> layer = minillm.nn.Linear(2, 3)
            >>> handle = layer.register_forward_hook(lambda module, args, output: print(output.shape))
            >>> _ = layer(minillm.ones(4, 2))
            (4, 3)
            >>> handle.remove()
        """
        after = self._hooks_of_call().after
        return RemovableHandle(after, (hook, with_kwargs, always_call), prepend)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before each forward; it may return other arguments.

        Args:
            hook: the function.
            prepend: call it before the hooks that are there.
            with_kwargs: call ``hook(module, args, kwargs)`` instead, which may return (args, kwargs).
        """
        return RemovableHandle(self._hooks_of_call().before, (hook, with_kwargs), prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the gradients of the inputs are known.

        Both are tuples with a gradient, or None, for each positional argument and each output. The hook may
        return other gradients of the inputs.

        Example:
            >>> import minillm
            >>> layer = minillm.nn.Linear(2, 3)
            >>> _ = layer.register_full_backward_hook(lambda module, dx, dy: print(dy[0].tolist()))
            >>> layer(minillm.ones(1, 2)).sum().backward()
            [[1.0, 1.0, 1.0]]
        """
        return RemovableHandle(self._hooks_of_call().after_backward, hook, prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` before the module's backward; it may return another grad_output."""
        return RemovableHandle(self._hooks_of_call().before_backward, hook, prepend)

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
        return (module for _, module in self.named_children())

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
        return (module for _, module in self.named_modules())

    def _named_members(
        self, place: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
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
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield the buffers with their paths."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield the buffers."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

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

    def get_buffer(self, target: str) -> Tensor:
        """Return the buffer at a path."""
        path, _, name = target.rpartition(".")
        buffer = self.get_submodule(path)._buffers.get(name)
        if buffer is None:
            raise AttributeError(f"{type(self).__name__} has no buffer {target!r}")
        return buffer

    def apply(self: M, fn: Callable[[Module], Any]) -> M:
        """Call ``fn`` on every module inside, and on this one last."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

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
        """Move all parameters and buffers to a device, or floats to a dtype; see ``Tensor.to``.

        Raises:
            TypeError: a dtype of integers or booleans, in which nothing can be learned.
        """

        def moved(tensor: Tensor) -> Any:
            result = tensor.to(*args, **kwargs)
            if not tensor.is_floating_point():
                return tensor.to(result.device)
            if not result.is_floating_point():
                raise TypeError(f"{type(self).__name__}.to: got {result.dtype}; parameters need a dtype of floats")
            return result

        return self._apply(moved)

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

    def _changed(self, **defaults: Any) -> str:
        """Return ``, name=value`` for each setting that is not the default one, for :meth:`extra_repr`."""
        settings = {name: getattr(self, name) for name in defaults}
        return "".join(f", {name}={value}" for name, value in settings.items() if value != defaults[name])

    def __repr__(self) -> str:
        lines = [self.extra_repr()] if self.extra_repr() else []
        for names, text in _runs([(name, repr(module)) for name, module in self._modules.items()]):
            times = f"{len(names)} x " if len(names) > 1 else ""
            name = f"{names[0]}-{names[-1]}" if times else names[0]
            lines.append(f"({name}): {times}{text}".replace("\n", "\n  "))
        count = self.num_parameters()
        tail = f"  # {count:,} parameters" if count else ""
        if not self._modules:
            return f"{type(self).__name__}({self.extra_repr()}){tail}"
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + f"\n){tail}"


def _runs(items: list[tuple[str, str]]) -> list[tuple[list[str], str]]:
    """Put neighbours with numbers for names and equal texts together, as in ``(0-11): 12 x Block``."""
    runs: list[tuple[list[str], str]] = []
    for name, text in items:
        if runs and runs[-1][1] == text and name.isdecimal() and runs[-1][0][-1].isdecimal():
            runs[-1][0].append(name)
        else:
            runs.append(([name], text))
    return runs


__all__ = ["IncompatibleKeys", "Module", "RemovableHandle", "StateDictError"]
