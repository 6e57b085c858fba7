"""Names as Keras gives them: snake_case of a class with a number, and look-ups that tell what there is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")

_given: Counter[str] = Counter()


def snake_case(name: str) -> str:
    """Return a class's name as Keras writes it in names of layers.

    Example:
        >>> [snake_case(name) for name in ("LSTM", "SimpleRNN", "Conv1D", "GlobalMaxPooling1D")]
        ['lstm', 'simple_rnn', 'conv1d', 'global_max_pooling1d']
    """
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def unique_name(class_name: str) -> str:
    """Return ``dense``, at the next call ``dense_1``, and so on.

    Example:
        >>> clear_session()
        >>> unique_name("Dense"), unique_name("Dense")
        ('dense', 'dense_1')
    """
    name = snake_case(class_name)
    number = _given[name]
    _given[name] += 1
    return f"{name}_{number}" if number else name


def clear_session() -> None:
    """Let names of layers and models begin anew, as Keras' function of this name does."""
    _given.clear()


def look_up(kind: str, name: str, known: Mapping[str, T]) -> T:
    """Return what stands under a name.

    Raises:
        ValueError: nothing does; the message lists the names there are.

    Example:
        >>> look_up("fruit", "apple", {"pear": 1})
        Traceback (most recent call last):
        ValueError: unknown fruit 'apple'; known are: pear
    """
    if name in known:
        return known[name]
    raise ValueError(f"unknown {kind} {name!r}; known are: {', '.join(sorted(known))}")


def class_and_config(kind: str, identifier: Any) -> tuple[str, dict[str, Any]]:
    """Return the class name and settings of an object that Keras wrote into JSON.

    Raises:
        ValueError: the JSON is no such object.
    """
    if isinstance(identifier, Mapping) and isinstance(identifier.get("class_name"), str):
        config = identifier.get("config") or {}
        if isinstance(config, Mapping):
            return identifier["class_name"], dict(config)
    raise ValueError(f"got {identifier!r} for {kind}; it needs a name, an object, or what Keras saves of one")
