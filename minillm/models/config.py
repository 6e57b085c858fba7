"""``Config``: the settings of a model, a dataclass that is read from and written to ``config.json``."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from minillm.data.json_readers import read_json
from minillm.data.whole_files import write_whole

C = TypeVar("C", bound="Config")

# What a file says of the program that wrote it, not of the model.
_OF_THE_WRITER = {"architectures", "dtype", "torch_dtype", "transformers_version", "_name_or_path"}

# What a call returns unless it says otherwise: written only where it is not as usual.
_OF_THE_CALL = {"output_attentions": False, "output_hidden_states": False, "return_dict": True}


class ConfigType(type):
    """The class of configs: their constructors take the other names of fields, too, as those of Transformers do."""

    aliases: dict[str, str]
    unused: frozenset[str]

    def __call__(cls, *args: Any, **settings: Any) -> Any:
        """Return a config; a field that is given under two names keeps its own."""
        other = {name: settings.pop(name) for name in cls.unused & settings.keys()}
        for alias in cls.aliases.keys() & settings.keys():
            value = settings.pop(alias)
            settings.setdefault(cls.aliases[alias], value)
        if other:
            settings["other"] = {**other, **settings.get("other", {})}
        return super().__call__(*args, **settings)


@dataclasses.dataclass
class Config(metaclass=ConfigType):
    """Base of the settings of models; the names of the fields are those of Hugging Face's files.

    Attributes:
        model_type: what ``config.json`` calls this kind of model.
        aliases: other names of fields, in old files or for programs that handle many kinds of models.
        unused: names of old files and programs that have no effect; they are kept in ``other``.
        other: what a file held that this kind of model does not use; it is written back.
        output_attentions: whether a model returns attention weights where its call does not say.
        output_hidden_states: whether it returns hidden states, likewise.
        return_dict: whether it returns a :class:`~minillm.models.ModelOutput`, or a plain tuple.
    """

    model_type: ClassVar[str] = ""
    aliases: ClassVar[dict[str, str]] = {}
    unused: ClassVar[frozenset[str]] = frozenset()

    other: dict[str, Any] = dataclasses.field(default_factory=dict, kw_only=True, repr=False, compare=False)
    output_attentions: bool = dataclasses.field(default=False, kw_only=True, repr=False)
    output_hidden_states: bool = dataclasses.field(default=False, kw_only=True, repr=False)
    return_dict: bool = dataclasses.field(default=True, kw_only=True, repr=False)

    def __getattr__(self, name: str) -> Any:
        # Reached only where the ordinary look-up found nothing.
        field = type(self).aliases.get(name)
        if field is not None:
            return getattr(self, field)
        other = self.__dict__.get("other", {})
        if name in other:
            return other[name]
        raise AttributeError(f"{type(self).__name__} has no setting {name!r}")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings and the kind of model, as ``config.json`` holds them."""
        values = dataclasses.asdict(self)
        for name, usual in _OF_THE_CALL.items():
            if values[name] == usual:
                del values[name]
        return {"model_type": self.model_type, **values.pop("other"), **values}

    @classmethod
    def settings(cls) -> set[str]:
        """Return the names that :meth:`from_dict` knows."""
        return {field.name for field in dataclasses.fields(cls)} - {"other"} | set(cls.aliases)

    @classmethod
    def from_dict(cls: type[C], values: dict[str, Any], **changes: Any) -> C:
        """Return the settings from a dictionary.

        Args:
            values: settings by name; those that this kind of model does not use are kept in ``other``.
            changes: settings that replace those of the dictionary.

        Raises:
            ValueError: the dictionary is of another kind of model, or a value does not fit.
        """
        kind = values.get("model_type", cls.model_type)
        if kind != cls.model_type:
            raise ValueError(
                f"{cls.__name__}: got the settings of a {kind!r} model; it needs {cls.model_type!r}"
            )
        names = cls.settings()
        known: dict[str, Any] = {}
        other: dict[str, Any] = {}
        for name, value in [*values.items(), *changes.items()]:
            if name in names:
                known[cls.aliases.get(name, name)] = value
            elif name != "model_type" and name not in _OF_THE_WRITER:
                other[name] = value
        return cls(**known, other=other)

    @classmethod
    def from_pretrained(cls: type[C], path: str | os.PathLike[str], **changes: Any) -> C:
        """Return the settings from a ``config.json``, or from the directory that it lies in.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is no JSON object, of another kind of model, or a value does not fit.
        """
        path = Path(path)
        values = read_config(path / "config.json" if path.is_dir() else path)
        try:
            return cls.from_dict(values, **changes)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from error

    def save_pretrained(self, directory: str | os.PathLike[str], **extra: Any) -> Path:
        """Write ``config.json`` into a directory, whole or not at all.

        Args:
            directory: it is made if it is missing.
            extra: what else the file shall say.
        """
        path = Path(directory) / "config.json"
        with write_whole(path) as file:
            file.write((json.dumps({**extra, **self.to_dict()}, indent=2) + "\n").encode())
        return path


def read_config(path: Path) -> dict[str, Any]:
    """Return what a ``config.json`` holds, of whatever kind of model.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no JSON object.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file, which should hold the settings of the model")
    values = read_json(path)
    if not isinstance(values, dict):
        raise ValueError(f"{path}: it holds {type(values).__name__}; it needs an object with the settings")
    return values


def positive(owner: object, **sizes: Any) -> None:
    """Raise an error unless all these sizes of a config are whole and positive."""
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{type(owner).__name__}: {name} is {size!r}; it needs a positive whole number")


def probability(owner: object, **values: Any) -> None:
    """Raise an error unless all these values of a config lie between 0 and 1, 1 not included."""
    for name, value in values.items():
        if not isinstance(value, (int, float)) or not 0 <= value < 1:
            raise ValueError(f"{type(owner).__name__}: {name} is {value!r}; it needs to lie in [0, 1)")


def one_of(owner: object, choices: Any, **values: Any) -> None:
    """Raise an error unless all these values of a config are among the choices."""
    for name, value in values.items():
        if value not in choices:
            known = ", ".join(map(str, choices))
            raise ValueError(f"{type(owner).__name__}: {name} is {value!r}; known are {known}")


def divisible(owner: object, **sizes: int) -> None:
    """Raise an error unless the first of these two sizes of a config is a multiple of the second."""
    (name, size), (by_name, by) = sizes.items()
    if size % by:
        raise ValueError(
            f"{type(owner).__name__}: {name} is {size} and {by_name} {by}; the first needs to be a multiple "
            "of the second"
        )
