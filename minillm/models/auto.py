"""``AutoClass``: the kind of model that a directory holds, found by the ``model_type`` of its ``config.json``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

from minillm.models.config import read_config


class AutoClass:
    """Base of the classes that only choose: ``table`` says which class each ``model_type`` has.

    Example:
        >>> from minillm.models import GPT2Config, GPT2Model
        >>> class AutoModel(AutoClass):
        ...     table = {"gpt2": GPT2Model}
        >>> type(AutoModel.from_config(GPT2Config(vocab_size=10, n_embd=8, n_layer=1, n_head=2))).__name__
        'GPT2Model'
    """

    table: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        raise TypeError(f"{type(self).__name__}: it only chooses a class; call from_pretrained or from_config")

    @classmethod
    def from_pretrained(cls, path: str | os.PathLike[str], **options: Any) -> Any:
        """Return what a directory holds, read by the class that it is of.

        Args:
            path: a directory with ``config.json``, or a file beside it.
            options: as for that class.

        Raises:
            FileNotFoundError: there is no such directory or file; the message says how to get the files.
            ValueError: a kind that is not known here, or damaged files.
        """
        directory = Path(path)
        if not directory.exists():
            raise FileNotFoundError(
                f"{path}: there is no such directory, and nothing is downloaded by itself; fetch the files, e.g. "
                "by `hf download NAME --local-dir DIR`, and give DIR"
            )
        directory = directory if directory.is_dir() else directory.parent
        kind = read_config(directory / "config.json").get("model_type")
        return cls._class_of(kind, str(directory)).from_pretrained(path, **options)

    @classmethod
    def from_config(cls, config: Any, **options: Any) -> Any:
        """Return a model with these settings and initial weights."""
        return cls._class_of(config.model_type, type(config).__name__)(config, **options)

    @classmethod
    def _class_of(cls, kind: Any, source: str) -> Any:
        if not isinstance(kind, str) or kind not in cls.table:
            raise ValueError(f"{source}: model_type is {kind!r}; {cls.__name__} knows {', '.join(cls.table)}")
        return cls.table[kind]
