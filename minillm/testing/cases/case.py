"""What a case is: a named call that both libraries understand, ready to run in either.

``Case.prepare`` makes the tensors of a library from the drawn arrays and gives back a :class:`Prepared`: the
tensors that a derivative may be taken with respect to, and a function of them. Calls of functions and methods
are here; modules are in ``network.py``, optimizers and schedules in ``stepping.py``. All three have one face,
so that one loop of tests and one report run them all.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minillm.testing.cases.drawing import HostArray, Input, Places, filled, inputs_in


@dataclasses.dataclass
class Prepared:
    """A call of one library with its tensors: ``call(*leaves)`` computes."""

    library: Any
    leaves: list[Any]  # inputs, then parameters; floats among them require a gradient
    call: Callable[..., Any]
    facts: list[str] = dataclasses.field(default_factory=list)  # what has to be equal in both libraries, word by word
    parameters: list[str] = dataclasses.field(default_factory=list)  # names of the last leaves, for messages
    after: Callable[[], list[Any]] = list  # tensors to look at after the call: what it wrote to

    def labels(self) -> list[str]:
        """Return what each leaf is called in messages."""
        inputs = [f"input {i}" for i in range(len(self.leaves) - len(self.parameters))]
        return [*inputs, *self.parameters]


class X:
    """A call of a function: its arguments."""

    def __init__(
        self,
        *args: Any,
        via: Callable[..., Any] | None = None,
        method: bool = False,
        order: int = 2,
        check: bool = True,
        drawn: bool = False,
        **kwargs: Any,
    ) -> None:
        self.args, self.kwargs = args, kwargs
        self.via = via  # calls the function of a library in another way: via(library, *args, **kwargs)
        self.method = method  # of the tensor, where there is no function
        self.order = order  # of the highest derivative that is compared
        self.check = check  # by differences, too
        self.drawn = drawn  # at random: shape and dtype are compared, values are not

    def case(self, name: str, number: int) -> Case:
        """Return the call with a name."""
        return FunctionCase(name, number, self.order, self.check, self.drawn, self)


@dataclasses.dataclass(frozen=True)
class Case:
    """A named call; subclasses say how it runs."""

    name: str
    number: int
    order: int
    check: bool
    drawn: bool

    def __str__(self) -> str:
        return f"{self.name}-{self.number}"

    def inputs(self) -> Iterator[Input]:
        """The inputs to draw, in order."""
        raise NotImplementedError

    def draw(self, dtype: str = "float64") -> list[HostArray]:
        """Return the same arrays for the same case each time."""
        rng = np.random.default_rng(zlib.crc32(str(self).encode()))
        return [i.draw(rng, dtype) for i in self.inputs()]

    def prepare(
        self, library: Any, arrays: Sequence[HostArray], dtype: str = "float64", gradients: bool = True
    ) -> Prepared:
        """Return the call, ready to run on these arrays in a library."""
        raise NotImplementedError

    def tensors(self, library: Any, arrays: Sequence[HostArray], gradients: bool = True) -> list[Any]:
        """Return the inputs as tensors of a library: copies, in the same layout in memory."""
        made = []
        for spec, array in zip(self.inputs(), arrays, strict=True):
            wants = gradients and array.dtype.kind == "f" and spec.needs_gradient
            tensor = tensor_of(library, array)
            made.append(tensor.requires_grad_(True) if wants else tensor)
        return made


@dataclasses.dataclass(frozen=True)
class FunctionCase(Case):
    """A call of a function, a method or an operator."""

    call: X

    def inputs(self) -> Iterator[Input]:
        """The inputs to draw, in order."""
        yield from inputs_in((self.call.args, self.call.kwargs))

    def prepare(
        self, library: Any, arrays: Sequence[HostArray], dtype: str = "float64", gradients: bool = True
    ) -> Prepared:
        """Return the call, ready to run on these arrays in a library."""
        leaves = self.tensors(library, arrays, gradients)
        return Prepared(library, leaves, lambda *xs: self.run(library, list(xs)), after=lambda: leaves)

    def run(self, library: Any, tensors: list[Any]) -> Any:
        """Call the function of a library with tensors in the places of inputs."""
        places = Places(tensors)
        args, kwargs = filled(list(self.call.args), places), filled(self.call.kwargs, places)
        if self.call.via is not None:
            return self.call.via(library, *args, **kwargs)
        if "dtype" in kwargs:
            kwargs["dtype"] = getattr(library, kwargs["dtype"])
        if self.name == "getitem":  # an operator in PyTorch
            return args[0][args[1]]
        if self.name == "cast":  # a method in PyTorch
            return args[0].to(getattr(library, args[1]))
        if self.call.method:
            return run_method(args[0], self.name.removeprefix("Tensor."), args[1:], kwargs)
        return named(library, self.name)(*args, **kwargs)


WORDS_WITH_I = ("__invert__", "__iter__", "__int__", "__index__")


def run_method(tensor: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call a method of a tensor, or read a property; one that writes in place writes to a copy."""
    if name == "__setitem__":
        tensor = tensor.clone()
        tensor[args[0]] = args[1]
        return tensor
    is_operator = name.startswith("__") and name.endswith("__")
    if name.startswith("__i") and name not in WORDS_WITH_I if is_operator else name.endswith("_"):
        tensor = tensor.clone()
    value = getattr(tensor, name)
    return value(*args, **kwargs) if callable(value) else value


def named(library: Any, name: str) -> Any:
    """Return ``library.nn.functional.linear`` for "nn.functional.linear"."""
    found = library
    for part in name.split("."):
        found = getattr(found, part)
    return found


def tensor_of(library: Any, array: HostArray) -> Any:
    """Return a tensor with a copy of an array's numbers, in the same layout in memory."""
    own = array.copy(order="K") if array.flags.c_contiguous or not array.ndim else _copy_of_view(array)
    if library.__name__ != "torch" and library.get_default_device().type != "cpu":
        return library.tensor(own)
    return library.from_numpy(own)


def _copy_of_view(array: HostArray) -> HostArray:
    """Return the same numbers in new memory, with other elements between them as before."""
    return scattered(np.ascontiguousarray(array))


def scattered(array: HostArray) -> HostArray:
    """Return the same values, with other elements between them in memory."""
    if not array.ndim:
        return array
    roomy = np.zeros((*array.shape[::-1], 2), array.dtype)
    view: HostArray = roomy[..., 0].T
    view[...] = array
    return view
