"""Modules that hold other modules (or parameters), in a row, a list or a dict."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, TypeVar, overload

from minillm.nn.module import Module
from minillm.ops import Parameter, Tensor

R = TypeVar("R", bound="_Row")


def _place(name: str, length: int, index: int) -> int:
    """Return an index counted from the start."""
    index = operator.index(index)
    if not -length <= index < length:
        raise IndexError(f"{name}: index {index} is out of range; it holds {length} items")
    return index % length


class _Row(Module):
    """Modules with the names 0, 1, 2, ... (or names of their own, in ``Sequential``)."""

    _modules: dict[str, Module]  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def _key(self, index: int) -> str:
        return list(self._modules)[_place(type(self).__name__, len(self), index)]

    def _replace(self, modules: Mapping[str, Module]) -> None:
        """Hold these modules alone, under these names."""
        for name in list(self._modules):
            delattr(self, name)
        for name, module in modules.items():
            self.add_module(name, module)

    def _renumber(self, modules: Iterable[Module]) -> None:
        self._replace({str(i): module for i, module in enumerate(modules)})

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(self._key(index), module)

    def __delitem__(self, index: int | slice) -> None:
        gone = set(list(self._modules)[index]) if isinstance(index, slice) else {self._key(index)}
        self._renumber(module for name, module in self._modules.items() if name not in gone)

    def append(self: R, module: Module) -> R:
        """Add a module at the end; returns the container."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self: R, modules: Iterable[Module]) -> R:
        """Add modules at the end; returns the container."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> None:
        """Put a module before the one at ``index``."""
        modules = list(self)
        modules.insert(index, module)
        self._renumber(modules)

    def pop(self, index: int | slice) -> Any:
        """Take the module at ``index`` out and return it."""
        taken = self[index]  # type: ignore[index]
        del self[index]
        return taken


class Sequential(_Row):
    """Modules that run one after the other: each gets the output of the one before.

    Args:
        args: the modules in order, or one ``OrderedDict`` (or dict) of modules by name.

    Example:
        >>> import minillm
        >>> from minillm import nn
        >>> net = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
        >>> net(minillm.ones(4, 2)).shape
        (4, 1)
        >>> list(net[2].state_dict()), len(net[:2])
        (['weight', 'bias'], 2)
    """

    @overload
    def __init__(self, *args: Module) -> None: ...

    @overload
    def __init__(self, arg: Mapping[str, Module], /) -> None: ...

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], Mapping) and not isinstance(args[0], Module):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            for i, module in enumerate(args):
                self.add_module(str(i), module)

    def forward(self, input: Any) -> Any:
        for module in self._modules.values():
            input = module(input)
        return input

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(OrderedDict(list(self._modules.items())[index]))
        return self._modules[self._key(index)]


class ModuleList(_Row):
    """A list of modules that are found by ``parameters()``, ``state_dict()`` and the like; it has no forward.

    Args:
        modules: to begin with.

    Example:
        >>> from minillm import nn
        >>> layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(2))
        >>> len(layers), list(layers.state_dict())
        (2, ['0.weight', '0.bias', '1.weight', '1.bias'])
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return self._modules[self._key(index)]

    def __iadd__(self, modules: Iterable[Module]) -> ModuleList:
        return self.extend(modules)

    def __add__(self, modules: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *modules])


class ModuleDict(Module, MutableMapping[str, Module]):
    """A dict of modules that are found by ``parameters()``, ``state_dict()`` and the like; it has no forward.

    Args:
        modules: to begin with: a mapping, or pairs of name and module.

    Example:
        >>> from minillm import nn
        >>> choices = nn.ModuleDict({"wide": nn.Linear(3, 30), "narrow": nn.Linear(3, 1)})
        >>> "wide" in choices, list(choices)
        (True, ['wide', 'narrow'])
    """

    _modules: dict[str, Module]  # type: ignore[assignment]

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Module:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        if key not in self._modules:
            raise KeyError(key)
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    # A mapping with the same modules is another module nevertheless.
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class ParameterList(Module):
    """A list of parameters that are found by ``parameters()`` and ``state_dict()``.

    Args:
        values: to begin with; tensors become parameters.

    Example:
        >>> import minillm
        >>> from minillm import nn
        >>> scales = nn.ParameterList([minillm.ones(3), minillm.ones(2)])
        >>> len(scales), list(scales.state_dict())
        (2, ['0', '1'])
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._length = 0
        if values is not None:
            self.extend(values)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, str(i)) for i in range(self._length))

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return getattr(self, str(_place("ParameterList", len(self), index)))

    def __setitem__(self, index: int, value: Any) -> None:
        if isinstance(value, Tensor) and not isinstance(value, Parameter):
            value = Parameter(value)
        setattr(self, str(_place("ParameterList", len(self), index)), value)

    def append(self, value: Any) -> ParameterList:
        """Add a parameter at the end; returns the list."""
        self._length += 1
        self[self._length - 1] = value
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add parameters at the end; returns the list."""
        for value in values:
            self.append(value)
        return self

    def __iadd__(self, values: Iterable[Any]) -> ParameterList:
        return self.extend(values)

    def extra_repr(self) -> str:
        return "\n  ".join(f"({i}): Parameter of {p.dtype} {p.shape}" for i, p in enumerate(self))
