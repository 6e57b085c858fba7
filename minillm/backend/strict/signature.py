"""Signatures of CuPy's functions, written as text, and the check of a call against them.

A line of the tables reads ``take(a!, indices?; axis=, out=)``:

- ``a!`` is an array of the device, ``x?`` an array or a number, ``tup[]`` a sequence of arrays,
  ``out=`` an array or None, and any other name is passed on as it is;
- ``=`` marks what may be left out;
- what stands before the ``;`` is given to NumPy by position, what stands after it by name: where
  the two libraries name or order their arguments differently, the call still means the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["Signature", "signatures"]

Unwrap = Callable[[str, Any], Any]


class Parameter:
    """One parameter of a signature: its name, what it takes, and whether it may be left out."""

    def __init__(self, text: str, by_name: bool) -> None:
        match = re.fullmatch(r"(\w+)(!|\?|\[\])?(=)?", text)
        if match is None:
            raise ValueError(f"cannot read the parameter {text!r}")
        self.name: str = match[1]
        self.kind: str = "!" if self.name == "out" else match[2] or ""
        self.optional = match[3] is not None
        self.by_name = by_name


class Signature:
    """The signature of one function of CuPy."""

    def __init__(self, line: str) -> None:
        match = re.fullmatch(r"(\w+)\((.*)\)", line.strip())
        if match is None:
            raise ValueError(f"cannot read the signature {line!r}")
        self.name: str = match[1]
        before, _, after = match[2].partition(";")
        self.parameters = [
            Parameter(text.strip(), by_name)
            for part, by_name in ((before, False), (after, True))
            for text in part.split(",")
            if text.strip()
        ]
        self._named = {parameter.name: parameter for parameter in self.parameters}

    def __str__(self) -> str:
        shown = (p.name + ("=..." if p.optional else "") for p in self.parameters)
        return f"{self.name}({', '.join(shown)})"

    def bind(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], array: Unwrap, number: Unwrap
    ) -> tuple[list[Any], dict[str, Any]]:
        """Check a call and return what NumPy is to be called with.

        Args:
            args: the positional arguments.
            kwargs: the named arguments.
            array: takes an operation and an array of the stand-in to an array of NumPy.
            number: the same, passing numbers as they are.

        Raises:
            TypeError: an argument that CuPy does not take, takes from its own arrays alone, or
                needs and did not get.
        """
        if len(args) > len(self.parameters):
            raise TypeError(f"CuPy's {self} got {len(args)} arguments")
        given = dict(zip(self._named, args, strict=False))
        for name, value in kwargs.items():
            if name not in self._named:
                raise TypeError(f"CuPy's {self} takes no argument {name!r}")
            if name in given:
                raise TypeError(f"CuPy's {self} got its argument {name!r} twice")
            given[name] = value

        positional: list[Any] = []
        named: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.name not in given:
                if not parameter.optional:
                    raise TypeError(f"CuPy's {self} needs the argument {parameter.name!r}")
                continue
            value = given[parameter.name]
            if parameter.kind and not (value is None and parameter.optional):
                if parameter.kind == "[]":
                    value = [array(self.name, item) for item in value]
                else:
                    value = (array if parameter.kind == "!" else number)(self.name, value)
            if parameter.by_name:
                named[parameter.name] = value
            else:
                positional.append(value)
        return positional, named


def signatures(table: str) -> dict[str, Signature]:
    """Read a table of signatures, one a line."""
    lines = [line for line in table.splitlines() if line.strip()]
    return {signature.name: signature for signature in map(Signature, lines)}
