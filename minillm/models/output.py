"""``ModelOutput``: what a model returns, by attribute, by name, or by position."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class ModelOutput:
    """Named results in a fixed order; those that are None count as absent.

    ``output.loss``, ``output["loss"]`` and ``output[0]`` are the same; ``**output`` and ``dict(output)``
    unpack the names, ``tuple(output.to_tuple())`` the values, as in Hugging Face's Transformers.

    Example:
        >>> output = ModelOutput(loss=None, logits=[1, 2])
        >>> output.logits, output["logits"], output[0], dict(output)
        ([1, 2], [1, 2], [1, 2], {'logits': [1, 2]})
    """

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def to_tuple(self) -> tuple[Any, ...]:
        """Return the values that are present, in order."""
        return tuple(value for value in self.__dict__.values() if value is not None)

    def unless_tuple(self, return_dict: bool) -> ModelOutput | tuple[Any, ...]:
        """Return this output, or for ``return_dict=False`` its values as a plain tuple."""
        return self if return_dict else self.to_tuple()

    def keys(self) -> list[str]:
        """Return the names that are present, in order."""
        return [name for name, value in self.__dict__.items() if value is not None]

    def values(self) -> list[Any]:
        """Return the values that are present, in order."""
        return list(self.to_tuple())

    def items(self) -> list[tuple[str, Any]]:
        """Return the names and values that are present, in order."""
        return [(name, value) for name, value in self.__dict__.items() if value is not None]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value by name, or ``default`` where it is absent."""
        value = self.__dict__.get(name)
        return default if value is None else value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # let copy and pickle find out that there is nothing special
            raise AttributeError(name)
        raise AttributeError(f"this model's output has no {name!r}; it has {', '.join(self.__dict__)}")

    def __getitem__(self, key: str | int | slice) -> Any:
        if isinstance(key, str):
            value = self.__dict__.get(key)
            if value is None:
                raise KeyError(f"{key!r}; this output has {', '.join(self.keys())}")
            return value
        return self.to_tuple()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def __len__(self) -> int:
        return len(self.to_tuple())

    def __repr__(self) -> str:
        return f"ModelOutput({', '.join(f'{name}={value!r}' for name, value in self.items())})"
