"""Cases of modules: ``N(4, 3)(R(2, 4))`` makes a module with these arguments, and calls it with this input.

Both libraries' modules get the same parameters, drawn anew for each case and given by ``load_state_dict``, under
the same names; names, shapes and what is written to buffers are compared, too, and every parameter is an input
that derivatives are taken with respect to.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minillm.testing.cases.case import Case, Prepared
from minillm.testing.cases.drawing import HostArray, Input, Places, filled, inputs_in


class N:
    """A module to make: the arguments of its class, or with ``N.of`` a function of the library that makes it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs
        self.maker: Callable[[Any], Any] | None = None

    @classmethod
    def of(cls, maker: Callable[[Any], Any]) -> N:
        """Return a module that a function of the library makes."""
        made = cls()
        made.maker = maker
        return made

    def __call__(
        self,
        *args: Any,
        via: Callable[..., Any] | None = None,
        training: bool = True,
        order: int = 2,
        check: bool = True,
        drawn: bool = False,
        **kwargs: Any,
    ) -> Net:
        """Return the call of the module with inputs; ``via(library, module, *args)`` calls it in another way."""
        return Net(self, args, kwargs, via, training, order, check, drawn)

    def make(self, library: Any, name: str) -> Any:
        """Return the module."""
        if self.maker is not None:
            return self.maker(library)
        args = [value(library) if callable(value) else value for value in self.args]
        return getattr(library.nn, name)(*args, **self.kwargs)


@dataclasses.dataclass
class Net:
    """A call of a module."""

    module: N
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    via: Callable[..., Any] | None
    training: bool
    order: int
    check: bool
    drawn: bool

    def case(self, name: str, number: int) -> Case:
        """Return the call with a name."""
        return ModuleCase(name, number, self.order, self.check, self.drawn, self)


@dataclasses.dataclass(frozen=True)
class ModuleCase(Case):
    """A call of a module."""

    net: Net

    def inputs(self) -> Iterator[Input]:
        """The inputs to draw, in order."""
        yield from inputs_in((self.net.args, self.net.kwargs))

    def prepare(
        self, library: Any, arrays: Sequence[HostArray], dtype: str = "float64", gradients: bool = True
    ) -> Prepared:
        """Return the call, ready to run on these arrays in a library."""
        inputs = self.tensors(library, arrays, gradients)
        module = self.net.module.make(library, self.name.removeprefix("nn.")).to(getattr(library, dtype))
        module.train(self.net.training)
        give_parameters(library, module, str(self), dtype)
        names = [name for name, _ in module.named_parameters()]
        parameters = [p.requires_grad_(gradients) for p in module.parameters()]

        def call(*leaves: Any) -> Any:
            put_parameters(module, names, leaves[len(inputs) :])
            places = Places(leaves)
            args, kwargs = filled(list(self.net.args), places), filled(self.net.kwargs, places)
            if self.net.via is not None:
                return self.net.via(library, module, *args, **kwargs)
            return module(*args, **kwargs)

        facts = [f"{name} {tuple(value.shape)}" for name, value in module.state_dict().items()]
        return Prepared(
            library,
            [*inputs, *parameters],
            call,
            facts,
            names,
            lambda: [*inputs, *module.state_dict().values()],
        )


def give_parameters(library: Any, module: Any, name: str, dtype: str) -> None:
    """Give a module's parameters numbers that depend on ``name`` alone; buffers stay as they begin.

    The scales of norms lie about 1, as in life: small ones would let derivatives of the second order grow beyond
    what float32 can compare.
    """
    state = dict(module.state_dict())
    for key, _ in module.named_parameters():
        rng = np.random.default_rng(zlib.crc32(f"{name} {key}".encode()))
        shape = tuple(state[key].shape)
        is_scale = len(shape) == 1 and key.endswith("weight")
        values = np.asarray(rng.uniform(-0.5, 0.5, shape) + is_scale).astype(dtype)
        state[key] = library.from_numpy(values) if library.__name__ == "torch" else library.tensor(values)
    module.load_state_dict(state)


def put_parameters(module: Any, names: Sequence[str], values: Sequence[Any]) -> None:
    """Let a module compute with these tensors in place of its parameters, as gradient checks need."""
    for name, value in zip(names, values, strict=True):
        owner_name, _, last = name.rpartition(".")
        owner = module.get_submodule(owner_name)
        if owner._parameters[last] is not value:
            owner._parameters[last] = value
            if last in vars(owner):  # where ours are read from
                vars(owner)[last] = value
